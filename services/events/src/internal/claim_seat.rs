//! `POST /internal/registrations/claim`: the amount that a user owes, for payments; takes a hold if there is no
//! registration.

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

/// Handles the call.
///
/// # Errors
/// As for registering, and 409 `nothing_due` for a free event.
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
