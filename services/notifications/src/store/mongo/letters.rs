//! Message documents: written, withdrawn and read.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use common::{
    clock::Timestamp,
    ids::{EventId, RegistrationId, UserId},
    store::StoreError,
    unreadable::not_json,
    wire::EventFacts,
};
use mongo_store::{DocumentExt, Tx, date, uuid};
use mongodb::bson::{Bson, Document, doc};
use uuid::Uuid;

use super::{
    broadcasts::Said,
    events, preferences,
    schema::{ATTENDANCES, FORGOTTEN, MESSAGES},
    wordings::{InForce, Own},
};
use crate::domain::{
    kind::Kinds,
    letters::in_place_of,
    message::{Channel, Details, Kind, Letter, Message},
    preferences::chosen,
};
use crate::store::{event_of, stored_event};

/// What makes a letter one that was written before.
type Once = (Uuid, String, String, i64);

/// A letter with the version of the event that it announces.
pub(super) type Queued<'a> = (&'a Letter, Option<i64>);

/// Queues letters with the words in force for them, except those that were queued before. Of a decline that is not sent yet, the newest content
/// counts.
pub(super) async fn queue<'a>(tx: &mut Tx, letters: &[Queued<'a>], now: Timestamp) -> Result<(), StoreError> {
    if letters.is_empty() {
        return Ok(());
    }
    let users: HashSet<Uuid> = letters.iter().map(|(letter, _)| letter.user_id.0).collect();
    let users: Vec<Bson> = users.into_iter().map(uuid).collect();
    let limit = users.len();
    let forgotten = tx
        .find(FORGOTTEN, doc! {"_id": {"$in": users}}, doc! {}, limit)
        .await?;
    let forgotten: HashSet<Uuid> = forgotten
        .iter()
        .map(|found| found.id("_id"))
        .collect::<Result<_, _>>()?;
    let users: HashSet<UserId> = letters.iter().map(|(letter, _)| letter.user_id).collect();
    let choices = preferences::of_all(tx, &users).await?;
    let wanted = |(letter, version): &Queued<'a>| {
        let choice = choices.get(&letter.user_id);
        let is_gone = forgotten.contains(&letter.user_id.0);
        let letter = chosen(letter, choice, now).filter(|_| !is_gone)?;
        Some((letter, *version))
    };
    let letters: Vec<(Cow<'_, Letter>, Option<i64>)> = letters.iter().filter_map(wanted).collect();
    let occurrences: HashSet<Uuid> = letters.iter().map(|(letter, _)| letter.occurrence).collect();
    let about: Vec<Bson> = occurrences.into_iter().map(uuid).collect();
    // A registration has a few letters of each kind at most.
    let found = tx
        .find(MESSAGES, doc! {"occurrence": {"$in": about}}, doc! {}, usize::MAX)
        .await?;
    let mut told: HashSet<Once> = HashSet::with_capacity(found.len() + letters.len());
    // One that cannot be read is none that could be written now.
    told.extend(found.iter().filter_map(|found| once(found).ok()));
    let in_force = InForce::of(tx, letters.iter().map(|(letter, _)| letter.as_ref())).await?;
    let mut documents = Vec::with_capacity(letters.len());
    for (letter, event_version) in &letters {
        let (kind, channel) = (letter.kind.name().to_owned(), letter.channel.name().to_owned());
        if told.insert((letter.occurrence, kind, channel, letter.schedule_version)) {
            documents.push(document(letter, &in_force.worded(letter), *event_version, now)?);
        } else if letter.kind == Kind::PaymentFailed {
            let waiting = doc! {
                "occurrence": uuid(letter.occurrence),
                "kind": letter.kind.name(),
                "channel": letter.channel.name(),
                "schedule_version": letter.schedule_version,
                "status": "queued",
            };
            let newest = doc! {"$set": {"details": json(&letter.details)?}};
            tx.update(MESSAGES, waiting, newest).await?;
        }
    }
    tx.insert(MESSAGES, documents).await
}

fn once(found: &Document) -> Result<Once, StoreError> {
    Ok((
        found.id("occurrence")?,
        found.text("kind")?,
        found.text("channel")?,
        found.long("schedule_version")?,
    ))
}

fn json(details: &Details) -> Result<String, StoreError> {
    serde_json::to_string(details).map_err(|error| StoreError::Corrupt(error.to_string()))
}

fn document(
    letter: &Letter,
    details: &Details,
    event_version: Option<i64>,
    now: Timestamp,
) -> Result<Document, StoreError> {
    let mut document = doc! {
        "_id": uuid(letter.id),
        "user_id": uuid(letter.user_id),
        "event_id": uuid(stored_event(letter.event_id)),
        "occurrence": uuid(letter.occurrence),
        "kind": letter.kind.name(),
        "channel": letter.channel.name(),
        "schedule_version": letter.schedule_version,
        "address": &letter.address,
        "details": json(details)?,
        "status": "queued",
        "due_at": date(letter.not_before.unwrap_or(now)),
        "withdrawn": false,
        "attempts": 0_i64,
        "fence": 0_i64,
        "created_at": date(now),
    };
    document.put("event_version", event_version);
    document.put("name", letter.name.as_deref());
    document.put("not_after", letter.not_after.map(date));
    Ok(document)
}

/// Withdraws unsent letters of some kinds about a registration, those of schedules before `schedule_version`. One that
/// a worker has leased cannot be called back, but is not retried.
pub(super) async fn withdraw(
    tx: &mut Tx,
    registration: RegistrationId,
    kinds: &[impl Into<Kinds> + Copy],
    schedule_version: i64,
) -> Result<(), StoreError> {
    let kinds: Vec<Document> = kinds
        .iter()
        .map(|kinds| {
            let (first, last) = (*kinds).into().names();
            doc! {"kind": {"$gte": first, "$lte": last}}
        })
        .collect();
    if kinds.is_empty() {
        return Ok(());
    }
    let these = doc! {
        "occurrence": uuid(registration),
        "$or": kinds,
        "schedule_version": {"$lt": schedule_version},
    };
    let mut waiting = these.clone();
    waiting.insert("status", "queued");
    let drop = doc! {"$set": {"withdrawn": true, "status": "skipped"}, "$unset": {"due_at": ""}};
    tx.update_all(MESSAGES, waiting, drop).await?;
    let mut in_hand = these;
    in_hand.insert("status", "sending");
    tx.update_all(MESSAGES, in_hand, doc! {"$set": {"withdrawn": true}})
        .await?;
    Ok(())
}

/// Queues an e-mail in place of a text message that has not arrived, where one is to go, its reader wants it and still takes part.
pub(super) async fn replace(tx: &mut Tx, lost: &Document, now: Timestamp) -> Result<(), StoreError> {
    if lost.text("channel")? != Channel::Sms.name() || lost.flag("withdrawn")? {
        return Ok(());
    }
    let message = match Reader::default().read(tx, lost).await {
        // Nobody knows where an e-mail would go.
        Err(StoreError::Corrupt(_)) => return Ok(()),
        message => message?,
    };
    let (version, not_after) = (lost.long("schedule_version")?, lost.maybe_time("not_after")?);
    let Some(letter) = in_place_of(&message, version, not_after, now) else {
        return Ok(());
    };
    let has_left = doc! {"_id": uuid(letter.occurrence), "live": false};
    if tx.find_one(ATTENDANCES, has_left).await?.is_some() {
        return Ok(());
    }
    queue(tx, &[(&letter, lost.maybe_long("event_version")?)], now).await
}

/// Reads messages, and the facts of each event version and all words once.
#[derive(Default)]
pub(super) struct Reader {
    facts: HashMap<(EventId, i64), Option<EventFacts>>,
    said: Said,
    own: Own,
}

impl Reader {
    /// The message in a document.
    pub(super) async fn read(&mut self, tx: &mut Tx, found: &Document) -> Result<Message, StoreError> {
        let event_id = found.id("event_id")?;
        let facts = match found.maybe_long("event_version")? {
            Some(version) => self.facts(tx, event_id, version).await?,
            None => None,
        };
        let mut details: Details =
            serde_json::from_str(&found.text("details")?).map_err(|error| not_json("details", &error))?;
        if let Some(announcement) = details.announcement {
            details.words = self.said.of(tx, announcement).await?;
        }
        if let Some(wording) = details.wording {
            details.own = self.own.of(tx, wording).await?;
        }
        Ok(Message {
            id: found.id("_id")?,
            user_id: found.id("user_id")?,
            event_id: event_of(event_id),
            occurrence: found.id("occurrence")?,
            kind: found.named("kind", Kind::parse)?,
            channel: found.named("channel", Channel::parse)?,
            address: found.text("address")?,
            name: found.maybe_text("name")?,
            details,
            facts,
            status: found.named("status", crate::domain::message::Status::parse)?,
            created_at: found.time("created_at")?,
            sent_at: found.maybe_time("sent_at")?,
        })
    }

    async fn facts(
        &mut self,
        tx: &mut Tx,
        event: EventId,
        version: i64,
    ) -> Result<Option<EventFacts>, StoreError> {
        if let Some(known) = self.facts.get(&(event, version)) {
            return Ok(known.clone());
        }
        let found = events::at_version(tx, event, version).await?;
        self.facts.insert((event, version), found.clone());
        Ok(found)
    }
}
