//! Refunds.

use common::{
    clock::{Timestamp, from_millis, latest_end},
    ids::{PaymentId, RefundId},
    money::Paise,
    store::StoreError,
    wire::RefundReason,
};
use mongo_store::{DocumentExt, Tx, date, set_aside, sift, uuid};
use mongodb::{
    bson::{Document, doc},
    options::UpdateModifications,
};

use super::{
    payments,
    schema::{ENTRIES, PAYMENTS, REFUNDS},
};
use crate::{
    domain::{
        payment::Payment,
        refund::{EntryStatus, OnRequest, Refund, on_request, owed, parse_reason},
    },
    store::{Fence, UNREADABLE_AGAIN, table},
};

/// Refunds that are due and not leased.
pub(super) fn due_now(now: Timestamp) -> Document {
    doc! {"next_at": {"$exists": true, "$lte": date(now)}, "worked_until": {"$lte": date(now)}}
}

/// Refunds written before the clock was set back: their lease ends after [`latest_end`], or they have no attempt yet
/// and are created in the future.
pub(super) fn outlasted(now: Timestamp, until: Timestamp) -> Document {
    let latest = date(latest_end(now, until));
    let untried =
        doc! {"attempts": 0_i64, "created_at": {"$gt": date(now)}, "worked_until": {"$lte": date(now)}};
    doc! {
        "next_at": {"$exists": true, "$gt": date(from_millis(0))},
        "$or": [{"worked_until": {"$gt": latest}}, untried],
    }
}

/// Requests the refund of a payment, or of `part` of it; once, however often it is called.
pub(super) async fn request(
    tx: &mut Tx,
    payment: &Payment,
    reason: RefundReason,
    part: Option<Paise>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let amount = owed(payment.amount, part);
    let duty = of_payment(tx, payment.id).await?.map(|duty| duty.amount);
    match on_request(duty, amount, processed(tx, payment.id).await?) {
        OnRequest::Same => return Ok(()),
        OnRequest::New { done } => {
            let mut refund = doc! {
                "_id": uuid(RefundId::new()),
                "payment_id": uuid(payment.id),
                "razorpay_payment_id": &payment.razorpay_id,
                "amount": amount.0,
                "reason": reason.name(),
                "generation": 0_i64, // read by the previous release
                "attempts": 0_i64,
                "worked_until": date(from_millis(0)),
                "fence": 0_i64,
                "created_at": date(now),
            };
            refund.put("next_at", (!done).then(|| date(now)));
            tx.insert(REFUNDS, vec![refund]).await?;
        }
        // The fence rises, because a worker may still hold the lower amount and would close it; its lease stays, so
        // that only one asks Razorpay.
        OnRequest::Raised { done } => {
            let mut set = doc! {"amount": amount.0, "reason": reason.name()};
            let mut unset = doc! {"refused": ""};
            match done {
                true => unset.insert("next_at", ""),
                false => set.insert("next_at", date(now)),
            };
            let raise = doc! {"$set": set, "$unset": unset, "$inc": {"fence": 1_i64}};
            tx.update(REFUNDS, doc! {"payment_id": uuid(payment.id)}, raise)
                .await?;
        }
    }
    // As every entry writes it: a request and an entry at once conflict here, and the retry sees both.
    let seen = doc! {"$set": {"refunds_at": date(now)}};
    tx.update(PAYMENTS, doc! {"_id": uuid(payment.id)}, seen).await?;
    payments::changed(tx, payment.id, now).await
}

/// How much of a payment is back.
async fn processed(tx: &mut Tx, payment: PaymentId) -> Result<Paise, StoreError> {
    let back = doc! {"payment_id": uuid(payment), "status": EntryStatus::Processed.name()};
    let mut sum = Paise::ZERO;
    for entry in tx.find(ENTRIES, back, doc! {}, usize::MAX).await? {
        sum.0 += entry.long("amount")?;
    }
    Ok(sum)
}

fn read(found: &Document) -> Result<Refund, StoreError> {
    Ok(Refund {
        id: found.id("_id")?,
        payment_id: found.id("payment_id")?,
        razorpay_payment_id: found.text("razorpay_payment_id")?,
        amount: Paise(found.long("amount")?),
        reason: found.named("reason", parse_reason)?,
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
    let again = |why: &str| {
        let (at, free) = (date(now + UNREADABLE_AGAIN), date(from_millis(0)));
        doc! {"$set": {"next_at": at, "worked_until": free, "why": why}}
    };
    let refunds = set_aside(tx, REFUNDS, table::REFUNDS, refunds, again).await?;
    let mut claimed = Vec::with_capacity(refunds.len());
    for refund in refunds {
        let take = doc! {"$set": {"worked_until": date(until)}, "$inc": {"fence": 1_i64}};
        let taken = tx
            .find_and_update(REFUNDS, doc! {"_id": uuid(refund.id)}, doc! {}, take)
            .await?;
        if let Some(taken) = taken {
            claimed.push((refund, taken.long("fence")?));
        }
    }
    Ok(claimed)
}

pub(super) async fn of_payment(tx: &mut Tx, payment: PaymentId) -> Result<Option<Refund>, StoreError> {
    let found = tx.find_one(REFUNDS, doc! {"payment_id": uuid(payment)}).await?;
    found.as_ref().map(read).transpose()
}

/// Marks the refund as done.
pub(super) async fn fulfilled(tx: &mut Tx, payment: PaymentId) -> Result<(), StoreError> {
    let done = doc! {
        "$unset": {"next_at": "", "refused": ""},
        "$set": {"worked_until": date(from_millis(0))},
    };
    tx.update(REFUNDS, doc! {"payment_id": uuid(payment)}, done)
        .await
        .map(drop)
}

/// Opens the refund again after the bank has returned the money; it is due at `again`. The fence rises, because a worker may
/// still hold what it read before and would close it.
pub(super) async fn open_again(tx: &mut Tx, payment: PaymentId, again: Timestamp) -> Result<(), StoreError> {
    let open = doc! {
        "$set": {"next_at": date(again), "worked_until": date(from_millis(0))},
        "$inc": {"attempts": 1_i64, "fence": 1_i64},
    };
    tx.update(REFUNDS, doc! {"payment_id": uuid(payment)}, open)
        .await
        .map(drop)
}

/// Makes an open refund due at once, after news of one of its refunds at Razorpay.
pub(super) async fn look_at(tx: &mut Tx, razorpay_id: &str, now: Timestamp) -> Result<(), StoreError> {
    let Some(entry) = tx.find_one(ENTRIES, doc! {"_id": razorpay_id}).await? else {
        return Ok(());
    };
    let payment: PaymentId = entry.id("payment_id")?;
    let open = doc! {"payment_id": uuid(payment), "next_at": {"$exists": true}};
    tx.update(REFUNDS, open, doc! {"$set": {"next_at": date(now)}})
        .await
        .map(drop)
}

/// Changes a refund, if the worker still holds its lease; its payment has moved then.
async fn advance(
    tx: &mut Tx,
    id: RefundId,
    fence: Fence,
    update: impl Into<UpdateModifications>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let of_this_lease = doc! {"_id": uuid(id), "fence": fence};
    match tx
        .find_and_update(REFUNDS, of_this_lease, doc! {}, update)
        .await?
    {
        Some(refund) => payments::changed(tx, refund.id("payment_id")?, now).await,
        None => Ok(()),
    }
}

pub(super) async fn done(tx: &mut Tx, id: RefundId, fence: Fence, now: Timestamp) -> Result<(), StoreError> {
    let through = doc! {
        "$unset": {"next_at": "", "refused": ""},
        "$set": {"worked_until": date(from_millis(0))},
    };
    advance(tx, id, fence, through, now).await
}

/// The end of a lease: the refund is due at `again`, unless it is done.
fn looked(again: Timestamp) -> Document {
    doc! {
        "next_at": {"$cond": [{"$eq": [{"$type": "$next_at"}, "missing"]}, "$$REMOVE", date(again)]},
        "worked_until": date(from_millis(0)),
        "attempts": {"$add": ["$attempts", 1_i64]},
    }
}

pub(super) async fn waits(
    tx: &mut Tx,
    id: RefundId,
    fence: Fence,
    again: Timestamp,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut set = looked(again);
    set.insert("refused", "$$REMOVE");
    advance(tx, id, fence, vec![doc! {"$set": set}], now).await
}

pub(super) async fn retry(
    tx: &mut Tx,
    id: RefundId,
    fence: Fence,
    again: Timestamp,
    refused: bool,
    why: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut set = looked(again);
    let words = doc! {"$literal": why};
    if refused {
        set.insert("refused", words.clone());
    }
    set.insert("why", words);
    advance(tx, id, fence, vec![doc! {"$set": set}], now).await
}
