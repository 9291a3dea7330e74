//! Refunds.

use common::{
    clock::{Timestamp, latest_end},
    ids::{PaymentId, RefundId},
    money::Paise,
    store::StoreError,
    wire::RefundReason,
};
use sqlite_store::rows::{named, sift};
use sqlite_store::{Connection, Row, params};

use super::payments;
use crate::{
    domain::{
        payment::Payment,
        refund::{EntryStatus, OnRequest, Refund, on_request, owed, parse_reason},
    },
    store::{Fence, UNREADABLE_AGAIN, table},
};

/// Whether [`due`] would find anything. A refund without an attempt that is created in the future was written before
/// the clock was set back, and is due.
pub(super) const ANY_DUE: &str = "SELECT 1 FROM refunds WHERE (next_at <= ?1 AND worked_until <= ?1)
    OR (next_at IS NOT NULL AND worked_until > ?2)
    OR (next_at > ?1 AND attempts = 0 AND created_at > ?1 AND worked_until <= ?1)";

/// Requests the refund of a payment, or of `part` of it; once, however often it is called.
pub(super) fn request(
    db: &Connection,
    payment: &Payment,
    reason: RefundReason,
    part: Option<Paise>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let amount = owed(payment.amount, part);
    let duty = of_payment(db, payment.id)?.map(|duty| duty.amount);
    let due = |done: bool| (!done).then_some(now.timestamp_millis());
    match on_request(duty, amount, processed(db, payment.id)?) {
        OnRequest::Same => return Ok(()),
        OnRequest::New { done } => db
            .prepare_cached(
                "INSERT INTO refunds (id, payment_id, amount, reason, next_at, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                RefundId::new(),
                payment.id,
                amount,
                reason.name(),
                due(done),
                now.timestamp_millis()
            ])?,
        // The fence rises, because a worker may still hold the lower amount and would close it; its lease stays, so
        // that only one asks Razorpay.
        OnRequest::Raised { done } => db
            .prepare_cached(
                "UPDATE refunds SET amount = ?2, reason = ?3, next_at = ?4, refused = NULL, fence = fence + 1
                 WHERE payment_id = ?1",
            )?
            .execute(params![payment.id, amount, reason.name(), due(done)])?,
    };
    payments::changed(db, payment.id, now)
}

/// How much of a payment is back.
fn processed(db: &Connection, payment: PaymentId) -> Result<Paise, StoreError> {
    let sum = db
        .prepare_cached(
            "SELECT coalesce(sum(amount), 0) FROM refund_entries WHERE payment_id = ?1 AND status = ?2",
        )?
        .one(params![payment, EntryStatus::Processed.name()], |row| row.get(0))?;
    Ok(sum)
}

const COLUMNS: &str = "f.id, f.payment_id, p.razorpay_id, f.amount, f.reason, f.attempts";

fn read(row: &Row<'_>) -> sqlite_store::RowResult<Refund> {
    Ok(Refund {
        id: row.get(0)?,
        payment_id: row.get(1)?,
        razorpay_payment_id: row.get(2)?,
        amount: row.get(3)?,
        reason: named(row, 4, parse_reason)?,
        attempts: row.get(5)?,
    })
}

pub(super) fn of_payment(db: &Connection, payment: PaymentId) -> Result<Option<Refund>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM refunds AS f JOIN payments AS p ON p.id = f.payment_id WHERE f.payment_id = ?1"
    );
    Ok(db.prepare_cached(&sql)?.find([payment], read)?)
}

/// Marks the refund as done.
pub(super) fn fulfilled(db: &Connection, payment: PaymentId) -> Result<(), StoreError> {
    db.prepare_cached(
        "UPDATE refunds SET next_at = NULL, worked_until = 0, refused = NULL WHERE payment_id = ?1",
    )?
    .execute([payment])?;
    Ok(())
}

/// Opens the refund again after the bank has returned the money; it is due at `again`. The fence rises, because a worker may
/// still hold what it read before and would close it.
pub(super) fn open_again(db: &Connection, payment: PaymentId, again: Timestamp) -> Result<(), StoreError> {
    db.prepare_cached(
        "UPDATE refunds SET next_at = ?2, worked_until = 0, attempts = attempts + 1, fence = fence + 1
         WHERE payment_id = ?1",
    )?
    .execute(params![payment, again.timestamp_millis()])?;
    Ok(())
}

/// Makes an open refund due at once, after news of one of its refunds at Razorpay.
pub(super) fn look_at(db: &Connection, razorpay_id: &str, now: Timestamp) -> Result<(), StoreError> {
    db.prepare_cached(
        "UPDATE refunds SET next_at = ?2 WHERE next_at IS NOT NULL
            AND payment_id = (SELECT payment_id FROM refund_entries WHERE id = ?1)",
    )?
    .execute(params![razorpay_id, now.timestamp_millis()])?;
    Ok(())
}

pub(super) fn due(
    db: &Connection,
    now: Timestamp,
    until: Timestamp,
    limit: usize,
) -> Result<Vec<(Refund, Fence)>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM refunds AS f LEFT JOIN payments AS p ON p.id = f.payment_id
         WHERE (f.next_at <= ?1 AND f.worked_until <= ?1) OR (f.next_at IS NOT NULL AND f.worked_until > ?3)
            OR (f.next_at > ?1 AND f.attempts = 0 AND f.created_at > ?1 AND f.worked_until <= ?1)
         ORDER BY f.next_at LIMIT ?2"
    );
    let latest = latest_end(now, until).timestamp_millis();
    let refunds = {
        let mut statement = db.prepare_cached(&sql)?;
        let rows = statement.query(params![now.timestamp_millis(), limit as i64, latest])?;
        sift(rows, 0, read)?
    };
    let refunds = refunds.set_aside(table::REFUNDS, |id, why| {
        db.prepare_cached("UPDATE refunds SET next_at = ?2, worked_until = 0, why = ?3 WHERE id = ?1")?
            .execute(params![id, (now + UNREADABLE_AGAIN).timestamp_millis(), why])?;
        Ok(())
    })?;
    let mut claimed = Vec::with_capacity(refunds.len());
    for refund in refunds {
        let fence = db
            .prepare_cached(
                "UPDATE refunds SET worked_until = ?2, fence = fence + 1 WHERE id = ?1 RETURNING fence",
            )?
            .one(params![refund.id, until.timestamp_millis()], |row| row.get(0))?;
        claimed.push((refund, fence));
    }
    Ok(claimed)
}

pub(super) fn done(db: &Connection, id: RefundId, fence: Fence, now: Timestamp) -> Result<(), StoreError> {
    let payment = db
        .prepare_cached(
            "UPDATE refunds SET next_at = NULL, worked_until = 0, refused = NULL WHERE id = ?1 AND fence = ?2
             RETURNING payment_id",
        )?
        .find(params![id, fence], |row| row.get(0))?;
    moved(db, payment, now)
}

pub(super) fn waits(
    db: &Connection,
    id: RefundId,
    fence: Fence,
    again: Timestamp,
    now: Timestamp,
) -> Result<(), StoreError> {
    let payment = db
        .prepare_cached(
            "UPDATE refunds SET next_at = iif(next_at IS NULL, NULL, ?3), worked_until = 0, attempts = attempts + 1,
                refused = NULL
             WHERE id = ?1 AND fence = ?2 RETURNING payment_id",
        )?
        .find(params![id, fence, again.timestamp_millis()], |row| row.get(0))?;
    moved(db, payment, now)
}

pub(super) fn retry(
    db: &Connection,
    id: RefundId,
    fence: Fence,
    again: Timestamp,
    refused: bool,
    why: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let payment = db
        .prepare_cached(
            "UPDATE refunds SET next_at = iif(next_at IS NULL, NULL, ?3), worked_until = 0, attempts = attempts + 1,
                why = ?5, refused = iif(?4, ?5, refused)
             WHERE id = ?1 AND fence = ?2 RETURNING payment_id",
        )?
        .find(params![id, fence, again.timestamp_millis(), refused, why], |row| {
            row.get(0)
        })?;
    moved(db, payment, now)
}

/// The refund of this payment has moved, if the worker still held its lease.
fn moved(db: &Connection, payment: Option<PaymentId>, now: Timestamp) -> Result<(), StoreError> {
    payment.map_or(Ok(()), |payment| payments::changed(db, payment, now))
}
