//! `POST /api/organiser/events/{id}/cancel`

use axum::{extract::State, http::StatusCode, response::Response};
use common::{
    extract::{Organizer, PathId, Unsafe},
    idempotency::{Answer, Keyed},
    ids::EventId,
    problem::{ApiError, Problem},
};

use super::change_problem;
use crate::{
    app::App,
    domain::event::Event,
    views::{EventAnswer, EventView},
};

/// Call an event of yours off. Every attendee is told, and what was paid goes back.
#[utoipa::path(
    post,
    path = "/api/organiser/events/{id}/cancel",
    tag = "organiser",
    params(
        ("id" = String, Path, description = "The event's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes it safe to send the request again"),
    ),
    responses(
        (status = 200, description = "The event", body = EventAnswer),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "No valid token"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Not an organizer"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such event of yours"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "`event_cancelled`: it is already"),
    ),
    security(("bearer" = []))
)]
pub async fn cancel_event(
    State(app): State<App>,
    Organizer(caller): Organizer,
    PathId(id): PathId,
    Unsafe { input: (), key }: Unsafe<()>,
) -> Result<Response, ApiError> {
    let keyed = Keyed { key, answer };
    let cancelled = app
        .store
        .cancel_event(EventId::lenient(&id), caller.id, app.clock.now(), keyed)
        .await;
    let cancelled = cancelled.map_err(change_problem)?;
    super::log_event("event cancelled", &cancelled);
    Ok(cancelled.respond(answer))
}

fn answer(event: &Event) -> Answer {
    let body = EventAnswer {
        message: "Event cancelled successfully.",
        event: EventView::from(event),
    };
    Answer::json(StatusCode::OK, &body)
}
