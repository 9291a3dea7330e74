//! `POST /api/live/ticket`

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use common::{extract::Caller, http::pipeline::private, problem::ApiError};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::App,
    live::who::{self, Identity, TICKET_LIFE},
};

/// A ticket.
#[derive(Serialize, ToSchema)]
pub struct TicketAnswer {
    /// What happened.
    #[schema(example = "Ticket issued.")]
    message: &'static str,
    /// To be sent as `?ticket=`, or with `connect`: once.
    #[schema(example = "AZqi9HweeDqbYB8uPUxbag4f0mJgk5G4bT3kq0b4dYj")]
    ticket: String,
    /// Seconds for which it is good.
    #[schema(example = 30)]
    expires_in: u64,
}

/// Issues a ticket that signs one live connection in: browsers can put no `Authorization` header on a WebSocket or an event
/// stream, and tokens do not belong into addresses.
#[utoipa::path(
    post,
    path = "/api/live/ticket",
    operation_id = "issueLiveTicket",
    tag = "live",
    responses((status = 201, description = "The ticket", body = TicketAnswer)),
    security(("bearer" = []))
)]
pub async fn live_ticket(State(app): State<App>, caller: Caller) -> Result<Response, ApiError> {
    let ticket = who::issue(app.live.shared(), Identity::from(caller)).await?;
    let answer = TicketAnswer {
        message: "Ticket issued.",
        ticket,
        expires_in: TICKET_LIFE.as_secs(),
    };
    Ok(private((StatusCode::CREATED, Json(answer)).into_response()))
}
