//! Orders.

use common::{
    clock::{Timestamp, from_millis, latest_end},
    ids::{OrderId, RegistrationId},
    money::Paise,
    store::StoreError,
};
use mongo_store::{DocumentExt, Tx, date, set_aside, sift, uuid};
use mongodb::bson::{Bson, Document, doc};

use super::schema::ORDERS;
use crate::{
    domain::order::Order,
    store::{ASKED, Fence, Opened, UNREADABLE_AGAIN, table},
};

/// Orders that are due and not leased.
pub(super) fn due_now(now: Timestamp) -> Document {
    doc! {"reconcile_at": {"$exists": true, "$lte": date(now)}, "worked_until": {"$lte": date(now)}}
}

/// Orders whose lease ends after [`latest_end`]: leased before the clock was set back.
pub(super) fn outlasted(now: Timestamp, until: Timestamp) -> Document {
    let latest = date(latest_end(now, until));
    doc! {"reconcile_at": {"$exists": true, "$gt": latest.clone()}, "worked_until": {"$gt": latest}}
}

pub(super) fn read(found: &Document) -> Result<Order, StoreError> {
    Ok(Order {
        id: found.id("_id")?,
        registration_id: found.id("registration_id")?,
        event_id: found.id("event_id")?,
        event_name: found.text("event_name")?,
        user_id: found.id("user_id")?,
        amount: Paise(found.long("amount")?),
        razorpay_id: found.maybe_text("razorpay_id")?,
        paid_by: found.maybe_id("paid_by")?,
        created_at: found.time("created_at")?,
    })
}

async fn one(tx: &mut Tx, filter: Document) -> Result<Option<Order>, StoreError> {
    tx.find_one(ORDERS, filter).await?.as_ref().map(read).transpose()
}

pub(super) async fn by_registration(tx: &mut Tx, id: RegistrationId) -> Result<Option<Order>, StoreError> {
    one(tx, doc! {"registration_id": uuid(id)}).await
}

pub(super) async fn by_razorpay_id(tx: &mut Tx, id: &str) -> Result<Option<Order>, StoreError> {
    one(tx, doc! {"razorpay_id": id}).await
}

pub(super) async fn by_id(tx: &mut Tx, id: OrderId) -> Result<Option<Order>, StoreError> {
    one(tx, doc! {"_id": uuid(id)}).await
}

pub(super) async fn open(
    tx: &mut Tx,
    wanted: &Order,
    now: Timestamp,
    until: Timestamp,
) -> Result<Opened, StoreError> {
    let found = by_registration(tx, wanted.registration_id).await?;
    let fresh = found.is_none();
    let order = match found {
        Some(order) => order,
        None => {
            let document = doc! {
                "_id": uuid(wanted.id),
                "registration_id": uuid(wanted.registration_id),
                "event_id": uuid(wanted.event_id),
                "event_name": &wanted.event_name,
                "user_id": uuid(wanted.user_id),
                "amount": wanted.amount.0,
                "created_at": date(wanted.created_at),
                "worked_until": date(from_millis(0)),
                "fence": 0_i64,
                "looks": 0_i64,
            };
            // A concurrent insert violates the index, is retried, and finds this one.
            tx.insert(ORDERS, vec![document]).await?;
            Order {
                razorpay_id: None,
                paid_by: None,
                ..wanted.clone()
            }
        }
    };
    if let Some(payment) = order.paid_by {
        return Ok(Opened::Paid(payment));
    }
    let fence = claim(tx, order.id, now, until, unless_asked(date(until))).await?;
    Ok(match fence {
        Some(fence) => Opened::Ready { order, fence, fresh },
        None => Opened::Busy,
    })
}

/// The new due time of an order; a look requested by a webhook ([`ASKED`]) takes precedence.
pub(super) fn unless_asked(at: Bson) -> Bson {
    let asked = doc! {"$eq": ["$reconcile_at", date(ASKED)]};
    doc! {"$cond": [asked, date(ASKED), at]}.into()
}

/// Leases an order. The end of the lease is also when the reconciler takes over if the worker dies.
async fn claim(
    tx: &mut Tx,
    id: OrderId,
    now: Timestamp,
    until: Timestamp,
    reconcile_at: Bson,
) -> Result<Option<Fence>, StoreError> {
    let latest = date(latest_end(now, until));
    let free = doc! {"_id": uuid(id), "$or": [{"worked_until": {"$lte": date(now)}}, {"worked_until": {"$gt": latest}}]};
    let take = vec![doc! {"$set": {
        "worked_until": date(until),
        "reconcile_at": reconcile_at,
        "fence": {"$add": ["$fence", 1_i64]},
    }}];
    let claimed = tx.find_and_update(ORDERS, free, doc! {}, take).await?;
    claimed.map(|claimed| claimed.long("fence")).transpose()
}

pub(super) async fn close(
    tx: &mut Tx,
    id: OrderId,
    fence: Fence,
    reconcile_at: Option<Timestamp>,
) -> Result<(), StoreError> {
    let again = reconcile_at.map_or(Bson::from("$$REMOVE"), date);
    let update = vec![doc! {"$set": {
        "worked_until": date(from_millis(0)),
        "looks": {"$add": ["$looks", 1_i64]},
        "reconcile_at": unless_asked(again),
    }}];
    tx.update(ORDERS, doc! {"_id": uuid(id), "fence": fence}, update)
        .await
        .map(drop)
}

pub(super) async fn due(
    tx: &mut Tx,
    now: Timestamp,
    until: Timestamp,
    limit: usize,
) -> Result<Vec<(Order, Fence)>, StoreError> {
    let by_time = doc! {"reconcile_at": 1};
    let mut found = tx.find(ORDERS, due_now(now), by_time.clone(), limit).await?;
    if found.is_empty() {
        found = tx.find(ORDERS, outlasted(now, until), by_time, limit).await?;
    }
    let orders = sift(&found, read)?;
    let again = |_: &str| {
        doc! {"$set": {"reconcile_at": date(now + UNREADABLE_AGAIN), "worked_until": date(from_millis(0))}}
    };
    let orders = set_aside(tx, ORDERS, table::ORDERS, orders, again).await?;
    let mut claimed = Vec::with_capacity(orders.len());
    for order in orders {
        if let Some(fence) = claim(tx, order.id, now, until, date(until)).await? {
            claimed.push((order, fence));
        }
    }
    Ok(claimed)
}

pub(super) async fn set_razorpay_id(
    tx: &mut Tx,
    id: OrderId,
    razorpay_id: &str,
) -> Result<String, StoreError> {
    let order = by_id(tx, id).await?;
    let order = order.ok_or_else(|| StoreError::Corrupt(format!("order {id} is missing")))?;
    if let Some(known) = order.razorpay_id {
        return Ok(known);
    }
    tx.update(
        ORDERS,
        doc! {"_id": uuid(id)},
        doc! {"$set": {"razorpay_id": razorpay_id}},
    )
    .await?;
    Ok(razorpay_id.to_owned())
}
