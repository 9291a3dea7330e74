//! `POST /api/notifications/{id}/read` and `/read_all`

use axum::{Json, extract::State};
use common::{
    extract::{Caller, PathId},
    ids::MessageId,
    problem::ApiError,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;

fn no_such_message() -> ApiError {
    ApiError::not_found("notification_not_found", "There is no such message to you.")
}

common::problems!(Problems: no_such_message());

/// What was marked.
#[derive(Serialize, ToSchema)]
pub struct Marked {
    /// What happened.
    #[schema(example = "Marked as read.")]
    message: &'static str,
    /// How many were not read before.
    #[schema(example = 1)]
    marked: usize,
}

/// Mark a message to you as read. One that is read already stays so.
#[utoipa::path(
    post,
    path = "/api/notifications/{id}/read",
    operation_id = "readNotification",
    tag = "notifications",
    params(("id" = String, Path, description = "The message's id", example = "019309a2-0000-7000-8000-000000000001")),
    responses(
        (status = 200, description = "It is read", body = Marked),
        Problems,
    ),
    security(("bearer" = []))
)]
pub async fn one(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<Json<Marked>, ApiError> {
    mark(&app, caller, Some(MessageId::lenient(&id))).await
}

/// Mark all messages to you as read.
#[utoipa::path(
    post,
    path = "/api/notifications/read_all",
    operation_id = "readAllNotifications",
    tag = "notifications",
    responses((status = 200, description = "All are read", body = Marked)),
    security(("bearer" = []))
)]
pub async fn all(State(app): State<App>, caller: Caller) -> Result<Json<Marked>, ApiError> {
    mark(&app, caller, None).await
}

async fn mark(app: &App, caller: Caller, message: Option<MessageId>) -> Result<Json<Marked>, ApiError> {
    let now = app.parts.clock.now();
    let marked = app.parts.store.mark_read(caller.id, message, now).await?;
    let marked = marked.ok_or_else(no_such_message)?;
    tracing::info!(user_id = %caller.id, marked, "messages marked as read");
    Ok(Json(Marked {
        message: "Marked as read.",
        marked,
    }))
}
