//! What is counted of events.

use common::{clock::Timestamp, ids::EventId, money::Paise, store::StoreError};
use mongo_store::{DocumentExt, Tx, date, uuid};
use mongodb::bson::{Document, doc};
use uuid::Uuid;

use super::schema::{COUNTS, EVENTS, REGISTRATIONS};
use crate::{
    domain::{
        counts::{Bucket, Counts, begins},
        event::Event,
    },
    store::desk::Counted,
};

/// An hour is counted in so many documents: transactions that change the same one conflict.
const PARTS: u128 = 16;

/// The id of the document that counts an hour.
pub fn count_id(event: Uuid, hour: i64, part: u128) -> String {
    format!("{event}:{hour}:{part}")
}

/// Adds to what is counted of an event. `of` chooses the part: what was changed.
pub(super) async fn add(
    tx: &mut Tx,
    event: &Event,
    counts: Counts,
    of: Uuid,
    now: Timestamp,
) -> Result<(), StoreError> {
    let hour = begins(now, event.time.zone, Bucket::Hour);
    let id = count_id(event.id.0, hour.timestamp_millis(), of.as_u128() % PARTS);
    let adding = doc! {
        "$inc": fields(&counts),
        "$setOnInsert": {"event_id": uuid(event.id), "hour": date(hour)},
    };
    tx.upsert(COUNTS, doc! {"_id": id}, adding).await.map(drop)
}

fn fields(counts: &Counts) -> Document {
    doc! {
        "confirmed": counts.confirmed,
        "ended": counts.ended,
        "cancelled": counts.cancelled,
        "paid": counts.paid.0,
        "refunded": counts.refunded.0,
        "checked_in": counts.checked_in,
    }
}

pub(super) async fn of(tx: &mut Tx, event: EventId, now: Timestamp) -> Result<Counted, StoreError> {
    let held = doc! {
        "event_id": uuid(event),
        "status": "pending_payment",
        "hold_expires_at": {"$gt": date(now)},
    };
    let pending_payment = tx.count(REGISTRATIONS, held).await?;
    let found = tx
        .find(
            COUNTS,
            doc! {"event_id": uuid(event)},
            doc! {"hour": 1},
            usize::MAX,
        )
        .await?;
    let mut hours: Vec<(Timestamp, Counts)> = Vec::new();
    for found in &found {
        let (hour, counts) = (found.time("hour")?, read(found)?);
        match hours.last_mut() {
            Some((last, sum)) if *last == hour => *sum = sum.and(counts),
            _ => hours.push((hour, counts)),
        }
    }
    Ok(Counted {
        pending_payment,
        hours,
    })
}

fn read(found: &Document) -> Result<Counts, StoreError> {
    Ok(Counts {
        confirmed: found.long("confirmed")?,
        ended: found.long("ended")?,
        cancelled: found.long("cancelled")?,
        paid: Paise(found.long("paid")?),
        refunded: Paise(found.long("refunded")?),
        checked_in: found.long("checked_in")?,
    })
}

/// Events of an earlier release, which did not count.
pub(super) async fn uncounted(tx: &mut Tx, limit: usize) -> Result<Vec<Document>, StoreError> {
    tx.find(EVENTS, doc! {"counted": null}, doc! {}, limit).await
}

/// Counts what was before, in the hour in which the event was created. What this release has counted of the event meanwhile is counted
/// anew, but for check-ins, which there were none of before.
pub(super) async fn count(tx: &mut Tx, event: &Document) -> Result<(), StoreError> {
    let id: EventId = event.id("_id")?;
    // Every registration that comes or goes changes the event too, so this fails and is repeated if one does.
    let this = doc! {"_id": uuid(id), "counted": null};
    if !tx.update(EVENTS, this, doc! {"$set": {"counted": true}}).await? {
        return Ok(());
    }
    let zeroed =
        doc! {"confirmed": 0_i64, "ended": 0_i64, "cancelled": 0_i64, "paid": 0_i64, "refunded": 0_i64};
    tx.update_all(COUNTS, doc! {"event_id": uuid(id)}, doc! {"$set": zeroed})
        .await?;
    let counting = vec![
        doc! {"$match": {"event_id": uuid(id), "status": {"$in": ["confirmed", "cancelled"]}}},
        doc! {"$group": {
            "_id": {"status": "$status", "paid": {"$gt": ["$payment_id", null]}},
            "count": {"$sum": 1_i64},
            "paid": {"$sum": {"$ifNull": ["$paid", "$amount"]}},
        }},
    ];
    let mut counts = Counts::default();
    for group in tx.aggregate(REGISTRATIONS, counting).await? {
        let (number, sum) = (group.long("count")?, Paise(group.long("paid")?));
        let key = group.get_document("_id").cloned().unwrap_or_default();
        let (is_confirmed, is_paid) = (key.text("status")? == "confirmed", key.flag("paid")?);
        let paid = if is_paid { sum } else { Paise::ZERO };
        counts = counts.and(match is_confirmed {
            true => Counts {
                confirmed: number,
                paid,
                ..Counts::default()
            },
            false => Counts {
                cancelled: number,
                paid,
                refunded: paid,
                ..Counts::default()
            },
        });
    }
    let created = event.time("created_at")?;
    let hour = begins(created, chrono_tz::UTC, Bucket::Hour);
    let adding = doc! {
        "$inc": fields(&counts),
        "$setOnInsert": {"event_id": uuid(id), "hour": date(hour)},
    };
    let id = count_id(id.0, hour.timestamp_millis(), 0);
    tx.upsert(COUNTS, doc! {"_id": id}, adding).await.map(drop)
}
