//! The embedded store.

use std::sync::Arc;

use async_trait::async_trait;
use chrono_tz::Tz;
use common::audit::AuditStore;
use common::{
    api_keys::KeyHash,
    auth::Role,
    clock::{Timestamp, from_millis},
    http::Page,
    ids::UserId,
    outbox::{NewMessage, OutboxStore},
    services::Service,
    store::StoreError,
    wire::{ApiKeyCard, EndedSession, UserCard},
    workers::WakeSignal,
};
use sqlite_store::audit::{self, SqliteAudit};
use sqlite_store::{
    Connection, Error, Sqlite, lease,
    outbox::{self, SqliteOutbox},
    rows::{named, sift, sift_page},
};
use sqlite_store::{Row, params};
use uuid::Uuid;

mod api_keys;
mod deletion;
mod identities;
mod mailed_tokens;

use super::{
    Claim, Deleted, InsertError, Issue, KeyAdded, NoSession, PasswordChange, Proved, Redeemed, Redemption,
    Store, TIDIED, table,
};
use crate::domain::{
    Account, Details, Device, Email, Identity, Locale, MailedToken, PasswordHash, Phone, Purpose,
    RecoveryHash, Rotation, SecondFactor, Session, StoredKey, TokenHash, TotpSecret, User,
};

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
    "
-- Sessions that have not been ended, each with its live refresh token.
CREATE TABLE sessions (
    id           BLOB    NOT NULL PRIMARY KEY,
    user_id      BLOB    NOT NULL,
    created_at   INTEGER NOT NULL,              -- ms, here and below
    last_used_at INTEGER NOT NULL,
    ends_at       INTEGER NOT NULL,             -- in any case
    refresh_until INTEGER NOT NULL,             -- the refresh token is void
    access_until  INTEGER NOT NULL,             -- the last access token runs out
    generation   INTEGER NOT NULL,
    token_hash   BLOB    NOT NULL,              -- SHA-256
    user_agent   TEXT,
    address      TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_by_user ON sessions (user_id, created_at, id);
CREATE INDEX sessions_by_refresh_until ON sessions (refresh_until);
",
    "
CREATE TABLE second_factors (
    user_id   BLOB    NOT NULL PRIMARY KEY,
    secret    BLOB    NOT NULL,                 -- of TOTP
    confirmed INTEGER NOT NULL CHECK (confirmed IN (0, 1)),
    last_step INTEGER NOT NULL,                 -- whose code was used last
    recovery  TEXT    NOT NULL                  -- JSON: SHA-256 of the recovery codes that were not used
) STRICT, WITHOUT ROWID;
",
    outbox::SCHEMA,
    outbox::REQUEST_IDS,
    lease::SCHEMA,
    mailed_tokens::SCHEMA,
    identities::SCHEMA,
    api_keys::SCHEMA,
    audit::SCHEMA,
];

/// Accounts in SQLite.
pub struct SqliteStore {
    db: Sqlite,
    wake: WakeSignal,
}

impl SqliteStore {
    /// Keeps accounts in a file that [`MIGRATIONS`] have prepared.
    pub fn new(db: Sqlite) -> Self {
        Self {
            db,
            wake: WakeSignal::default(),
        }
    }

    /// A change that may store messages: wakes the relay after the commit.
    async fn publishing<T, E, F>(&self, change: F) -> Result<T, E>
    where
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let result = self.db.write(change).await;
        if result.is_ok() {
            self.wake.wake();
        }
        result
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn insert(&self, account: Account, issue: Option<Issue>) -> Result<(), InsertError> {
        self.publishing(move |db| {
            insert(db, &account)?;
            if let Some(issue) = &issue {
                mailed_tokens::issue(db, issue)?;
            }
            Ok(())
        })
        .await
    }

    async fn insert_linked(&self, user: User, identity: Identity) -> Result<(), InsertError> {
        self.publishing(move |db| {
            let at = user.created_at;
            if !identities::add(db, &identity, user.id, &user.email, at)? {
                return Err(InsertError::EmailTaken);
            }
            insert(
                db,
                &Account {
                    user,
                    password_hash: None,
                },
            )
        })
        .await
    }

    async fn by_identity(&self, identity: &Identity) -> Result<Option<User>, StoreError> {
        let identity = identity.clone();
        self.db.read(move |db| identities::user_of(db, &identity)).await
    }

    async fn link(
        &self,
        identity: Identity,
        user: UserId,
        email: Email,
        proved: PasswordHash,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        self.db
            .write(move |db| identities::link(db, &identity, user, &email, &proved, at))
            .await
    }

    async fn claim(&self, claim: Claim) -> Result<Option<Vec<EndedSession>>, StoreError> {
        self.db.write(move |db| identities::claim(db, &claim)).await
    }

    async fn by_email(&self, email: &Email) -> Result<Option<Account>, StoreError> {
        let email = email.clone();
        self.db
            .read(move |db| {
                Ok(db
                    .prepare_cached(&format!(
                        "SELECT {USER}, password_hash FROM users WHERE email = ?1"
                    ))?
                    .find([email.as_str()], account)?)
            })
            .await
    }

    async fn of_many_forms(
        &self,
        after: Option<&Email>,
        limit: usize,
    ) -> Result<Vec<(UserId, Email)>, StoreError> {
        let after = after.map_or_else(String::new, |email| email.as_str().to_owned());
        self.db
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
        self.db
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

    async fn account(&self, id: UserId) -> Result<Option<Account>, StoreError> {
        self.db
            .read(move |db| {
                Ok(db
                    .prepare_cached(&format!("SELECT {USER}, password_hash FROM users WHERE id = ?1"))?
                    .find([id], account)?)
            })
            .await
    }

    async fn by_id(&self, id: UserId) -> Result<Option<User>, StoreError> {
        self.db
            .read(move |db| {
                Ok(db
                    .prepare_cached(&format!("SELECT {USER} FROM users WHERE id = ?1"))?
                    .find([id], user)?)
            })
            .await
    }

    async fn cards(&self, mut users: Vec<UserId>) -> Result<Vec<UserCard>, StoreError> {
        users.sort_unstable();
        users.dedup();
        self.db
            .read(move |db| {
                let mut find = db.prepare_cached(
                    "SELECT id, email, name, phone, timezone, email_verified, locale FROM users WHERE id = ?1",
                )?;
                let mut cards = Vec::with_capacity(users.len());
                for user_id in users {
                    let card = sift(find.query([user_id])?, 0, |row| {
                        Ok::<_, sqlite_store::Error>(UserCard {
                            user_id,
                            email: row.get(1)?,
                            name: row.get(2)?,
                            phone: row.get(3)?,
                            timezone: row.get(4)?,
                            email_verified: row.get(5)?,
                            locale: row.get(6)?,
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
        self.db.write(move |db| replace_hash(db, user, &old, &new)).await
    }

    async fn change_password(&self, change: PasswordChange) -> Result<Option<Vec<EndedSession>>, StoreError> {
        self.publishing(move |db| {
            if !replace_hash(db, change.user, &change.old, &change.new)? {
                return Ok(None);
            }
            mailed_tokens::forget(db, change.user, &[Purpose::ChangeEmail])?;
            mailed_tokens::issue(db, &change.issue)?;
            end_of(db, change.user, Some(change.keep), change.at, -1).map(Some)
        })
        .await
    }

    async fn issue(&self, issues: Vec<Issue>) -> Result<(), StoreError> {
        self.publishing(move |db| {
            issues
                .iter()
                .try_for_each(|issue| mailed_tokens::issue(db, issue))
        })
        .await
    }

    async fn issue_if(&self, proved: Proved, issues: Vec<Issue>) -> Result<bool, StoreError> {
        self.publishing(move |db| {
            let unchanged = is_unchanged(db, &proved)?;
            if unchanged {
                issues
                    .iter()
                    .try_for_each(|issue| mailed_tokens::issue(db, issue))?;
            }
            Ok(unchanged)
        })
        .await
    }

    async fn mailed_token(&self, id: Uuid) -> Result<Option<MailedToken>, StoreError> {
        self.db.read(move |db| mailed_tokens::find(db, id)).await
    }

    async fn mailed_tokens(&self, email: &Email) -> Result<Vec<MailedToken>, StoreError> {
        let email = email.clone();
        self.db
            .read(move |db| mailed_tokens::of_address(db, &email))
            .await
    }

    async fn redeem(&self, redemption: Redemption) -> Result<Redeemed, StoreError> {
        self.publishing(move |db| mailed_tokens::redeem(db, &redemption))
            .await
    }

    async fn update_details(&self, user: UserId, details: Details) -> Result<Option<User>, StoreError> {
        self.db
            .write(move |db| {
                let Details {
                    name,
                    phone,
                    timezone,
                    locale,
                } = details;
                let changed = db
                    .prepare_cached(&format!(
                        "UPDATE users SET name = iif(?2, ?3, name), phone = iif(?4, ?5, phone),
                             timezone = iif(?6, ?7, timezone), locale = iif(?8, ?9, locale)
                         WHERE id = ?1
                         RETURNING {USER}",
                    ))?
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

    async fn propose_second_factor(&self, user: UserId, secret: TotpSecret) -> Result<bool, StoreError> {
        self.db
            .write(move |db| {
                let changed = db
                    .prepare_cached(
                        "INSERT INTO second_factors (user_id, secret, confirmed, last_step, recovery)
                         VALUES (?1, ?2, 0, 0, '[]')
                         ON CONFLICT (user_id) DO UPDATE SET secret = excluded.secret WHERE confirmed = 0",
                    )?
                    .execute(params![user, secret.bytes()])?;
                Ok(changed == 1)
            })
            .await
    }

    async fn second_factor(&self, user: UserId) -> Result<Option<SecondFactor>, StoreError> {
        self.db
            .read(move |db| {
                Ok(db
                    .prepare_cached("SELECT secret, confirmed FROM second_factors WHERE user_id = ?1")?
                    .find([user], |row| {
                        Ok(SecondFactor {
                            secret: TotpSecret::stored(row.get(0)?),
                            confirmed: row.get(1)?,
                        })
                    })?)
            })
            .await
    }

    async fn confirm_second_factor(
        &self,
        user: UserId,
        secret: TotpSecret,
        step: i64,
        recovery: Vec<RecoveryHash>,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        self.db
            .write(move |db| {
                let recovery: Vec<String> = recovery.into_iter().map(|hash| hash.0).collect();
                let changed = db
                    .prepare_cached(
                        "UPDATE second_factors SET confirmed = 1, last_step = ?3, recovery = ?4, confirmed_at = ?5
                         WHERE user_id = ?1 AND secret = ?2 AND confirmed = 0",
                    )?
                    .execute(params![user, secret.bytes(), step, json(&recovery), at.timestamp_millis()])?;
                Ok(changed == 1)
            })
            .await
    }

    async fn use_step(&self, user: UserId, step: i64) -> Result<bool, StoreError> {
        self.db
            .write(move |db| {
                let changed = db
                    .prepare_cached(
                        "UPDATE second_factors SET last_step = ?2 WHERE user_id = ?1 AND confirmed = 1 AND last_step < ?2",
                    )?
                    .execute(params![user, step])?;
                Ok(changed == 1)
            })
            .await
    }

    async fn use_recovery_code(&self, user: UserId, code: RecoveryHash) -> Result<bool, StoreError> {
        self.db
            .write(move |db| {
                let stored = db
                    .prepare_cached(
                        "SELECT recovery FROM second_factors WHERE user_id = ?1 AND confirmed = 1",
                    )?
                    .find([user], |row| row.get::<_, String>(0))?;
                let Some(stored) = stored else { return Ok(false) };
                let mut codes: Vec<String> = serde_json::from_str(&stored)
                    .map_err(|error| StoreError::Corrupt(format!("recovery codes: {error}")))?;
                let before = codes.len();
                codes.retain(|other| *other != code.0);
                if codes.len() == before {
                    return Ok(false);
                }
                db.prepare_cached("UPDATE second_factors SET recovery = ?2 WHERE user_id = ?1")?
                    .execute(params![user, json(&codes)])?;
                Ok(true)
            })
            .await
    }

    async fn remove_second_factor(&self, user: UserId) -> Result<bool, StoreError> {
        self.db
            .write(move |db| {
                let removed = db
                    .prepare_cached("DELETE FROM second_factors WHERE user_id = ?1")?
                    .execute([user])?;
                Ok(removed == 1)
            })
            .await
    }

    async fn delete_account(
        &self,
        proved: Proved,
        messages: Vec<NewMessage>,
        at: Timestamp,
    ) -> Result<Deleted, StoreError> {
        self.publishing(move |db| deletion::delete(db, &proved, &messages, at))
            .await
    }

    async fn identities(&self, user: UserId) -> Result<Vec<(Identity, Timestamp)>, StoreError> {
        self.db.read(move |db| identities::of(db, user)).await
    }

    async fn add_api_key(&self, key: StoredKey, session: Uuid) -> Result<KeyAdded, StoreError> {
        self.db.write(move |db| api_keys::add(db, &key, session)).await
    }

    async fn api_keys(&self, user: UserId, page: Page) -> Result<Vec<StoredKey>, StoreError> {
        self.db.read(move |db| api_keys::list(db, user, page)).await
    }

    async fn delete_api_key(
        &self,
        user: UserId,
        key: Uuid,
        at: Timestamp,
    ) -> Result<Option<EndedSession>, StoreError> {
        self.db.write(move |db| api_keys::delete(db, user, key, at)).await
    }

    async fn use_api_keys(
        &self,
        hashes: Vec<KeyHash>,
        now: Timestamp,
    ) -> Result<Vec<ApiKeyCard>, StoreError> {
        api_keys::use_all(&self.db, hashes, now).await
    }

    async fn begin_session(&self, session: Session) -> Result<(), StoreError> {
        self.db.write(move |db| begin_session(db, &session)).await
    }

    async fn begin_session_if(
        &self,
        proved: Proved,
        passed: bool,
        session: Session,
    ) -> Result<Result<(), NoSession>, StoreError> {
        self.db
            .write(move |db| {
                if !is_unchanged(db, &proved)? {
                    return Ok(Err(NoSession::AccountChanged));
                }
                if !passed && has_second_factor(db, proved.user)? {
                    return Ok(Err(NoSession::SecondFactorNeeded));
                }
                begin_session(db, &session).map(Ok)
            })
            .await
    }

    async fn session(&self, id: Uuid) -> Result<Option<Session>, StoreError> {
        self.db
            .read(move |db| {
                let sql = format!("SELECT {SESSION} FROM sessions WHERE id = ?1");
                Ok(db.prepare_cached(&sql)?.find([id], session)?)
            })
            .await
    }

    async fn sessions(&self, user: UserId, page: Page, now: Timestamp) -> Result<Vec<Session>, StoreError> {
        self.db
            .read(move |db| {
                let (key, id) = page
                    .after
                    .map_or((i64::MAX, Uuid::max()), |after| (after.key, after.id));
                let sql = format!(
                    "SELECT {SESSION} FROM sessions
                     WHERE user_id = ?1 AND (created_at, id) < (?2, ?3) AND refresh_until >= ?4
                     ORDER BY created_at DESC, id DESC LIMIT ?5"
                );
                let mut select = db.prepare_cached(&sql)?;
                let found = sift_page(page.limit + 1, |asked| {
                    let rows = select.query(params![user, key, id, now.timestamp_millis(), asked])?;
                    sift(rows, 0, session)
                })?;
                Ok(found.left_out(table::SESSIONS))
            })
            .await
    }

    async fn rotate(&self, session: Uuid, generation: u32, rotation: Rotation) -> Result<bool, StoreError> {
        self.db
            .write(move |db| {
                let changed = db
                    .prepare_cached(
                        "UPDATE sessions SET generation = generation + 1, last_used_at = ?3, refresh_until = ?4,
                             access_until = ?5, token_hash = ?6
                         WHERE id = ?1 AND generation = ?2",
                    )?
                    .execute(params![
                        session,
                        i64::from(generation),
                        rotation.last_used_at.timestamp_millis(),
                        rotation.refresh_until.timestamp_millis(),
                        rotation.access_until.timestamp_millis(),
                        rotation.token.0,
                    ])?;
                Ok(changed == 1)
            })
            .await
    }

    async fn end_session(&self, session: EndedSession) -> Result<EndedSession, StoreError> {
        self.db
            .write(move |db| {
                tidy(db, session.ended_at)?;
                end(db, session)
            })
            .await
    }

    async fn end_sessions_of(
        &self,
        user: UserId,
        except: Option<Uuid>,
        at: Timestamp,
        limit: usize,
    ) -> Result<Vec<EndedSession>, StoreError> {
        self.db
            .write(move |db| {
                tidy(db, at)?;
                end_of(db, user, except, at, i64::try_from(limit).unwrap_or(i64::MAX))
            })
            .await
    }

    async fn ended_sessions(
        &self,
        since: Timestamp,
        after: Option<(Timestamp, Uuid)>,
        limit: usize,
    ) -> Result<Vec<EndedSession>, StoreError> {
        self.db
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

    fn outbox(&self) -> Arc<dyn OutboxStore> {
        SqliteOutbox::shared(self.db.clone(), Service::Users)
    }

    fn audit(&self) -> Arc<dyn AuditStore> {
        SqliteAudit::shared(self.db.clone())
    }

    fn wake_signal(&self) -> WakeSignal {
        self.wake.clone()
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.db.ping().await
    }
}

/// Whether an account is as it was when its user proved to be one.
fn is_unchanged(db: &Connection, proved: &Proved) -> Result<bool, StoreError> {
    Ok(db
        .prepare_cached("SELECT 1 FROM users WHERE id = ?1 AND email = ?2 AND password_hash = ?3")?
        .exists(params![
            proved.user,
            proved.email.as_str(),
            PasswordHash::to_stored(proved.password_hash.as_ref())
        ])?)
}

fn has_second_factor(db: &Connection, user: UserId) -> Result<bool, StoreError> {
    Ok(db
        .prepare_cached("SELECT 1 FROM second_factors WHERE user_id = ?1 AND confirmed = 1")?
        .exists([user])?)
}

fn begin_session(db: &Connection, session: &Session) -> Result<(), StoreError> {
    let now = session.created_at.timestamp_millis();
    db.prepare_cached(
        "DELETE FROM sessions WHERE id IN
             (SELECT id FROM sessions WHERE refresh_until < ?1 AND access_until < ?1
              ORDER BY refresh_until LIMIT ?2)",
    )?
    .execute(params![now, TIDIED as i64])?;
    db.prepare_cached(
        "INSERT INTO sessions (id, user_id, created_at, last_used_at, ends_at, refresh_until, access_until,
             generation, token_hash, user_agent, address)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?
    .execute(params![
        session.id,
        session.user,
        now,
        session.last_used_at.timestamp_millis(),
        session.ends_at.timestamp_millis(),
        session.refresh_until.timestamp_millis(),
        session.access_until.timestamp_millis(),
        i64::from(session.generation),
        session.token.0,
        session.device.user_agent,
        session.device.address,
    ])?;
    Ok(())
}

/// Adds an account within a transaction.
fn insert(db: &Connection, Account { user, password_hash }: &Account) -> Result<(), InsertError> {
    if mailed_tokens::is_reserved(db, &user.email, None, user.created_at)? {
        return Err(InsertError::EmailTaken);
    }
    let added = db
        .prepare_cached(
            "INSERT INTO users
                 (id, email, password_hash, role, name, phone, timezone, locale, created_at, email_verified)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (email) DO NOTHING",
        )
        .and_then(|mut insert| {
            insert.execute(params![
                user.id,
                user.email.as_str(),
                PasswordHash::to_stored(password_hash.as_ref()),
                user.role.name(),
                user.name,
                user.phone.as_ref().map(Phone::as_str),
                user.timezone.map(Tz::name),
                user.locale.as_ref().map(Locale::as_str),
                user.created_at.timestamp_millis(),
                user.email_verified,
            ])
        })
        .map_err(StoreError::from)?;
    if added == 1 {
        Ok(())
    } else {
        Err(InsertError::EmailTaken)
    }
}

/// The columns that [`user`] reads.
const USER: &str = "id, email, role, name, phone, timezone, locale, created_at, email_verified";

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
        email_verified: row.get(8)?,
    })
}

/// Texts as one column.
fn json(texts: &[String]) -> String {
    // Writing texts to memory cannot fail.
    serde_json::to_string(texts).unwrap_or_default()
}

/// The columns that [`session`] reads.
const SESSION: &str = "id, user_id, created_at, last_used_at, ends_at, refresh_until, access_until, generation, token_hash, \
     user_agent, address";

fn session(row: &Row<'_>) -> sqlite_store::RowResult<Session> {
    let time = |column| row.get(column).map(from_millis);
    let hash = <[u8; 32]>::try_from(row.get::<_, Vec<u8>>(8)?);
    Ok(Session {
        id: row.get(0)?,
        user: row.get(1)?,
        created_at: time(2)?,
        last_used_at: time(3)?,
        ends_at: time(4)?,
        refresh_until: time(5)?,
        access_until: time(6)?,
        generation: row.get(7)?,
        token: TokenHash(hash.map_err(|_| Error::unreadable(8, HashLength))?),
        device: Device {
            user_agent: row.get(9)?,
            address: row.get(10)?,
        },
    })
}

#[derive(Debug, thiserror::Error)]
#[error("a hash is not of 32 bytes")]
struct HashLength;

/// Reads what [`user`] reads, and `password_hash`.
fn account(row: &Row<'_>) -> sqlite_store::RowResult<Account> {
    Ok(Account {
        user: user(row)?,
        password_hash: PasswordHash::stored(row.get(9)?),
    })
}

fn replace_hash(
    db: &Connection,
    user: UserId,
    old: &PasswordHash,
    new: &PasswordHash,
) -> Result<bool, StoreError> {
    let changed = db
        .prepare_cached("UPDATE users SET password_hash = ?3 WHERE id = ?1 AND password_hash = ?2")?
        .execute(params![user, old.as_str(), new.as_str()])?;
    Ok(changed == 1)
}

/// Ends up to `limit` sessions of a user (all: -1), within a transaction.
fn end_of(
    db: &Connection,
    user: UserId,
    except: Option<Uuid>,
    at: Timestamp,
    limit: i64,
) -> Result<Vec<EndedSession>, StoreError> {
    let mut select =
        db.prepare_cached("SELECT id FROM sessions WHERE user_id = ?1 AND id IS NOT ?2 LIMIT ?3")?;
    let ids = select.all(params![user, except, limit], |row| row.get::<_, Uuid>(0))?;
    let ended = ids.into_iter().map(|session_id| {
        let session = EndedSession {
            session_id,
            ended_at: at,
            until: at,
        };
        end(db, session)
    });
    ended.collect()
}

/// Drops ended sessions whose tokens have run out.
fn tidy(db: &Connection, now: Timestamp) -> Result<(), StoreError> {
    db.prepare_cached(
        "DELETE FROM ended_sessions WHERE id IN
             (SELECT id FROM ended_sessions WHERE until < ?1 ORDER BY until LIMIT ?2)",
    )?
    .execute(params![now.timestamp_millis(), TIDIED as i64])?;
    Ok(())
}

/// Ends one session, within a transaction.
fn end(db: &Connection, mut session: EndedSession) -> Result<EndedSession, StoreError> {
    let stored = db
        .prepare_cached("DELETE FROM sessions WHERE id = ?1 RETURNING access_until")?
        .find([session.session_id], |row| row.get(0).map(from_millis))?;
    session.until = stored.map_or(session.until, |until: Timestamp| until.max(session.until));
    Ok(db
        .prepare_cached(
            "INSERT INTO ended_sessions (id, ended_at, until) VALUES (?1, ?2, ?3)
             ON CONFLICT (id) DO UPDATE SET until = max(until, excluded.until) RETURNING ended_at, until",
        )?
        .one(
            params![
                session.session_id,
                session.ended_at.timestamp_millis(),
                session.until.timestamp_millis()
            ],
            |row| {
                Ok(EndedSession {
                    session_id: session.session_id,
                    ended_at: from_millis(row.get(0)?),
                    until: from_millis(row.get(1)?),
                })
            },
        )?)
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
