//! Messages and figures for display.

use common::{
    clock::{Timestamp, from_millis},
    http::Page,
    ids::{MessageId, UserId},
    store::StoreError,
    unreadable::Sifted,
};
use mongo_store::{DocumentExt, Key, Tx, date, uuid};
use mongodb::bson::{Document, doc};

use super::{
    delivery,
    letters::Reader,
    schema::{MESSAGES, SCHEDULES},
};
use crate::{
    domain::message::{Channel, Kind, Message, Status},
    store::{Entry, Listed, Only, Stats, event_of, table},
};

pub(super) async fn one(tx: &mut Tx, id: MessageId, user: UserId) -> Result<Option<Listed>, StoreError> {
    let theirs = doc! {"_id": uuid(id), "user_id": uuid(user)};
    match tx.find_one(MESSAGES, theirs).await? {
        Some(found) => listed(tx, &mut Reader::default(), &found).await.map(Some),
        None => Ok(None),
    }
}

pub(super) async fn of_user(
    tx: &mut Tx,
    user: UserId,
    only: Only,
    page: Page,
) -> Result<Vec<Listed>, StoreError> {
    let mut theirs = doc! {"user_id": uuid(user)};
    if only == Only::Unread {
        theirs.insert("read_at", doc! {"$exists": false});
    }
    if let Some(after) = page.after {
        let at = date(from_millis(after.key));
        theirs.insert(
            "$or",
            vec![
                doc! {"created_at": {"$lt": at.clone()}},
                doc! {"created_at": at, "_id": {"$lt": uuid(after.id)}},
            ],
        );
    }
    let wanted = page.limit + 1;
    let mut asked = wanted;
    loop {
        let newest_first = doc! {"created_at": -1, "_id": -1};
        let found = tx.find(MESSAGES, theirs.clone(), newest_first, asked).await?;
        let (mut reader, mut messages) = (Reader::default(), Sifted::default());
        for found in &found {
            messages.add(listed(tx, &mut reader, found).await, || Key::of(found))?;
        }
        match messages.ask_again(wanted, asked) {
            Some(more) => asked = more,
            None => return Ok(messages.left_out(table::MESSAGES)),
        }
    }
}

async fn listed(tx: &mut Tx, reader: &mut Reader, found: &Document) -> Result<Listed, StoreError> {
    Listed::new(entry(found)?, reader.read(tx, found).await)
}

pub(super) async fn mark_read(
    tx: &mut Tx,
    user: UserId,
    message: Option<MessageId>,
    now: Timestamp,
) -> Result<Option<usize>, StoreError> {
    let mut theirs = doc! {"user_id": uuid(user)};
    theirs.put("_id", message.map(uuid));
    if message.is_some() && tx.find_one(MESSAGES, theirs.clone()).await?.is_none() {
        return Ok(None);
    }
    theirs.insert("read_at", doc! {"$exists": false});
    let marked = tx
        .update_all(MESSAGES, theirs, doc! {"$set": {"read_at": date(now)}})
        .await?;
    Ok(Some(usize::try_from(marked).unwrap_or(usize::MAX)))
}

pub(super) fn entry(found: &Document) -> Result<Entry, StoreError> {
    Ok(Entry {
        id: found.id("_id")?,
        event_id: event_of(found.id("event_id")?),
        kind: found.named("kind", Kind::parse)?,
        channel: found.named("channel", Channel::parse)?,
        status: found.named("status", Status::parse)?,
        created_at: found.time("created_at")?,
        sent_at: found.maybe_time("sent_at")?,
        delivered_at: found.maybe_time("delivered_at")?,
        error: found.maybe_text("last_error")?,
        read_at: found.maybe_time("read_at")?,
    })
}

pub(super) async fn taken_by(
    tx: &mut Tx,
    provider: &str,
    address: Option<&str>,
    page: Page,
) -> Result<Vec<Message>, StoreError> {
    let mut taken = doc! {"provider": provider};
    taken.put("address", address);
    if let Some(after) = page.after {
        taken.insert("_id", doc! {"$lt": uuid(after.id)});
    }
    let wanted = page.limit + 1;
    let mut asked = wanted;
    loop {
        let found = tx.find(MESSAGES, taken.clone(), doc! {"_id": -1}, asked).await?;
        let (mut reader, mut messages) = (Reader::default(), Sifted::default());
        for found in &found {
            messages.add(reader.read(tx, found).await, || Key::of(found))?;
        }
        match messages.ask_again(wanted, asked) {
            Some(more) => asked = more,
            None => return Ok(messages.left_out(table::MESSAGES)),
        }
    }
}

pub(super) async fn find(tx: &mut Tx, provider: &str, id: MessageId) -> Result<Option<Message>, StoreError> {
    match tx
        .find_one(MESSAGES, doc! {"_id": uuid(id), "provider": provider})
        .await?
    {
        Some(found) => Reader::default().read(tx, &found).await.map(Some),
        None => Ok(None),
    }
}

pub(super) async fn stats(tx: &mut Tx, now: Timestamp) -> Result<Stats, StoreError> {
    let mut oldest: Option<Timestamp> = None;
    for channel in [Channel::Email, Channel::Sms] {
        let next = delivery::next(tx, channel).await?;
        oldest = oldest.into_iter().chain(next).min();
    }
    let channels = vec![Channel::Email.name(), Channel::Sms.name()];
    let waiting = doc! {"channel": {"$in": channels}, "due_at": {"$exists": true}};
    Ok(Stats {
        queued: tx.count(MESSAGES, waiting).await?,
        failed: tx.count(MESSAGES, doc! {"status": "failed"}).await?,
        dead: tx.count(MESSAGES, doc! {"status": "dead"}).await?,
        reminders_pending: tx.count(SCHEDULES, doc! {"status": "pending"}).await?,
        overdue_millis: oldest.map_or(0, |at| u64::try_from((now - at).num_milliseconds()).unwrap_or(0)),
    })
}
