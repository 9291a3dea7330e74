//! Payments.

use std::collections::HashMap;

use common::{
    clock::Timestamp,
    http::{Cursor, Page},
    ids::{OrderId, PaymentId, UserId},
    money::Paise,
    store::StoreError,
    unreadable::Sifted,
    wire::{RefundReason, service},
};
use mongo_store::{DocumentExt, Key, Tx, date, idempotency, outbox, set_aside, sift, uuid};
use mongodb::bson::{Bson, Document, doc};

use super::{
    orders, refunds,
    schema::{ENTRIES, ORDERS, PAYMENTS, REFUNDS},
};
use crate::{
    domain::{
        detail::Detail,
        order::Order,
        payment::{Decline, OnReport, Payment, Report, Status},
        refund::{EntryStatus, parse_reason},
    },
    store::{
        Applied, Captured, FOLLOW_EVERY, PaymentFilter, PaymentsOf, RefundState, Statement, UNREADABLE_AGAIN,
        follow_again, json, messages, table,
    },
};

pub(super) fn read(found: &Document) -> Result<Payment, StoreError> {
    let decline = match (found.maybe_text("reason")?, found.maybe_text("description")?) {
        (Some(reason), Some(description)) => Some(Decline { reason, description }),
        _ => None,
    };
    Ok(Payment {
        id: found.id("_id")?,
        order_id: found.id("order_id")?,
        razorpay_id: found.text("razorpay_id")?,
        method: found.text("method")?,
        amount: Paise(found.long("amount")?),
        status: found.named("status", Status::parse)?,
        decline,
        created_at: found.time("created_at")?,
        captured_at: found.maybe_time("captured_at")?,
        released_at: found.maybe_time("released_at")?,
        detail: match found.maybe_text("detail")? {
            Some(text) => {
                serde_json::from_str(&text).map_err(|error| StoreError::Corrupt(error.to_string()))?
            }
            None => Detail::default(),
        },
    })
}

pub(super) async fn apply(
    tx: &mut Tx,
    report: &Report,
    now: Timestamp,
    (key, answer): &Captured,
) -> Result<Applied, StoreError> {
    let Some(mut order) = orders::by_razorpay_id(tx, &report.order).await? else {
        return Ok(Applied::Unknown);
    };
    let before = by_razorpay_id(tx, &report.payment).await?;
    let (payment, follows) = Payment::reported(before.as_ref(), &order, report, now);
    if follows == OnReport::Ask {
        return Ok(Applied::Ask);
    }
    if before.as_ref() != Some(&payment) {
        put(tx, &payment, &order).await?;
        outbox::push(tx, &[messages::changed(payment.id, order.user_id, now)]).await?;
    }
    if let Some(told) = messages::failed(before.as_ref(), &payment, &order, now) {
        outbox::push(tx, &[told]).await?;
    }
    let message = match follows {
        OnReport::Pays => Some(pays(tx, &mut order, &payment, now).await?),
        follows => match follows.sends_back() {
            Some(reason) => {
                refunds::request(tx, &payment, reason, None, now).await?;
                None
            }
            None => outbox::pending_about(tx, service::EVENTS, payment.id).await?,
        },
    };
    if let Some(key) = key
        && let Some(statement) = Statement::just_paid(&payment, &order)
    {
        idempotency::store(tx, key, &answer(&statement), now).await?;
    }
    Ok(Applied::Known {
        order: Box::new(order),
        payment: Box::new(payment),
        message,
    })
}

/// Marks the order as paid and publishes the capture to events. Two concurrent captures conflict at the order.
async fn pays(tx: &mut Tx, order: &mut Order, payment: &Payment, now: Timestamp) -> Result<i64, StoreError> {
    order.paid_by = Some(payment.id);
    let paid = vec![doc! {"$set": {
        "paid_by": uuid(payment.id),
        "reconcile_at": orders::unless_asked("$$REMOVE".into()),
    }}];
    tx.update(ORDERS, doc! {"_id": uuid(order.id)}, paid).await?;
    let places = outbox::push(tx, &[messages::captured(order, payment, now)]).await?;
    places
        .last()
        .copied()
        .ok_or_else(|| StoreError::Corrupt("a message that was just stored has no place".to_owned()))
}

async fn put(tx: &mut Tx, payment: &Payment, order: &Order) -> Result<(), StoreError> {
    let mut set = doc! {
        "order_id": uuid(payment.order_id),
        "user_id": uuid(order.user_id),
        "event_id": uuid(order.event_id),
        "razorpay_id": &payment.razorpay_id,
        "method": &payment.method,
        "amount": payment.amount.0,
        "status": payment.status.name(),
        "created_at": date(payment.created_at),
        "detail": json(&payment.detail)?,
    };
    set.put("captured_at", payment.captured_at.map(date));
    set.put("released_at", payment.released_at.map(date));
    let mut unset = Document::new();
    match &payment.decline {
        Some(Decline { reason, description }) => {
            set.insert("reason", reason);
            set.insert("description", description);
        }
        None => unset.extend(doc! {"reason": "", "description": ""}),
    }
    if payment.released_at.is_some() || payment.captured_at.is_some() {
        unset.insert("follow_at", "");
    }
    let mut update = doc! {"$set": set};
    if !unset.is_empty() {
        update.insert("$unset", unset);
    }
    tx.upsert(PAYMENTS, doc! {"_id": uuid(payment.id)}, update)
        .await
        .map(drop)
}

pub(super) async fn by_id(tx: &mut Tx, id: PaymentId) -> Result<Option<Payment>, StoreError> {
    tx.find_one(PAYMENTS, doc! {"_id": uuid(id)})
        .await?
        .as_ref()
        .map(read)
        .transpose()
}

/// Has it published that a payment has moved with its refund.
pub(super) async fn changed(tx: &mut Tx, id: PaymentId, now: Timestamp) -> Result<(), StoreError> {
    let Some(found) = tx.find_one(PAYMENTS, doc! {"_id": uuid(id)}).await? else {
        return Ok(());
    };
    let changed = messages::changed(id, found.id("user_id")?, now);
    outbox::push(tx, &[changed]).await.map(drop)
}

pub(super) async fn keep_steps(tx: &mut Tx, id: PaymentId, steps: &str) -> Result<(), StoreError> {
    tx.update(PAYMENTS, doc! {"_id": uuid(id)}, doc! {"$set": {"steps": steps}})
        .await
        .map(drop)
}

pub(super) async fn steps(tx: &mut Tx, id: PaymentId) -> Result<Option<String>, StoreError> {
    let found = tx.find_one(PAYMENTS, doc! {"_id": uuid(id)}).await?;
    Ok(match found {
        Some(found) => found.maybe_text("steps")?,
        None => None,
    })
}

pub(super) async fn let_go(
    tx: &mut Tx,
    id: PaymentId,
    reason: RefundReason,
    now: Timestamp,
) -> Result<Option<Payment>, StoreError> {
    let Some(before) = by_id(tx, id).await? else {
        return Ok(None);
    };
    let Some(payment) = before.let_go(reason, now) else {
        return Ok(Some(before));
    };
    let order = orders::by_id(tx, payment.order_id)
        .await?
        .ok_or_else(|| StoreError::Corrupt(format!("the order of payment {id} is missing")))?;
    put(tx, &payment, &order).await?;
    outbox::push(tx, &[messages::changed(id, order.user_id, now)]).await?;
    let follow = doc! {"$set": {"follow_at": date(now + FOLLOW_EVERY)}};
    tx.update(PAYMENTS, doc! {"_id": uuid(id)}, follow).await?;
    if let Some(told) = messages::failed(Some(&before), &payment, &order, now) {
        outbox::push(tx, &[told]).await?;
    }
    Ok(Some(payment))
}

/// Payments released by this service that are due to be followed.
pub(super) fn to_follow(now: Timestamp) -> Document {
    doc! {"follow_at": {"$exists": true, "$lte": date(now)}}
}

pub(super) async fn due_releases(
    tx: &mut Tx,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Payment>, StoreError> {
    let found = tx
        .find(PAYMENTS, to_follow(now), doc! {"follow_at": 1}, limit)
        .await?;
    let due = sift(&found, read)?;
    let again = |_: &str| doc! {"$set": {"follow_at": date(now + UNREADABLE_AGAIN)}};
    let due = set_aside(tx, PAYMENTS, table::PAYMENTS, due, again).await?;
    for payment in &due {
        let again = match follow_again(payment, now) {
            Some(at) => doc! {"$set": {"follow_at": date(at)}},
            None => doc! {"$unset": {"follow_at": ""}},
        };
        tx.update(PAYMENTS, doc! {"_id": uuid(payment.id)}, again).await?;
    }
    Ok(due)
}

pub(super) async fn by_razorpay_id(tx: &mut Tx, id: &str) -> Result<Option<Payment>, StoreError> {
    tx.find_one(PAYMENTS, doc! {"razorpay_id": id})
        .await?
        .as_ref()
        .map(read)
        .transpose()
}

pub(super) async fn statement(
    tx: &mut Tx,
    id: PaymentId,
    user: UserId,
) -> Result<Option<Statement>, StoreError> {
    let found = tx
        .find(
            PAYMENTS,
            doc! {"_id": uuid(id), "user_id": uuid(user)},
            doc! {},
            1,
        )
        .await?;
    let statement = with_orders(tx, &found).await?.rows.pop();
    if statement.is_none() && !found.is_empty() {
        return Err(StoreError::Corrupt(format!(
            "payment {id}, its order or its refund cannot be read"
        )));
    }
    Ok(statement)
}

pub(super) async fn statements(
    tx: &mut Tx,
    whose: PaymentsOf,
    which: &PaymentFilter,
    page: Page,
) -> Result<(Vec<Statement>, Option<Cursor>), StoreError> {
    let mut theirs = match whose {
        PaymentsOf::Payer(user) => doc! {"user_id": uuid(user)},
        PaymentsOf::Event(event) => doc! {"event_id": uuid(event)},
    };
    if let (PaymentsOf::Payer(_), Some(event)) = (whose, which.event) {
        theirs.insert("event_id", uuid(event));
    }
    theirs.put("status", which.status.map(Status::name));
    let mut made = Document::new();
    made.put("$gte", which.from.map(date));
    made.put("$lt", which.to.map(date));
    if !made.is_empty() {
        theirs.insert("created_at", made);
    }
    if let Some(after) = page.after {
        theirs.insert("_id", doc! {"$lt": uuid(after.id)});
    }
    let wanted = page.limit + 1;
    let mut asked = wanted;
    let found = loop {
        let found = tx.find(PAYMENTS, theirs.clone(), doc! {"_id": -1}, asked).await?;
        let found = with_orders(tx, &found).await?;
        match found.ask_again(wanted, asked) {
            Some(more) => asked = more,
            None => break found,
        }
    };
    Ok(page.cut(found.left_out(table::PAYMENTS), |statement| Cursor {
        key: 0,
        id: statement.payment.id.0,
    }))
}

/// Adds the event to up to `limit` payments of an earlier release that did not store it; returns the number.
pub(super) async fn note_events(tx: &mut Tx, limit: usize) -> Result<usize, StoreError> {
    let without = doc! {"event_id": {"$exists": false}};
    let found = tx.find(PAYMENTS, without, doc! {}, limit).await?;
    let mut noted = 0;
    for found in &found {
        let id: PaymentId = found.id("_id")?;
        let Some(order) = orders::by_id(tx, found.id("order_id")?).await? else {
            continue;
        };
        let event = doc! {"$set": {"event_id": uuid(order.event_id)}};
        tx.update(PAYMENTS, doc! {"_id": uuid(id)}, event).await?;
        noted += 1;
    }
    Ok(noted)
}

/// Payments with their orders and refunds.
async fn with_orders(tx: &mut Tx, found: &[Document]) -> Result<Sifted<Statement, Key>, StoreError> {
    let mut statements = Sifted::default();
    if found.is_empty() {
        return Ok(statements);
    }
    let limit = found.len();
    let ids = |name: &str| -> Vec<Bson> { found.iter().filter_map(|one| one.get(name).cloned()).collect() };
    let orders = tx
        .find(ORDERS, doc! {"_id": {"$in": ids("order_id")}}, doc! {}, limit)
        .await?;
    let orders: HashMap<OrderId, &Document> = orders
        .iter()
        .filter_map(|order| Some((order.id("_id").ok()?, order)))
        .collect();
    let refunds = tx
        .find(REFUNDS, doc! {"payment_id": {"$in": ids("_id")}}, doc! {}, limit)
        .await?;
    let refunds: HashMap<PaymentId, &Document> = refunds
        .iter()
        .filter_map(|refund| Some((refund.id("payment_id").ok()?, refund)))
        .collect();
    let theirs = doc! {"payment_id": {"$in": ids("_id")}};
    let mut back: HashMap<PaymentId, Paise> = HashMap::new();
    for entry in tx.find(ENTRIES, theirs, doc! {}, usize::MAX).await? {
        let sum = back.entry(entry.id("payment_id")?).or_default();
        if entry.text("status")? == EntryStatus::Processed.name() {
            sum.0 += entry.long("amount")?;
        }
    }
    for found in found {
        statements.add(statement_of(found, &orders, &refunds, &back), || Key::of(found))?;
    }
    Ok(statements)
}

fn statement_of(
    found: &Document,
    orders: &HashMap<OrderId, &Document>,
    refunds: &HashMap<PaymentId, &Document>,
    back: &HashMap<PaymentId, Paise>,
) -> Result<Statement, StoreError> {
    let mut payment = read(found)?;
    let order = orders
        .get(&payment.order_id)
        .ok_or_else(|| StoreError::Corrupt(format!("order {} is missing", payment.order_id)))?;
    let mut duty = match refunds.get(&payment.id) {
        Some(refund) => parse_reason(&refund.text("reason")?)
            .map(|reason| {
                Ok::<_, StoreError>(RefundState {
                    reason,
                    amount: Paise(refund.long("amount")?),
                    done: refund.maybe_time("next_at")?.is_none(),
                    refused: refund.maybe_text("refused")?,
                })
            })
            .transpose()?,
        None => None,
    };
    // The collections are read one after the other and the ledger last, so the ledger decides.
    if let Some(sum) = back.get(&payment.id)
        && payment.status >= Status::Captured
    {
        payment.status = if *sum >= payment.amount {
            Status::Refunded
        } else {
            Status::Captured
        };
        if let Some(duty) = &mut duty {
            duty.done = *sum >= duty.amount;
        }
    }
    Ok(Statement {
        order: orders::read(order)?,
        refund: RefundState::of(&payment, duty),
        refunded: back.get(&payment.id).copied().unwrap_or(Paise::ZERO),
        payment,
    })
}
