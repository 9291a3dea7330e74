//! Refunds.

use common::{
    clock::{Timestamp, from_millis, latest_end},
    ids::{PaymentId, RefundId},
    money::Paise,
    mongo::{Fields, Tx, date, outbox, sift},
    store::StoreError,
    unreadable::set_aside,
    wire::RefundReason,
};
use mongodb::bson::{Bson, Document, doc};

use super::{orders, payments, schema::REFUNDS};
use crate::{
    domain::{
        payment::Payment,
        refund::{Refund, parse_reason},
    },
    store::{Fence, UNREADABLE_AGAIN, messages, table},
};

/// Refunds whose time has come and on which nobody works.
pub(super) fn due_now(now: Timestamp) -> Document {
    doc! {"next_at": {"$exists": true, "$lte": date(now)}, "worked_until": {"$lte": date(now)}}
}

/// Refunds written before the clock was put back: their lease outlasts its length, or they were not tried yet and are
/// created in the future.
pub(super) fn outlasted(now: Timestamp, until: Timestamp) -> Document {
    let latest = date(latest_end(now, until));
    let untried =
        doc! {"attempts": 0_i64, "created_at": {"$gt": date(now)}, "worked_until": {"$lte": date(now)}};
    doc! {
        "next_at": {"$exists": true, "$gt": date(from_millis(0))},
        "$or": [{"worked_until": {"$gt": latest}}, untried],
    }
}

/// Has a payment sent back, once however often it is asked for.
pub(super) async fn request(
    tx: &mut Tx,
    payment: &Payment,
    reason: RefundReason,
    now: Timestamp,
) -> Result<(), StoreError> {
    if tx
        .find_one(REFUNDS, doc! {"payment_id": payment.id})
        .await?
        .is_some()
    {
        return Ok(());
    }
    let refund = doc! {
        "_id": RefundId::new(),
        "payment_id": payment.id,
        "razorpay_payment_id": &payment.razorpay_id,
        "amount": payment.amount.0,
        "reason": reason.name(),
        "generation": 0_i64,
        "attempts": 0_i64,
        "next_at": date(now),
        "worked_until": date(from_millis(0)),
        "fence": 0_i64,
        "created_at": date(now),
    };
    tx.insert(REFUNDS, vec![refund]).await
}

fn read(found: &Document) -> Result<Refund, StoreError> {
    Ok(Refund {
        id: found.id("_id")?,
        payment_id: found.id("payment_id")?,
        razorpay_payment_id: found.text("razorpay_payment_id")?,
        amount: Paise(found.long("amount")?),
        reason: parse_reason(&found.text("reason")?).unwrap_or(RefundReason::NoSeat),
        razorpay_id: found.maybe_text("razorpay_id")?,
        generation: found.long("generation")?,
        attempts: u32::try_from(found.long("attempts")?).unwrap_or(u32::MAX),
    })
}

pub(super) async fn due(
    tx: &mut Tx,
    now: Timestamp,
    until: Timestamp,
    limit: usize,
) -> Result<Vec<(Refund, Fence)>, StoreError> {
    let by_time = doc! {"next_at": 1};
    let mut found = tx.find(REFUNDS, due_now(now), by_time.clone(), limit).await?;
    if found.is_empty() {
        found = tx.find(REFUNDS, outlasted(now, until), by_time, limit).await?;
    }
    let refunds = sift(&found, read)?;
    for (key, why) in refunds.unreadable {
        set_aside(table::REFUNDS, &key, &why);
        let again = doc! {
            "next_at": date(now + UNREADABLE_AGAIN),
            "worked_until": date(from_millis(0)),
            "why": why,
        };
        tx.update_unchecked(REFUNDS, doc! {"_id": Bson::from(key)}, doc! {"$set": again})
            .await?;
    }
    let mut claimed = Vec::with_capacity(refunds.rows.len());
    for refund in refunds.rows {
        let take = doc! {"$set": {"worked_until": date(until)}, "$inc": {"fence": 1_i64}};
        let taken = tx
            .find_and_update(REFUNDS, doc! {"_id": refund.id}, doc! {}, take)
            .await?;
        if let Some(taken) = taken {
            claimed.push((refund, taken.long("fence")?));
        }
    }
    Ok(claimed)
}

pub(super) async fn accepted(
    tx: &mut Tx,
    id: RefundId,
    fence: Fence,
    razorpay_id: &str,
    again: Timestamp,
) -> Result<(), StoreError> {
    let update = doc! {
        "$set": {"razorpay_id": razorpay_id, "next_at": date(again), "worked_until": date(from_millis(0))},
        "$inc": {"attempts": 1_i64},
    };
    tx.update(REFUNDS, doc! {"_id": id, "fence": fence}, update)
        .await
        .map(drop)
}

pub(super) async fn retry(
    tx: &mut Tx,
    id: RefundId,
    fence: Fence,
    again: Timestamp,
    new_key: bool,
    why: &str,
) -> Result<(), StoreError> {
    let mut update = doc! {
        "$set": {"next_at": date(again), "worked_until": date(from_millis(0)), "why": why},
        "$inc": {"attempts": 1_i64, "generation": i64::from(new_key)},
    };
    if new_key {
        update.insert("$unset", doc! {"razorpay_id": ""});
    }
    tx.update(REFUNDS, doc! {"_id": id, "fence": fence}, update)
        .await
        .map(drop)
}

pub(super) async fn done(tx: &mut Tx, id: RefundId, fence: Fence, now: Timestamp) -> Result<(), StoreError> {
    let open = doc! {"_id": id, "fence": fence, "next_at": {"$exists": true}};
    let finish = doc! {"$unset": {"next_at": ""}, "$set": {"worked_until": date(from_millis(0))}};
    let Some(finished) = tx.find_and_update(REFUNDS, open, doc! {}, finish).await? else {
        return Ok(());
    };
    let refund = read(&finished)?;
    let payment_id: PaymentId = refund.payment_id;
    payments::refunded(tx, payment_id).await?;
    let missing = || StoreError::Corrupt(format!("the payment or order of refund {id} is missing"));
    let payment = payments::by_id(tx, payment_id).await?.ok_or_else(missing)?;
    let order = orders::by_id(tx, payment.order_id).await?.ok_or_else(missing)?;
    let told = messages::refunded(&order, &payment, refund.reason, now);
    outbox::push(tx, &[told]).await.map(drop)
}
