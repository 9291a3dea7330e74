//! Messages from payments: captured money confirms a registration, or goes back.

use common::{
    clock::Timestamp,
    http::context::Carried,
    outbox::{CloudEvent, Receipt},
    sqlite::{inbox, outbox, receipt},
    store::StoreError,
    wire::{PaymentCaptured, PaymentReversed, RefundReason, kind},
};
use rusqlite::Connection;

use super::{events, registrations};
use crate::{
    domain::registration::{OnCapture, State, on_capture},
    store::messages,
};

pub(super) fn one(db: &Connection, batch: &[CloudEvent], now: Timestamp) -> Result<Vec<Receipt>, StoreError> {
    batch
        .iter()
        .map(|event| {
            Carried::causing(event.request_id.as_deref())
                .enter(|| receipt(db, event.id, |db| take_one(db, event, now)))
        })
        .collect()
}

fn take_one(db: &Connection, event: &CloudEvent, now: Timestamp) -> Result<Receipt, StoreError> {
    match event.kind.as_str() {
        kind::PAYMENT_CAPTURED => captured(db, event, now),
        kind::PAYMENT_REVERSED => reversed(db, event, now),
        _ => Ok(Receipt::rejected(
            event.id,
            "events does not know this kind of message",
        )),
    }
}

/// All that was paid for a registration went back, and not because it had ended: so it ends now.
fn reversed(db: &Connection, event: &CloudEvent, now: Timestamp) -> Result<Receipt, StoreError> {
    let reversed: PaymentReversed = match event.data() {
        Ok(reversed) => reversed,
        Err(error) => return Ok(Receipt::rejected(event.id, error)),
    };
    let Some(ordered) = registrations::find(db, reversed.registration_id)? else {
        return Ok(Receipt::rejected(event.id, "there is no such registration"));
    };
    if !inbox::first_time(db, event.id, now)? {
        return Ok(Receipt::accepted(event.id));
    }
    let live = registrations::live_beside(db, &ordered)?;
    let paid = [Some(ordered), live].into_iter().flatten();
    let paid = paid
        .filter(|one| one.state == State::Confirmed)
        .find(|one| one.payment_id == Some(reversed.payment_id));
    let Some(registration) = paid else {
        return Ok(Receipt::with_effect(event.id, "known"));
    };
    let of = events::known(db, registration.event_id)?;
    registrations::reverse(db, registration, &of, now)?;
    Ok(Receipt::with_effect(event.id, "ended"))
}

fn captured(db: &Connection, event: &CloudEvent, now: Timestamp) -> Result<Receipt, StoreError> {
    let captured: PaymentCaptured = match event.data() {
        Ok(captured) => captured,
        Err(error) => return Ok(Receipt::rejected(event.id, error)),
    };
    let Some(ordered) = registrations::find(db, captured.registration_id)? else {
        return Ok(Receipt::rejected(event.id, "there is no such registration"));
    };
    if !inbox::first_time(db, event.id, now)? {
        return Ok(Receipt::accepted(event.id));
    }
    let of = events::known(db, ordered.event_id)?;
    let live = registrations::live_beside(db, &ordered)?;
    let decided = on_capture(
        &ordered,
        live.as_ref(),
        captured.payment_id,
        captured.settled(),
        of.cancelled,
    );
    let refused = match decided {
        OnCapture::Known => return Ok(Receipt::with_effect(event.id, "known")),
        OnCapture::Confirm(registration) => {
            registrations::confirm(db, registration, &of, &captured, now)?;
            None
        }
        OnCapture::Retake(registration) if registrations::take_seat(db, &of, now)? => {
            registrations::confirm(db, registration, &of, &captured, now)?;
            None
        }
        OnCapture::Retake(_) => Some(RefundReason::NoSeat),
        OnCapture::Refund(reason) => Some(reason),
    };
    let effect = refused.map_or("confirmed", RefundReason::name);
    if let Some(reason) = refused {
        outbox::push(db, &messages::refused(&captured, &of, reason, now))?;
    }
    Ok(Receipt::with_effect(event.id, effect))
}
