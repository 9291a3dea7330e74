//! `POST /api/organiser/events/{id}/publish`

use axum::{extract::State, http::StatusCode, response::Response};
use common::{
    extract::{Caller, KeyedJson, PathId, insufficient_role, organizer_only},
    idempotency::{Answer, Keyed},
    problem::ApiError,
    schemas::KeyParam,
};

use super::{change_problem, no_such_event, rights::event_for};
use crate::{
    app::App,
    domain::{
        event::{Event, PatchError},
        team::{Right, TeamRole},
    },
    store::ChangeError,
    views::{EventAnswer, OwnEventView},
};

common::problems!(
    Problems:
    organizer_only(),
    insufficient_role(TeamRole::Scanner),
    no_such_event(),
    change_problem(ChangeError::Refused(PatchError::Cancelled)),
    change_problem(ChangeError::Refused(PatchError::Published)),
);

/// Publish a draft. From then on everybody sees it, and it never becomes a draft again.
#[utoipa::path(
    post,
    path = "/api/organiser/events/{id}/publish",
    operation_id = "publishEvent",
    tag = "organiser",
    params(
        ("id" = String, Path, description = "The event's id", example = "019309a2-0000-7000-8000-000000000002"),
        KeyParam,
    ),
    responses(
        (status = 200, description = "The event", body = EventAnswer),
        Problems,
    ),
    security(("bearer" = []))
)]
pub async fn publish_event(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    KeyedJson { input: (), key }: KeyedJson<()>,
) -> Result<Response, ApiError> {
    let event = event_for(&app, &caller, &id, Right::Manage).await?;
    let keyed = Keyed { key, answer };
    let published = app
        .store
        .publish_event(event.id, event.organizer, app.clock.now(), keyed)
        .await;
    let published = published.map_err(change_problem)?;
    super::log_event("event published", caller.id, &published);
    Ok(published.respond(answer))
}

fn answer(event: &Event) -> Answer {
    let body = EventAnswer {
        message: "Event published successfully.",
        event: OwnEventView::from(event),
    };
    Answer::json(StatusCode::OK, &body)
}
