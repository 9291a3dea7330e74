//! Messages from payments, whose captured money confirms a registration or is refunded, and from users, whose deleted accounts
//! are closed before they come here.

use common::{
    clock::Timestamp,
    context::Carried,
    outbox::Receipt,
    store::StoreError,
    subscriber::Incoming,
    wire::{PaymentCaptured, PaymentReversed},
};
use sqlite_store::Connection;
use sqlite_store::{inbox, outbox, receipt};
use uuid::Uuid;

use super::{events, registrations};
use crate::{
    domain::{
        capture::{OnCapture, on_capture},
        ending::on_reversal,
        fact::Fact,
    },
    store::messages,
};

pub(super) fn all(
    db: &Connection,
    batch: &[Incoming<Fact>],
    now: Timestamp,
) -> Result<Vec<Receipt>, StoreError> {
    batch
        .iter()
        .map(|message| {
            Carried::causing(message.request_id.as_deref())
                .enter(|| receipt(db, message.id, |db| one(db, message, now)))
        })
        .collect()
}

fn one(db: &Connection, message: &Incoming<Fact>, now: Timestamp) -> Result<Receipt, StoreError> {
    match &message.fact {
        Fact::Captured(captured) => self::captured(db, message.id, captured, now),
        Fact::Reversed(reversed) => self::reversed(db, message.id, reversed, now),
        Fact::AccountDeleted(_) => {
            inbox::first_time(db, message.id, now)?;
            Ok(Receipt::with_effect(message.id, "closed"))
        }
    }
}

/// The payment of a registration was refunded in full, and not because the registration had ended: it ends now.
fn reversed(
    db: &Connection,
    id: Uuid,
    reversed: &PaymentReversed,
    now: Timestamp,
) -> Result<Receipt, StoreError> {
    let Some(ordered) = registrations::find(db, reversed.registration_id)? else {
        return Ok(Receipt::rejected(id, "there is no such registration"));
    };
    if !inbox::first_time(db, id, now)? {
        return Ok(Receipt::accepted(id));
    }
    let live = registrations::live_beside(db, &ordered)?;
    let Some(registration) = on_reversal(ordered, live, reversed.payment_id) else {
        return Ok(Receipt::with_effect(id, "known"));
    };
    let of = events::known(db, registration.event_id)?;
    registrations::reverse(db, registration, &of, now)?;
    Ok(Receipt::with_effect(id, "ended"))
}

fn captured(
    db: &Connection,
    id: Uuid,
    captured: &PaymentCaptured,
    now: Timestamp,
) -> Result<Receipt, StoreError> {
    let Some(ordered) = registrations::find(db, captured.registration_id)? else {
        return Ok(Receipt::rejected(id, "there is no such registration"));
    };
    if !inbox::first_time(db, id, now)? {
        return Ok(Receipt::accepted(id));
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
    let seat = decided.needs_seat() && registrations::take_seat(db, &of, ordered.user_id, now)?;
    let effect = match decided.with_seat(seat) {
        OnCapture::Known => "known",
        OnCapture::Confirm(registration) | OnCapture::Retake(registration) => {
            registrations::confirm(db, registration, &of, captured, now)?;
            "confirmed"
        }
        OnCapture::Refund(reason) => {
            outbox::push(db, &messages::refused(captured, &of, reason, now))?;
            reason.name()
        }
    };
    Ok(Receipt::with_effect(id, effect))
}
