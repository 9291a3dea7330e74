//! Announcements of organizers.

use std::{collections::HashMap, sync::Arc};

use common::{
    clock::{Timestamp, from_millis},
    http::Page,
    ids::{AnnouncementId, EventId, UserId},
    store::StoreError,
    unreadable,
    wire::Recipients,
};
use sqlite_store::rows::{Key, named, sift};
use sqlite_store::{Connection, Row, params};

use super::{events::Newest, letters::queue, preferences::wanted};
use crate::{
    domain::{
        broadcast::{
            A_DAY, Broadcast, Channels, Counts, DAY, State, TO_ONE_A_DAY, Words, mark, may_announce, reaches,
        },
        message::Kind,
    },
    store::{
        broadcasts::{AnnounceError, BroadcastStep, DueBroadcast, Progress, Reached, WithdrawError},
        table,
    },
};

/// The table. Letters of an announcement are found by its mark, which is their `schedule_version`.
pub const SCHEMA: &str = "
-- What organizers write to those who take part in their events.
CREATE TABLE broadcasts (
    id         BLOB    NOT NULL PRIMARY KEY,
    event_id   BLOB    NOT NULL,
    organizer  BLOB    NOT NULL,
    subject    TEXT    NOT NULL,
    text       TEXT    NOT NULL,
    recipients_are TEXT NOT NULL,          -- which of those who take part
    channels   TEXT    NOT NULL,
    state      TEXT    NOT NULL CHECK (state IN ('scheduled', 'sending', 'sent', 'cancelled')),
    send_at    INTEGER NOT NULL,           -- ms
    due_at     INTEGER NOT NULL,           -- ms; the next step, later than send_at after a failure
    created_at INTEGER NOT NULL,           -- ms
    started_at INTEGER,                    -- ms
    cursor     BLOB,                       -- the last user reached
    recipients INTEGER NOT NULL DEFAULT 0,
    skipped    INTEGER NOT NULL DEFAULT 0,
    why        TEXT                        -- of one that was set aside, because it cannot be read
) STRICT, WITHOUT ROWID;
CREATE INDEX broadcasts_by_event ON broadcasts (event_id, id);
CREATE INDEX broadcasts_by_organizer ON broadcasts (organizer, created_at, id);
CREATE INDEX broadcasts_to_send ON broadcasts (due_at) WHERE state IN ('scheduled', 'sending');
CREATE INDEX messages_of_broadcasts ON messages (schedule_version, status) WHERE kind = 'announcement';
";

const COLUMNS: &str =
    "id, event_id, organizer, subject, text, recipients_are, channels, state, send_at, created_at,
    recipients, skipped";

fn read(row: &Row<'_>) -> sqlite_store::RowResult<Broadcast> {
    Ok(Broadcast {
        id: row.get(0)?,
        event_id: row.get(1)?,
        organizer: row.get(2)?,
        words: Words {
            subject: row.get(3)?,
            text: row.get(4)?,
        },
        to: named(row, 5, Recipients::parse)?,
        channels: named(row, 6, Channels::from_store)?,
        state: named(row, 7, State::parse)?,
        send_at: from_millis(row.get(8)?),
        created_at: from_millis(row.get(9)?),
        recipients: row.get::<_, u32>(10)?.into(),
        skipped: row.get::<_, u32>(11)?.into(),
    })
}

pub fn create(db: &Connection, broadcast: Broadcast) -> Result<Broadcast, AnnounceError> {
    let now = broadcast.created_at;
    let mut earlier = {
        let mut statement = db
            .prepare_cached(
                "SELECT created_at FROM broadcasts
                 WHERE organizer = ?1 AND created_at > ?2 AND state <> 'cancelled'
                 ORDER BY created_at DESC LIMIT ?3",
            )
            .map_err(StoreError::from)?;
        let since = (now - DAY).timestamp_millis();
        statement
            .all(params![broadcast.organizer, since, A_DAY as i64], |row| {
                Ok(from_millis(row.get(0)?))
            })
            .map_err(StoreError::from)?
    };
    earlier.reverse();
    may_announce(&earlier, now).map_err(AnnounceError::TooMany)?;
    db.prepare_cached(
        "INSERT INTO broadcasts (id, event_id, organizer, subject, text, recipients_are, channels, state, send_at,
            due_at, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9, ?10)",
    )
    .and_then(|mut insert| {
        insert.execute(params![
            broadcast.id,
            broadcast.event_id,
            broadcast.organizer,
            broadcast.words.subject,
            broadcast.words.text,
            broadcast.to.name(),
            broadcast.channels.to_store(),
            broadcast.state.name(),
            broadcast.send_at.timestamp_millis(),
            now.timestamp_millis(),
        ])
    })
    .map_err(StoreError::from)?;
    Ok(broadcast)
}

fn find(db: &Connection, id: AnnouncementId, event: EventId) -> Result<Option<Broadcast>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM broadcasts WHERE id = ?1 AND event_id = ?2");
    Ok(db.prepare_cached(&sql)?.find(params![id, event], read)?)
}

pub fn one(
    db: &Connection,
    id: AnnouncementId,
    event: EventId,
) -> Result<Option<(Broadcast, Counts)>, StoreError> {
    let found = find(db, id, event)?;
    found.map(|broadcast| counted(db, broadcast)).transpose()
}

pub fn of_event(db: &Connection, event: EventId, page: Page) -> Result<Vec<(Broadcast, Counts)>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM broadcasts WHERE event_id = ?1 AND (?2 IS NULL OR id < ?2) ORDER BY id DESC LIMIT ?3"
    );
    let after = page.after.map(|cursor| cursor.id);
    let mut statement = db.prepare_cached(&sql)?;
    let found = sift(
        statement.query(params![event, after, (page.limit + 1) as i64])?,
        0,
        read,
    )?;
    found
        .left_out(table::BROADCASTS)
        .into_iter()
        .map(|broadcast| counted(db, broadcast))
        .collect()
}

pub fn by_organizer(db: &Connection, organizer: UserId, page: Page) -> Result<Vec<Broadcast>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM broadcasts
         WHERE organizer = ?1 AND (?2 IS NULL OR (created_at, id) < (?2, ?3))
         ORDER BY created_at DESC, id DESC LIMIT ?4"
    );
    let (key, id) = page.after.map(|cursor| (cursor.key, cursor.id)).unzip();
    let mut statement = db.prepare_cached(&sql)?;
    let rows = statement.query(params![organizer, key, id, (page.limit + 1) as i64])?;
    Ok(sift(rows, 0, read)?.left_out(table::BROADCASTS))
}

fn counted(db: &Connection, broadcast: Broadcast) -> Result<(Broadcast, Counts), StoreError> {
    let mut counts = Counts::default();
    let by_status: Vec<(String, u64)> = db
        .prepare_cached(
            "SELECT status, count(*) FROM messages WHERE kind = 'announcement' AND schedule_version = ?1
             GROUP BY status",
        )?
        .all(params![mark(broadcast.id)], |row| {
            Ok((row.get(0)?, row.get::<_, u32>(1)?.into()))
        })?;
    for (status, letters) in by_status {
        counts.add(&status, letters);
    }
    Ok((broadcast, counts))
}

pub fn withdraw(db: &Connection, id: AnnouncementId, event: EventId) -> Result<Broadcast, WithdrawError> {
    let found = find(db, id, event)?.ok_or(WithdrawError::NoSuch)?;
    let withdrawn = db
        .prepare_cached("UPDATE broadcasts SET state = 'cancelled' WHERE id = ?1 AND state = 'scheduled'")
        .and_then(|mut update| update.execute([id]))
        .map_err(StoreError::from)?;
    if withdrawn == 0 {
        return Err(WithdrawError::UnderWay);
    }
    Ok(Broadcast {
        state: State::Cancelled,
        ..found
    })
}

/// What is due next.
pub enum Due {
    /// This one.
    Next(Box<DueBroadcast>),
    /// Nothing.
    None,
    /// It cannot be read: its id, and why. [`set_aside`] is for it.
    Unreadable(Key, String),
}

pub fn due(db: &Connection, now: Timestamp) -> Result<Due, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS}, cursor FROM broadcasts
         WHERE state IN ('scheduled', 'sending') AND due_at <= ?1 AND why IS NULL ORDER BY due_at LIMIT 1"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query(params![now.timestamp_millis()])?;
    let Some(row) = rows.next()? else {
        return Ok(Due::None);
    };
    let due = read(&row).and_then(|broadcast| {
        Ok(DueBroadcast {
            broadcast,
            cursor: row.get(12)?,
        })
    });
    match due.map_err(StoreError::from) {
        Ok(due) => Ok(Due::Next(Box::new(due))),
        Err(StoreError::Corrupt(why)) => Ok(Due::Unreadable(Key::of(&row, 0), why)),
        Err(error) => Err(error),
    }
}

/// Leaves an announcement alone from now on.
pub fn set_aside(db: &Connection, id: &Key, why: &str) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE broadcasts SET why = ?2 WHERE id = ?1")?
        .execute(params![id, why])?;
    unreadable::set_aside(table::BROADCASTS, id, why);
    Ok(())
}

pub fn step(db: &Connection, step: &BroadcastStep, now: Timestamp) -> Result<bool, StoreError> {
    let (state, last) = match &step.progress {
        Progress::Reached { people, .. } => (State::Sending, people.last().map(|last| last.user_id)),
        Progress::Over => (State::Sent, step.cursor),
        Progress::Stopped => (State::Cancelled, step.cursor),
        Progress::Delayed(until) => return delay(db, step, *until),
    };
    let moved = db
        .prepare_cached(
            "UPDATE broadcasts SET state = ?3, cursor = ?4, started_at = coalesce(started_at, ?5)
             WHERE id = ?1 AND cursor IS ?2 AND state IN ('scheduled', 'sending')",
        )?
        .execute(params![
            step.id,
            step.cursor,
            state.name(),
            last,
            now.timestamp_millis()
        ])?;
    let Progress::Reached { facts, people } = &step.progress else {
        return Ok(moved == 1);
    };
    if moved == 0 {
        return Ok(false);
    }
    let facts = Newest::default().learn(db, facts, now)?;
    let crowded = is_crowded(db, step.id, facts.event_id, now)?;
    let (mut reached, mut skipped) = (0_i64, 0_i64);
    for person in people {
        let letters = wanted(db, &person.letters, now)?;
        if letters.is_empty()
            || has_left(db, person)?
            || (crowded && !reaches(got(db, person.user_id, facts.event_id, now)?))
        {
            skipped += 1;
            continue;
        }
        reached += 1;
        for letter in &letters {
            queue(db, letter, Some(facts.version), now)?;
        }
    }
    db.prepare_cached(
        "UPDATE broadcasts SET recipients = recipients + ?2, skipped = skipped + ?3 WHERE id = ?1",
    )?
    .execute(params![step.id, reached, skipped])?;
    Ok(true)
}

fn delay(db: &Connection, step: &BroadcastStep, until: Timestamp) -> Result<bool, StoreError> {
    let delayed = db
        .prepare_cached(
            "UPDATE broadcasts SET due_at = ?3
             WHERE id = ?1 AND cursor IS ?2 AND state IN ('scheduled', 'sending')",
        )?
        .execute(params![step.id, step.cursor, until.timestamp_millis()])?;
    Ok(delayed == 1)
}

fn has_left(db: &Connection, person: &Reached) -> Result<bool, StoreError> {
    Ok(db
        .prepare_cached("SELECT 1 FROM attendances WHERE registration_id = ?1 AND live = 0")?
        .exists(params![person.registration_id])?)
}

/// Whether the event has had so many announcements within a day that somebody may have got too many.
fn is_crowded(
    db: &Connection,
    id: AnnouncementId,
    event: EventId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let others: i64 = db
        .prepare_cached(
            "SELECT count(*) FROM broadcasts WHERE event_id = ?1 AND id <> ?2 AND started_at > ?3",
        )?
        .one(params![event, id, (now - DAY).timestamp_millis()], |row| {
            row.get(0)
        })?;
    Ok(others >= TO_ONE_A_DAY as i64)
}

/// How many announcements of the event a user has got within a day.
fn got(db: &Connection, user: UserId, event: EventId, now: Timestamp) -> Result<usize, StoreError> {
    let got: i64 = db
        .prepare_cached(
            "SELECT count(DISTINCT schedule_version) FROM messages
             WHERE user_id = ?1 AND created_at > ?2 AND event_id = ?3 AND kind = ?4",
        )?
        .one(
            params![
                user,
                (now - DAY).timestamp_millis(),
                event,
                Kind::Announcement.name()
            ],
            |row| row.get(0),
        )?;
    Ok(usize::try_from(got).unwrap_or_default())
}

/// What announcements say, each looked up once.
#[derive(Default)]
pub struct Said(HashMap<AnnouncementId, Option<Arc<Words>>>);

impl Said {
    /// The words of an announcement, if it is there.
    pub fn of(&mut self, db: &Connection, id: AnnouncementId) -> Result<Option<Arc<Words>>, StoreError> {
        if let Some(known) = self.0.get(&id) {
            return Ok(known.clone());
        }
        let found = db
            .prepare_cached("SELECT subject, text FROM broadcasts WHERE id = ?1")?
            .find([id], |row| {
                Ok(Words {
                    subject: row.get(0)?,
                    text: row.get(1)?,
                })
            })?
            .map(Arc::new);
        self.0.insert(id, found.clone());
        Ok(found)
    }
}
