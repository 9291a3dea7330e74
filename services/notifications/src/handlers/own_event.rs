//! Calls about an event are for its organizer.

use axum::http::StatusCode;
use common::{
    http::CallError,
    ids::{EventId, UserId},
    problem::ApiError,
    wire::{AskOrganizer, EventOrganizer},
};

use crate::app::App;

/// 404 for an event that there is not, or that is another organizer's.
pub fn no_such_event() -> ApiError {
    ApiError::not_found("event_not_found", "There is no such event.")
}

/// Asks the events service for the event, which is nobody else's. Another organizer's is answered as if it did not exist.
///
/// # Errors
/// 404 for one that is not the caller's, 503 when the events service does not answer.
pub async fn own(app: &App, event_id: EventId, caller: UserId) -> Result<EventOrganizer, ApiError> {
    let answer: Result<EventOrganizer, CallError> = app
        .events
        .post("/internal/events/organizer", &AskOrganizer { event_id })
        .await;
    match answer {
        Ok(event) if event.organizer == caller => Ok(event),
        Ok(_) => Err(no_such_event()),
        Err(CallError::Problem { status, .. }) if status == StatusCode::NOT_FOUND => Err(no_such_event()),
        Err(error) => Err(ApiError::unavailable(
            "The events service does not answer. Please try again in a moment.",
        )
        .because(error)),
    }
}
