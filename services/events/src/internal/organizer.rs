//! `POST /internal/events/organizer`: another service asks whose event it is.

use axum::{Json, body::Body, extract::State};
use common::{
    extract::{MAX_BODY, Service, body_bytes},
    problem::{ApiError, not_json},
    wire::{AskOrganizer, EventOrganizer},
};

use crate::{app::App, handlers::no_such_event};

/// Answers the question.
///
/// # Errors
/// 404 when there is no such event.
pub async fn organizer(
    _: Service,
    State(app): State<App>,
    body: Body,
) -> Result<Json<EventOrganizer>, ApiError> {
    let bytes = body_bytes(body, MAX_BODY).await?;
    let question: AskOrganizer = serde_json::from_slice(&bytes).map_err(|error| not_json().because(error))?;
    let event = app
        .store
        .event(question.event_id)
        .await?
        .ok_or_else(no_such_event)?;
    Ok(Json(EventOrganizer {
        organizer: event.organizer,
    }))
}
