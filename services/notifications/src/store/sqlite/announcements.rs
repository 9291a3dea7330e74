//! Changes of events on their way to those who attend.

use std::{collections::HashMap, sync::Arc};

use common::{
    clock::Timestamp,
    ids::{EventId, RegistrationId},
    store::StoreError,
    wire::EventFacts,
};
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::{events::at_version, intake::queue, reminders};
use crate::store::{Announcement, Attendee, Step};

pub fn next(db: &Connection, limit: usize) -> Result<Option<Announcement>, StoreError> {
    let found = db
        .prepare_cached("SELECT event_id, version, cursor FROM announcements ORDER BY created_at LIMIT 1")?
        .query_row([], |row| {
            Ok((
                row.get::<_, EventId>(0)?,
                row.get::<_, i64>(1)?,
                row.get::<_, Option<RegistrationId>>(2)?,
            ))
        })
        .optional()?;
    let Some((event, version, cursor)) = found else {
        return Ok(None);
    };
    let mut versions = HashMap::new();
    let facts = known(db, &mut versions, event, version)?;
    let mut statement = db.prepare_cached(
        "SELECT registration_id, user_id, told_version FROM attendances
         WHERE event_id = ?1 AND live = 1 AND registration_id > ?2 ORDER BY registration_id LIMIT ?3",
    )?;
    let mut rows = statement.query(params![
        event,
        cursor.map_or(Uuid::nil(), |id| id.0),
        limit as i64
    ])?;
    let mut attendees = Vec::new();
    while let Some(row) = rows.next()? {
        attendees.push(Attendee {
            registration_id: row.get(0)?,
            user_id: row.get(1)?,
            known: known(db, &mut versions, event, row.get(2)?)?,
        });
    }
    Ok(Some(Announcement {
        facts,
        cursor,
        attendees,
    }))
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
