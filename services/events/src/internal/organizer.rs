//! `POST /internal/events/organizer`: the organizer of an event and their team, for other services.

use std::sync::Arc;

use axum::{Json, body::Body, extract::State};
use common::{
    extract::{CallingService, asked},
    problem::ApiError,
    wire::{AskOrganizer, EventOrganizer, TeamMember},
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
    let event = Arc::new(event);
    let team = app.store.team(Arc::clone(&event), app.clock.now()).await?;
    let team = team.members.iter().map(|member| TeamMember {
        user_id: member.user,
        role: member.role,
    });
    Ok(Json(EventOrganizer {
        team: team.collect(),
        organizer: event.organizer,
        cancelled: event.cancelled,
    }))
}
