//! Named leases with fencing tokens: of several workers one holds the job, and one that lost it cannot finish it.

use crate::{Connection, params};
use uuid::Uuid;

use common::{
    clock::{Timestamp, latest_end},
    store::StoreError,
};

/// The table; part of the first migration of every service with workers.
pub const SCHEMA: &str = "
CREATE TABLE leases (
    name  TEXT    NOT NULL PRIMARY KEY,
    owner BLOB    NOT NULL,
    fence INTEGER NOT NULL,         -- grows with every change of owner
    until INTEGER NOT NULL          -- ms
) WITHOUT ROWID;
";

/// Takes or renews a lease until `until`; gives its fence, or `None` while another owner holds it.
///
/// # Errors
/// A storage error.
pub fn acquire(
    db: &Connection,
    name: &str,
    owner: Uuid,
    now: Timestamp,
    until: Timestamp,
) -> Result<Option<i64>, StoreError> {
    Ok(db
        .prepare_cached(
            "INSERT INTO leases (name, owner, fence, until) VALUES (?1, ?2, 1, ?4)
             ON CONFLICT (name) DO UPDATE SET
                fence = fence + (owner <> excluded.owner), owner = excluded.owner, until = excluded.until
             WHERE owner = excluded.owner OR until <= ?3 OR until > ?5
             RETURNING fence",
        )?
        .find(
            params![
                name,
                owner,
                now.timestamp_millis(),
                until.timestamp_millis(),
                latest_end(now, until).timestamp_millis()
            ],
            |row| row.get(0),
        )?)
}

/// Whether `fence` is still the lease's latest, to be asked in the commit of the work done under it.
///
/// # Errors
/// A storage error.
pub fn holds(db: &Connection, name: &str, owner: Uuid, fence: i64) -> Result<bool, StoreError> {
    Ok(db
        .prepare_cached("SELECT 1 FROM leases WHERE name = ?1 AND owner = ?2 AND fence = ?3")?
        .exists(params![name, owner, fence])?)
}

/// Hands a lease back, so that another worker need not wait for it to run out.
///
/// # Errors
/// A storage error.
pub fn release(db: &Connection, name: &str, owner: Uuid) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE leases SET until = 0 WHERE name = ?1 AND owner = ?2")?
        .execute(params![name, owner])?;
    Ok(())
}
