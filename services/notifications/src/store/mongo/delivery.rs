//! Messages on their way out: claimed, reported on.

use common::{
    clock::{Timestamp, from_millis, latest_end},
    ids::MessageId,
    store::StoreError,
    unreadable::set_aside,
};
use mongo_store::{DocumentExt, Key, Tx, date, outbox, uuid, uuids};
use mongodb::bson::{Bson, Document, doc};
use uuid::Uuid;

use super::{
    letters::{self, Reader},
    schema::MESSAGES,
};
use crate::{
    domain::{
        delivery::{Turn, after_failure, turn},
        message::{Channel, Status},
    },
    store::{Claimed, DeliveryReport, Tried, messages, table},
};

/// Releases claims that end too far ahead, and what was written in the future: both were made before the clock was set
/// back.
pub(super) async fn release_outlasted(
    tx: &mut Tx,
    channel: Channel,
    now: Timestamp,
    until: Timestamp,
) -> Result<(), StoreError> {
    let latest = date(latest_end(now, until));
    let outlasted = doc! {
        "channel": channel.name(),
        "due_at": {"$exists": true, "$gt": date(now)},
        "$or": [
            {"status": "sending", "due_at": {"$gt": latest}},
            {"status": "queued", "attempts": 0_i64, "created_at": {"$gt": date(now)}},
        ],
    };
    tx.update_all(MESSAGES, outlasted, doc! {"$set": {"due_at": date(now)}})
        .await
        .map(drop)
}

fn attempts(found: &Document) -> Result<u32, StoreError> {
    Ok(u32::try_from(found.long("attempts")?).unwrap_or(u32::MAX))
}

async fn read(
    tx: &mut Tx,
    found: &Document,
    reader: &mut Reader,
    now: Timestamp,
) -> Result<(Turn, Claimed), StoreError> {
    let attempts = attempts(found)?;
    let not_after = found.maybe_time("not_after")?;
    let verdict = turn(attempts, found.flag("withdrawn")?, not_after, now);
    let mut message = reader.read(tx, found).await?;
    message.status = Status::Sending;
    let claimed = Claimed {
        message,
        fence: found.long("fence")? + 1,
        attempts: attempts + 1,
    };
    Ok((verdict, claimed))
}

/// Two workers that claim at once meet at the first message that both want; the one that comes second looks again.
pub(super) async fn claim(
    tx: &mut Tx,
    channel: Channel,
    owner: Uuid,
    now: Timestamp,
    until: Timestamp,
    limit: usize,
) -> Result<Vec<Claimed>, StoreError> {
    let due = doc! {"channel": channel.name(), "due_at": {"$exists": true, "$lte": date(now)}};
    let found = tx
        .find(MESSAGES, due, doc! {"due_at": 1, "_id": 1}, limit)
        .await?;
    let (mut reader, mut taken) = (Reader::default(), Vec::with_capacity(found.len()));
    for found in &found {
        match read(tx, found, &mut reader, now).await {
            Ok((Turn::Take, claimed)) => taken.push(claimed),
            Ok((Turn::Drop(why), claimed)) => {
                settle(tx, uuid(claimed.message.id), Status::Skipped, why).await?
            }
            Ok((Turn::GiveUp(why), _)) => lose(tx, found, Status::Dead, why, now).await?,
            Err(StoreError::Corrupt(why)) => {
                let key = Key::of(found);
                set_aside(table::MESSAGES, &key, &why);
                settle(tx, key, Status::Dead, &why).await?;
            }
            Err(error) => return Err(error),
        }
    }
    let ids: Vec<MessageId> = taken.iter().map(|claimed| claimed.message.id).collect();
    if !ids.is_empty() {
        let take = doc! {
            "$set": {"status": "sending", "due_at": date(until), "lease_owner": uuid(owner)},
            "$inc": {"fence": 1_i64, "attempts": 1_i64},
        };
        tx.update_all(MESSAGES, doc! {"_id": {"$in": uuids(ids)}}, take)
            .await?;
    }
    Ok(taken)
}

pub(super) async fn next(tx: &mut Tx, channel: Channel) -> Result<Option<Timestamp>, StoreError> {
    // Something that is no time would come first in the order of BSON, and is never due.
    let waiting = doc! {"channel": channel.name(), "due_at": {"$exists": true, "$gt": date(from_millis(0))}};
    let found = tx.find(MESSAGES, waiting, doc! {"due_at": 1}, 1).await?;
    found.first().map(|found| found.time("due_at")).transpose()
}

pub(super) async fn report(
    tx: &mut Tx,
    reports: &[DeliveryReport],
    now: Timestamp,
) -> Result<usize, StoreError> {
    let (mut held, mut published) = (0, Vec::new());
    for DeliveryReport { id, fence, result } in reports {
        let in_hand = doc! {"_id": uuid(*id), "fence": fence, "status": "sending"};
        held += usize::from(match result {
            Tried::Sent {
                provider,
                provider_id,
            } => {
                let sent = doc! {
                    "$set": {"status": "sent", "sent_at": date(now), "provider": provider, "provider_id": provider_id},
                    "$unset": {"due_at": "", "lease_owner": "", "last_error": ""},
                };
                match tx.find_and_update(MESSAGES, in_hand, doc! {}, sent).await? {
                    Some(found) => {
                        published.push(messages::sent(*id, found.id("user_id")?, now));
                        true
                    }
                    None => false,
                }
            }
            Tried::Retry { at, why } => failed(tx, in_hand, Ok(*at), why, now).await?,
            Tried::Failed { why } => failed(tx, in_hand, Err(Status::Failed), why, now).await?,
            Tried::Dead { why } => failed(tx, in_hand, Err(Status::Dead), why, now).await?,
            Tried::Returned => returned(tx, in_hand, now).await?,
        });
    }
    outbox::push(tx, &published).await?;
    Ok(held)
}

async fn returned(tx: &mut Tx, in_hand: Document, now: Timestamp) -> Result<bool, StoreError> {
    let Some(found) = tx.find_one(MESSAGES, in_hand.clone()).await? else {
        return Ok(false);
    };
    let mut update = doc! {"$inc": {"attempts": -1_i64}};
    if found.flag("withdrawn")? {
        update.insert("$set", doc! {"status": "skipped"});
        update.insert("$unset", doc! {"due_at": "", "lease_owner": ""});
    } else {
        update.insert("$set", doc! {"status": "queued", "due_at": date(now)});
        update.insert("$unset", doc! {"lease_owner": ""});
    }
    tx.update(MESSAGES, in_hand, update).await
}

async fn failed(
    tx: &mut Tx,
    in_hand: Document,
    again: Result<Timestamp, Status>,
    why: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let Some(found) = tx.find_one(MESSAGES, in_hand.clone()).await? else {
        return Ok(false);
    };
    let (attempts, withdrawn) = (attempts(&found)?, found.flag("withdrawn")?);
    let not_after = found.maybe_time("not_after")?;
    let next = again.map(|at| (at, after_failure(attempts, withdrawn, not_after, at)));
    match next {
        Ok((at, Status::Queued)) => {
            let update = doc! {
                "$set": {"status": "queued", "due_at": date(at), "last_error": why},
                "$unset": {"lease_owner": ""},
            };
            tx.update(MESSAGES, in_hand, update).await
        }
        Ok((_, status)) | Err(status) => {
            lose(tx, &found, status, why, now).await?;
            Ok(true)
        }
    }
}

/// Settles a message that will not be sent any more.
async fn lose(
    tx: &mut Tx,
    found: &Document,
    status: Status,
    why: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    settle(tx, uuid(found.id::<MessageId>("_id")?), status, why).await?;
    if matches!(status, Status::Failed | Status::Dead) {
        letters::replace(tx, found, now).await?;
    }
    Ok(())
}

async fn settle(tx: &mut Tx, id: impl Into<Bson>, status: Status, why: &str) -> Result<(), StoreError> {
    let update = doc! {
        "$set": {"status": status.name(), "last_error": why},
        "$unset": {"due_at": "", "lease_owner": ""},
    };
    tx.update_unchecked(MESSAGES, doc! {"_id": id}, update)
        .await
        .map(drop)
}
