//! The ledger of refunds at Razorpay.

use common::{
    clock::{Timestamp, from_millis},
    ids::PaymentId,
    store::StoreError,
    wire::RefundReason,
};
use sqlite_store::{Connection, Row, params};
use sqlite_store::{
    outbox,
    rows::{named, sift},
};

use super::{orders, payments, refunds};
use crate::{
    domain::{
        ledger::Line,
        payment::Status,
        refund::{Balance, Duty, Entry, EntryStatus, RefundReport, on_entry},
    },
    store::{REFUNDS_SEEN, failed_again, messages, table},
};

const COLUMNS: &str = "id, payment_id, refund_id, amount, status, created_at, processed_at, failed_at";

fn read(row: &Row<'_>) -> sqlite_store::RowResult<Entry> {
    let time = |at| row.get::<_, Option<i64>>(at).map(|at| at.map(from_millis));
    Ok(Entry {
        id: row.get(0)?,
        payment_id: row.get(1)?,
        refund_id: row.get(2)?,
        amount: row.get(3)?,
        status: named(row, 4, EntryStatus::parse)?,
        created_at: from_millis(row.get(5)?),
        processed_at: time(6)?,
        failed_at: time(7)?,
    })
}

/// Records a report with all its effects; returns the entry if it changed.
pub(super) fn note(
    db: &Connection,
    report: &RefundReport,
    now: Timestamp,
) -> Result<Option<Entry>, StoreError> {
    let payment = payments::by_razorpay_id(db, &report.payment)?;
    let Some(payment) = payment.filter(|payment| payment.status >= Status::Captured) else {
        return Ok(None);
    };
    let before = one(db, &report.id)?;
    let duty = refunds::of_payment(db, payment.id)?;
    let report = report.for_duty(duty.as_ref());
    let entry = Entry::reported(before.as_ref(), payment.id, &report, now);
    put(db, &entry, now)?;
    if before.as_ref() == Some(&entry) {
        return Ok(None);
    }
    let order = orders::by_id(db, payment.order_id)?
        .ok_or_else(|| StoreError::Corrupt(format!("the order of payment {} is missing", payment.id)))?;
    let balance = Balance::of(payment.amount, &of_payment(db, payment.id)?);
    let pays = order.paid_by == Some(payment.id);
    let was = before.map(|before| before.status);
    let owed = duty.as_ref().map(|duty| duty.amount);
    let follows = on_entry(payment.status, owed, pays, was, &entry, &balance);
    if follows.status != payment.status {
        db.prepare_cached("UPDATE payments SET status = ?2 WHERE id = ?1")?
            .execute(params![payment.id, follows.status.name()])?;
    }
    if follows.notify {
        let reason = entry.reason(duty.as_ref());
        outbox::push(db, &messages::refunded(&order, &entry, reason, &balance, now))?;
    }
    if follows.reverse {
        outbox::push(db, &messages::reversed(&order, &payment, now))?;
    }
    payments::changed(db, payment.id, now)?;
    match follows.duty {
        Duty::Same => {}
        Duty::Fulfilled => refunds::fulfilled(db, payment.id)?,
        Duty::Open => {
            if owed.is_none() {
                refunds::request(db, &payment, RefundReason::Organizer, None, now)?;
            }
            let attempts = duty.map_or(0, |duty| duty.attempts);
            refunds::open_again(db, payment.id, failed_again(now, attempts))?;
        }
    }
    Ok(Some(entry))
}

fn put(db: &Connection, entry: &Entry, now: Timestamp) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT INTO refund_entries (id, payment_id, refund_id, amount, status, created_at, processed_at, failed_at,
            looked_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT (id) DO UPDATE SET status = excluded.status, processed_at = excluded.processed_at,
            failed_at = excluded.failed_at, looked_at = excluded.looked_at",
    )?
    .execute(params![
        entry.id,
        entry.payment_id,
        entry.refund_id,
        entry.amount,
        entry.status.name(),
        entry.created_at.timestamp_millis(),
        entry.processed_at.map(|at| at.timestamp_millis()),
        entry.failed_at.map(|at| at.timestamp_millis()),
        now.timestamp_millis(),
    ])?;
    Ok(())
}

fn one(db: &Connection, id: &str) -> Result<Option<Entry>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM refund_entries WHERE id = ?1");
    Ok(db.prepare_cached(&sql)?.find([id], read)?)
}

pub(super) fn of_payment(db: &Connection, payment: PaymentId) -> Result<Vec<Entry>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM refund_entries WHERE payment_id = ?1 ORDER BY created_at, id");
    let mut statement = db.prepare_cached(&sql)?;
    let rows = statement.all([payment], read)?;
    Ok(rows)
}

/// Pending refunds that no open duty follows.
pub(super) fn pending(db: &Connection, before: Timestamp, limit: usize) -> Result<Vec<Entry>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM refund_entries WHERE status = 'pending' AND looked_at <= ?1
            AND NOT EXISTS (SELECT 1 FROM refunds AS f WHERE f.payment_id = refund_entries.payment_id
                AND f.next_at IS NOT NULL)
         ORDER BY looked_at LIMIT ?2"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let rows = statement.query(params![before.timestamp_millis(), limit as i64])?;
    Ok(sift(rows, 0, read)?.left_out(table::ENTRIES))
}

/// A page of all payments with their refunds.
pub(super) fn lines(
    db: &Connection,
    after: Option<PaymentId>,
    limit: usize,
) -> Result<Vec<Line>, StoreError> {
    let sql = format!(
        "SELECT {}, coalesce(o.paid_by = p.id, 0), f.amount, coalesce(f.next_at IS NOT NULL, 0)
         FROM payments AS p LEFT JOIN orders AS o ON o.id = p.order_id LEFT JOIN refunds AS f ON f.payment_id = p.id
         WHERE ?1 IS NULL OR p.id > ?1 ORDER BY p.id LIMIT ?2",
        payments::COLUMNS
    );
    let mut statement = db.prepare_cached(&sql)?;
    let rows = statement.all(params![after, limit as i64], |row| {
        Ok(Line {
            payment: payments::read(row)?,
            pays: row.get(payments::COUNT)?,
            duty: row.get(payments::COUNT + 1)?,
            owed: row.get(payments::COUNT + 2)?,
            entries: Vec::new(),
        })
    })?;
    let mut lines: Vec<Line> = rows;
    for line in &mut lines {
        line.entries = of_payment(db, line.payment.id)?;
    }
    Ok(lines)
}

pub(super) fn seen(db: &Connection) -> Result<Option<Timestamp>, StoreError> {
    Ok(db
        .prepare_cached("SELECT at FROM marks WHERE name = ?1")?
        .find([REFUNDS_SEEN], |row| row.get(0).map(from_millis))?)
}

pub(super) fn set_seen(db: &Connection, until: Timestamp) -> Result<(), StoreError> {
    db.prepare_cached("INSERT OR REPLACE INTO marks (name, at) VALUES (?1, ?2)")?
        .execute(params![REFUNDS_SEEN, until.timestamp_millis()])?;
    Ok(())
}
