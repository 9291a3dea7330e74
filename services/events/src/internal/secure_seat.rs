//! `POST /internal/registrations/secure` and `/release`: payments secures a seat before it captures the money.

use axum::{Json, body::Body, extract::State};
use common::{
    extract::{CallingService, asked},
    problem::ApiError,
    wire::{ExtendedHold, SecureSeat, SecuredSeat},
};

use crate::{app::App, handlers::no_such_registration};

/// Secures the seat, or answers why the money would be refunded.
///
/// # Errors
/// 404 when there is no such registration.
pub async fn secure_seat(
    _: CallingService,
    State(app): State<App>,
    body: Body,
) -> Result<Json<SecuredSeat>, ApiError> {
    let question: SecureSeat = asked(body).await?;
    let (registration_id, payment_id) = (question.registration_id, question.payment_id);
    let secured = app.store.secure_seat(question, app.clock.now()).await?;
    let secured = secured.ok_or_else(no_such_registration)?;
    if let Some(reason) = secured.refused {
        tracing::info!(%registration_id, %payment_id, reason = reason.name(), "no seat for a payment");
    }
    if let Some(hold) = &secured.extended {
        let until = common::time::utc(hold.until);
        tracing::info!(registration_id = %hold.registration_id, %payment_id, until, "hold extended for a payment");
    }
    Ok(Json(secured))
}

/// Resets an extended hold to its earlier end.
///
/// # Errors
/// A storage error.
pub async fn release_hold(
    _: CallingService,
    State(app): State<App>,
    body: Body,
) -> Result<Json<()>, ApiError> {
    let hold: ExtendedHold = asked(body).await?;
    app.store.release_hold(hold).await?;
    Ok(Json(()))
}
