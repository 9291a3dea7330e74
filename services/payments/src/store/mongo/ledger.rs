//! The ledger of refunds at Razorpay.

use common::{
    clock::{Timestamp, from_millis},
    ids::PaymentId,
    money::Paise,
    store::StoreError,
    wire::RefundReason,
};
use mongo_store::{DocumentExt, Tx, date, outbox, sift, uuid, uuids};
use mongodb::bson::{Document, doc};

use super::{
    orders, payments, refunds,
    schema::{ENTRIES, MARKS, PAYMENTS, REFUNDS},
};
use crate::{
    domain::{
        ledger::Line,
        payment::Status,
        refund::{Balance, Duty, Entry, EntryStatus, RefundReport, on_entry},
    },
    store::{REFUNDS_SEEN, failed_again, messages, table},
};

pub(super) fn read(found: &Document) -> Result<Entry, StoreError> {
    Ok(Entry {
        id: found.text("_id")?,
        payment_id: found.id("payment_id")?,
        refund_id: found.maybe_id("refund_id")?,
        amount: Paise(found.long("amount")?),
        status: found.named("status", EntryStatus::parse)?,
        created_at: found.time("created_at")?,
        processed_at: found.maybe_time("processed_at")?,
        failed_at: found.maybe_time("failed_at")?,
    })
}

/// Records a report with all its effects; returns the entry if it changed.
pub(super) async fn note(
    tx: &mut Tx,
    report: &RefundReport,
    now: Timestamp,
) -> Result<Option<Entry>, StoreError> {
    let payment = payments::by_razorpay_id(tx, &report.payment).await?;
    let Some(payment) = payment.filter(|payment| payment.status >= Status::Captured) else {
        return Ok(None);
    };
    let before = tx.find_one(ENTRIES, doc! {"_id": &report.id}).await?;
    let before = before.as_ref().map(read).transpose()?;
    let duty = refunds::of_payment(tx, payment.id).await?;
    let report = report.for_duty(duty.as_ref());
    let entry = Entry::reported(before.as_ref(), payment.id, &report, now);
    put(tx, &entry, now).await?;
    if before.as_ref() == Some(&entry) {
        return Ok(None);
    }
    let order = orders::by_id(tx, payment.order_id)
        .await?
        .ok_or_else(|| StoreError::Corrupt(format!("the order of payment {} is missing", payment.id)))?;
    let balance = Balance::of(payment.amount, &of_payment(tx, payment.id).await?);
    let pays = order.paid_by == Some(payment.id);
    let was = before.map(|before| before.status);
    let owed = duty.as_ref().map(|duty| duty.amount);
    let follows = on_entry(payment.status, owed, pays, was, &entry, &balance);
    // Written even if nothing changes: two concurrent entries of one payment conflict here, and the retry sees both.
    let status = doc! {"$set": {"status": follows.status.name(), "refunds_at": date(now)}};
    tx.update(PAYMENTS, doc! {"_id": uuid(payment.id)}, status)
        .await?;
    if follows.notify {
        let reason = entry.reason(duty.as_ref());
        outbox::push(tx, &[messages::refunded(&order, &entry, reason, &balance, now)]).await?;
    }
    if follows.reverse {
        outbox::push(tx, &[messages::reversed(&order, &payment, now)]).await?;
    }
    payments::changed(tx, payment.id, now).await?;
    match follows.duty {
        Duty::Same => {}
        Duty::Fulfilled => refunds::fulfilled(tx, payment.id).await?,
        Duty::Open => {
            if owed.is_none() {
                refunds::request(tx, &payment, RefundReason::Organizer, None, now).await?;
            }
            let attempts = duty.map_or(0, |duty| duty.attempts);
            refunds::open_again(tx, payment.id, failed_again(now, attempts)).await?;
        }
    }
    Ok(Some(entry))
}

async fn put(tx: &mut Tx, entry: &Entry, now: Timestamp) -> Result<(), StoreError> {
    let mut set = doc! {
        "payment_id": uuid(entry.payment_id),
        "amount": entry.amount.0,
        "status": entry.status.name(),
        "created_at": date(entry.created_at),
        "looked_at": date(now),
    };
    set.put("refund_id", entry.refund_id.map(uuid));
    set.put("processed_at", entry.processed_at.map(date));
    set.put("failed_at", entry.failed_at.map(date));
    tx.upsert(ENTRIES, doc! {"_id": &entry.id}, doc! {"$set": set})
        .await
        .map(drop)
}

pub(super) async fn of_payment(tx: &mut Tx, payment: PaymentId) -> Result<Vec<Entry>, StoreError> {
    let by_time = doc! {"created_at": 1, "_id": 1};
    let found = tx
        .find(ENTRIES, doc! {"payment_id": uuid(payment)}, by_time, usize::MAX)
        .await?;
    found.iter().map(read).collect()
}

/// Pending refunds that no open duty follows.
pub(super) async fn pending(tx: &mut Tx, before: Timestamp, limit: usize) -> Result<Vec<Entry>, StoreError> {
    let (mut entries, mut from, mut seen) = (Vec::new(), from_millis(0), Vec::new());
    // Of a cancelled event with many refunds, any number may be followed: they must not hide the others.
    while entries.len() < limit {
        let rest = doc! {
            "status": "pending",
            "looked_at": {"$gte": date(from), "$lte": date(before)},
            "_id": {"$nin": &seen},
        };
        let found = tx.find(ENTRIES, rest, doc! {"looked_at": 1}, limit).await?;
        let Some(last) = found.last() else { break };
        let last = last.time("looked_at")?;
        if last > from {
            (from, seen) = (last, Vec::new());
        }
        for entry in &found {
            if entry.time("looked_at")? == from {
                seen.push(entry.text("_id")?);
            }
        }
        let is_last = found.len() < limit;
        entries.extend(unfollowed(tx, &found).await?);
        if is_last {
            break;
        }
    }
    entries.truncate(limit);
    Ok(entries)
}

async fn unfollowed(tx: &mut Tx, found: &[Document]) -> Result<Vec<Entry>, StoreError> {
    let mut entries = sift(found, read)?.left_out(table::ENTRIES);
    let payments: Vec<PaymentId> = entries.iter().map(|entry| entry.payment_id).collect();
    let open = doc! {"payment_id": {"$in": uuids(payments)}, "next_at": {"$exists": true}};
    let followed = tx.find(REFUNDS, open, doc! {}, entries.len()).await?;
    let followed: Vec<PaymentId> = followed
        .iter()
        .filter_map(|one| one.id("payment_id").ok())
        .collect();
    entries.retain(|entry| !followed.contains(&entry.payment_id));
    Ok(entries)
}

/// A page of all payments with their refunds.
pub(super) async fn lines(
    tx: &mut Tx,
    after: Option<PaymentId>,
    limit: usize,
) -> Result<Vec<Line>, StoreError> {
    let after = after.unwrap_or_else(|| PaymentId::lenient(""));
    let rest = doc! {"_id": {"$gt": uuid(after)}};
    let found = tx.find(PAYMENTS, rest, doc! {"_id": 1}, limit).await?;
    let mut lines = Vec::with_capacity(found.len());
    for found in &found {
        let payment = payments::read(found)?;
        let order = orders::by_id(tx, payment.order_id).await?;
        let duty = doc! {"payment_id": uuid(payment.id)};
        let duty = tx.find_one(REFUNDS, duty).await?;
        lines.push(Line {
            pays: order.is_some_and(|order| order.paid_by == Some(payment.id)),
            duty: match &duty {
                Some(duty) => Some(Paise(duty.long("amount")?)),
                None => None,
            },
            owed: duty.is_some_and(|duty| duty.contains_key("next_at")),
            entries: of_payment(tx, payment.id).await?,
            payment,
        });
    }
    Ok(lines)
}

pub(super) async fn seen(tx: &mut Tx) -> Result<Option<Timestamp>, StoreError> {
    let found = tx.find_one(MARKS, doc! {"_id": REFUNDS_SEEN}).await?;
    found.map(|found| found.time("at")).transpose()
}

pub(super) async fn set_seen(tx: &mut Tx, until: Timestamp) -> Result<(), StoreError> {
    let set = doc! {"$set": {"at": date(until)}};
    tx.upsert(MARKS, doc! {"_id": REFUNDS_SEEN}, set).await.map(drop)
}
