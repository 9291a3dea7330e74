//! `POST /internal/events/attendees`: who takes part in an event, for other services.

use axum::{Json, body::Body, extract::State};
use common::{
    extract::{CallingService, asked},
    problem::ApiError,
    wire::{AskAttendees, Attendees},
};

use crate::{app::App, handlers::no_such_event};

/// Handles the call.
///
/// # Errors
/// 404 when there is no such event.
pub async fn attendees(
    _: CallingService,
    State(app): State<App>,
    body: Body,
) -> Result<Json<Attendees>, ApiError> {
    let question: AskAttendees = asked(body).await?;
    let event = app
        .store
        .event(question.event_id)
        .await?
        .ok_or_else(no_such_event)?;
    let limit = question.limit.min(AskAttendees::AT_ONCE);
    let attendees = app
        .store
        .attendees(event.id, question.to, question.after, limit)
        .await?;
    Ok(Json(Attendees {
        event: event.facts(),
        attendees,
    }))
}
