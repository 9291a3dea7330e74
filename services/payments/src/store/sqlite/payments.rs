//! Payments.

use common::{
    clock::{Timestamp, from_millis},
    http::{Cursor, Page},
    ids::{PaymentId, UserId},
    store::StoreError,
    wire::{RefundReason, service},
};
use sqlite_store::{Connection, Row, params};
use sqlite_store::{
    Error, idempotency, outbox,
    rows::{named, sift, sift_page},
};

use super::{orders, refunds};
use crate::{
    domain::{
        detail::Detail,
        order::Order,
        payment::{Decline, OnReport, Payment, Report, Status},
        refund::parse_reason,
    },
    store::{
        ASKED, Applied, Captured, FOLLOW_EVERY, PaymentFilter, PaymentsOf, RefundState, Statement,
        UNREADABLE_AGAIN, follow_again, json, messages, table,
    },
};

pub(super) const COLUMNS: &str = "p.id, p.order_id, p.razorpay_id, p.method, p.amount, p.status, p.reason, p.description, p.created_at, p.captured_at,
    p.released_at, p.detail";
pub(super) const COUNT: usize = 12;

pub(super) fn read(row: &Row<'_>) -> sqlite_store::RowResult<Payment> {
    let decline = match (row.get(6)?, row.get(7)?) {
        (Some(reason), Some(description)) => Some(Decline { reason, description }),
        _ => None,
    };
    Ok(Payment {
        id: row.get(0)?,
        order_id: row.get(1)?,
        razorpay_id: row.get(2)?,
        method: row.get(3)?,
        amount: row.get(4)?,
        status: named(row, 5, Status::parse)?,
        decline,
        created_at: from_millis(row.get(8)?),
        captured_at: row.get::<_, Option<i64>>(9)?.map(from_millis),
        released_at: row.get::<_, Option<i64>>(10)?.map(from_millis),
        detail: read_detail(row)?,
    })
}

fn read_detail(row: &Row<'_>) -> sqlite_store::RowResult<Detail> {
    const AT: usize = COUNT - 1;
    let Some(text) = row.get::<_, Option<String>>(AT)? else {
        return Ok(Detail::default());
    };
    serde_json::from_str(&text).map_err(|error| Error::unreadable(AT, error))
}

pub(super) fn apply(
    db: &Connection,
    report: &Report,
    now: Timestamp,
    (key, answer): Captured,
) -> Result<Applied, StoreError> {
    let Some(mut order) = orders::by_razorpay_id(db, &report.order)? else {
        return Ok(Applied::Unknown);
    };
    let before = by_razorpay_id(db, &report.payment)?;
    let (payment, follows) = Payment::reported(before.as_ref(), &order, report, now);
    if follows == OnReport::Ask {
        return Ok(Applied::Ask);
    }
    if before.as_ref() != Some(&payment) {
        put(db, &payment, &order)?;
        outbox::push(db, &messages::changed(payment.id, order.user_id, now))?;
    }
    if let Some(told) = messages::failed(before.as_ref(), &payment, &order, now) {
        outbox::push(db, &told)?;
    }
    let message = match follows {
        OnReport::Pays => Some(pays(db, &mut order, &payment, now)?),
        follows => match follows.sends_back() {
            Some(reason) => {
                refunds::request(db, &payment, reason, None, now)?;
                None
            }
            None => outbox::pending_about(db, service::EVENTS, payment.id.0)?,
        },
    };
    if let Some(key) = key
        && let Some(statement) = Statement::just_paid(&payment, &order)
    {
        idempotency::store(db, &key, &answer(&statement), now)?;
    }
    Ok(Applied::Known {
        order: Box::new(order),
        payment: Box::new(payment),
        message,
    })
}

/// Marks the order as paid and publishes the capture to events.
fn pays(db: &Connection, order: &mut Order, payment: &Payment, now: Timestamp) -> Result<i64, StoreError> {
    order.paid_by = Some(payment.id);
    db.prepare_cached(
        "UPDATE orders SET paid_by = ?2, reconcile_at = CASE WHEN reconcile_at = ?3 THEN ?3 END WHERE id = ?1",
    )?
    .execute(params![order.id, payment.id, ASKED.timestamp_millis()])?;
    outbox::push(db, &messages::captured(order, payment, now))
}

fn put(db: &Connection, payment: &Payment, order: &Order) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT INTO payments (id, order_id, user_id, razorpay_id, method, amount, status, reason, description, created_at,
            captured_at, released_at, detail, event_id)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
         ON CONFLICT (id) DO UPDATE SET amount = excluded.amount, status = excluded.status, reason = excluded.reason,
            description = excluded.description, captured_at = excluded.captured_at, released_at = excluded.released_at,
            detail = excluded.detail,
            follow_at = CASE WHEN excluded.released_at IS NULL AND excluded.captured_at IS NULL THEN follow_at END",
    )?
    .execute(params![
        payment.id,
        payment.order_id,
        order.user_id,
        payment.razorpay_id,
        payment.method,
        payment.amount,
        payment.status.name(),
        payment.decline.as_ref().map(|decline| &decline.reason),
        payment.decline.as_ref().map(|decline| &decline.description),
        payment.created_at.timestamp_millis(),
        payment.captured_at.map(|at| at.timestamp_millis()),
        payment.released_at.map(|at| at.timestamp_millis()),
        json(&payment.detail)?,
        order.event_id,
    ])?;
    Ok(())
}

pub(super) fn by_razorpay_id(db: &Connection, id: &str) -> Result<Option<Payment>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM payments AS p WHERE p.razorpay_id = ?1");
    Ok(db.prepare_cached(&sql)?.find([id], read)?)
}

pub(super) fn by_id(db: &Connection, id: PaymentId) -> Result<Option<Payment>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM payments AS p WHERE p.id = ?1");
    Ok(db.prepare_cached(&sql)?.find([id], read)?)
}

/// Has it published that a payment has moved with its refund.
pub(super) fn changed(db: &Connection, id: PaymentId, now: Timestamp) -> Result<(), StoreError> {
    let mut payer = db.prepare_cached("SELECT user_id FROM payments WHERE id = ?1")?;
    if let Some(user) = payer.find([id], |row| row.get(0))? {
        outbox::push(db, &messages::changed(id, user, now))?;
    }
    Ok(())
}

pub(super) fn keep_steps(db: &Connection, id: PaymentId, steps: &str) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE payments SET steps = ?2 WHERE id = ?1")?
        .execute(params![id, steps])?;
    Ok(())
}

pub(super) fn steps(db: &Connection, id: PaymentId) -> Result<Option<String>, StoreError> {
    let mut steps = db.prepare_cached("SELECT steps FROM payments WHERE id = ?1")?;
    Ok(steps.find([id], |row| row.get(0))?.flatten())
}

pub(super) fn let_go(
    db: &Connection,
    id: PaymentId,
    reason: RefundReason,
    now: Timestamp,
) -> Result<Option<Payment>, StoreError> {
    let Some(before) = by_id(db, id)? else {
        return Ok(None);
    };
    let Some(payment) = before.let_go(reason, now) else {
        return Ok(Some(before));
    };
    let order = orders::by_id(db, payment.order_id)?
        .ok_or_else(|| StoreError::Corrupt(format!("the order of payment {id} is missing")))?;
    put(db, &payment, &order)?;
    outbox::push(db, &messages::changed(id, order.user_id, now))?;
    db.prepare_cached("UPDATE payments SET follow_at = ?2 WHERE id = ?1")?
        .execute(params![id, (now + FOLLOW_EVERY).timestamp_millis()])?;
    if let Some(told) = messages::failed(Some(&before), &payment, &order, now) {
        outbox::push(db, &told)?;
    }
    Ok(Some(payment))
}

/// Whether [`due_releases`] would find anything.
pub(super) fn any_to_follow(db: &Connection, now: Timestamp) -> Result<bool, StoreError> {
    let mut any = db.prepare_cached("SELECT 1 FROM payments WHERE follow_at <= ?1")?;
    Ok(any.exists([now.timestamp_millis()])?)
}

pub(super) fn due_releases(
    db: &Connection,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Payment>, StoreError> {
    let sql =
        format!("SELECT {COLUMNS} FROM payments AS p WHERE follow_at <= ?1 ORDER BY follow_at LIMIT ?2");
    let due = {
        let mut statement = db.prepare_cached(&sql)?;
        let rows = statement.query(params![now.timestamp_millis(), limit as i64])?;
        sift(rows, 0, read)?
    };
    let mut next = db.prepare_cached("UPDATE payments SET follow_at = ?2 WHERE id = ?1")?;
    let due = due.set_aside(table::PAYMENTS, |id, _| {
        next.execute(params![id, (now + UNREADABLE_AGAIN).timestamp_millis()])?;
        Ok(())
    })?;
    for payment in &due {
        let again = follow_again(payment, now).map(|at| at.timestamp_millis());
        next.execute(params![payment.id, again])?;
    }
    Ok(due)
}

/// The refund of a payment and the amount refunded.
const REFUND_STATE: &str =
    "f.reason, f.amount, f.next_at IS NULL, f.refused, (SELECT coalesce(sum(e.amount), 0) FROM refund_entries AS e
    WHERE e.payment_id = p.id AND e.status = 'processed')";

const FROM: &str =
    "FROM payments AS p JOIN orders AS o ON o.id = p.order_id LEFT JOIN refunds AS f ON f.payment_id = p.id";

fn read_statement(row: &Row<'_>) -> sqlite_store::RowResult<Statement> {
    const ORDER_COUNT: usize = 9;
    let payment = read(row)?;
    let reason: Option<String> = row.get(COUNT + ORDER_COUNT)?;
    let duty = match reason.as_deref().and_then(parse_reason) {
        Some(reason) => Some(RefundState {
            reason,
            amount: row.get(COUNT + ORDER_COUNT + 1)?,
            done: row.get(COUNT + ORDER_COUNT + 2)?,
            refused: row.get(COUNT + ORDER_COUNT + 3)?,
        }),
        None => None,
    };
    Ok(Statement {
        refund: RefundState::of(&payment, duty),
        refunded: row.get(COUNT + ORDER_COUNT + 4)?,
        order: orders::read(row, COUNT)?,
        payment,
    })
}

pub(super) fn statement(
    db: &Connection,
    id: PaymentId,
    user: UserId,
) -> Result<Option<Statement>, StoreError> {
    let order = orders::COLUMNS;
    let sql = format!("SELECT {COLUMNS}, {order}, {REFUND_STATE} {FROM} WHERE p.user_id = ?1 AND p.id = ?2");
    Ok(db.prepare_cached(&sql)?.find(params![user, id], read_statement)?)
}

pub(super) fn statements(
    db: &Connection,
    whose: PaymentsOf,
    which: &PaymentFilter,
    page: Page,
) -> Result<(Vec<Statement>, Option<Cursor>), StoreError> {
    let order = orders::COLUMNS;
    let (theirs, whose) = match whose {
        PaymentsOf::Payer(user) => ("p.user_id", user.0),
        PaymentsOf::Event(event) => ("p.event_id", event.0),
    };
    let sql = format!(
        "SELECT {COLUMNS}, {order}, {REFUND_STATE} {FROM} WHERE {theirs} = ?1 AND (?2 IS NULL OR p.id < ?2)
            AND (?4 IS NULL OR p.status = ?4) AND (?5 IS NULL OR p.event_id = ?5)
            AND (?6 IS NULL OR p.created_at >= ?6) AND (?7 IS NULL OR p.created_at < ?7)
         ORDER BY p.id DESC LIMIT ?3"
    );
    let after = page.after.map(|cursor| cursor.id);
    let (from, to) = (
        which.from.map(|at| at.timestamp_millis()),
        which.to.map(|at| at.timestamp_millis()),
    );
    let status = which.status.map(Status::name);
    let mut statement = db.prepare_cached(&sql)?;
    let found = sift_page(page.limit + 1, |asked| {
        let rows = statement.query(params![whose, after, asked, status, which.event, from, to])?;
        sift(rows, 0, read_statement)
    })?;
    Ok(page.cut(found.left_out(table::PAYMENTS), |statement| Cursor {
        key: 0,
        id: statement.payment.id.0,
    }))
}
