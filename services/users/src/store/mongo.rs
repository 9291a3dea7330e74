//! Production's store.

use std::sync::Arc;

use async_trait::async_trait;
use chrono_tz::Tz;
use common::audit::AuditStore;
use common::{
    api_keys::KeyHash,
    auth::Role,
    clock::{Timestamp, from_millis},
    http::{Cursor, Page},
    ids::UserId,
    outbox::{NewMessage, OutboxStore},
    services::Service,
    store::StoreError,
    wire::{ApiKeyCard, EndedSession, UserCard},
    workers::WakeSignal,
};
use futures_util::{FutureExt, future::BoxFuture};
use mongo_store::audit::{self, MongoAudit};
use mongo_store::{
    Collection, DocumentExt, Index, Mongo, Tx, date, lease,
    outbox::{self, MongoOutbox},
    sift, uuid, uuids,
};
use mongodb::bson::{Binary, Document, doc, spec::BinarySubtype};
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

const USERS: &str = "users";
const ENDED_SESSIONS: &str = "ended_sessions";
const SECOND_FACTORS: &str = "second_factors";
const SESSIONS: &str = "sessions";

/// Every collection of the service, as the SQLite tables of the same names.
pub const COLLECTIONS: &[Collection] = &[
    Collection {
        name: USERS,
        fields: &[
            ("email", "string"),
            ("password_hash", "string"), // PHC string; empty: none
            ("role", "string"),
            ("name", "string?"),
            ("phone", "string?"),        // E.164
            ("timezone", "string?"),     // IANA
            ("locale", "string?"),       // BCP 47
            ("email_verified", "bool?"), // earlier releases did not verify
            ("revision", "long?"),       // changes for what is decided at once to conflict
            ("created_at", "date"),
        ],
        check: Some(|| doc! {"role": {"$in": ["organizer", "user"]}}),
        indexes: &[Index::unique(&[("email", 1)])],
    },
    Collection {
        name: ENDED_SESSIONS,
        fields: &[("ended_at", "date"), ("until", "date")],
        check: None,
        indexes: &[
            Index::on(&[("ended_at", 1), ("_id", 1)]),
            Index::on(&[("until", 1)]),
        ],
    },
    // By the user.
    Collection {
        name: SECOND_FACTORS,
        fields: &[
            ("secret", "binData"), // of TOTP
            ("confirmed", "bool"),
            ("last_step", "long"), // whose code was used last
            ("recovery", "array"), // SHA-256 of the recovery codes that were not used
            ("confirmed_at", "date?"),
        ],
        check: None,
        indexes: &[],
    },
    Collection {
        name: SESSIONS,
        fields: &[
            ("user_id", "binData"),
            ("created_at", "date"),
            ("last_used_at", "date"),
            ("ends_at", "date"),       // in any case
            ("refresh_until", "date"), // the refresh token is void
            ("access_until", "date"),  // the last access token runs out
            ("generation", "long"),
            ("token_hash", "binData"), // SHA-256
            ("user_agent", "string?"),
            ("address", "string"),
        ],
        check: None,
        indexes: &[
            Index::on(&[("user_id", 1), ("created_at", 1), ("_id", 1)]),
            Index::on(&[("refresh_until", 1)]),
        ],
    },
    mailed_tokens::SCHEMA,
    identities::SCHEMA,
    api_keys::SCHEMA,
    audit::SCHEMA,
    outbox::SCHEMA,
    outbox::DEAD_LETTERS,
    lease::SCHEMA,
];

/// Accounts in MongoDB.
pub struct MongoStore {
    db: Mongo,
    wake: WakeSignal,
}

impl MongoStore {
    /// Begins a session; of what was `proved`, if that is still so, and no second factor is left to be shown.
    async fn begin_session_of(
        &self,
        proved: Option<Proved>,
        passed: bool,
        session: Session,
    ) -> Result<Result<(), NoSession>, StoreError> {
        let user = session.user;
        let mut tx = self.db.read();
        let now = date(session.created_at);
        let over = doc! {"refresh_until": {"$lt": now.clone()}, "access_until": {"$lt": now}};
        tx.delete_some(SESSIONS, over, doc! {"refresh_until": 1}, TIDIED)
            .await?;
        let mut document = doc! {
            "_id": uuid(session.id),
            "user_id": uuid(session.user),
            "created_at": date(session.created_at),
            "ends_at": date(session.ends_at),
            "generation": i64::from(session.generation),
            "address": session.device.address,
        };
        document.put("user_agent", session.device.user_agent);
        document.extend(rotated(&Rotation {
            last_used_at: session.last_used_at,
            refresh_until: session.refresh_until,
            access_until: session.access_until,
            token: session.token,
        }));
        self.db
            .write(
                (user, proved, passed, document),
                |tx, (user, proved, passed, document)| {
                    async move {
                        let account = match proved {
                            Some(proved) => unchanged(proved),
                            None => doc! {"_id": uuid(*user)},
                        };
                        // So that a change of the account at the same time, which ends its sessions, conflicts and sees this one.
                        let revised = doc! {"$inc": {"revision": 1_i64}};
                        let found = tx.update(USERS, account, revised).await?;
                        if proved.is_some() && !found {
                            return Ok(Err(NoSession::AccountChanged));
                        }
                        let factor = doc! {"_id": uuid(*user), "confirmed": true};
                        if !*passed && tx.find_one(SECOND_FACTORS, factor).await?.is_some() {
                            return Ok(Err(NoSession::SecondFactorNeeded));
                        }
                        tx.insert(SESSIONS, vec![document.clone()]).await?;
                        Ok(Ok(()))
                    }
                    .boxed()
                },
            )
            .await
    }

    /// Keeps accounts in a database opened with [`COLLECTIONS`].
    pub fn new(db: Mongo) -> Self {
        Self {
            db,
            wake: WakeSignal::default(),
        }
    }

    /// A change that may store messages: wakes the relay after the commit.
    async fn publishing<C, T>(
        &self,
        context: C,
        change: for<'a> fn(&'a mut Tx, &'a C) -> BoxFuture<'a, Result<T, StoreError>>,
    ) -> Result<T, StoreError>
    where
        C: Send + Sync,
        T: Send,
    {
        let result = self.db.write(context, change).await;
        if result.is_ok() {
            self.wake.wake();
        }
        result
    }
}

/// An account, if it is as it was when its user proved to be one.
fn unchanged(proved: &Proved) -> Document {
    let hash = PasswordHash::to_stored(proved.password_hash.as_ref());
    doc! {"_id": uuid(proved.user), "email": proved.email.as_str(), "password_hash": hash}
}

#[async_trait]
impl Store for MongoStore {
    async fn insert(&self, account: Account, issue: Option<Issue>) -> Result<(), InsertError> {
        self.tidy_mailed(issue.as_ref()).await?;
        let added = self
            .db
            .write((account, issue), |tx, (account, issue)| {
                async move {
                    // A concurrent sign-up violates the index, looks again, and finds this one.
                    let user = &account.user;
                    if tx.find_one(USERS, by_email(&user.email)).await?.is_some()
                        || mailed_tokens::is_reserved(tx, &user.email, None, user.created_at).await?
                    {
                        return Err(InsertError::EmailTaken);
                    }
                    tx.insert(USERS, vec![document(account)]).await?;
                    if let Some(issue) = issue {
                        mailed_tokens::issue(tx, issue).await?;
                    }
                    Ok(())
                }
                .boxed()
            })
            .await;
        if added.is_ok() {
            self.wake.wake();
        }
        added
    }

    async fn insert_linked(&self, user: User, identity: Identity) -> Result<(), InsertError> {
        let account = Account {
            user,
            password_hash: None,
        };
        self.db
            .write((account, identity), |tx, (account, identity)| {
                async move {
                    let user = &account.user;
                    let is_taken = tx.find_one(USERS, by_email(&user.email)).await?.is_some()
                        || mailed_tokens::is_reserved(tx, &user.email, None, user.created_at).await?;
                    if is_taken
                        || !identities::add(tx, identity, user.id, &user.email, user.created_at).await?
                    {
                        return Err(InsertError::EmailTaken);
                    }
                    Ok(tx.insert(USERS, vec![document(account)]).await?)
                }
                .boxed()
            })
            .await
    }

    async fn by_identity(&self, identity: &Identity) -> Result<Option<User>, StoreError> {
        identities::user_of(&mut self.db.read(), identity).await
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
            .write(
                (identity, user, email, proved, at),
                |tx, (identity, user, email, proved, at)| {
                    identities::link(tx, identity, *user, email, proved, *at).boxed()
                },
            )
            .await
    }

    async fn claim(&self, claim: Claim) -> Result<Option<Vec<EndedSession>>, StoreError> {
        self.db
            .write(claim, |tx, claim| identities::claim(tx, claim).boxed())
            .await
    }

    async fn by_email(&self, email: &Email) -> Result<Option<Account>, StoreError> {
        let found = self.db.read().find_one(USERS, by_email(email)).await?;
        found.as_ref().map(account).transpose()
    }

    async fn account(&self, id: UserId) -> Result<Option<Account>, StoreError> {
        let found = self.db.read().find_one(USERS, doc! {"_id": uuid(id)}).await?;
        found.as_ref().map(account).transpose()
    }

    async fn of_many_forms(
        &self,
        after: Option<&Email>,
        limit: usize,
    ) -> Result<Vec<(UserId, Email)>, StoreError> {
        let after = after.map_or("", Email::as_str);
        let odd = doc! {"email": {"$gt": after, "$regex": "[^ -~]|xn--"}};
        let found = self.db.read().find(USERS, odd, doc! {"email": 1}, limit).await?;
        let found = sift(&found, |found| {
            Ok((found.id("_id")?, Email::stored(found.text("email")?)))
        })?;
        Ok(found.left_out(table::USERS))
    }

    async fn readdress(&self, user: UserId, from: &Email, to: &Email) -> Result<bool, StoreError> {
        self.db
            .write((user, from.clone(), to.clone()), |tx, (user, from, to)| {
                async move {
                    if tx.find_one(USERS, by_email(to)).await?.is_some() {
                        return Ok(false);
                    }
                    let this = doc! {"_id": uuid(*user), "email": from.as_str()};
                    tx.update(USERS, this, doc! {"$set": {"email": to.as_str()}})
                        .await
                }
                .boxed()
            })
            .await
    }

    async fn by_id(&self, id: UserId) -> Result<Option<User>, StoreError> {
        let found = self.db.read().find_one(USERS, doc! {"_id": uuid(id)}).await?;
        found.as_ref().map(user).transpose()
    }

    async fn cards(&self, mut users: Vec<UserId>) -> Result<Vec<UserCard>, StoreError> {
        users.sort_unstable();
        users.dedup();
        let limit = users.len();
        let these = doc! {"_id": {"$in": uuids(users)}};
        let found = self.db.read().find(USERS, these, doc! {}, limit).await?;
        let found = sift(&found, |found| {
            Ok(UserCard {
                user_id: found.id("_id")?,
                email: found.text("email")?,
                name: found.maybe_text("name")?,
                phone: found.maybe_text("phone")?,
                timezone: found.maybe_text("timezone")?,
                locale: found.maybe_text("locale")?,
                email_verified: found.maybe_flag("email_verified")?.unwrap_or_default(),
            })
        })?;
        Ok(found.left_out(table::USERS))
    }

    async fn update_password_hash(
        &self,
        user: UserId,
        old: PasswordHash,
        new: PasswordHash,
    ) -> Result<bool, StoreError> {
        replace_hash(&mut self.db.read(), user, &old, &new).await
    }

    async fn change_password(&self, change: PasswordChange) -> Result<Option<Vec<EndedSession>>, StoreError> {
        self.tidy_mailed(Some(&change.issue)).await?;
        self.publishing(change, |tx, change| {
            async move {
                if !replace_hash(tx, change.user, &change.old, &change.new).await? {
                    return Ok(None);
                }
                mailed_tokens::forget(tx, change.user, &[Purpose::ChangeEmail]).await?;
                mailed_tokens::issue(tx, &change.issue).await?;
                let ended = end_of(tx, change.user, Some(change.keep), change.at, usize::MAX).await?;
                Ok(Some(ended))
            }
            .boxed()
        })
        .await
    }

    async fn issue(&self, issues: Vec<Issue>) -> Result<(), StoreError> {
        self.tidy_mailed(issues.first()).await?;
        self.publishing(issues, |tx, issues| {
            async move {
                for issue in issues {
                    mailed_tokens::issue(tx, issue).await?;
                }
                Ok(())
            }
            .boxed()
        })
        .await
    }

    async fn issue_if(&self, proved: Proved, issues: Vec<Issue>) -> Result<bool, StoreError> {
        self.tidy_mailed(issues.first()).await?;
        self.publishing((proved, issues), |tx, (proved, issues)| {
            async move {
                let revised = doc! {"$inc": {"revision": 1_i64}};
                if !tx.update(USERS, unchanged(proved), revised).await? {
                    return Ok(false);
                }
                for issue in issues {
                    mailed_tokens::issue(tx, issue).await?;
                }
                Ok(true)
            }
            .boxed()
        })
        .await
    }

    async fn mailed_token(&self, id: Uuid) -> Result<Option<MailedToken>, StoreError> {
        mailed_tokens::find(&mut self.db.read(), id).await
    }

    async fn mailed_tokens(&self, email: &Email) -> Result<Vec<MailedToken>, StoreError> {
        mailed_tokens::of_address(&mut self.db.read(), email).await
    }

    async fn redeem(&self, redemption: Redemption) -> Result<Redeemed, StoreError> {
        self.publishing(redemption, |tx, redemption| {
            mailed_tokens::redeem(tx, redemption).boxed()
        })
        .await
    }

    async fn update_details(&self, id: UserId, details: Details) -> Result<Option<User>, StoreError> {
        let (mut set, mut unset) = (doc! {}, doc! {});
        let mut change = |name: &str, value: Option<Option<String>>| match value {
            Some(Some(value)) => drop(set.insert(name, value)),
            Some(None) => drop(unset.insert(name, "")),
            None => {}
        };
        let text = |value: &str| value.to_owned();
        change("name", details.name);
        change(
            "phone",
            details
                .phone
                .map(|phone| phone.as_ref().map(Phone::as_str).map(text)),
        );
        change(
            "timezone",
            details.timezone.map(|zone| zone.map(Tz::name).map(text)),
        );
        change(
            "locale",
            details
                .locale
                .map(|locale| locale.as_ref().map(Locale::as_str).map(text)),
        );
        let mut update = doc! {};
        for (operator, fields) in [("$set", set), ("$unset", unset)] {
            if !fields.is_empty() {
                update.insert(operator, fields);
            }
        }
        let changed = self
            .db
            .read()
            .find_and_update(USERS, doc! {"_id": uuid(id)}, doc! {}, update)
            .await?;
        changed.as_ref().map(user).transpose()
    }

    async fn propose_second_factor(&self, user: UserId, secret: TotpSecret) -> Result<bool, StoreError> {
        self.db
            .write((user, secret), |tx, (user, secret)| {
                async move {
                    let this = doc! {"_id": uuid(*user)};
                    if let Some(found) = tx.find_one(SECOND_FACTORS, this.clone()).await?
                        && found.flag("confirmed")?
                    {
                        return Ok(false);
                    }
                    let proposed = doc! {"$set": {
                        "secret": bytes(secret.bytes()),
                        "confirmed": false,
                        "last_step": 0_i64,
                        "recovery": Vec::<String>::new(),
                    }};
                    tx.upsert(SECOND_FACTORS, this, proposed).await?;
                    Ok(true)
                }
                .boxed()
            })
            .await
    }

    async fn second_factor(&self, user: UserId) -> Result<Option<SecondFactor>, StoreError> {
        let this = doc! {"_id": uuid(user)};
        let found = self.db.read().find_one(SECOND_FACTORS, this).await?;
        found
            .map(|found| {
                Ok(SecondFactor {
                    secret: TotpSecret::stored(found.bytes("secret")?),
                    confirmed: found.flag("confirmed")?,
                })
            })
            .transpose()
    }

    async fn confirm_second_factor(
        &self,
        user: UserId,
        secret: TotpSecret,
        step: i64,
        recovery: Vec<RecoveryHash>,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let recovery: Vec<String> = recovery.into_iter().map(|hash| hash.0).collect();
        let this = doc! {"_id": uuid(user), "secret": bytes(secret.bytes()), "confirmed": false};
        let confirmed = doc! {"$set": {"confirmed": true, "last_step": step, "recovery": recovery, "confirmed_at": date(at)}};
        self.db.read().update(SECOND_FACTORS, this, confirmed).await
    }

    async fn use_step(&self, user: UserId, step: i64) -> Result<bool, StoreError> {
        let this = doc! {"_id": uuid(user), "confirmed": true, "last_step": {"$lt": step}};
        let used = doc! {"$set": {"last_step": step}};
        self.db.read().update(SECOND_FACTORS, this, used).await
    }

    async fn use_recovery_code(&self, user: UserId, code: RecoveryHash) -> Result<bool, StoreError> {
        let this = doc! {"_id": uuid(user), "confirmed": true, "recovery": &code.0};
        let used = doc! {"$pull": {"recovery": &code.0}};
        self.db.read().update(SECOND_FACTORS, this, used).await
    }

    async fn remove_second_factor(&self, user: UserId) -> Result<bool, StoreError> {
        let this = doc! {"_id": uuid(user)};
        Ok(self.db.read().delete(SECOND_FACTORS, this).await? == 1)
    }

    async fn delete_account(
        &self,
        proved: Proved,
        messages: Vec<NewMessage>,
        at: Timestamp,
    ) -> Result<Deleted, StoreError> {
        self.tidy(at).await?;
        self.publishing((proved, messages, at), |tx, (proved, messages, at)| {
            deletion::delete(tx, proved, messages, *at).boxed()
        })
        .await
    }

    async fn identities(&self, user: UserId) -> Result<Vec<(Identity, Timestamp)>, StoreError> {
        identities::of(&mut self.db.read(), user).await
    }

    async fn add_api_key(&self, key: StoredKey, session: Uuid) -> Result<KeyAdded, StoreError> {
        self.db
            .write((key, session), |tx, (key, session)| {
                api_keys::add(tx, key, *session).boxed()
            })
            .await
    }

    async fn api_keys(&self, user: UserId, page: Page) -> Result<Vec<StoredKey>, StoreError> {
        api_keys::list(&mut self.db.read(), user, page).await
    }

    async fn delete_api_key(
        &self,
        user: UserId,
        key: Uuid,
        at: Timestamp,
    ) -> Result<Option<EndedSession>, StoreError> {
        self.tidy(at).await?;
        self.db
            .write((user, key, at), |tx, (user, key, at)| {
                api_keys::delete(tx, *user, *key, *at).boxed()
            })
            .await
    }

    async fn use_api_keys(
        &self,
        hashes: Vec<KeyHash>,
        now: Timestamp,
    ) -> Result<Vec<ApiKeyCard>, StoreError> {
        api_keys::use_all(&self.db, hashes, now).await
    }

    async fn begin_session(&self, session: Session) -> Result<(), StoreError> {
        self.begin_session_of(None, true, session).await.map(drop)
    }

    async fn begin_session_if(
        &self,
        proved: Proved,
        passed: bool,
        session: Session,
    ) -> Result<Result<(), NoSession>, StoreError> {
        self.begin_session_of(Some(proved), passed, session).await
    }

    async fn session(&self, id: Uuid) -> Result<Option<Session>, StoreError> {
        let found = self.db.read().find_one(SESSIONS, doc! {"_id": uuid(id)}).await?;
        found.as_ref().map(session).transpose()
    }

    async fn sessions(&self, user: UserId, page: Page, now: Timestamp) -> Result<Vec<Session>, StoreError> {
        let mut filter = doc! {"user_id": uuid(user), "refresh_until": {"$gte": date(now)}};
        if let Some(Cursor { key, id }) = page.after {
            let at = date(from_millis(key));
            filter.insert("created_at", doc! {"$lte": at.clone()});
            filter.insert(
                "$or",
                vec![doc! {"created_at": {"$lt": at}}, doc! {"_id": {"$lt": uuid(id)}}],
            );
        }
        let order = doc! {"created_at": -1, "_id": -1};
        let (wanted, mut asked) = (page.limit + 1, page.limit + 1);
        loop {
            let found = self
                .db
                .read()
                .find(SESSIONS, filter.clone(), order.clone(), asked)
                .await?;
            let found = sift(&found, session)?;
            match found.ask_again(wanted, asked) {
                Some(more) => asked = more,
                None => return Ok(found.left_out(table::SESSIONS)),
            }
        }
    }

    async fn rotate(&self, session: Uuid, generation: u32, rotation: Rotation) -> Result<bool, StoreError> {
        let live = doc! {"_id": uuid(session), "generation": i64::from(generation)};
        let change = doc! {"$set": rotated(&rotation), "$inc": {"generation": 1_i64}};
        self.db.read().update(SESSIONS, live, change).await
    }

    async fn end_session(&self, session: EndedSession) -> Result<EndedSession, StoreError> {
        self.tidy(session.ended_at).await?;
        self.db
            .write(session, |tx, session| end(tx, session.clone()).boxed())
            .await
    }

    async fn end_sessions_of(
        &self,
        user: UserId,
        except: Option<Uuid>,
        at: Timestamp,
        limit: usize,
    ) -> Result<Vec<EndedSession>, StoreError> {
        self.tidy(at).await?;
        self.db
            .write((user, except, at, limit), |tx, (user, except, at, limit)| {
                end_of(tx, *user, *except, *at, *limit).boxed()
            })
            .await
    }

    async fn ended_sessions(
        &self,
        since: Timestamp,
        after: Option<(Timestamp, Uuid)>,
        limit: usize,
    ) -> Result<Vec<EndedSession>, StoreError> {
        let filter = match after {
            None => doc! {"ended_at": {"$gte": date(since)}},
            Some((at, id)) => doc! {
                "ended_at": {"$gte": date(at.max(since))},
                "$or": [{"ended_at": {"$gt": date(at)}}, {"_id": {"$gt": uuid(id)}}],
            },
        };
        let order = doc! {"ended_at": 1, "_id": 1};
        let found = self.db.read().find(ENDED_SESSIONS, filter, order, limit).await?;
        Ok(sift(&found, ended_session)?.left_out(table::ENDED_SESSIONS))
    }

    fn outbox(&self) -> Arc<dyn OutboxStore> {
        MongoOutbox::shared(self.db.clone(), Service::Users)
    }

    fn audit(&self) -> Arc<dyn AuditStore> {
        MongoAudit::shared(self.db.clone())
    }

    fn wake_signal(&self) -> WakeSignal {
        self.wake.clone()
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.db.ping().await
    }
}

impl MongoStore {
    /// Drops mailed tokens that have expired, before another one is issued.
    async fn tidy_mailed(&self, issue: Option<&Issue>) -> Result<(), StoreError> {
        match issue {
            Some(issue) => mailed_tokens::tidy(&mut self.db.read(), issue.token.issued_at).await,
            None => Ok(()),
        }
    }

    /// Drops ended sessions whose tokens have run out.
    async fn tidy(&self, now: Timestamp) -> Result<(), StoreError> {
        let over = doc! {"until": {"$lt": date(now)}};
        let mut tx = self.db.read();
        tx.delete_some(ENDED_SESSIONS, over, doc! {"until": 1}, TIDIED)
            .await?;
        Ok(())
    }
}

/// Ends one session, within a transaction.
async fn end(tx: &mut Tx, mut session: EndedSession) -> Result<EndedSession, StoreError> {
    let this = doc! {"_id": uuid(session.session_id)};
    if let Some(stored) = tx.find_one(SESSIONS, this.clone()).await? {
        session.until = session.until.max(stored.time("access_until")?);
        tx.delete(SESSIONS, this.clone()).await?;
    }
    let change = doc! {
        "$setOnInsert": {"ended_at": date(session.ended_at)},
        "$max": {"until": date(session.until)},
    };
    tx.upsert(ENDED_SESSIONS, this.clone(), change).await?;
    let stored = tx.find_one(ENDED_SESSIONS, this).await?;
    stored.as_ref().map_or(Ok(session), ended_session)
}

fn ended_session(found: &Document) -> Result<EndedSession, StoreError> {
    Ok(EndedSession {
        session_id: found.id("_id")?,
        ended_at: found.time("ended_at")?,
        until: found.time("until")?,
    })
}

/// Ends up to `limit` sessions of a user, within a transaction.
async fn end_of(
    tx: &mut Tx,
    user: UserId,
    except: Option<Uuid>,
    at: Timestamp,
    limit: usize,
) -> Result<Vec<EndedSession>, StoreError> {
    let mut theirs = doc! {"user_id": uuid(user)};
    theirs.put("_id", except.map(|id| doc! {"$ne": uuid(id)}));
    let found = tx.find(SESSIONS, theirs, doc! {}, limit).await?;
    let ended = found.iter().map(|session| {
        Ok(EndedSession {
            session_id: session.id("_id")?,
            ended_at: at,
            until: session.time("access_until")?.max(at),
        })
    });
    let ended: Vec<EndedSession> = ended.collect::<Result<_, StoreError>>()?;
    let ids = uuids(ended.iter().map(|session| session.session_id));
    tx.delete(SESSIONS, doc! {"_id": {"$in": ids}}).await?;
    let rows = ended.iter().map(|session| {
        doc! {
            "_id": uuid(session.session_id),
            "ended_at": date(session.ended_at),
            "until": date(session.until),
        }
    });
    tx.insert(ENDED_SESSIONS, rows.collect()).await?;
    Ok(ended)
}

async fn replace_hash(
    tx: &mut Tx,
    user: UserId,
    old: &PasswordHash,
    new: &PasswordHash,
) -> Result<bool, StoreError> {
    let unchanged = doc! {"_id": uuid(user), "password_hash": old.as_str()};
    let set = doc! {"$set": {"password_hash": new.as_str()}};
    tx.update(USERS, unchanged, set).await
}

fn bytes(bytes: &[u8]) -> Binary {
    Binary {
        subtype: BinarySubtype::Generic,
        bytes: bytes.to_vec(),
    }
}

/// The fields that a use of a refresh token sets.
fn rotated(rotation: &Rotation) -> Document {
    doc! {
        "last_used_at": date(rotation.last_used_at),
        "refresh_until": date(rotation.refresh_until),
        "access_until": date(rotation.access_until),
        "token_hash": bytes(&rotation.token.0),
    }
}

fn session(found: &Document) -> Result<Session, StoreError> {
    let unreadable = |what: &str| StoreError::Corrupt(format!("a session with an unreadable {what}"));
    Ok(Session {
        id: found.id("_id")?,
        user: found.id("user_id")?,
        created_at: found.time("created_at")?,
        last_used_at: found.time("last_used_at")?,
        ends_at: found.time("ends_at")?,
        refresh_until: found.time("refresh_until")?,
        access_until: found.time("access_until")?,
        generation: found
            .long("generation")?
            .try_into()
            .map_err(|_| unreadable("generation"))?,
        token: TokenHash(
            found
                .bytes("token_hash")?
                .try_into()
                .map_err(|_| unreadable("hash"))?,
        ),
        device: Device {
            user_agent: found.maybe_text("user_agent")?,
            address: found.text("address")?,
        },
    })
}

fn by_email(email: &Email) -> Document {
    doc! {"email": email.as_str()}
}

fn document(Account { user, password_hash }: &Account) -> Document {
    let mut document = doc! {
        "_id": uuid(user.id),
        "email": user.email.as_str(),
        "password_hash": PasswordHash::to_stored(password_hash.as_ref()),
        "role": user.role.name(),
        "created_at": date(user.created_at),
        "email_verified": user.email_verified,
    };
    document.put("name", user.name.as_deref());
    document.put("phone", user.phone.as_ref().map(Phone::as_str));
    document.put("timezone", user.timezone.map(Tz::name));
    document.put("locale", user.locale.as_ref().map(Locale::as_str));
    document
}

fn account(found: &Document) -> Result<Account, StoreError> {
    Ok(Account {
        user: user(found)?,
        password_hash: PasswordHash::stored(found.text("password_hash")?),
    })
}

fn user(found: &Document) -> Result<User, StoreError> {
    let unreadable = |what: &str| StoreError::Corrupt(format!("a user with an unreadable {what}"));
    let timezone = found.maybe_text("timezone")?;
    Ok(User {
        id: found.id("_id")?,
        email: Email::stored(found.text("email")?),
        role: Role::parse(&found.text("role")?).ok_or_else(|| unreadable("role"))?,
        name: found.maybe_text("name")?,
        phone: found.maybe_text("phone")?.map(Phone::stored),
        timezone: timezone
            .map(|name| name.parse::<Tz>().map_err(|_| unreadable("time zone")))
            .transpose()?,
        locale: found.maybe_text("locale")?.map(Locale::stored),
        created_at: found.time("created_at")?,
        email_verified: found.maybe_flag("email_verified")?.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use common::wire::service;
    use store_test_kit::mongo::{Watch, damager};
    use test_kit::{damage::Damager, mongo::fresh_uri};

    use super::*;
    use crate::store::contract::Kept;

    struct Watched(Watch, Mongo, Damager);

    impl Kept for Watched {
        fn damager(&self) -> &Damager {
            &self.2
        }

        async fn finish(self) {
            self.0.assert_no_scan(&self.1).await;
        }
    }

    async fn fresh() -> (MongoStore, Watched) {
        let watch = Watch::default();
        let db = watch.open(&fresh_uri(), service::USERS, COLLECTIONS).await;
        (
            MongoStore::new(db.clone()),
            Watched(watch, db.clone(), damager(&db)),
        )
    }

    crate::store_contract!(fresh);
}
