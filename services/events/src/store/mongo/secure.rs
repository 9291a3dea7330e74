//! Securing a seat before its money is captured.

use common::{
    clock::Timestamp,
    store::StoreError,
    wire::{ExtendedHold, SecureSeat, SecuredSeat},
};
use mongo_store::{Tx, date, outbox, uuid};
use mongodb::bson::doc;

use super::{events, registrations, schema::REGISTRATIONS};
use crate::{domain::capture::on_capture, store::messages};

pub(super) async fn seat(
    tx: &mut Tx,
    question: &SecureSeat,
    now: Timestamp,
) -> Result<Option<SecuredSeat>, StoreError> {
    let Some(ordered) = registrations::find(tx, question.registration_id).await? else {
        return Ok(None);
    };
    let of = events::known(tx, ordered.event_id).await?;
    let live = registrations::live_beside(tx, &ordered).await?;
    let decided = on_capture(
        &ordered,
        live.as_ref(),
        question.payment_id,
        question.amount,
        of.cancelled,
    );
    let seat = decided.needs_seat() && registrations::take_seat(tx, &of, ordered.user_id, now).await?;
    let secured = decided.with_seat(seat).secured(now);
    if let Some(hold) = &secured.extended {
        let held = doc! {"status": "pending_payment", "live": true, "hold_expires_at": date(hold.until)};
        let this = doc! {"_id": uuid(hold.registration_id)};
        tx.update(REGISTRATIONS, this, doc! {"$set": held}).await?;
        outbox::push(tx, &[messages::held(&ordered, now)]).await?;
    }
    Ok(Some(secured))
}

pub(super) async fn release(tx: &mut Tx, hold: &ExtendedHold) -> Result<(), StoreError> {
    let as_extended = doc! {
        "_id": uuid(hold.registration_id), "status": "pending_payment", "hold_expires_at": date(hold.until),
    };
    let before = doc! {"$set": {"hold_expires_at": date(hold.before)}};
    tx.update(REGISTRATIONS, as_extended, before).await.map(drop)
}
