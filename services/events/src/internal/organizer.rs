//! `POST /internal/events/organizer`: the organizer of an event, for other services.

use axum::{Json, body::Body, extract::State};
use common::{
    extract::{CallingService, asked},
    problem::ApiError,
    wire::{AskOrganizer, EventOrganizer},
};

use crate::{app::App, handlers::no_such_event};

/// Handles the call.
///
/// # Errors
/// 404 when there is no such event.
pub async fn organizer(
    _: CallingService,
    State(app): State<App>,
    body: Body,
) -> Result<Json<EventOrganizer>, ApiError> {
    let question: AskOrganizer = asked(body).await?;
    let event = app
        .store
        .event(question.event_id)
        .await?
        .ok_or_else(no_such_event)?;
    Ok(Json(EventOrganizer {
        organizer: event.organizer,
        cancelled: event.cancelled,
    }))
}
