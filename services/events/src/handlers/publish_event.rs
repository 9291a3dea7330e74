//! `POST /api/organiser/events/{id}/publish`

use axum::{extract::State, http::StatusCode, response::Response};
use common::{
    extract::{KeyedJson, Organizer, PathId, organizer_only},
    idempotency::{Answer, Keyed},
    ids::EventId,
    problem::ApiError,
    schemas::KeyParam,
};

use super::{change_problem, no_such_event};
use crate::{
    app::App,
    domain::event::{Event, PatchError},
    store::ChangeError,
    views::{EventAnswer, OwnEventView},
};

common::problems!(
    Problems:
    organizer_only(),
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
    Organizer(caller): Organizer,
    PathId(id): PathId,
    KeyedJson { input: (), key }: KeyedJson<()>,
) -> Result<Response, ApiError> {
    let keyed = Keyed { key, answer };
    let published = app
        .store
        .publish_event(EventId::lenient(&id), caller.id, app.clock.now(), keyed)
        .await;
    let published = published.map_err(change_problem)?;
    super::log_event("event published", &published);
    Ok(published.respond(answer))
}

fn answer(event: &Event) -> Answer {
    let body = EventAnswer {
        message: "Event published successfully.",
        event: OwnEventView::from(event),
    };
    Answer::json(StatusCode::OK, &body)
}
