//! `POST /api/organiser/events/{id}/duplicate`

use axum::{extract::State, http::StatusCode, response::Response};
use common::{
    extract::{KeyedJson, Organizer, PathId, insufficient_role, organizer_only},
    fields::{Fields, FromFields},
    idempotency::{Answer, Keyed},
    ids::EventId,
    problem::ApiError,
    schemas::{KeyParam, Time},
};
use runtime::verified_email::email_not_verified;
use utoipa::ToSchema;

use super::{change_problem, create_event::time, no_such_event, rights::event_for};
use crate::{
    app::App,
    domain::{
        event::Event,
        publishing::Duplicate,
        team::{Right, TeamRole},
    },
    views::{EventAnswer, OwnEventView},
};

/// The request body.
#[derive(ToSchema)]
pub struct DuplicateEvent {
    /// The start of the copy; without an offset, a wall-clock time in the event's zone.
    #[schema(value_type = Time, example = "2030-02-28T18:30:00")]
    pub event_time: String,
}

impl FromFields for DuplicateEvent {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let event_time = fields.required("event_time", time)?;
        Some(Self { event_time })
    }
}

common::problems!(
    Problems:
    organizer_only(),
    insufficient_role(TeamRole::Manager),
    email_not_verified(),
    no_such_event(),
);

/// Copy one of your events to another time, as a draft: all but its registrations and streams. Its end, and when registration opens
/// and closes, where that was set, move along.
#[utoipa::path(
    post,
    path = "/api/organiser/events/{id}/duplicate",
    operation_id = "duplicateEvent",
    tag = "organiser",
    request_body(content = DuplicateEvent, example = json!({"event_time": "2030-02-28T18:30:00"})),
    params(
        ("id" = String, Path, description = "The event's id", example = "019309a2-0000-7000-8000-000000000002"),
        KeyParam,
    ),
    responses(
        (status = 201, description = "The draft", body = EventAnswer),
        Problems,
    ),
    security(("bearer" = []))
)]
pub async fn duplicate_event(
    State(app): State<App>,
    Organizer(caller): Organizer,
    PathId(id): PathId,
    KeyedJson { input, key }: KeyedJson<DuplicateEvent>,
) -> Result<Response, ApiError> {
    app.verified_email.check(caller.id).await?;
    let event = event_for(&app, &caller, &id, Right::Own).await?;
    let copy = Duplicate {
        id: EventId::new(),
        time: input.event_time,
    };
    let keyed = Keyed { key, answer };
    let copied = app
        .store
        .duplicate_event(event.id, event.organizer, copy, app.clock.now(), keyed)
        .await;
    let copied = copied.map_err(change_problem)?;
    super::log_event("event duplicated", caller.id, &copied);
    Ok(copied.respond(answer))
}

fn answer(event: &Event) -> Answer {
    let body = EventAnswer {
        message: "Event duplicated successfully.",
        event: OwnEventView::from(event),
    };
    Answer::json(StatusCode::CREATED, &body)
}
