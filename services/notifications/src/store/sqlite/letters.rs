//! Message rows: written, withdrawn and read.

use std::collections::HashMap;

use common::{
    clock::{Timestamp, from_millis},
    ids::{EventId, MessageId, RegistrationId},
    store::StoreError,
    unreadable::not_json,
    wire::EventFacts,
};
use sqlite_store::rows::{maybe_time, named};
use sqlite_store::{Connection, Row, params};

use super::{
    broadcasts::Said,
    events,
    preferences::wanted,
    wordings::{Own, worded},
};
use crate::domain::{
    kind::Kinds,
    letters::in_place_of,
    message::{Channel, Details, Kind, Letter, Message, Status},
};
use crate::store::{event_of, stored_event};

/// The columns that [`Reader::read`] reads, in its order.
pub const COLUMNS: &str =
    "id, user_id, event_id, event_version, occurrence, kind, channel, address, name, details,
    status, created_at, sent_at";
/// The number of [`COLUMNS`].
pub const WIDTH: usize = 13;

/// Queues a letter with the words in force for it, unless it was queued before. Of a decline that is not sent yet, the newest content counts.
pub fn queue(
    db: &Connection,
    letter: &Letter,
    event_version: Option<i64>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let details = worded(db, letter)?;
    let details = serde_json::to_string(&details).map_err(|error| StoreError::Corrupt(error.to_string()))?;
    db.prepare_cached(
        "INSERT INTO messages (id, user_id, event_id, event_version, occurrence, kind, channel, schedule_version,
            address, name, details, status, due_at, not_after, created_at)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 'queued', ?12, ?13, ?14
         WHERE NOT EXISTS (SELECT 1 FROM forgotten WHERE user_id = ?2)
         ON CONFLICT (occurrence, kind, channel, schedule_version) DO UPDATE SET details = excluded.details
            WHERE kind = 'payment_failed' AND status = 'queued'",
    )?
    .execute(params![
        letter.id,
        letter.user_id,
        stored_event(letter.event_id),
        event_version,
        letter.occurrence,
        letter.kind.name(),
        letter.channel.name(),
        letter.schedule_version,
        letter.address,
        letter.name,
        details,
        letter.not_before.unwrap_or(now).timestamp_millis(),
        letter.not_after.map(|at| at.timestamp_millis()),
        now.timestamp_millis(),
    ])?;
    Ok(())
}

/// Withdraws unsent letters of some kinds about a registration, those of schedules before `schedule_version`. One that a
/// worker has leased cannot be called back, but is not retried.
pub fn withdraw(
    db: &Connection,
    registration: RegistrationId,
    kinds: impl Into<Kinds>,
    schedule_version: i64,
) -> Result<(), StoreError> {
    let (first, last) = kinds.into().names();
    db.prepare_cached(
        "UPDATE messages SET
            withdrawn = 1,
            due_at = CASE status WHEN 'queued' THEN NULL ELSE due_at END,
            status = CASE status WHEN 'queued' THEN 'skipped' ELSE status END
         WHERE occurrence = ?1 AND kind BETWEEN ?2 AND ?3 AND schedule_version < ?4
            AND status IN ('queued', 'sending')",
    )?
    .execute(params![registration, first, last, schedule_version])?;
    Ok(())
}

/// Queues an e-mail in place of a text message that has not arrived, where one is to go, its reader wants it and still takes part.
pub fn replace(db: &Connection, lost: MessageId, now: Timestamp) -> Result<(), StoreError> {
    let sql = format!(
        "SELECT {COLUMNS}, schedule_version, not_after, event_version FROM messages
         WHERE id = ?1 AND channel = 'sms' AND withdrawn = 0 AND NOT EXISTS
            (SELECT 1 FROM attendances WHERE registration_id = occurrence AND live = 0)"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query([lost])?;
    let Some(row) = rows.next()? else {
        return Ok(());
    };
    let message = match Reader::default().read(db, &row) {
        // Nobody knows where an e-mail would go.
        Err(StoreError::Corrupt(_)) => return Ok(()),
        message => message?,
    };
    let not_after = maybe_time(&row, WIDTH + 1)?;
    let Some(letter) = in_place_of(&message, row.get(WIDTH)?, not_after, now) else {
        return Ok(());
    };
    let event_version = row.get(WIDTH + 2)?;
    for letter in wanted(db, &[letter], now)? {
        queue(db, &letter, event_version, now)?;
    }
    Ok(())
}

/// Reads messages, and the facts of each event version and all words once.
#[derive(Default)]
pub struct Reader {
    facts: HashMap<(EventId, i64), Option<EventFacts>>,
    said: Said,
    own: Own,
}

impl Reader {
    /// The message in a row of [`COLUMNS`].
    pub fn read(&mut self, db: &Connection, row: &Row<'_>) -> Result<Message, StoreError> {
        let event_id = row.get(2)?;
        let facts = match row.get::<_, Option<i64>>(3)? {
            Some(version) => self.facts(db, event_id, version)?,
            None => None,
        };
        let details: String = row.get(9)?;
        let mut details: Details =
            serde_json::from_str(&details).map_err(|error| not_json("details", &error))?;
        if let Some(announcement) = details.announcement {
            details.words = self.said.of(db, announcement)?;
        }
        if let Some(wording) = details.wording {
            details.own = self.own.of(db, wording)?;
        }
        Ok(Message {
            id: row.get(0)?,
            user_id: row.get(1)?,
            event_id: event_of(event_id),
            occurrence: row.get(4)?,
            kind: named(row, 5, Kind::parse)?,
            channel: named(row, 6, Channel::parse)?,
            address: row.get(7)?,
            name: row.get(8)?,
            details,
            facts,
            status: named(row, 10, Status::parse)?,
            created_at: from_millis(row.get(11)?),
            sent_at: row.get::<_, Option<i64>>(12)?.map(from_millis),
        })
    }

    fn facts(
        &mut self,
        db: &Connection,
        event: EventId,
        version: i64,
    ) -> Result<Option<EventFacts>, StoreError> {
        if let Some(known) = self.facts.get(&(event, version)) {
            return Ok(known.clone());
        }
        let found = events::at_version(db, event, version)?;
        self.facts.insert((event, version), found.clone());
        Ok(found)
    }
}
