//! Consuming Razorpay's webhooks and the events service's messages.

use common::{
    clock::{Timestamp, from_millis},
    outbox::Receipt,
    store::StoreError,
    subscriber::Incoming,
};
use sqlite_store::inbox;
use sqlite_store::{Connection, params};

use super::{ledger, orders, payments, refunds};
use crate::{
    domain::{
        fact::{Fact, RefundOf},
        payment::Report,
    },
    store::{NO_ANSWER, Parked, RefundNews},
};

pub(super) fn webhook(
    db: &Connection,
    event_id: &str,
    report: Option<&Report>,
    refund: Option<&RefundNews>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let millis = now.timestamp_millis();
    let added = db
        .prepare_cached("INSERT OR IGNORE INTO webhook_events (id, received_at) VALUES (?1, ?2)")?
        .execute(params![event_id, millis])?;
    if added == 0 {
        return Ok(false);
    }
    db.prepare_cached("DELETE FROM parked_webhooks WHERE id = ?1")?
        .execute([event_id])?;
    if let Some(report) = report {
        let applied = payments::apply(db, report, now, NO_ANSWER)?;
        if let Some(at) = applied.look_at(now) {
            db.prepare_cached(
                "UPDATE orders SET reconcile_at = min(?2, ifnull(reconcile_at, ?2)) WHERE razorpay_id = ?1",
            )?
            .execute(params![report.order, at.timestamp_millis()])?;
        }
    }
    match refund {
        Some(RefundNews::Report(report)) => _ = ledger::note(db, report, now)?,
        Some(RefundNews::Id(id)) => refunds::look_at(db, id, now)?,
        None => {}
    }
    Ok(true)
}

/// Parks a webhook that cannot be understood.
pub(super) fn park(db: &Connection, parked: &Parked) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT OR IGNORE INTO parked_webhooks (id, event, body, why, received_at) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![
        parked.id,
        parked.event,
        parked.body,
        parked.why,
        parked.received_at.timestamp_millis()
    ])?;
    Ok(())
}

pub(super) fn parked(db: &Connection) -> Result<Vec<Parked>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT id, event, body, why, received_at FROM parked_webhooks ORDER BY received_at LIMIT 1000",
    )?;
    let rows = statement.all(params![], |row| {
        Ok(Parked {
            id: row.get(0)?,
            event: row.get(1)?,
            body: row.get(2)?,
            why: row.get(3)?,
            received_at: from_millis(row.get(4)?),
        })
    })?;
    Ok(rows)
}

pub(super) fn message(
    db: &Connection,
    message: &Incoming<Fact>,
    now: Timestamp,
) -> Result<Receipt, StoreError> {
    let id = message.id;
    let Some(asked) = message.fact.sends_back() else {
        return Ok(Receipt::accepted(id));
    };
    let payment = match asked.of {
        RefundOf::Payment(payment) => Some(payment),
        RefundOf::Registration(registration) => {
            orders::by_registration(db, registration)?.and_then(|order| order.paid_by)
        }
    };
    if inbox::first_time(db, id, now)?
        && let Some(payment) = payment
    {
        match payments::by_id(db, payment)? {
            Some(payment) => refunds::request(db, &payment, asked.reason, asked.part, now)?,
            None => return Ok(Receipt::rejected(id, "there is no such payment")),
        }
    }
    Ok(Receipt::accepted(id))
}
