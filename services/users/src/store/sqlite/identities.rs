//! Who users are elsewhere.

use common::{
    auth::Role,
    clock::{Timestamp, from_millis},
    ids::{UserId, new_id},
    store::StoreError,
    wire::EndedSession,
};
use sqlite_store::{Connection, params};

use super::{USER, api_keys, end_of, user};
use crate::{
    domain::{Dropped, Email, Identity, PasswordHash, User},
    store::Claim,
};

/// The table.
pub const SCHEMA: &str = "
CREATE TABLE identities (
    id        BLOB    NOT NULL PRIMARY KEY,
    issuer    TEXT    NOT NULL,
    subject   TEXT    NOT NULL,
    user_id   BLOB    NOT NULL,
    email     TEXT    NOT NULL,                 -- the account's at that time
    linked_at INTEGER NOT NULL                  -- ms
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX identities_once ON identities (issuer, subject);
CREATE INDEX identities_by_user ON identities (user_id);
ALTER TABLE second_factors ADD COLUMN confirmed_at INTEGER;
";

/// The user that an identity is linked with.
pub fn user_of(db: &Connection, identity: &Identity) -> Result<Option<User>, StoreError> {
    let sql = format!(
        "SELECT {USER} FROM users WHERE id = (SELECT user_id FROM identities WHERE issuer = ?1 AND subject = ?2)"
    );
    Ok(db
        .prepare_cached(&sql)?
        .find(params![identity.issuer, identity.subject], user)?)
}

/// Those that a user is linked with, the earliest first.
pub fn of(db: &Connection, user: UserId) -> Result<Vec<(Identity, Timestamp)>, StoreError> {
    let mut select = db.prepare_cached(
        "SELECT issuer, subject, linked_at FROM identities WHERE user_id = ?1 ORDER BY linked_at, id",
    )?;
    Ok(select.all([user], |row| {
        let identity = Identity {
            issuer: row.get(0)?,
            subject: row.get(1)?,
        };
        Ok((identity, from_millis(row.get(2)?)))
    })?)
}

/// Links an identity within a transaction; `false` when it is linked already.
pub fn add(
    db: &Connection,
    identity: &Identity,
    user: UserId,
    email: &Email,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let added = db
        .prepare_cached(
            "INSERT INTO identities (id, issuer, subject, user_id, linked_at, email) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (issuer, subject) DO NOTHING",
        )?
        .execute(params![
            new_id(),
            identity.issuer,
            identity.subject,
            user,
            at.timestamp_millis(),
            email.as_str()
        ])?;
    Ok(added == 1)
}

/// Links an identity with an account that still is as it was when its password was checked.
pub fn link(
    db: &Connection,
    identity: &Identity,
    user: UserId,
    email: &Email,
    proved: &PasswordHash,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let unchanged = db
        .prepare_cached(
            "SELECT 1 FROM users WHERE id = ?1 AND email = ?2 AND password_hash = ?3 AND email_verified = 1",
        )?
        .exists(params![user, email.as_str(), proved.as_str()])?;
    Ok(unchanged && add(db, identity, user, email, at)?)
}

/// Gives an account to who has proved its address.
pub fn claim(db: &Connection, claim: &Claim) -> Result<Option<Vec<EndedSession>>, StoreError> {
    let is_linked = db
        .prepare_cached("SELECT 1 FROM identities WHERE issuer = ?1 AND subject = ?2")?
        .exists(params![claim.identity.issuer, claim.identity.subject])?;
    if is_linked {
        return Ok(None);
    }
    let claimed = db
        .prepare_cached(
            "UPDATE users SET password_hash = '', email_verified = 1, name = ?3, phone = NULL, timezone = NULL,
                 locale = NULL, role = coalesce(?4, role)
             WHERE id = ?1 AND email = ?2 AND email_verified = 0",
        )?
        .execute(params![
            claim.user,
            claim.email.as_str(),
            claim.name,
            claim.role.map(Role::name)
        ])?;
    if claimed != 1 {
        return Ok(None);
    }
    add(db, &claim.identity, claim.user, &claim.email, claim.at)?;
    for table in ["mailed_tokens", "second_factors"] {
        db.prepare_cached(&format!("DELETE FROM {table} WHERE user_id = ?1"))?
            .execute([claim.user])?;
    }
    let mut ended = end_of(db, claim.user, None, claim.at, -1)?;
    let dropped = api_keys::drop_of(db, claim.user, &claim.email, Dropped::All, claim.at);
    ended.extend(dropped?);
    Ok(Some(ended))
}

/// Takes away what was added to an account since then: linked identities and the second factor.
pub fn undo_since(db: &Connection, user: UserId, since: Timestamp) -> Result<(), StoreError> {
    let since = since.timestamp_millis();
    db.prepare_cached("DELETE FROM identities WHERE user_id = ?1 AND linked_at >= ?2")?
        .execute(params![user, since])?;
    // One that is proposed may be about to be confirmed.
    db.prepare_cached(
        "DELETE FROM second_factors WHERE user_id = ?1 AND (confirmed = 0 OR confirmed_at >= ?2)",
    )?
    .execute(params![user, since])?;
    Ok(())
}

/// Takes linked identities away from an account that has this address.
pub fn unlink(db: &Connection, user: UserId, email: &Email, which: Dropped) -> Result<(), StoreError> {
    match which {
        Dropped::Nothing => {}
        Dropped::OfOtherAddresses => {
            db.prepare_cached("DELETE FROM identities WHERE user_id = ?1 AND email <> ?2")?
                .execute(params![user, email.as_str()])?;
        }
        Dropped::All => {
            db.prepare_cached("DELETE FROM identities WHERE user_id = ?1")?
                .execute([user])?;
        }
    }
    Ok(())
}
