//! Messages from payments, whose captured money confirms a registration or is refunded, and from users, whose deleted accounts
//! are closed before they come here.

use common::{
    clock::Timestamp,
    outbox::Receipt,
    store::StoreError,
    subscriber::Incoming,
    wire::{PaymentCaptured, PaymentReversed},
};
use mongo_store::{Tx, inbox, outbox};
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

pub(super) async fn one(
    tx: &mut Tx,
    message: &Incoming<Fact>,
    now: Timestamp,
) -> Result<Receipt, StoreError> {
    match &message.fact {
        Fact::Captured(captured) => self::captured(tx, message.id, captured, now).await,
        Fact::Reversed(reversed) => self::reversed(tx, message.id, reversed, now).await,
        Fact::AccountDeleted(_) => {
            inbox::first_time(tx, message.id, now).await?;
            Ok(Receipt::with_effect(message.id, "closed"))
        }
    }
}

/// The payment of a registration was refunded in full, and not because the registration had ended: it ends now.
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
    let Some(registration) = on_reversal(ordered, live, reversed.payment_id) else {
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
    let seat = decided.needs_seat() && registrations::take_seat(tx, &of, ordered.user_id, now).await?;
    let effect = match decided.with_seat(seat) {
        OnCapture::Known => "known",
        OnCapture::Confirm(registration) | OnCapture::Retake(registration) => {
            registrations::confirm(tx, registration, &of, captured, now).await?;
            "confirmed"
        }
        OnCapture::Refund(reason) => {
            outbox::push(tx, &[messages::refused(captured, &of, reason, now)]).await?;
            reason.name()
        }
    };
    Ok(Receipt::with_effect(id, effect))
}
