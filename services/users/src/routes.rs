//! The table of routes.

use axum::{Router, routing::post};
use utoipa::{OpenApi as _, openapi::OpenApi};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{app::App, docs::Document, handlers, internal};

/// Everything that is the service's own, and the document of what is public.
pub fn router(app: App) -> (Router, OpenApi) {
    let (router, document) = OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(handlers::register::register))
        .routes(routes!(handlers::login::login))
        .routes(routes!(handlers::me::me))
        .split_for_parts();
    (
        router
            .route("/internal/users/lookup", post(internal::lookup::lookup))
            .with_state(app),
        document,
    )
}
