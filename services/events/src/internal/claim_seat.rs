//! `POST /internal/registrations/claim`: payments asks what a user owes, and takes a hold if need be.

use axum::{Json, body::Body, extract::State};
use common::{
    extract::{CallingService, asked},
    problem::ApiError,
    wire::{ClaimSeat, SeatClaim},
};

use crate::{
    app::App,
    handlers::{register_event, register_problem},
};

/// Answers the question.
///
/// # Errors
/// As registering does, and 409 `nothing_due` for a free event.
pub async fn claim_seat(
    _: CallingService,
    State(app): State<App>,
    body: Body,
) -> Result<Json<SeatClaim>, ApiError> {
    let question: ClaimSeat = asked(body).await?;
    let command = register_event::command(&app, question.event_id, question.user_id)?;
    app.store
        .claim_seat(question, command)
        .await
        .map(Json)
        .map_err(register_problem)
}
