//! Orders.

use common::{
    clock::{Timestamp, from_millis, latest_end},
    ids::{OrderId, RegistrationId},
    store::StoreError,
};
use sqlite_store::rows::sift;
use sqlite_store::{Connection, Row, params};

use crate::{
    domain::order::Order,
    store::{ASKED, Fence, Opened, UNREADABLE_AGAIN, table},
};

/// Whether [`due`] would find anything.
pub(super) const ANY_DUE: &str = "SELECT 1 FROM orders WHERE (reconcile_at <= ?1 AND worked_until <= ?1)
    OR (reconcile_at > ?2 AND worked_until > ?2)";

/// The columns that [`read`] reads.
pub(super) const COLUMNS: &str = "o.id, o.registration_id, o.event_id, o.event_name, o.user_id, o.amount, o.razorpay_id, o.paid_by, o.created_at";

/// Reads an order from the columns that begin at `at`.
pub(super) fn read(row: &Row<'_>, at: usize) -> sqlite_store::RowResult<Order> {
    Ok(Order {
        id: row.get(at)?,
        registration_id: row.get(at + 1)?,
        event_id: row.get(at + 2)?,
        event_name: row.get(at + 3)?,
        user_id: row.get(at + 4)?,
        amount: row.get(at + 5)?,
        razorpay_id: row.get(at + 6)?,
        paid_by: row.get(at + 7)?,
        created_at: from_millis(row.get(at + 8)?),
    })
}

pub(super) fn open(
    db: &Connection,
    wanted: &Order,
    now: Timestamp,
    until: Timestamp,
) -> Result<Opened, StoreError> {
    let fresh =
        db.prepare_cached(
            "INSERT INTO orders (id, registration_id, event_id, event_name, user_id, amount, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (registration_id) DO NOTHING",
        )?
        .execute(params![
            wanted.id,
            wanted.registration_id,
            wanted.event_id,
            wanted.event_name,
            wanted.user_id,
            wanted.amount,
            wanted.created_at.timestamp_millis()
        ])? == 1;
    let order = by_registration(db, wanted.registration_id)?
        .ok_or_else(|| StoreError::Corrupt("an order that was just made is not there".to_owned()))?;
    if let Some(payment) = order.paid_by {
        return Ok(Opened::Paid(payment));
    }
    let fence = claim(db, order.id, now, until, By::Payer)?;
    Ok(match fence {
        Some(fence) => Opened::Ready { order, fence, fresh },
        None => Opened::Busy,
    })
}

/// The kind of worker that leases an order. The reconciler takes a look that a webhook has requested ([`ASKED`]); a
/// payer's request leaves it.
#[derive(PartialEq)]
enum By {
    Payer,
    Reconciler,
}

/// Leases an order. The end of the lease is also when the reconciler takes over if the worker dies.
fn claim(
    db: &Connection,
    id: OrderId,
    now: Timestamp,
    until: Timestamp,
    by: By,
) -> Result<Option<Fence>, StoreError> {
    Ok(db
        .prepare_cached(
            "UPDATE orders SET worked_until = ?3, fence = fence + 1,
                reconcile_at = CASE WHEN reconcile_at = ?5 AND ?6 THEN ?5 ELSE ?3 END
             WHERE id = ?1 AND (worked_until <= ?2 OR worked_until > ?4) RETURNING fence",
        )?
        .find(
            params![
                id,
                now.timestamp_millis(),
                until.timestamp_millis(),
                latest_end(now, until).timestamp_millis(),
                ASKED.timestamp_millis(),
                by == By::Payer
            ],
            |row| row.get(0),
        )?)
}

pub(super) fn close(
    db: &Connection,
    id: OrderId,
    fence: Fence,
    reconcile_at: Option<Timestamp>,
) -> Result<(), StoreError> {
    db.prepare_cached(
        "UPDATE orders SET worked_until = 0, looks = looks + 1,
            reconcile_at = CASE WHEN reconcile_at = ?4 THEN ?4 ELSE ?3 END WHERE id = ?1 AND fence = ?2",
    )?
    .execute(params![
        id,
        fence,
        reconcile_at.map(|at| at.timestamp_millis()),
        ASKED.timestamp_millis()
    ])?;
    Ok(())
}

pub(super) fn due(
    db: &Connection,
    now: Timestamp,
    until: Timestamp,
    limit: usize,
) -> Result<Vec<(Order, Fence)>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM orders AS o WHERE (reconcile_at <= ?1 AND worked_until <= ?1)
            OR (reconcile_at > ?3 AND worked_until > ?3) ORDER BY reconcile_at LIMIT ?2"
    );
    let latest = latest_end(now, until).timestamp_millis();
    let orders = {
        let mut statement = db.prepare_cached(&sql)?;
        let rows = statement.query(params![now.timestamp_millis(), limit as i64, latest])?;
        sift(rows, 0, |row| read(row, 0))?
    };
    let orders = orders.set_aside(table::ORDERS, |id, _| {
        db.prepare_cached("UPDATE orders SET reconcile_at = ?2, worked_until = 0 WHERE id = ?1")?
            .execute(params![id, (now + UNREADABLE_AGAIN).timestamp_millis()])?;
        Ok(())
    })?;
    let mut claimed = Vec::with_capacity(orders.len());
    for order in orders {
        if let Some(fence) = claim(db, order.id, now, until, By::Reconciler)? {
            claimed.push((order, fence));
        }
    }
    Ok(claimed)
}

pub(super) fn by_registration(db: &Connection, id: RegistrationId) -> Result<Option<Order>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM orders AS o WHERE registration_id = ?1");
    Ok(db.prepare_cached(&sql)?.find([id], |row| read(row, 0))?)
}

pub(super) fn by_razorpay_id(db: &Connection, id: &str) -> Result<Option<Order>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM orders AS o WHERE razorpay_id = ?1");
    Ok(db.prepare_cached(&sql)?.find([id], |row| read(row, 0))?)
}

pub(super) fn by_id(db: &Connection, id: OrderId) -> Result<Option<Order>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM orders AS o WHERE id = ?1");
    Ok(db.prepare_cached(&sql)?.find([id], |row| read(row, 0))?)
}

pub(super) fn set_razorpay_id(db: &Connection, id: OrderId, razorpay_id: &str) -> Result<String, StoreError> {
    Ok(db
        .prepare_cached(
            "UPDATE orders SET razorpay_id = coalesce(razorpay_id, ?2) WHERE id = ?1 RETURNING razorpay_id",
        )?
        .one(params![id, razorpay_id], |row| row.get(0))?)
}
