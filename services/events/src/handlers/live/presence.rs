//! `GET /api/live/events/{id}/presence`

use axum::{Json, extract::State};
use common::{
    extract::{Caller, PathId},
    ids::EventId,
    problem::ApiError,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{app::App, domain::standing::Denied, handlers::no_such_event, problems::denied};

/// Who is there.
#[derive(Serialize, ToSchema)]
pub struct PresenceView {
    /// Signed-in people on any channel of the event, each once however many sockets they have.
    #[schema(example = 42)]
    count: u64,
}

common::problems!(Problems: no_such_event(), denied(Denied::NotAttending), denied(Denied::Banned));

/// How many people follow an event live. Who has left, or whose server was lost, is gone within a minute.
#[utoipa::path(
    get,
    path = "/api/live/events/{id}/presence",
    operation_id = "getPresence",
    tag = "live",
    params(
        ("id" = String, Path, description = "The event's id", example = "019309a2-0000-7000-8000-000000000002"),
    ),
    responses(
        (status = 200, description = "How many", body = PresenceView),
        Problems,
    ),
    security(("bearer" = []))
)]
pub async fn presence(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<Json<PresenceView>, ApiError> {
    let present = app.live.present(EventId::lenient(&id), caller.id, false).await?;
    Ok(Json(PresenceView { count: present.count }))
}
