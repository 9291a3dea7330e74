//! The outbox in the service's own database.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use futures_util::FutureExt;
use mongodb::bson::{Bson, Document, doc};
use uuid::Uuid;

use super::{Collection, DocumentExt, Index, Key, Mongo, Tx, date, lease, sift, uuid};
use common::{
    clock::{Timestamp, from_millis},
    outbox::{
        CloudEvent, DEAD_LETTERS_AT_ONCE, DeadLetter, Failure, NewMessage, OutboxStats, OutboxStore, Waiting,
    },
    services::Service,
    store::StoreError,
    unreadable::{not_json, set_aside},
};

/// Part of the schema of every service that publishes messages. `_id` is the place in the order.
pub const SCHEMA: Collection = Collection {
    name: NAME,
    fields: MESSAGE,
    check: None,
    indexes: &[
        Index::on(&[("destination", 1), ("_id", 1)]),
        Index::on(&[("destination", 1), ("subject", 1), ("_id", 1)]),
        // Those that wait for another try are few; the filter keeps the index small.
        Index::on(&[("destination", 1), ("retry_at", 1)]).only(|| doc! {"retry_at": {"$exists": true}}),
        Index::on(&[("time", 1)]),
    ],
};
/// Likewise: messages that were given up.
pub const DEAD_LETTERS: Collection = Collection {
    name: DEAD,
    fields: MESSAGE,
    check: None,
    indexes: &[
        Index::on(&[("message_id", 1)]),
        Index::on(&[("subject", 1)]),
        Index::on(&[("time", 1), ("_id", 1)]),
    ],
};
const NAME: &str = "outbox";
const DEAD: &str = "dead_letters";
const MESSAGE: &[(&str, &str)] = &[
    ("message_id", "binData"),
    ("destination", "string"),
    ("kind", "string"),
    ("subject", "binData"),
    ("time", "date"),
    ("data", "string"),
    ("attempts", "long"),
    ("retry_at", "date?"),
    ("why", "string?"),
    ("request_id", "string?"),
];
/// Stores messages in the transaction of the change they report; returns the place of each.
///
/// Places are microseconds since 1970 in the upper bits and chance in the lower 10, and never below one given before by
/// this process. Clocks of two processes may differ, so a message also comes after those of its subject that still
/// wait: transactions that change the same subject meet there, so the look is safe.
///
/// # Errors
/// A storage error.
pub async fn push(tx: &mut Tx, messages: &[NewMessage]) -> Result<Vec<i64>, StoreError> {
    if messages.is_empty() {
        return Ok(Vec::new());
    }
    let mut subjects = BTreeMap::<&str, Vec<Bson>>::new();
    for message in messages {
        let subjects = subjects.entry(message.destination).or_default();
        subjects.push(uuid(message.subject));
    }
    let mut after = 0;
    for (destination, subjects) in subjects {
        after = last_place(tx, destination, subjects).await?.max(after);
    }
    let mut places = Vec::with_capacity(messages.len());
    let mut documents = Vec::with_capacity(messages.len());
    for message in messages {
        let place = next_place(after);
        after = place;
        places.push(place);
        let mut document = doc! {
            "_id": place,
            "message_id": uuid(message.id),
            "destination": message.destination,
            "kind": message.kind,
            "subject": uuid(message.subject),
            "time": date(message.time),
            "data": &message.data,
            "attempts": 0_i64,
        };
        document.put("request_id", message.request_id.as_deref());
        documents.push(document);
    }
    tx.insert(NAME, documents).await?;
    Ok(places)
}

/// The last place of messages to `destination` about any of `subjects`; 0: there is none.
async fn last_place(tx: &mut Tx, destination: &str, subjects: Vec<Bson>) -> Result<i64, StoreError> {
    let earlier = doc! {"destination": destination, "subject": {"$in": subjects}};
    let last = tx.find(NAME, earlier, doc! {"_id": -1}, 1).await?;
    last.first().map_or(Ok(0), |last| last.long("_id"))
}

fn next_place(after: i64) -> i64 {
    static LAST: AtomicI64 = AtomicI64::new(0);
    let micros = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_micros() as i64);
    let now = (micros << 10) | rand::random_range(0..1 << 10);
    let step = |last: i64| Some(now.max(last + 1).max(after + 1));
    let last = LAST
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, step)
        .unwrap_or_default();
    now.max(last + 1).max(after + 1)
}

/// The place of the last message about `subject` to `destination` that has yet to be delivered.
///
/// # Errors
/// A storage error.
pub async fn pending_about(
    tx: &mut Tx,
    destination: &str,
    subject: impl Into<Uuid>,
) -> Result<Option<i64>, StoreError> {
    let about = doc! {"destination": destination, "subject": uuid(subject)};
    let last = tx.find(NAME, about, doc! {"_id": -1}, 1).await?;
    last.first().map(|last| last.long("_id")).transpose()
}

/// The outbox of a service.
pub struct MongoOutbox {
    /// The service's database.
    pub db: Mongo,
    /// The publisher: the messages' `source`.
    pub service: Service,
}

impl MongoOutbox {
    /// As the relay takes it.
    pub fn shared(db: Mongo, service: Service) -> Arc<dyn OutboxStore> {
        Arc::new(Self { db, service })
    }

    fn waiting(&self, message: &Document) -> Result<Waiting, StoreError> {
        let seq = message.long("_id")?;
        let event = CloudEvent::new(
            self.service.name(),
            message.id("message_id")?,
            message.text("kind")?,
            message.id("subject")?,
            message.time("time")?,
            message.text("data")?,
        )
        .map_err(|error| not_json("data", &error))?
        .caused_by(message.maybe_text("request_id")?);
        Ok(Waiting {
            seq,
            attempts: u32::try_from(message.long("attempts")?).unwrap_or(u32::MAX),
            event,
        })
    }

    /// A retry cannot read it either: it becomes a dead letter.
    async fn give_up_unreadable(&self, key: Key, why: String) -> Result<(), StoreError> {
        set_aside(self.service.outbox(), &key, &why);
        self.db
            .write((Bson::from(key), why), |tx, (id, why)| {
                async move {
                    let this = doc! {"_id": id.clone()};
                    if let Some(message) = tx.find_one(NAME, this.clone()).await? {
                        tx.insert(DEAD, vec![dead_letter(&message, why)]).await?;
                        tx.delete(NAME, this).await?;
                    }
                    Ok(())
                }
                .boxed()
            })
            .await
    }
}

/// A dead letter of what can be read of a message, and the whole of it as text where its data are none.
fn dead_letter(message: &Document, why: &str) -> Document {
    let id = |name: &str| message.id::<Uuid>(name).unwrap_or_default();
    let text = |name: &str| message.text(name).unwrap_or_default();
    let mut letter = doc! {
        "_id": message.get("_id"),
        "message_id": uuid(id("message_id")),
        "destination": text("destination"),
        "kind": text("kind"),
        "subject": uuid(id("subject")),
        "time": date(message.time("time").unwrap_or_else(|_| from_millis(0))),
        "data": message.text("data").unwrap_or_else(|_| message.to_string()),
        "attempts": message.long("attempts").unwrap_or_default(),
        "why": why,
    };
    letter.put("request_id", message.maybe_text("request_id").ok().flatten());
    letter
}

#[async_trait]
impl OutboxStore for MongoOutbox {
    async fn due(&self, destination: &str, now: Timestamp, limit: usize) -> Result<Vec<Waiting>, StoreError> {
        let mut tx = self.db.read();
        let mut due = Vec::new();
        let mut page = doc! {"destination": destination};
        loop {
            let found = tx.find(NAME, page, doc! {"_id": 1}, limit).await?;
            let whole = found.len() < limit;
            let last = found.last().and_then(|message| message.get("_id").cloned());
            due.extend(without_waiting(&mut tx, destination, now, found).await?);
            match last {
                Some(last) if !whole && due.len() < limit => {
                    page = doc! {"destination": destination, "_id": {"$gt": last}};
                }
                _ => break,
            }
        }
        due.truncate(limit);
        let sifted = sift(&due, |message| self.waiting(message))?;
        for (key, why) in sifted.unreadable {
            self.give_up_unreadable(key, why).await?;
        }
        Ok(sifted.rows)
    }

    async fn lease(
        &self,
        destination: &str,
        owner: Uuid,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<i64>, StoreError> {
        lease::acquire(&self.db, &name(destination), owner, now, until).await
    }

    async fn settle(
        &self,
        destination: &str,
        owner: Uuid,
        fence: i64,
        delivered: Vec<i64>,
        failed: Vec<Failure>,
    ) -> Result<bool, StoreError> {
        self.db
            .write(
                (name(destination), owner, fence, delivered, failed),
                |tx, (name, owner, fence, delivered, failed)| {
                    async move {
                        if !lease::holds(tx, name, *owner, *fence).await? {
                            return Ok(false);
                        }
                        if !delivered.is_empty() {
                            tx.delete(NAME, doc! {"_id": {"$in": delivered}}).await?;
                        }
                        for failure in failed {
                            fail(tx, failure).await?;
                        }
                        Ok(true)
                    }
                    .boxed()
                },
            )
            .await
    }

    async fn release(&self, destination: &str, owner: Uuid) -> Result<(), StoreError> {
        lease::release(&self.db, &name(destination), owner).await
    }

    async fn is_pending(&self, seq: i64) -> Result<bool, StoreError> {
        Ok(self.db.read().find_one(NAME, doc! {"_id": seq}).await?.is_some())
    }

    async fn stats(&self, now: Timestamp) -> Result<OutboxStats, StoreError> {
        let mut tx = self.db.read();
        let oldest = tx.find(NAME, doc! {}, doc! {"time": 1}, 1).await?;
        let age = |message: &Document| {
            let since = message
                .time("time")
                .map_or(0, |time| (now - time).num_milliseconds());
            u64::try_from(since).unwrap_or(0)
        };
        Ok(OutboxStats {
            // By the index; a plain count of everything would read the collection.
            pending: tx.count(NAME, doc! {"destination": {"$gte": ""}}).await?,
            dead: tx.count(DEAD, doc! {"_id": {"$gte": 0_i64}}).await?,
            oldest_millis: oldest.first().map_or(0, age),
        })
    }

    async fn dead_letters(&self) -> Result<Vec<DeadLetter>, StoreError> {
        let mut tx = self.db.read();
        let found = tx
            .find(DEAD, doc! {}, doc! {"time": 1, "_id": 1}, DEAD_LETTERS_AT_ONCE)
            .await?;
        let letter = |found: &Document| {
            let text = |name: &str| found.text(name).unwrap_or_default();
            DeadLetter {
                id: found.id("message_id").unwrap_or_default(),
                destination: text("destination"),
                kind: text("kind"),
                subject: found.id("subject").unwrap_or_default(),
                time: found.time("time").unwrap_or_else(|_| from_millis(0)),
                attempts: u32::try_from(found.long("attempts").unwrap_or_default()).unwrap_or(u32::MAX),
                why: text("why"),
            }
        };
        Ok(found.iter().map(letter).collect())
    }

    async fn redrive(&self, ids: Vec<Uuid>) -> Result<usize, StoreError> {
        let mut redriven = 0;
        for id in ids {
            let redrive = self.db.write(id, |tx, id| {
                async move {
                    let this = doc! {"message_id": uuid(*id)};
                    let found = tx.find(DEAD, this, doc! {"_id": 1}, 1).await?;
                    let Some(mut message) = found.into_iter().next() else {
                        return Ok::<usize, StoreError>(0);
                    };
                    let subject = message.get("subject").cloned().unwrap_or(Bson::Null);
                    let after = last_place(
                        tx,
                        &message.text("destination").unwrap_or_default(),
                        vec![subject],
                    )
                    .await?;
                    tx.delete(DEAD, doc! {"_id": message.get("_id")}).await?;
                    message.insert("_id", next_place(after));
                    message.insert("attempts", 0_i64);
                    message.remove("retry_at");
                    message.remove("why");
                    tx.insert(NAME, vec![message]).await?;
                    Ok(1)
                }
                .boxed()
            });
            redriven += redrive.await?;
        }
        Ok(redriven)
    }

    async fn drop_dead_letters(&self, ids: Vec<Uuid>) -> Result<usize, StoreError> {
        let ids: Vec<Bson> = ids.into_iter().map(uuid).collect();
        let dropped = self
            .db
            .write(ids, |tx, ids| {
                tx.delete(DEAD, doc! {"message_id": {"$in": ids}}).boxed()
            })
            .await?;
        Ok(usize::try_from(dropped).unwrap_or(usize::MAX))
    }
}

/// Messages without those that wait for another try, and without those about the same subjects that come after them.
async fn without_waiting(
    tx: &mut Tx,
    destination: &str,
    now: Timestamp,
    mut messages: Vec<Document>,
) -> Result<Vec<Document>, StoreError> {
    let subject = |message: &Document| message.get("subject").cloned().unwrap_or(Bson::Null);
    let mut waits = doc! {"destination": destination, "retry_at": {"$gt": date(now)}};
    // As a rule there are none, which the index says at once.
    if tx.find_one(NAME, waits.clone()).await?.is_none() {
        return Ok(messages);
    }
    waits.insert(
        "subject",
        doc! {"$in": messages.iter().map(subject).collect::<Vec<_>>()},
    );
    let waiting = tx.find(NAME, waits, doc! {"_id": 1}, usize::MAX).await?;
    let place = |message: &Document| message.get_i64("_id").unwrap_or(i64::MAX);
    messages.retain(|message| {
        let (about, at) = (subject(message), place(message));
        !waiting
            .iter()
            .any(|first| subject(first) == about && place(first) <= at)
    });
    Ok(messages)
}

async fn fail(tx: &mut Tx, failure: &Failure) -> Result<(), StoreError> {
    let this = doc! {"_id": failure.seq};
    let mut set = doc! {"why": &failure.why};
    set.put("retry_at", failure.retry_at.map(date));
    tx.update(
        NAME,
        this.clone(),
        doc! {"$set": set, "$inc": {"attempts": 1_i64}},
    )
    .await?;
    if failure.retry_at.is_none()
        && let Some(message) = tx.find_one(NAME, this.clone()).await?
    {
        tx.insert(DEAD, vec![message]).await?;
        tx.delete(NAME, this).await?;
    }
    Ok(())
}

fn name(destination: &str) -> String {
    format!("relay:{destination}")
}
