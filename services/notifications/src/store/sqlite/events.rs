//! What is known of events, by version.

use std::{collections::HashMap, sync::Arc};

use common::{
    clock::{Timestamp, from_millis},
    ids::EventId,
    leads::Leads,
    store::StoreError,
    wire::{EventFacts, EventFormat},
};
use sqlite_store::rows::{maybe_named, named};
use sqlite_store::{Connection, Row, params};

use crate::domain::change::compare;

const COLUMNS: &str = "event_id, name, address, starts_at, zone, version, schedule_version, cancelled, format, ends_at, join_url,
    reminders, organizer";

/// The newest facts of events, remembered for the length of one change or read.
#[derive(Default)]
pub struct Newest(HashMap<EventId, Arc<EventFacts>>);

impl Newest {
    /// What is known of an event.
    pub fn get(&mut self, db: &Connection, event: EventId) -> Result<Option<Arc<EventFacts>>, StoreError> {
        if let Some(known) = self.0.get(&event) {
            return Ok(Some(known.clone()));
        }
        let sql = format!("SELECT {COLUMNS} FROM events WHERE event_id = ?1 ORDER BY version DESC LIMIT 1");
        let found = db.prepare_cached(&sql)?.find([event], read)?.map(Arc::new);
        if let Some(found) = &found {
            self.0.insert(event, found.clone());
        }
        Ok(found)
    }

    /// Stores facts from whatever message brings them; the highest version wins. What a newer version means for
    /// attendees is announced from here on. Gives the newest facts.
    pub fn learn(
        &mut self,
        db: &Connection,
        facts: &EventFacts,
        now: Timestamp,
    ) -> Result<Arc<EventFacts>, StoreError> {
        let known = match self.get(db, facts.event_id) {
            // What cannot be read is replaced by the message's own facts.
            Err(StoreError::Corrupt(_)) => None,
            known => known?,
        };
        if let Some(known) = &known
            && known.version >= facts.version
        {
            return Ok(known.clone());
        }
        insert(db, facts)?;
        if known.is_some_and(|known| compare(&known, facts, now).any()) {
            announce(db, facts, now)?;
        }
        let facts = Arc::new(facts.clone());
        self.0.insert(facts.event_id, facts.clone());
        Ok(facts)
    }
}

/// One version of an event.
pub fn at_version(db: &Connection, event: EventId, version: i64) -> Result<Option<EventFacts>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM events WHERE event_id = ?1 AND version = ?2");
    Ok(db.prepare_cached(&sql)?.find(params![event, version], read)?)
}

fn insert(db: &Connection, facts: &EventFacts) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT INTO events (event_id, name, address, starts_at, zone, version, schedule_version, cancelled, format,
            ends_at, join_url, reminders, organizer)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
         ON CONFLICT (event_id, version) DO UPDATE SET name = excluded.name, address = excluded.address,
            starts_at = excluded.starts_at, zone = excluded.zone, schedule_version = excluded.schedule_version,
            cancelled = excluded.cancelled, format = excluded.format, ends_at = excluded.ends_at,
            join_url = excluded.join_url, reminders = excluded.reminders, organizer = excluded.organizer",
    )?
    .execute(params![
        facts.event_id,
        facts.name,
        facts.address,
        facts.starts_at.timestamp_millis(),
        facts.zone.name(),
        facts.version,
        facts.schedule_version,
        facts.cancelled,
        facts.format.name(),
        facts.ends_at.map(|at| at.timestamp_millis()),
        facts.join_url,
        facts.reminders.to_store(),
        facts.organizer,
    ])?;
    Ok(())
}

/// An announcement that is still under way starts again with the newer version.
fn announce(db: &Connection, facts: &EventFacts, now: Timestamp) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT INTO announcements (event_id, version, created_at) VALUES (?1, ?2, ?3)
         ON CONFLICT (event_id) DO UPDATE SET version = excluded.version, cursor = NULL, why = NULL",
    )?
    .execute(params![facts.event_id, facts.version, now.timestamp_millis()])?;
    Ok(())
}

fn read(row: &Row<'_>) -> sqlite_store::RowResult<EventFacts> {
    Ok(EventFacts {
        event_id: row.get(0)?,
        name: row.get(1)?,
        address: row.get(2)?,
        starts_at: from_millis(row.get(3)?),
        zone: named(row, 4, |zone| zone.parse().ok())?,
        version: row.get(5)?,
        schedule_version: row.get(6)?,
        cancelled: row.get(7)?,
        format: named(row, 8, EventFormat::parse)?,
        ends_at: row.get::<_, Option<i64>>(9)?.map(from_millis),
        join_url: row.get(10)?,
        reminders: maybe_named(row, 11, Leads::parse)?.unwrap_or_default(),
        organizer: row.get(12)?,
    })
}
