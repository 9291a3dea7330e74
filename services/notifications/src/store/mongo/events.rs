//! What is known of events, by version.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use common::{
    clock::Timestamp,
    ids::EventId,
    leads::Leads,
    store::StoreError,
    wire::{EventFacts, EventFormat},
};
use mongo_store::{DocumentExt, Tx, date, uuid};
use mongodb::bson::{Document, doc};

use super::schema::{ANNOUNCEMENTS, EVENTS};
use crate::domain::change::compare;

/// The newest facts of events, remembered for the length of one transaction or read.
#[derive(Default)]
pub(super) struct Newest {
    known: HashMap<EventId, Arc<EventFacts>>,
    relied_on: HashSet<EventId>,
}

impl Newest {
    /// What is known of an event.
    pub(super) async fn get(
        &mut self,
        tx: &mut Tx,
        event: EventId,
    ) -> Result<Option<Arc<EventFacts>>, StoreError> {
        if let Some(known) = self.known.get(&event) {
            return Ok(Some(known.clone()));
        }
        let found = tx
            .find(EVENTS, doc! {"event_id": uuid(event)}, doc! {"version": -1}, 1)
            .await?;
        let found = found.first().map(read).transpose()?.map(Arc::new);
        if let Some(found) = &found {
            self.known.insert(event, found.clone());
        }
        Ok(found)
    }

    /// Stores facts from whatever message brings them; the highest version wins. What a newer version means for
    /// attendees is announced from here on. Gives the newest facts.
    ///
    /// Transactions that rely on a version being the newest and those that supersede it both touch its document, so
    /// that two at the same time are serialized: no attendee joins by old facts past their announcement.
    pub(super) async fn learn(
        &mut self,
        tx: &mut Tx,
        facts: &EventFacts,
        now: Timestamp,
    ) -> Result<Arc<EventFacts>, StoreError> {
        let known = match self.get(tx, facts.event_id).await {
            // What cannot be read is replaced by the message's own facts.
            Err(StoreError::Corrupt(_)) => {
                tx.delete(EVENTS, doc! {"_id": id(facts.event_id, facts.version)})
                    .await?;
                None
            }
            known => known?,
        };
        if let Some(known) = &known {
            if self.relied_on.insert(facts.event_id) {
                let touched = doc! {"$inc": {"touched": 1_i64}};
                tx.update(EVENTS, doc! {"_id": id(known.event_id, known.version)}, touched)
                    .await?;
            }
            if known.version >= facts.version {
                return Ok(known.clone());
            }
        }
        insert(tx, facts).await?;
        if known.is_some_and(|known| compare(&known, facts, now).any()) {
            announce(tx, facts, now).await?;
        }
        let facts = Arc::new(facts.clone());
        self.known.insert(facts.event_id, facts.clone());
        Ok(facts)
    }
}

/// `_id` of one version of an event.
pub fn id(event: EventId, version: i64) -> String {
    format!("{event}:{version}")
}

/// One version of an event.
pub(super) async fn at_version(
    tx: &mut Tx,
    event: EventId,
    version: i64,
) -> Result<Option<EventFacts>, StoreError> {
    let found = tx.find_one(EVENTS, doc! {"_id": id(event, version)}).await?;
    found.as_ref().map(read).transpose()
}

async fn insert(tx: &mut Tx, facts: &EventFacts) -> Result<(), StoreError> {
    let mut document = doc! {
        "_id": id(facts.event_id, facts.version),
        "event_id": uuid(facts.event_id),
        "version": facts.version,
        "name": &facts.name,
        "address": &facts.address,
        "starts_at": date(facts.starts_at),
        "zone": facts.zone.name(),
        "schedule_version": facts.schedule_version,
        "cancelled": facts.cancelled,
        "format": facts.format.name(),
    };
    document.put("ends_at", facts.ends_at.map(date));
    document.put("join_url", facts.join_url.as_deref());
    document.put("reminders", facts.reminders.to_store());
    document.put("organizer", facts.organizer.map(uuid));
    tx.insert(EVENTS, vec![document]).await
}

/// An announcement that is still under way starts again with the newer version.
async fn announce(tx: &mut Tx, facts: &EventFacts, now: Timestamp) -> Result<(), StoreError> {
    let start = doc! {
        "$set": {"version": facts.version},
        "$unset": {"cursor": "", "why": ""},
        "$setOnInsert": {"created_at": date(now)},
    };
    tx.upsert(ANNOUNCEMENTS, doc! {"_id": uuid(facts.event_id)}, start)
        .await
        .map(drop)
}

fn read(found: &Document) -> Result<EventFacts, StoreError> {
    let zone = found.text("zone")?;
    Ok(EventFacts {
        event_id: found.id("event_id")?,
        name: found.text("name")?,
        address: found.text("address")?,
        starts_at: found.time("starts_at")?,
        zone: zone
            .parse()
            .map_err(|error| StoreError::Corrupt(format!("zone {zone}: {error}")))?,
        version: found.long("version")?,
        schedule_version: found.long("schedule_version")?,
        cancelled: found.flag("cancelled")?,
        format: found
            .maybe_named("format", EventFormat::parse)?
            .unwrap_or_default(),
        ends_at: found.maybe_time("ends_at")?,
        join_url: found.maybe_text("join_url")?,
        reminders: found.maybe_named("reminders", Leads::parse)?.unwrap_or_default(),
        organizer: found.maybe_id("organizer")?,
    })
}
