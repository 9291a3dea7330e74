//! The inbox: which messages have had their effect.

use crate::{Connection, params};
use uuid::Uuid;

use common::{clock::Timestamp, outbox::INBOX_KEPT_FOR_MILLIS, store::StoreError};

/// The table; part of the first migration of every service that receives messages.
pub const SCHEMA: &str = "
CREATE TABLE inbox (
    id          BLOB    NOT NULL PRIMARY KEY,
    received_at INTEGER NOT NULL    -- ms
) WITHOUT ROWID;
CREATE INDEX inbox_by_age ON inbox (received_at);
";

/// Notes a message id in the commit of its effect. `false`: it was there, so the effect must not happen again.
///
/// # Errors
/// A storage error.
pub fn first_time(db: &Connection, id: Uuid, now: Timestamp) -> Result<bool, StoreError> {
    let added = db
        .prepare_cached("INSERT OR IGNORE INTO inbox (id, received_at) VALUES (?1, ?2)")?
        .execute(params![id, now.timestamp_millis()])?;
    Ok(added == 1)
}

/// Drops ids that no relay will send again, at most `limit`; gives the number dropped.
///
/// # Errors
/// A storage error.
pub fn purge(db: &Connection, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
    let oldest = now.timestamp_millis() - INBOX_KEPT_FOR_MILLIS;
    Ok(db
        .prepare_cached(
            "DELETE FROM inbox WHERE id IN (SELECT id FROM inbox WHERE received_at <= ?1 LIMIT ?2)",
        )?
        .execute(params![oldest, limit as i64])?)
}
