//! `POST /internal/registrations/ticket`: the page to print of a ticket, for the letter that brings it.

use axum::{Json, body::Body, extract::State};
use base64::{Engine, prelude::BASE64_STANDARD};
use common::{
    extract::{CallingService, asked},
    problem::ApiError,
    wire::{AskTicket, TicketPage},
};

use crate::{app::App, handlers::no_such_registration, store::desk::TicketBy, ticketing::Admission};

/// Handles the call.
///
/// # Errors
/// 404 when there is no such registration, 409 when it is not confirmed, 503 when too many are being printed.
pub async fn ticket(
    _: CallingService,
    State(app): State<App>,
    body: Body,
) -> Result<Json<TicketPage>, ApiError> {
    let question: AskTicket = asked(body).await?;
    let by = TicketBy::Registration(question.registration_id);
    let registered = app.store.ticketed(by, app.clock.now()).await?;
    let registered = registered.ok_or_else(no_such_registration)?;
    let admission = Admission::of(&registered)?;
    let pdf = app
        .tickets
        .pdf(admission, question.holder, question.locale.as_deref())
        .await?;
    let png = app.tickets.png(admission).await?;
    Ok(Json(TicketPage {
        pdf: BASE64_STANDARD.encode(pdf),
        png: BASE64_STANDARD.encode(png),
    }))
}
