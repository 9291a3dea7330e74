//! Calls about an event are for its organizer and their team.

use axum::http::StatusCode;
use common::{
    extract::{Caller, require_manager},
    http::CallError,
    ids::EventId,
    problem::ApiError,
    wire::{AskOrganizer, EventOrganizer},
};

use crate::app::App;

/// 404 for an event that there is not, or that is another organizer's.
pub fn no_such_event() -> ApiError {
    ApiError::not_found("event_not_found", "There is no such event.")
}

/// Asks the events service for the event, which the caller runs. Another organizer's is answered as if it did not exist.
///
/// # Errors
/// 404 for one that is another's, 403 for who may not, 503 when the events service does not answer.
pub async fn own(app: &App, event_id: EventId, caller: &Caller) -> Result<EventOrganizer, ApiError> {
    let answer: Result<EventOrganizer, CallError> = app
        .events
        .post("/internal/events/organizer", &AskOrganizer { event_id })
        .await;
    let event = match answer {
        Ok(event) => Some(event),
        Err(CallError::Problem { status, .. }) if status == StatusCode::NOT_FOUND => None,
        Err(error) => {
            return Err(ApiError::unavailable(
                "The events service does not answer. Please try again in a moment.",
            )
            .because(error));
        }
    };
    require_manager(caller, event.as_ref())?;
    event.ok_or_else(no_such_event)
}
