//! What the gateway answers itself: a welcome, health and the API documents.

use axum::{
    Json, Router,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};
use common::{http::pipeline::noting_route, problem::ApiError};
use serde_json::{Value, json};
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::{documents::Documents, health::Services};

/// The folder of the browsable document. Without its slash it is a redirect to it.
pub const DOCS: &str = "/docs/";

/// The routes.
pub fn router(parts: Services, documents: Documents) -> Router {
    // Swagger UI's files are inside the program; nothing is loaded from anywhere else, nor sent to its validator.
    let config = Config::from("/openapi.json")
        .validator_url("none")
        // A reload keeps the sign-in, and there is one document to explore.
        .persist_authorization(true)
        .use_base_layout()
        .display_request_duration(true);
    let docs = Router::from(SwaggerUi::new(DOCS).config(config));
    let pages = Router::new()
        .route("/", get(welcome))
        .route(
            "/health",
            get(|State(parts): State<Services>| async move { parts.overview().await }),
        )
        .route("/health/live", get(|| async { Json(json!({"status": "up"})) }))
        .route(
            "/health/ready",
            get(|State(parts): State<Services>| async move { parts.ready().await }),
        )
        .with_state(parts)
        .route("/openapi.json", get(document).with_state(documents))
        .merge(docs);
    noting_route(pages)
}

async fn welcome() -> Json<Value> {
    Json(json!({
        "message": "This is Organise Event.",
        "documentation": "/docs",
        "openapi": "/openapi.json",
        "health": "/health",
    }))
}

async fn document(State(documents): State<Documents>) -> Result<Response, ApiError> {
    let document = documents.merged().await?;
    Ok(([(header::CONTENT_TYPE, "application/json")], document).into_response())
}
