//! Idempotency keys, kept in the service's own file.

use crate::{Connection, params};

use common::{
    clock::{Timestamp, from_millis},
    idempotency::{Answer, KEPT_FOR_SECONDS, Key, Keyed, Outcome, Refusal, is_in_flight},
    store::StoreError,
};

/// The table; part of the first migration of every service that takes keys.
pub const SCHEMA: &str = "
CREATE TABLE idempotency_keys (
    caller      BLOB    NOT NULL,
    route       TEXT    NOT NULL,
    key         TEXT    NOT NULL,
    fingerprint BLOB    NOT NULL,
    status      INTEGER,            -- NULL while the request is being worked on
    body        BLOB,
    claimed_until INTEGER NOT NULL, -- ms; a claim that is older belongs to a process that died
    created_at  INTEGER NOT NULL,   -- ms
    PRIMARY KEY (caller, route, key)
) WITHOUT ROWID;
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);
";

/// Carries out `change` unless its key says that it was carried out before; then stores the answer beside it.
/// Call it inside [`super::Sqlite::write`], which makes both one commit.
///
/// # Errors
/// What `change` returns; then nothing is stored and the key stays free.
pub fn keyed<T, E: From<StoreError>>(
    db: &Connection,
    keyed: &Keyed<T>,
    now: Timestamp,
    change: impl FnOnce(&Connection) -> Result<T, E>,
) -> Result<Outcome<T>, E> {
    let Some(key) = &keyed.key else {
        return change(db).map(Outcome::Done);
    };
    if let Some(refusal) = find(db, key, now)? {
        return Ok(Outcome::Refused(refusal));
    }
    let value = change(db)?;
    store(db, key, &(keyed.answer)(&value), now)?;
    Ok(Outcome::Done(value))
}

/// Looks a key up: `None` when the request may go ahead.
///
/// # Errors
/// A storage error.
pub fn find(db: &Connection, key: &Key, now: Timestamp) -> Result<Option<Refusal>, StoreError> {
    let oldest = now.timestamp_millis() - KEPT_FOR_SECONDS * 1000;
    let found = db
        .prepare_cached(
            "SELECT fingerprint, status, body, claimed_until, created_at FROM idempotency_keys
             WHERE caller = ?1 AND route = ?2 AND key = ?3 AND created_at > ?4",
        )?
        .find(params![key.caller, key.route, key.key, oldest], |row| {
            Ok((
                row.get::<_, Vec<u8>>(0)?,
                row.get::<_, Option<u16>>(1)?,
                row.get::<_, Option<Vec<u8>>>(2)?,
                from_millis(row.get(3)?),
                from_millis(row.get(4)?),
            ))
        })?;
    Ok(match found {
        None => None,
        Some((fingerprint, ..)) if fingerprint != key.fingerprint => Some(Refusal::OtherBody),
        Some((_, Some(status), body, ..)) => Some(Refusal::Replay(Answer {
            status,
            body: body.unwrap_or_default(),
        })),
        Some((_, None, _, until, since)) if is_in_flight(since, until, now) => Some(Refusal::InFlight),
        Some(_) => None,
    })
}

/// Claims a key for work that takes several steps, until `until`; `Some` when it may not be claimed.
///
/// # Errors
/// A storage error.
pub fn claim(
    db: &Connection,
    key: &Key,
    now: Timestamp,
    until: Timestamp,
) -> Result<Option<Refusal>, StoreError> {
    if let Some(refusal) = find(db, key, now)? {
        return Ok(Some(refusal));
    }
    put(db, key, None, now, until)?;
    Ok(None)
}

/// Gives a claim back, so that the caller may try again.
///
/// # Errors
/// A storage error.
pub fn release(db: &Connection, key: &Key) -> Result<(), StoreError> {
    db.prepare_cached(
        "DELETE FROM idempotency_keys WHERE caller = ?1 AND route = ?2 AND key = ?3 AND status IS NULL",
    )?
    .execute(params![key.caller, key.route, key.key])?;
    Ok(())
}

/// Forgets a key with its answer, which has turned out not to be true.
///
/// # Errors
/// A storage error.
pub fn forget(db: &Connection, key: &Key) -> Result<(), StoreError> {
    db.prepare_cached("DELETE FROM idempotency_keys WHERE caller = ?1 AND route = ?2 AND key = ?3")?
        .execute(params![key.caller, key.route, key.key])?;
    Ok(())
}

/// Stores the answer to a request.
///
/// # Errors
/// A storage error.
pub fn store(db: &Connection, key: &Key, answer: &Answer, now: Timestamp) -> Result<(), StoreError> {
    put(db, key, Some(answer), now, now)
}

fn put(
    db: &Connection,
    key: &Key,
    answer: Option<&Answer>,
    now: Timestamp,
    until: Timestamp,
) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT OR REPLACE INTO idempotency_keys
         (caller, route, key, fingerprint, status, body, claimed_until, created_at) VALUES (?1,?2,?3,?4,?5,?6,?7,?8)",
    )?
    .execute(params![
        key.caller,
        key.route,
        key.key,
        key.fingerprint,
        answer.map(|a| a.status),
        answer.map(|a| &a.body),
        until.timestamp_millis(),
        now.timestamp_millis()
    ])?;
    Ok(())
}

/// Drops keys past their 24 hours, at most `limit`; gives the number dropped.
///
/// # Errors
/// A storage error.
pub fn purge(db: &Connection, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
    let oldest = now.timestamp_millis() - KEPT_FOR_SECONDS * 1000;
    Ok(db
        .prepare_cached(
            "DELETE FROM idempotency_keys WHERE (caller, route, key) IN
             (SELECT caller, route, key FROM idempotency_keys WHERE created_at <= ?1 LIMIT ?2)",
        )?
        .execute(params![oldest, limit as i64])?)
}
