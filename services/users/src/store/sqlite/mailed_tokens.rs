//! Mailed tokens: issued with the message that has them mailed, and used with all of their effect.

use common::{
    clock::{Timestamp, from_millis},
    ids::UserId,
    store::StoreError,
};
use sqlite_store::{
    Connection, Row, outbox, params,
    rows::{named, sift},
};
use uuid::Uuid;

use super::{USER, account, api_keys, end_of, identities};
use crate::{
    domain::{Email, MailedToken, PasswordHash, Purpose, User},
    store::{Issue, Redeemed, Redemption, TIDIED, table},
};

/// The tables.
pub const SCHEMA: &str = "
CREATE TABLE mailed_tokens (
    id         BLOB    NOT NULL PRIMARY KEY,    -- what the token and its code are derived from
    user_id    BLOB    NOT NULL,
    purpose    TEXT    NOT NULL,
    email      TEXT    NOT NULL,
    issued_at  INTEGER NOT NULL,                -- ms
    expires_at INTEGER NOT NULL,                -- ms
    undoes_since INTEGER                        -- ms
) STRICT, WITHOUT ROWID;
CREATE INDEX mailed_tokens_by_user ON mailed_tokens (user_id);
CREATE INDEX mailed_tokens_by_email ON mailed_tokens (email, issued_at);
CREATE INDEX mailed_tokens_by_expires_at ON mailed_tokens (expires_at);
ALTER TABLE users ADD COLUMN email_verified INTEGER NOT NULL DEFAULT 0 CHECK (email_verified IN (0, 1));
";

const COLUMNS: &str = "id, user_id, purpose, email, issued_at, expires_at, undoes_since";

fn token(row: &Row<'_>) -> sqlite_store::RowResult<MailedToken> {
    Ok(MailedToken {
        id: row.get(0)?,
        user: row.get(1)?,
        purpose: named(row, 2, Purpose::parse)?,
        email: Email::stored(row.get(3)?),
        issued_at: from_millis(row.get(4)?),
        expires_at: from_millis(row.get(5)?),
        undoes_since: row.get::<_, Option<i64>>(6)?.map(from_millis),
    })
}

/// Issues a token within a transaction.
pub fn issue(db: &Connection, issue: &Issue) -> Result<(), StoreError> {
    let Issue { token, message } = issue;
    db.prepare_cached(
        "DELETE FROM mailed_tokens WHERE id IN
             (SELECT id FROM mailed_tokens WHERE expires_at < ?1 ORDER BY expires_at LIMIT ?2)",
    )?
    .execute(params![token.issued_at.timestamp_millis(), TIDIED as i64])?;
    if token.purpose.replaces() {
        forget(db, token.user, &[token.purpose])?;
    }
    db.prepare_cached(
        "INSERT INTO mailed_tokens (id, user_id, purpose, email, issued_at, expires_at, undoes_since)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        token.id,
        token.user,
        token.purpose.name(),
        token.email.as_str(),
        token.issued_at.timestamp_millis(),
        token.expires_at.timestamp_millis(),
        token.undoes_since.map(|at| at.timestamp_millis()),
    ])?;
    outbox::push(db, message).map(drop)
}

/// Voids a user's tokens of these purposes.
pub fn forget(db: &Connection, user: UserId, purposes: &[Purpose]) -> Result<(), StoreError> {
    for purpose in purposes {
        db.prepare_cached("DELETE FROM mailed_tokens WHERE user_id = ?1 AND purpose = ?2")?
            .execute(params![user, purpose.name()])?;
    }
    Ok(())
}

/// Whether the owner of an account, not this one, can still put it back to this address.
pub fn is_reserved(
    db: &Connection,
    email: &Email,
    user: Option<UserId>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    Ok(db
        .prepare_cached(
            "SELECT 1 FROM mailed_tokens
             WHERE email = ?1 AND purpose = ?2 AND expires_at > ?3 AND user_id IS NOT ?4",
        )?
        .exists(params![
            email.as_str(),
            Purpose::RestoreEmail.name(),
            now.timestamp_millis(),
            user
        ])?)
}

/// Until when an earlier address of an account can be put back, or the account that was put back recovered.
pub fn way_back_until(
    db: &Connection,
    user: UserId,
    now: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    let until = db
        .prepare_cached(
            "SELECT max(expires_at) FROM mailed_tokens WHERE user_id = ?1 AND purpose IN (?2, ?3) AND expires_at > ?4",
        )?
        .one(
            params![
                user,
                Purpose::RestoreEmail.name(),
                Purpose::RecoverAccount.name(),
                now.timestamp_millis()
            ],
            |row| row.get::<_, Option<i64>>(0),
        )?;
    Ok(until.map(from_millis))
}

/// The token of this id.
pub fn find(db: &Connection, id: Uuid) -> Result<Option<MailedToken>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM mailed_tokens WHERE id = ?1");
    Ok(db.prepare_cached(&sql)?.find([id], token)?)
}

/// Those mailed to an address, newest first.
pub fn of_address(db: &Connection, email: &Email) -> Result<Vec<MailedToken>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM mailed_tokens WHERE email = ?1 ORDER BY issued_at DESC");
    let mut select = db.prepare_cached(&sql)?;
    let found = sift(select.query([email.as_str()])?, 0, token)?;
    Ok(found.left_out(table::MAILED_TOKENS))
}

/// Uses a token within a transaction.
pub fn redeem(db: &Connection, redemption: &Redemption) -> Result<Redeemed, StoreError> {
    let Some(token) = find(db, redemption.token)? else {
        return Ok(Redeemed::Void);
    };
    let sql = format!("SELECT {USER}, password_hash FROM users WHERE id = ?1");
    let Some(account) = db.prepare_cached(&sql)?.find([token.user], account)? else {
        return Ok(Redeemed::Void);
    };
    let Some(effect) = token.effect(&account, redemption.password.is_some()) else {
        return Ok(Redeemed::Void);
    };
    let user = account.user;
    let taken = db
        .prepare_cached("SELECT 1 FROM users WHERE email = ?1 AND id <> ?2")?
        .exists(params![token.email.as_str(), user.id])?;
    if taken || is_reserved(db, &token.email, Some(user.id), redemption.at)? {
        return Ok(Redeemed::EmailTaken);
    }
    db.prepare_cached("DELETE FROM mailed_tokens WHERE id = ?1")?
        .execute([token.id])?;
    forget(db, user.id, effect.voids)?;
    forget_ways_back(db, user.id, effect.voids_ways_back_since)?;
    if let Some(since) = effect.undoes_since {
        identities::undo_since(db, user.id, since)?;
    }
    identities::unlink(db, user.id, &token.email, effect.unlinks)?;
    db.prepare_cached(
        "UPDATE users SET email = ?2, email_verified = 1, password_hash = coalesce(?3, password_hash) WHERE id = ?1",
    )?
    .execute(params![
        user.id,
        token.email.as_str(),
        redemption
            .password
            .as_ref()
            .map(PasswordHash::as_str)
            .or(effect.drops_password.then_some("")),
    ])?;
    let mut ended = if effect.ends_sessions {
        end_of(db, user.id, None, redemption.at, -1)?
    } else {
        Vec::new()
    };
    let dropped = api_keys::drop_of(db, user.id, &token.email, effect.drops_keys, redemption.at);
    ended.extend(dropped?);
    if let Some(next) = &redemption.issue {
        issue(db, next)?;
    }
    let user = User {
        email: token.email,
        email_verified: true,
        ..user
    };
    Ok(Redeemed::Done(user, ended))
}

fn forget_ways_back(db: &Connection, user: UserId, since: Option<Timestamp>) -> Result<(), StoreError> {
    let Some(since) = since else {
        return Ok(());
    };
    db.prepare_cached("DELETE FROM mailed_tokens WHERE user_id = ?1 AND purpose = ?2 AND issued_at >= ?3")?
        .execute(params![
            user,
            Purpose::RestoreEmail.name(),
            since.timestamp_millis()
        ])?;
    Ok(())
}
