//! Messages from payments: captured money confirms a registration, or goes back.

use common::{
    clock::Timestamp,
    outbox::Receipt,
    store::StoreError,
    subscriber::Incoming,
    wire::{PaymentCaptured, PaymentReversed, RefundReason},
};
use mongo_store::{Tx, inbox, outbox};
use uuid::Uuid;

use super::{events, registrations};
use crate::{
    domain::{
        fact::Fact,
        registration::{OnCapture, State, on_capture},
    },
    store::messages,
};

pub(super) async fn one(
    tx: &mut Tx,
    message: &Incoming<Fact>,
    now: Timestamp,
) -> Result<Receipt, StoreError> {
    match &message.fact {
        Fact::Captured(captured) => self::captured(tx, message.id, captured, now).await,
        Fact::Reversed(reversed) => self::reversed(tx, message.id, reversed, now).await,
    }
}

/// All that was paid for a registration went back, and not because it had ended: so it ends now.
async fn reversed(
    tx: &mut Tx,
    id: Uuid,
    reversed: &PaymentReversed,
    now: Timestamp,
) -> Result<Receipt, StoreError> {
    let Some(ordered) = registrations::find(tx, reversed.registration_id).await? else {
        return Ok(Receipt::rejected(id, "there is no such registration"));
    };
    if !inbox::first_time(tx, id, now).await? {
        return Ok(Receipt::accepted(id));
    }
    let live = registrations::live_beside(tx, &ordered).await?;
    let paid = [Some(ordered), live].into_iter().flatten();
    let paid = paid
        .filter(|one| one.state == State::Confirmed)
        .find(|one| one.payment_id == Some(reversed.payment_id));
    let Some(registration) = paid else {
        return Ok(Receipt::with_effect(id, "known"));
    };
    let of = events::known(tx, registration.event_id).await?;
    registrations::reverse(tx, registration, &of, now).await?;
    Ok(Receipt::with_effect(id, "ended"))
}

async fn captured(
    tx: &mut Tx,
    id: Uuid,
    captured: &PaymentCaptured,
    now: Timestamp,
) -> Result<Receipt, StoreError> {
    let Some(ordered) = registrations::find(tx, captured.registration_id).await? else {
        return Ok(Receipt::rejected(id, "there is no such registration"));
    };
    if !inbox::first_time(tx, id, now).await? {
        return Ok(Receipt::accepted(id));
    }
    let of = events::known(tx, ordered.event_id).await?;
    let live = registrations::live_beside(tx, &ordered).await?;
    let decided = on_capture(
        &ordered,
        live.as_ref(),
        captured.payment_id,
        captured.settled(),
        of.cancelled,
    );
    let refused = match decided {
        OnCapture::Known => return Ok(Receipt::with_effect(id, "known")),
        OnCapture::Confirm(registration) => {
            registrations::confirm(tx, registration, &of, captured, now).await?;
            None
        }
        OnCapture::Retake(registration) if registrations::take_seat(tx, &of, now).await? => {
            registrations::confirm(tx, registration, &of, captured, now).await?;
            None
        }
        OnCapture::Retake(_) => Some(RefundReason::NoSeat),
        OnCapture::Refund(reason) => Some(reason),
    };
    let effect = refused.map_or("confirmed", RefundReason::name);
    if let Some(reason) = refused {
        outbox::push(tx, &[messages::refused(captured, &of, reason, now)]).await?;
    }
    Ok(Receipt::with_effect(id, effect))
}
