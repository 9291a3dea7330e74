//! Securing a seat before its money is captured.

use common::{
    clock::Timestamp,
    store::StoreError,
    wire::{ExtendedHold, SecureSeat, SecuredSeat},
};
use sqlite_store::{Connection, outbox, params};

use super::{events, registrations};
use crate::{domain::capture::on_capture, store::messages};

pub(super) fn seat(
    db: &Connection,
    question: &SecureSeat,
    now: Timestamp,
) -> Result<Option<SecuredSeat>, StoreError> {
    let Some(ordered) = registrations::find(db, question.registration_id)? else {
        return Ok(None);
    };
    let of = events::known(db, ordered.event_id)?;
    let live = registrations::live_beside(db, &ordered)?;
    let decided = on_capture(
        &ordered,
        live.as_ref(),
        question.payment_id,
        question.amount,
        of.cancelled,
    );
    let seat = decided.needs_seat() && registrations::take_seat(db, &of, ordered.user_id, now)?;
    let secured = decided.with_seat(seat).secured(now);
    if let Some(hold) = &secured.extended {
        db.prepare_cached(
            "UPDATE registrations SET status = 'pending_payment', hold_expires_at = ?2 WHERE id = ?1",
        )?
        .execute(params![hold.registration_id, hold.until.timestamp_millis()])?;
        outbox::push(db, &messages::held(&ordered, now))?;
    }
    Ok(Some(secured))
}

pub(super) fn release(db: &Connection, hold: &ExtendedHold) -> Result<(), StoreError> {
    db.prepare_cached(
        "UPDATE registrations SET hold_expires_at = ?2
         WHERE id = ?1 AND status = 'pending_payment' AND hold_expires_at = ?3",
    )?
    .execute(params![
        hold.registration_id,
        hold.before.timestamp_millis(),
        hold.until.timestamp_millis()
    ])?;
    Ok(())
}
