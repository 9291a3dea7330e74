//! The outbox in the service's own file.

use std::sync::Arc;

use crate::{Connection, Row, params};
use async_trait::async_trait;
use uuid::Uuid;

use super::{
    Sqlite, lease,
    rows::{Key, sift},
};
use common::{
    clock::{Timestamp, from_millis},
    outbox::{
        CloudEvent, DEAD_LETTERS_AT_ONCE, DeadLetter, Failure, NewMessage, OutboxStats, OutboxStore, Waiting,
    },
    services::Service,
    store::StoreError,
    unreadable::{not_json, set_aside},
};

/// The tables; part of the first migration of every service that sends messages. Needs [`lease::SCHEMA`].
pub const SCHEMA: &str = "
CREATE TABLE outbox (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,  -- never reused, so that order survives an empty table
    id          BLOB    NOT NULL,
    destination TEXT    NOT NULL,
    kind        TEXT    NOT NULL,
    subject     BLOB    NOT NULL,
    time        INTEGER NOT NULL,                   -- ms
    data        TEXT    NOT NULL,
    attempts    INTEGER NOT NULL DEFAULT 0,
    retry_at    INTEGER NOT NULL DEFAULT 0,         -- ms
    why         TEXT
);
CREATE INDEX outbox_by_destination ON outbox (destination, seq);
-- Only messages that were refused are in here, so looking for an earlier one of the same subject is cheap.
CREATE INDEX outbox_refused ON outbox (destination, subject, seq) WHERE attempts > 0;
CREATE TABLE dead_letters (
    id          BLOB    NOT NULL PRIMARY KEY,
    destination TEXT    NOT NULL,
    kind        TEXT    NOT NULL,
    subject     BLOB    NOT NULL,
    time        INTEGER NOT NULL,
    data        TEXT    NOT NULL,
    attempts    INTEGER NOT NULL,
    why         TEXT
) WITHOUT ROWID;
";

/// What later releases have added; a migration of its own.
pub const REQUEST_IDS: &str = "
ALTER TABLE outbox ADD COLUMN request_id TEXT;
ALTER TABLE dead_letters ADD COLUMN request_id TEXT;
";

/// Stores a message in the commit of the change it reports, and returns its place. Wake the relay after the
/// commit.
///
/// # Errors
/// A storage error.
pub fn push(db: &Connection, message: &NewMessage) -> Result<i64, StoreError> {
    db.prepare_cached(
        "INSERT INTO outbox (id, destination, kind, subject, time, data, request_id) VALUES (?1,?2,?3,?4,?5,?6,?7)",
    )?
    .execute(params![
        message.id,
        message.destination,
        message.kind,
        message.subject,
        message.time.timestamp_millis(),
        message.data,
        message.request_id
    ])?;
    Ok(db.last_insert_rowid())
}

/// The newest message about `subject` that `destination` has yet to get. Looks through all that wait for it, which are
/// few unless it is away.
///
/// # Errors
/// A storage error.
pub fn pending_about(db: &Connection, destination: &str, subject: Uuid) -> Result<Option<i64>, StoreError> {
    Ok(db
        .prepare_cached("SELECT max(seq) FROM outbox WHERE destination = ?1 AND subject = ?2")?
        .one(params![destination, subject], |row| row.get(0))?)
}

/// The outbox of a service.
pub struct SqliteOutbox {
    /// The service's file.
    pub db: Sqlite,
    /// The publisher: the messages' `source`.
    pub service: Service,
}

impl SqliteOutbox {
    /// As the relay takes it.
    pub fn shared(db: Sqlite, service: Service) -> Arc<dyn OutboxStore> {
        Arc::new(Self { db, service })
    }
}

#[async_trait]
impl OutboxStore for SqliteOutbox {
    async fn due(&self, destination: &str, now: Timestamp, limit: usize) -> Result<Vec<Waiting>, StoreError> {
        let (destination, service) = (destination.to_owned(), self.service);
        let found = self
            .db
            .read(move |db| {
                let mut statement = db.prepare_cached(
                    "SELECT seq, attempts, id, kind, subject, time, data, request_id FROM outbox AS o
                     WHERE destination = ?1 AND NOT EXISTS (
                        SELECT 1 FROM outbox AS r WHERE r.attempts > 0 AND r.destination = ?1
                        AND r.subject = o.subject AND r.seq <= o.seq AND r.retry_at > ?2)
                     ORDER BY seq LIMIT ?3",
                )?;
                let rows = statement.query(params![destination, now.timestamp_millis(), limit as i64])?;
                sift(rows, 0, |row| waiting(row, service.name()))
            })
            .await?;
        if !found.unreadable.is_empty() {
            let (table, unreadable) = (service.outbox(), found.unreadable);
            self.db
                .write(move |db| give_up_unreadable(db, table, &unreadable))
                .await?;
        }
        Ok(found.rows)
    }

    async fn lease(
        &self,
        destination: &str,
        owner: Uuid,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<i64>, StoreError> {
        let name = name(destination);
        self.db
            .write(move |db| lease::acquire(db, &name, owner, now, until))
            .await
    }

    async fn settle(
        &self,
        destination: &str,
        owner: Uuid,
        fence: i64,
        delivered: Vec<i64>,
        failed: Vec<Failure>,
    ) -> Result<bool, StoreError> {
        let name = name(destination);
        self.db
            .write(move |db| {
                if !lease::holds(db, &name, owner, fence)? {
                    return Ok(false);
                }
                for seq in delivered {
                    db.prepare_cached("DELETE FROM outbox WHERE seq = ?1")?
                        .execute([seq])?;
                }
                for failure in failed {
                    fail(db, &failure)?;
                }
                Ok(true)
            })
            .await
    }

    async fn release(&self, destination: &str, owner: Uuid) -> Result<(), StoreError> {
        let name = name(destination);
        self.db.write(move |db| lease::release(db, &name, owner)).await
    }

    async fn is_pending(&self, seq: i64) -> Result<bool, StoreError> {
        self.db
            .read(move |db| {
                Ok(db
                    .prepare_cached("SELECT 1 FROM outbox WHERE seq = ?1")?
                    .exists([seq])?)
            })
            .await
    }

    async fn stats(&self, now: Timestamp) -> Result<OutboxStats, StoreError> {
        self.db
            .read(move |db| {
                let (pending, oldest): (i64, Option<i64>) = db
                    .prepare_cached("SELECT count(*), min(time) FROM outbox")?
                    .one(params![], |row| Ok((row.get(0)?, row.get(1)?)))?;
                let dead = db
                    .prepare_cached("SELECT count(*) FROM dead_letters")?
                    .one(params![], |row| row.get(0))?;
                let count = |n: i64| u64::try_from(n).unwrap_or(0);
                let age = |oldest: i64| count(now.timestamp_millis() - oldest);
                Ok(OutboxStats {
                    pending: count(pending),
                    dead: count(dead),
                    oldest_millis: oldest.map_or(0, age),
                })
            })
            .await
    }

    async fn dead_letters(&self) -> Result<Vec<DeadLetter>, StoreError> {
        self.db
            .read(|db| {
                let mut statement = db.prepare_cached(
                    "SELECT id, destination, kind, subject, time, attempts, why FROM dead_letters
                     ORDER BY time, id LIMIT ?1",
                )?;
                Ok(statement.all([DEAD_LETTERS_AT_ONCE as i64], |row| Ok(dead_letter(row)))?)
            })
            .await
    }

    async fn redrive(&self, ids: Vec<Uuid>) -> Result<usize, StoreError> {
        self.db
            .write(move |db| {
                let mut redriven = 0;
                for id in ids {
                    redriven += db
                        .prepare_cached(
                            "INSERT INTO outbox (id, destination, kind, subject, time, data, request_id)
                             SELECT id, destination, kind, subject, time, data, request_id FROM dead_letters
                             WHERE id = ?1",
                        )?
                        .execute([id])?;
                    delete_dead_letter(db, id)?;
                }
                Ok(redriven)
            })
            .await
    }

    async fn drop_dead_letters(&self, ids: Vec<Uuid>) -> Result<usize, StoreError> {
        self.db
            .write(move |db| ids.into_iter().map(|id| delete_dead_letter(db, id)).sum())
            .await
    }
}

fn delete_dead_letter(db: &Connection, id: Uuid) -> Result<usize, StoreError> {
    Ok(db
        .prepare_cached("DELETE FROM dead_letters WHERE id = ?1")?
        .execute([id])?)
}

/// What can be read of a dead letter: some are here because they cannot.
fn dead_letter(row: &Row<'_>) -> DeadLetter {
    let id = |column| row.get::<_, Uuid>(column).unwrap_or_default();
    let text = |column| row.get::<_, String>(column).unwrap_or_default();
    DeadLetter {
        id: id(0),
        destination: text(1),
        kind: text(2),
        subject: id(3),
        time: from_millis(row.get(4).unwrap_or_default()),
        attempts: row.get(5).unwrap_or_default(),
        why: text(6),
    }
}

fn waiting(row: &Row<'_>, service: &str) -> Result<Waiting, StoreError> {
    let (id, kind, subject, time, data): (_, _, _, _, String) =
        (row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?);
    let event = CloudEvent::new(service, id, kind, subject, from_millis(time), data)
        .map_err(|error| not_json("data", &error))?;
    Ok(Waiting {
        seq: row.get(0)?,
        attempts: row.get(1)?,
        event: event.caused_by(row.get(7)?),
    })
}

/// A retry cannot read it either: it becomes a dead letter as it is.
fn give_up_unreadable(
    db: &Connection,
    table: &'static str,
    rows: &[(Key, String)],
) -> Result<(), StoreError> {
    for (seq, why) in rows {
        db.prepare_cached(
            "INSERT OR IGNORE INTO dead_letters (id, destination, kind, subject, time, data, attempts, why, request_id)
             SELECT id, destination, kind, subject, time, data, attempts, ?2, request_id FROM outbox WHERE seq = ?1",
        )?
        .execute(params![seq, why])?;
        db.prepare_cached("DELETE FROM outbox WHERE seq = ?1")?
            .execute([seq])?;
        set_aside(table, seq, why);
    }
    Ok(())
}

fn fail(db: &Connection, failure: &Failure) -> Result<(), StoreError> {
    match failure.retry_at {
        Some(at) => {
            db.prepare_cached(
                "UPDATE outbox SET attempts = attempts + 1, retry_at = ?2, why = ?3 WHERE seq = ?1",
            )?
            .execute(params![failure.seq, at.timestamp_millis(), failure.why])?;
        }
        None => {
            db.prepare_cached(
                "INSERT OR REPLACE INTO dead_letters
                    (id, destination, kind, subject, time, data, attempts, why, request_id)
                 SELECT id, destination, kind, subject, time, data, attempts + 1, ?2, request_id
                 FROM outbox WHERE seq = ?1",
            )?
            .execute(params![failure.seq, failure.why])?;
            db.prepare_cached("DELETE FROM outbox WHERE seq = ?1")?
                .execute([failure.seq])?;
        }
    }
    Ok(())
}

fn name(destination: &str) -> String {
    format!("relay:{destination}")
}
