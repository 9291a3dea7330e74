//! What others tell: Razorpay's webhooks, and the events service's messages.

use common::{
    clock::{Timestamp, from_millis},
    ids::PaymentId,
    outbox::Receipt,
    store::StoreError,
    subscriber::Incoming,
    wire::RegistrationEnded,
};
use sqlite_store::inbox;
use sqlite_store::{Connection, params};

use super::{ledger, orders, payments, refunds};
use crate::{
    domain::{
        fact::Fact,
        payment::{Report, Status},
    },
    store::{ASKED, Applied, Parked, RefundNews, Statement, messages},
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
        // No answer hangs on a webhook, so there is none to keep.
        let empty_answer = |_: &Statement| common::idempotency::Answer {
            status: 200,
            body: Vec::new(),
        };
        // Money waits to be captured, to be let go, or to be looked at: the reconciler does that, unless the payer's own
        // request is about to.
        let look_at = match payments::apply(db, report, now, (None, empty_answer))? {
            Applied::Known { payment, .. } => (payment.status == Status::Authorized).then_some(now),
            Applied::Ask => Some(ASKED),
            Applied::Unknown => None,
        };
        if let Some(at) = look_at {
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

/// Keeps a webhook that cannot be understood.
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
    let (payment, reason) = match &message.fact {
        Fact::Refused(refused) => (Some(refused.payment_id), refused.reason),
        Fact::Ended(ended) => match messages::end_reason(ended.reason) {
            Some(reason) => (paid_by(db, ended)?, reason),
            None => return Ok(Receipt::accepted(id)),
        },
    };
    if inbox::first_time(db, id, now)?
        && let Some(payment) = payment
    {
        match payments::by_id(db, payment)? {
            Some(payment) => refunds::request(db, &payment, reason, now)?,
            None => return Ok(Receipt::rejected(id, "there is no such payment")),
        }
    }
    Ok(Receipt::accepted(id))
}

/// What was captured for a registration that ends, as its service says, or else for its order: then the events service has
/// not heard of it yet, and will refuse it for the same reason.
fn paid_by(db: &Connection, ended: &RegistrationEnded) -> Result<Option<PaymentId>, StoreError> {
    if let Some(payment) = ended.payment_id {
        return Ok(Some(payment));
    }
    Ok(orders::by_registration(db, ended.registration_id)?.and_then(|order| order.paid_by))
}
