//! API keys.

use common::{
    api_keys::KeyHash,
    auth::Role,
    clock::{Timestamp, from_millis},
    http::Page,
    ids::UserId,
    store::StoreError,
    wire::{ApiKeyCard, EndedSession},
};
use sqlite_store::{
    Connection, Error, Row, RowResult, Sqlite, params,
    rows::{named, sift, sift_page},
};
use uuid::Uuid;

use super::{HashLength, end, tidy};
use crate::{
    domain::{Dropped, Email, MAX_KEYS, StoredKey, deleted, read_scopes, stored_scopes},
    store::{KeyAdded, table},
};

/// The table.
pub const SCHEMA: &str = "
CREATE TABLE api_keys (
    id           BLOB    NOT NULL PRIMARY KEY,
    user_id      BLOB    NOT NULL,
    email        TEXT    NOT NULL,              -- the account's at that time, if it was verified
    name         TEXT    NOT NULL,
    scopes       TEXT    NOT NULL,              -- names with blanks between them
    hash         BLOB    NOT NULL,              -- SHA-256
    created_at   INTEGER NOT NULL,              -- ms, here and below
    expires_at   INTEGER,
    last_used_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX api_keys_by_hash ON api_keys (hash);
CREATE INDEX api_keys_by_user ON api_keys (user_id, created_at, id);
";

const COLUMNS: &str =
    "api_keys.id, user_id, api_keys.name, scopes, hash, api_keys.created_at, expires_at, last_used_at";

fn key(row: &Row<'_>) -> RowResult<StoredKey> {
    let time = |column| Ok::<_, Error>(row.get::<_, Option<i64>>(column)?.map(from_millis));
    let hash = <[u8; 32]>::try_from(row.get::<_, Vec<u8>>(4)?);
    Ok(StoredKey {
        id: row.get(0)?,
        user: row.get(1)?,
        name: row.get(2)?,
        scopes: read_scopes(&row.get::<_, String>(3)?),
        hash: KeyHash(hash.map_err(|_| Error::unreadable(4, HashLength))?),
        created_at: from_millis(row.get(5)?),
        expires_at: time(6)?,
        last_used_at: time(7)?,
    })
}

/// Adds a key for whoever this session still is of.
pub fn add(db: &Connection, key: &StoredKey, session: Uuid) -> Result<KeyAdded, StoreError> {
    let is_signed_in = db
        .prepare_cached(
            "SELECT 1 FROM sessions JOIN users ON users.id = sessions.user_id
             WHERE sessions.id = ?1 AND sessions.user_id = ?2",
        )?
        .exists(params![session, key.user])?;
    if !is_signed_in {
        return Ok(KeyAdded::SessionEnded);
    }
    let there = db
        .prepare_cached("SELECT count(*) FROM api_keys WHERE user_id = ?1")?
        .one([key.user], |row| row.get::<_, i64>(0))?;
    if there >= MAX_KEYS as i64 {
        return Ok(KeyAdded::TooMany);
    }
    db.prepare_cached(
        "INSERT INTO api_keys (id, user_id, email, name, scopes, hash, created_at, expires_at, last_used_at)
         SELECT ?1, id, iif(email_verified, email, ''), ?3, ?4, ?5, ?6, ?7, ?8 FROM users WHERE id = ?2",
    )?
    .execute(params![
        key.id,
        key.user,
        key.name,
        stored_scopes(&key.scopes),
        key.hash.0,
        key.created_at.timestamp_millis(),
        key.expires_at.map(|at| at.timestamp_millis()),
        key.last_used_at.map(|at| at.timestamp_millis()),
    ])?;
    Ok(KeyAdded::Added)
}

/// A user's keys, newest first.
pub fn list(db: &Connection, user: UserId, page: Page) -> Result<Vec<StoredKey>, StoreError> {
    let (at, id) = page
        .after
        .map_or((i64::MAX, Uuid::max()), |after| (after.key, after.id));
    let sql = format!(
        "SELECT {COLUMNS} FROM api_keys WHERE user_id = ?1 AND (created_at, id) < (?2, ?3)
         ORDER BY created_at DESC, id DESC LIMIT ?4"
    );
    let mut select = db.prepare_cached(&sql)?;
    let found = sift_page(page.limit + 1, |asked| {
        sift(select.query(params![user, at, id, asked])?, 0, key)
    })?;
    Ok(found.left_out(table::API_KEYS))
}

/// Deletes a user's key.
pub fn delete(
    db: &Connection,
    user: UserId,
    id: Uuid,
    at: Timestamp,
) -> Result<Option<EndedSession>, StoreError> {
    tidy(db, at)?;
    let gone = db
        .prepare_cached("DELETE FROM api_keys WHERE id = ?1 AND user_id = ?2")?
        .execute(params![id, user])?;
    match gone {
        0 => Ok(None),
        _ => end(db, deleted(id, at)).map(Some),
    }
}

/// Deletes keys of a user whose account has this address.
pub fn drop_of(
    db: &Connection,
    user: UserId,
    email: &Email,
    which: Dropped,
    at: Timestamp,
) -> Result<Vec<EndedSession>, StoreError> {
    let keeps = match which {
        Dropped::Nothing => return Ok(Vec::new()),
        Dropped::OfOtherAddresses => Some(email.as_str()),
        Dropped::All => None,
    };
    let gone = db
        .prepare_cached("DELETE FROM api_keys WHERE user_id = ?1 AND email IS NOT ?2 RETURNING id")?
        .all(params![user, keeps], |row| row.get::<_, Uuid>(0))?;
    gone.into_iter().map(|id| end(db, deleted(id, at))).collect()
}

/// What the keys of these hashes are good for; their uses are noted.
pub async fn use_all(
    db: &Sqlite,
    hashes: Vec<KeyHash>,
    now: Timestamp,
) -> Result<Vec<ApiKeyCard>, StoreError> {
    let found = db
        .read(move |db| {
            let sql = format!(
                "SELECT {COLUMNS}, role FROM api_keys JOIN users ON users.id = user_id WHERE hash = ?1"
            );
            let mut select = db.prepare_cached(&sql)?;
            let mut found = Vec::new();
            for hash in hashes {
                let rows = sift(select.query([hash.0])?, 0, |row| {
                    Ok::<_, Error>((key(row)?, named(row, 8, Role::parse)?))
                })?;
                found.extend(rows.left_out(table::API_KEYS));
            }
            Ok::<_, StoreError>(found)
        })
        .await?;
    let to_note: Vec<Uuid> = found
        .iter()
        .filter(|(key, _)| key.notes_use(now))
        .map(|(key, _)| key.id)
        .collect();
    if !to_note.is_empty() {
        let noted = db.write(move |db| {
            let mut note = db.prepare_cached("UPDATE api_keys SET last_used_at = ?2 WHERE id = ?1")?;
            for id in to_note {
                note.execute(params![id, now.timestamp_millis()])?;
            }
            Ok::<_, StoreError>(())
        });
        // A key is good although nobody can write down that it was used.
        if let Err(error) = noted.await {
            tracing::warn!(%error, "the use of an API key could not be noted");
        }
    }
    Ok(found.into_iter().map(|(key, role)| key.card(role)).collect())
}
