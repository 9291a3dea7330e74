//! What providers report of messages, and what operators see of them.

use common::{clock::Timestamp, ids::MessageId, store::StoreError};
use mongo_store::{DocumentExt, Tx, date, outbox, sift, uuid, uuids};
use mongodb::bson::{Document, doc};
use uuid::Uuid;

use super::{
    letters,
    lists::entry,
    schema::{MESSAGES, SCHEDULES},
};
use crate::{
    domain::{
        delivery::{Outcome, after_report},
        message::{Kind, Status},
    },
    store::{News, Planned, Record, messages, table},
};

pub(super) async fn note(tx: &mut Tx, news: &News, now: Timestamp) -> Result<Option<MessageId>, StoreError> {
    let wanted = match news.id {
        Some(id) => doc! {
            "_id": uuid(id),
            "channel": "sms",
            "$or": [{"provider": {"$exists": false}}, {"provider": news.provider}],
        },
        None => doc! {"channel": "sms", "provider": news.provider, "provider_id": &news.provider_id},
    };
    let Some(found) = tx.find_one(MESSAGES, wanted).await? else {
        return Ok(None);
    };
    let (id, before): (MessageId, _) = (found.id("_id")?, found.named("status", Status::parse)?);
    let Some(status) = after_report(before, &news.outcome) else {
        return Ok(None);
    };
    let mut set = doc! {"status": status.name(), "provider": news.provider, "provider_id": &news.provider_id};
    let mut unset = doc! {"due_at": "", "lease_owner": ""};
    match &news.outcome {
        Outcome::Delivered => {
            set.insert("delivered_at", date(now));
            unset.insert("last_error", "");
        }
        Outcome::Failed(why) => {
            set.insert("last_error", why);
        }
    }
    if found.maybe_time("sent_at")?.is_none() {
        set.insert("sent_at", date(now));
    }
    // What was read must still be so.
    let as_read = doc! {"_id": uuid(id), "status": found.text("status")?};
    if !tx
        .update(MESSAGES, as_read, doc! {"$set": set, "$unset": unset})
        .await?
    {
        return Ok(None);
    }
    if before == Status::Sending {
        outbox::push(tx, &[messages::sent(id, found.id("user_id")?, now)]).await?;
    }
    if status == Status::Failed {
        letters::replace(tx, &found, now).await?;
    }
    Ok(Some(id))
}

pub(super) async fn redrive(
    tx: &mut Tx,
    ids: Option<&[MessageId]>,
    now: Timestamp,
) -> Result<usize, StoreError> {
    let which = match ids {
        Some(ids) => {
            doc! {"_id": {"$in": uuids(ids.iter().copied())}, "status": {"$in": ["dead", "failed"]}}
        }
        None => doc! {"status": "dead"},
    };
    let again = doc! {"$set": {"status": "queued", "due_at": date(now), "attempts": 0_i64}};
    let changed = tx.update_all(MESSAGES, which, again).await?;
    Ok(usize::try_from(changed).unwrap_or(usize::MAX))
}

pub(super) async fn record(tx: &mut Tx, id: MessageId) -> Result<Option<Record>, StoreError> {
    let found = tx.find_one(MESSAGES, doc! {"_id": uuid(id)}).await?;
    found.as_ref().map(read).transpose()
}

pub(super) async fn about(tx: &mut Tx, occurrence: Uuid) -> Result<(Vec<Record>, Vec<Planned>), StoreError> {
    let theirs = doc! {"occurrence": uuid(occurrence)};
    let found = tx.find(MESSAGES, theirs, doc! {"_id": 1}, 1000).await?;
    let records = sift(&found, read)?.left_out(table::MESSAGES);
    let planned = doc! {"registration_id": uuid(occurrence)};
    let found = tx.find(SCHEDULES, planned, doc! {"due_at": 1}, 1000).await?;
    let planned = sift(&found, |found| {
        Ok::<_, StoreError>(Planned {
            kind: found.named("kind", Kind::parse)?,
            due_at: found.time("due_at")?,
            status: found.text("status")?,
            why: found.maybe_text("why")?,
        })
    })?;
    Ok((records, planned.left_out(table::SCHEDULES)))
}

pub(super) async fn dead(tx: &mut Tx, limit: usize) -> Result<Vec<Record>, StoreError> {
    let found = tx
        .find(MESSAGES, doc! {"status": "dead"}, doc! {"_id": -1}, limit)
        .await?;
    Ok(sift(&found, read)?.left_out(table::MESSAGES))
}

fn read(found: &Document) -> Result<Record, StoreError> {
    Ok(Record {
        entry: entry(found)?,
        user_id: found.id("user_id")?,
        occurrence: found.id("occurrence")?,
        attempts: u32::try_from(found.long("attempts")?).unwrap_or(u32::MAX),
        due_at: found.maybe_time("due_at")?,
        not_after: found.maybe_time("not_after")?,
        provider: found.maybe_text("provider")?,
        provider_id: found.maybe_text("provider_id")?,
    })
}
