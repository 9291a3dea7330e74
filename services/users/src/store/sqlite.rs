//! The embedded store.

use async_trait::async_trait;
use chrono_tz::Tz;
use common::{
    auth::Role,
    clock::{Timestamp, from_millis},
    ids::UserId,
    store::StoreError,
    wire::{EndedSession, UserCard},
};
use sqlite_store::{
    Error, Sqlite,
    rows::{named, sift},
};
use sqlite_store::{Row, params};
use uuid::Uuid;

use super::{InsertError, Store, TIDIED, table};
use crate::domain::{Account, Details, Email, Locale, PasswordHash, Phone, User};

/// The schema, script by script. One that has been released never changes.
pub const MIGRATIONS: &[&str] = &[
    "
CREATE TABLE users (
    id            BLOB    NOT NULL PRIMARY KEY,
    email         TEXT    NOT NULL,
    password_hash TEXT    NOT NULL,             -- PHC string
    role          TEXT    NOT NULL CHECK (role IN ('organizer', 'user')),
    name          TEXT,
    phone         TEXT,                         -- E.164
    timezone      TEXT,                         -- IANA
    locale        TEXT,                         -- BCP 47
    created_at    INTEGER NOT NULL              -- ms
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX users_by_email ON users (email);
",
    "
-- Sessions that ended before their tokens ran out.
CREATE TABLE ended_sessions (
    id       BLOB    NOT NULL PRIMARY KEY,
    ended_at INTEGER NOT NULL,                  -- ms
    until    INTEGER NOT NULL                   -- ms; the last token runs out
) STRICT, WITHOUT ROWID;
CREATE INDEX ended_sessions_by_time ON ended_sessions (ended_at, id);
CREATE INDEX ended_sessions_by_until ON ended_sessions (until);
",
];

/// Accounts in SQLite.
pub struct SqliteStore(Sqlite);

impl SqliteStore {
    /// Keeps accounts in a file that [`MIGRATIONS`] have prepared.
    pub fn new(db: Sqlite) -> Self {
        Self(db)
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn insert(&self, account: Account) -> Result<(), InsertError> {
        let Account { user, password_hash } = account;
        self.0
            .write(move |db| {
                let added = db
                    .prepare_cached(
                        "INSERT INTO users
                         (id, email, password_hash, role, name, phone, timezone, locale, created_at)
                         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (email) DO NOTHING",
                    )
                    .and_then(|mut insert| {
                        insert.execute(params![
                            user.id,
                            user.email.as_str(),
                            password_hash.as_str(),
                            user.role.name(),
                            user.name,
                            user.phone.as_ref().map(Phone::as_str),
                            user.timezone.map(Tz::name),
                            user.locale.as_ref().map(Locale::as_str),
                            user.created_at.timestamp_millis(),
                        ])
                    })
                    .map_err(StoreError::from)?;
                if added == 1 {
                    Ok(())
                } else {
                    Err(InsertError::EmailTaken)
                }
            })
            .await
    }

    async fn by_email(&self, email: &Email) -> Result<Option<Account>, StoreError> {
        let email = email.clone();
        self.0
            .read(move |db| {
                Ok(db
                    .prepare_cached(
                        "SELECT id, email, role, name, phone, timezone, locale, created_at, password_hash
                         FROM users WHERE email = ?1",
                    )?
                    .find([email.as_str()], |row| {
                        Ok(Account {
                            user: user(row)?,
                            password_hash: PasswordHash::new(row.get(8)?),
                        })
                    })?)
            })
            .await
    }

    async fn of_many_forms(
        &self,
        after: Option<&Email>,
        limit: usize,
    ) -> Result<Vec<(UserId, Email)>, StoreError> {
        let after = after.map_or_else(String::new, |email| email.as_str().to_owned());
        self.0
            .read(move |db| {
                let mut select = db.prepare_cached(
                    "SELECT id, email FROM users
                     WHERE email > ?1 AND (email GLOB '*[^ -~]*' OR email LIKE '%xn--%') ORDER BY email LIMIT ?2",
                )?;
                let rows = select.query(params![after, limit as i64])?;
                let found = sift(rows, 0, |row| {
                    Ok::<_, sqlite_store::Error>((row.get(0)?, Email::stored(row.get(1)?)))
                })?;
                Ok(found.left_out(table::USERS))
            })
            .await
    }

    async fn readdress(&self, user: UserId, from: &Email, to: &Email) -> Result<bool, StoreError> {
        let (from, to) = (from.clone(), to.clone());
        self.0
            .write(move |db| {
                let changed = db
                    .prepare_cached(
                        "UPDATE users SET email = ?3 WHERE id = ?1 AND email = ?2
                            AND NOT EXISTS (SELECT 1 FROM users WHERE email = ?3)",
                    )?
                    .execute(params![user, from.as_str(), to.as_str()])?;
                Ok(changed == 1)
            })
            .await
    }

    async fn by_id(&self, id: UserId) -> Result<Option<User>, StoreError> {
        self.0
            .read(move |db| {
                Ok(db
                    .prepare_cached(
                        "SELECT id, email, role, name, phone, timezone, locale, created_at FROM users WHERE id = ?1",
                    )?
                    .find([id], user)?)
            })
            .await
    }

    async fn cards(&self, mut users: Vec<UserId>) -> Result<Vec<UserCard>, StoreError> {
        users.sort_unstable();
        users.dedup();
        self.0
            .read(move |db| {
                let mut find =
                    db.prepare_cached("SELECT id, email, name, phone, timezone FROM users WHERE id = ?1")?;
                let mut cards = Vec::with_capacity(users.len());
                for user_id in users {
                    let card = sift(find.query([user_id])?, 0, |row| {
                        Ok::<_, sqlite_store::Error>(UserCard {
                            user_id,
                            email: row.get(1)?,
                            name: row.get(2)?,
                            phone: row.get(3)?,
                            timezone: row.get(4)?,
                        })
                    })?;
                    cards.extend(card.left_out(table::USERS));
                }
                Ok(cards)
            })
            .await
    }

    async fn update_password_hash(
        &self,
        user: UserId,
        old: PasswordHash,
        new: PasswordHash,
    ) -> Result<bool, StoreError> {
        self.0
            .write(move |db| {
                let changed = db
                    .prepare_cached(
                        "UPDATE users SET password_hash = ?3 WHERE id = ?1 AND password_hash = ?2",
                    )?
                    .execute(params![user, old.as_str(), new.as_str()])?;
                Ok(changed == 1)
            })
            .await
    }

    async fn update_details(&self, user: UserId, details: Details) -> Result<Option<User>, StoreError> {
        self.0
            .write(move |db| {
                let Details {
                    name,
                    phone,
                    timezone,
                    locale,
                } = details;
                let changed = db
                    .prepare_cached(
                        "UPDATE users SET name = iif(?2, ?3, name), phone = iif(?4, ?5, phone),
                             timezone = iif(?6, ?7, timezone), locale = iif(?8, ?9, locale)
                         WHERE id = ?1
                         RETURNING id, email, role, name, phone, timezone, locale, created_at",
                    )?
                    .find(
                        params![
                            user,
                            name.is_some(),
                            name.flatten(),
                            phone.is_some(),
                            phone.flatten().as_ref().map(Phone::as_str),
                            timezone.is_some(),
                            timezone.flatten().map(Tz::name),
                            locale.is_some(),
                            locale.flatten().as_ref().map(Locale::as_str),
                        ],
                        self::user,
                    )?;
                Ok(changed)
            })
            .await
    }

    async fn end_session(&self, session: EndedSession) -> Result<(), StoreError> {
        self.0
            .write(move |db| {
                let ended_at = session.ended_at.timestamp_millis();
                db.prepare_cached(
                    "DELETE FROM ended_sessions WHERE id IN
                         (SELECT id FROM ended_sessions WHERE until < ?1 ORDER BY until LIMIT ?2)",
                )?
                .execute(params![ended_at, TIDIED as i64])?;
                db.prepare_cached(
                    "INSERT INTO ended_sessions (id, ended_at, until) VALUES (?1, ?2, ?3)
                     ON CONFLICT (id) DO NOTHING",
                )?
                .execute(params![
                    session.session_id,
                    ended_at,
                    session.until.timestamp_millis()
                ])?;
                Ok(())
            })
            .await
    }

    async fn ended_sessions(
        &self,
        since: Timestamp,
        after: Option<(Timestamp, Uuid)>,
        limit: usize,
    ) -> Result<Vec<EndedSession>, StoreError> {
        self.0
            .read(move |db| {
                let (from, beyond) = after.unwrap_or((since, Uuid::nil()));
                let from = from.max(since).timestamp_millis();
                let mut find = db.prepare_cached(
                    "SELECT id, ended_at, until FROM ended_sessions WHERE (ended_at, id) > (?1, ?2)
                     ORDER BY ended_at, id LIMIT ?3",
                )?;
                let rows = find.query(params![from, beyond, limit as i64])?;
                let found = sift(rows, 0, |row| {
                    Ok::<_, sqlite_store::Error>(EndedSession {
                        session_id: row.get(0)?,
                        ended_at: from_millis(row.get(1)?),
                        until: from_millis(row.get(2)?),
                    })
                })?;
                Ok(found.left_out(table::ENDED_SESSIONS))
            })
            .await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.0.ping().await
    }
}

/// Reads `id, email, role, name, phone, timezone, locale, created_at`.
fn user(row: &Row<'_>) -> sqlite_store::RowResult<User> {
    Ok(User {
        id: row.get(0)?,
        email: Email::stored(row.get(1)?),
        role: named(row, 2, Role::parse)?,
        name: row.get(3)?,
        phone: row.get::<_, Option<String>>(4)?.map(Phone::stored),
        timezone: row
            .get::<_, Option<String>>(5)?
            .map(|zone| zone.parse::<Tz>().map_err(|error| Error::unreadable(5, error)))
            .transpose()?,
        locale: row.get::<_, Option<String>>(6)?.map(Locale::stored),
        created_at: from_millis(row.get(7)?),
    })
}

/// A store in a file of its own, which is gone when the second half is dropped.
#[cfg(test)]
pub async fn temp() -> (SqliteStore, super::contract::File) {
    let dir = tempfile::tempdir().unwrap();
    let db = Sqlite::open(&dir.path().join("users.db"), MIGRATIONS).unwrap();
    let damager = store_test_kit::sqlite::damager(&db);
    (
        SqliteStore::new(db),
        super::contract::File {
            _folder: dir,
            damager,
        },
    )
}

#[cfg(test)]
mod tests {
    crate::store_contract!(super::temp);
}
