//! `POST /api/live/events/{id}/reactions`

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use common::{
    extract::{Caller, Json, PathId},
    fields::{Fields, FromFields},
    ids::EventId,
    problem::ApiError,
};
use shared_state::ratelimit::too_many;
use utoipa::ToSchema;

use super::{Done, message};
use crate::{
    app::App, domain::standing::Denied, handlers::no_such_event, live::say::emoji, problems::denied,
};

/// The request body.
#[derive(ToSchema)]
pub struct React {
    /// One emoji.
    #[schema(format = "emoji", example = "👏")]
    emoji: String,
}

impl FromFields for React {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let emoji = fields.required("emoji", emoji);
        Some(Self { emoji: emoji? })
    }
}

common::problems!(
    Problems:
    no_such_event(),
    denied(Denied::NotAttending),
    denied(Denied::Banned),
    denied(Denied::Muted),
    too_many(std::time::Duration::from_secs(1), "Please do this more slowly."),
);

/// React to what is happening. All reactions of a second are published together, and kept nowhere.
#[utoipa::path(
    post,
    path = "/api/live/events/{id}/reactions",
    operation_id = "react",
    tag = "live",
    request_body(content = React, example = json!({"emoji": "👏"})),
    params(
        ("id" = String, Path, description = "The event's id", example = "019309a2-0000-7000-8000-000000000002"),
    ),
    responses(
        (status = 200, description = "It counts", body = Done),
        Problems,
    ),
    security(("bearer" = []))
)]
pub async fn react(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    Json(input): Json<React>,
) -> Result<Response, ApiError> {
    app.live
        .react(EventId::lenient(&id), caller.id, &input.emoji)
        .await?;
    Ok(message("Reaction counted.").into_response())
}
