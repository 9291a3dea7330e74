//! `POST /api/organiser/events/{id}/cancel`

use axum::{extract::State, http::StatusCode, response::Response};
use common::{
    extract::{KeyedJson, Organizer, PathId, insufficient_role, organizer_only},
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
    insufficient_role(TeamRole::Manager),
    no_such_event(),
    change_problem(ChangeError::Refused(PatchError::Cancelled)),
);

/// Cancel one of your events. Every attendee is notified, and all payments are refunded. A draft is discarded: it leaves the list
/// of your events.
#[utoipa::path(
    post,
    path = "/api/organiser/events/{id}/cancel",
    operation_id = "cancelEvent",
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
pub async fn cancel_event(
    State(app): State<App>,
    Organizer(caller): Organizer,
    PathId(id): PathId,
    KeyedJson { input: (), key }: KeyedJson<()>,
) -> Result<Response, ApiError> {
    let event = event_for(&app, &caller, &id, Right::Own).await?;
    let keyed = Keyed { key, answer };
    let cancelled = app
        .store
        .cancel_event(event.id, event.organizer, app.clock.now(), keyed)
        .await;
    let cancelled = cancelled.map_err(change_problem)?;
    super::log_event("event cancelled", caller.id, &cancelled);
    Ok(cancelled.respond(answer))
}

fn answer(event: &Event) -> Answer {
    let body = EventAnswer {
        message: "Event cancelled successfully.",
        event: OwnEventView::from(event),
    };
    Answer::json(StatusCode::OK, &body)
}
