//! Refunds.

use common::{
    clock::{Timestamp, latest_end},
    ids::{PaymentId, RefundId},
    sqlite::{outbox, rows::sift},
    store::StoreError,
    unreadable::set_aside,
    wire::RefundReason,
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{orders, payments};
use crate::{
    domain::{
        payment::Payment,
        refund::{Refund, parse_reason},
    },
    store::{Fence, UNREADABLE_AGAIN, messages, table},
};

/// Whether [`due`] would find anything. A refund that was not tried yet and created in the future was written before the
/// clock was put back, and is due.
pub(super) const ANY_DUE: &str = "SELECT 1 FROM refunds WHERE (next_at <= ?1 AND worked_until <= ?1)
    OR (next_at IS NOT NULL AND worked_until > ?2)
    OR (next_at > ?1 AND attempts = 0 AND created_at > ?1 AND worked_until <= ?1)";

/// Has a payment sent back, once however often it is asked for.
pub(super) fn request(
    db: &Connection,
    payment: &Payment,
    reason: RefundReason,
    now: Timestamp,
) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT INTO refunds (id, payment_id, amount, reason, next_at, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?5)
         ON CONFLICT (payment_id) DO NOTHING",
    )?
    .execute(params![RefundId::new(), payment.id, payment.amount, reason.name(), now.timestamp_millis()])?;
    Ok(())
}

const COLUMNS: &str =
    "f.id, f.payment_id, p.razorpay_id, f.amount, f.reason, f.razorpay_id, f.generation, f.attempts";

fn read(row: &Row<'_>) -> rusqlite::Result<Refund> {
    let reason: String = row.get(4)?;
    Ok(Refund {
        id: row.get(0)?,
        payment_id: row.get(1)?,
        razorpay_payment_id: row.get(2)?,
        amount: row.get(3)?,
        reason: parse_reason(&reason).unwrap_or(RefundReason::NoSeat),
        razorpay_id: row.get(5)?,
        generation: row.get(6)?,
        attempts: row.get(7)?,
    })
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
    for (id, why) in &refunds.unreadable {
        db.prepare_cached("UPDATE refunds SET next_at = ?2, worked_until = 0, why = ?3 WHERE id = ?1")?
            .execute(params![id, (now + UNREADABLE_AGAIN).timestamp_millis(), why])?;
        set_aside(table::REFUNDS, id, why);
    }
    let mut claimed = Vec::with_capacity(refunds.rows.len());
    for refund in refunds.rows {
        let fence = db
            .prepare_cached(
                "UPDATE refunds SET worked_until = ?2, fence = fence + 1 WHERE id = ?1 RETURNING fence",
            )?
            .query_row(params![refund.id, until.timestamp_millis()], |row| row.get(0))?;
        claimed.push((refund, fence));
    }
    Ok(claimed)
}

pub(super) fn accepted(
    db: &Connection,
    id: RefundId,
    fence: Fence,
    razorpay_id: &str,
    again: Timestamp,
) -> Result<(), StoreError> {
    db.prepare_cached(
        "UPDATE refunds SET razorpay_id = ?3, next_at = ?4, worked_until = 0, attempts = attempts + 1
         WHERE id = ?1 AND fence = ?2",
    )?
    .execute(params![id, fence, razorpay_id, again.timestamp_millis()])?;
    Ok(())
}

pub(super) fn retry(
    db: &Connection,
    id: RefundId,
    fence: Fence,
    again: Timestamp,
    new_key: bool,
    why: &str,
) -> Result<(), StoreError> {
    db.prepare_cached(
        "UPDATE refunds SET next_at = ?3, worked_until = 0, attempts = attempts + 1, why = ?5,
            generation = generation + ?4, razorpay_id = CASE WHEN ?4 THEN NULL ELSE razorpay_id END
         WHERE id = ?1 AND fence = ?2",
    )?
    .execute(params![id, fence, again.timestamp_millis(), new_key, why])?;
    Ok(())
}

pub(super) fn done(db: &Connection, id: RefundId, fence: Fence, now: Timestamp) -> Result<(), StoreError> {
    let finished = db
        .prepare_cached(
            "UPDATE refunds SET next_at = NULL, worked_until = 0 WHERE id = ?1 AND fence = ?2 AND next_at IS NOT NULL
             RETURNING payment_id, reason",
        )?
        .query_row(params![id, fence], |row| Ok((row.get::<_, PaymentId>(0)?, row.get::<_, String>(1)?)))
        .optional()?;
    let Some((payment_id, reason)) = finished else {
        return Ok(());
    };
    payments::refunded(db, payment_id)?;
    let missing = || StoreError::Corrupt(format!("the payment or order of refund {id} is missing"));
    let payment = payments::by_id(db, payment_id)?.ok_or_else(missing)?;
    let order = orders::by_id(db, payment.order_id)?.ok_or_else(missing)?;
    let reason = parse_reason(&reason).unwrap_or(RefundReason::NoSeat);
    outbox::push(db, &messages::refunded(&order, &payment, reason, now)).map(drop)
}
