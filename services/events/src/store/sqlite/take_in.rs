//! Messages from payments: captured money confirms a registration, or goes back.

use common::{
    clock::Timestamp,
    http::context::Carried,
    outbox::{CloudEvent, Receipt},
    sqlite::{inbox, outbox, receipt},
    store::StoreError,
    wire::{PaymentCaptured, RefundReason, kind},
};
use rusqlite::Connection;

use super::{events, registrations};
use crate::{
    domain::registration::{OnCapture, on_capture},
    store::messages,
};

pub(super) fn take_in(
    db: &Connection,
    batch: &[CloudEvent],
    now: Timestamp,
) -> Result<Vec<Receipt>, StoreError> {
    batch
        .iter()
        .map(|event| {
            Carried::causing(event.request_id.as_deref())
                .enter(|| receipt(db, event.id, |db| take_one(db, event, now)))
        })
        .collect()
}

fn take_one(db: &Connection, event: &CloudEvent, now: Timestamp) -> Result<Receipt, StoreError> {
    if event.kind != kind::PAYMENT_CAPTURED {
        return Ok(Receipt::rejected(
            event.id,
            "events does not know this kind of message",
        ));
    }
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
