//! Changes of events on their way to attendees.

use std::{collections::HashMap, sync::Arc};

use common::{
    clock::Timestamp,
    ids::{EventId, RegistrationId},
    store::StoreError,
    unreadable,
    wire::EventFacts,
};
use sqlite_store::rows::{Key, sift};
use sqlite_store::{Connection, Row, params};
use uuid::Uuid;

use super::{events::at_version, intake::queue, reminders};
use crate::store::{Announcement, Attendee, Step, table};

/// What the oldest announcement asks for.
pub enum Next {
    /// The next step.
    Step(Announcement),
    /// There is none.
    None,
    /// It cannot be read: its event, and why. [`set_aside`] is for it.
    Unreadable(Key, String),
}

pub fn next(db: &Connection, limit: usize) -> Result<Next, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT event_id, version, cursor FROM announcements WHERE why IS NULL ORDER BY created_at LIMIT 1",
    )?;
    let mut rows = statement.query(params![])?;
    let Some(row) = rows.next()? else {
        return Ok(Next::None);
    };
    match read(db, &row, limit) {
        Ok(step) => Ok(Next::Step(step)),
        Err(StoreError::Corrupt(why)) => Ok(Next::Unreadable(Key::of(&row, 0), why)),
        Err(error) => Err(error),
    }
}

/// Leaves an announcement alone until its event changes again.
pub fn set_aside(db: &Connection, event: &Key, why: &str) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE announcements SET why = ?2 WHERE event_id = ?1")?
        .execute(params![event, why])?;
    unreadable::set_aside(table::ANNOUNCEMENTS, event, why);
    Ok(())
}

fn read(db: &Connection, row: &Row<'_>, limit: usize) -> Result<Announcement, StoreError> {
    let (event, version): (EventId, i64) = (row.get(0)?, row.get(1)?);
    let cursor: Option<RegistrationId> = row.get(2)?;
    let mut versions = HashMap::new();
    let facts = known(db, &mut versions, event, version)?;
    let mut statement = db.prepare_cached(
        "SELECT registration_id, user_id, told_version FROM attendances
         WHERE event_id = ?1 AND live = 1 AND registration_id > ?2 ORDER BY registration_id LIMIT ?3",
    )?;
    let rows = statement.query(params![
        event,
        cursor.map_or(Uuid::nil(), |id| id.0),
        limit as i64
    ])?;
    let attendees = sift(rows, 0, |row| {
        let told = known(db, &mut versions, event, row.get(2)?);
        Ok::<_, StoreError>(Attendee {
            registration_id: row.get(0)?,
            user_id: row.get(1)?,
            known: readable(told, || Key::of(row, 0))?,
        })
    })?;
    Ok(Announcement {
        facts,
        cursor,
        attendees: attendees.left_out(table::ATTENDANCES),
    })
}

/// The facts that an attendee was last notified of, if they can be read.
fn readable(
    told: Result<Arc<EventFacts>, StoreError>,
    key: impl FnOnce() -> Key,
) -> Result<Option<Arc<EventFacts>>, StoreError> {
    match told {
        Ok(told) => Ok(Some(told)),
        Err(StoreError::Corrupt(why)) => {
            unreadable::left_out(table::ATTENDANCES, &key(), &why);
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn known(
    db: &Connection,
    versions: &mut HashMap<i64, Arc<EventFacts>>,
    event: EventId,
    version: i64,
) -> Result<Arc<EventFacts>, StoreError> {
    if let Some(known) = versions.get(&version) {
        return Ok(known.clone());
    }
    let found = at_version(db, event, version)?
        .ok_or_else(|| StoreError::Corrupt(format!("version {version} of event {event} is missing")))?;
    Ok(versions.entry(version).or_insert(Arc::new(found)).clone())
}

pub fn step(db: &Connection, step: &Step, now: Timestamp) -> Result<bool, StoreError> {
    let facts = &step.facts;
    let Some((last, _)) = step.reached.last() else {
        let over = db
            .prepare_cached(
                "DELETE FROM announcements WHERE event_id = ?1 AND version = ?2 AND cursor IS ?3",
            )?
            .execute(params![facts.event_id, facts.version, step.cursor])?;
        return Ok(over == 1);
    };
    let moved = db
        .prepare_cached(
            "UPDATE announcements SET cursor = ?4 WHERE event_id = ?1 AND version = ?2 AND cursor IS ?3",
        )?
        .execute(params![facts.event_id, facts.version, step.cursor, last])?;
    if moved == 0 {
        return Ok(false);
    }
    for (registration, letters) in &step.reached {
        let untold = db
            .prepare_cached(
                "UPDATE attendances SET told_version = ?2
                 WHERE registration_id = ?1 AND live = 1 AND told_version < ?2",
            )?
            .execute(params![registration, facts.version])?;
        if untold == 1 {
            reminders::follow(db, *registration, facts, now)?;
            queue(db, letters, Some(facts.version), now)?;
        }
    }
    Ok(true)
}
