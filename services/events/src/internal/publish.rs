//! `POST /internal/live/publish`: publishes on people's own channels what other services have changed.

use axum::{Json, body::Body, extract::State};
use common::{
    extract::{CallingService, asked},
    outbox::Receipt,
    problem::ApiError,
    wire::OwnPublication,
};

use crate::app::App;

/// Handles the call.
///
/// # Errors
/// 503 when nothing can be published now.
pub async fn publish(
    _: CallingService,
    State(app): State<App>,
    body: Body,
) -> Result<Json<Vec<Receipt>>, ApiError> {
    let publications: Vec<OwnPublication> = asked(body).await?;
    Ok(Json(app.live.publish_own(&publications).await?))
}
