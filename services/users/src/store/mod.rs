//! Where the accounts are kept. A further adapter implements [`Store`] and joins the contract suite with one
//! line.

#[cfg(feature = "mongodb")]
pub mod mongo;
pub mod sqlite;

#[cfg(test)]
pub(crate) mod contract;

use std::sync::Arc;

use async_trait::async_trait;
use common::{
    api_keys::KeyHash,
    audit::AuditStore,
    auth::Role,
    clock::Timestamp,
    http::Page,
    ids::UserId,
    outbox::{NewMessage, OutboxStore},
    settings::Settings,
    store::StoreError,
    wire::{ApiKeyCard, EndedSession, UserCard, service},
    workers::WakeSignal,
};
use uuid::Uuid;

use crate::domain::{
    Account, Details, Email, Identity, MailedToken, PasswordHash, RecoveryHash, Rotation, SecondFactor,
    Session, StoredKey, TotpSecret, User,
};

/// Ended sessions whose tokens have run out that go with each one that is added, so that they never pile up; likewise
/// sessions that are over.
const TIDIED: usize = 100;

/// The tables as the log and figures name them.
mod table {
    pub const API_KEYS: &str = "users.api_keys";
    pub const MAILED_TOKENS: &str = "users.mailed_tokens";
    pub const ENDED_SESSIONS: &str = "users.ended_sessions";
    pub const SESSIONS: &str = "users.sessions";
    pub const USERS: &str = "users.users";
}

/// Why an account was not added.
#[derive(Debug, thiserror::Error)]
pub enum InsertError {
    /// Another account has this address.
    #[error("the e-mail address has an account")]
    EmailTaken,
    /// A storage error.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A mailed token about to be stored, in place of earlier ones of its purpose where they are void then.
pub struct Issue {
    /// The token.
    pub token: MailedToken,
    /// What has it mailed.
    pub message: NewMessage,
}

/// An account as it was when its user proved to be one.
#[derive(Clone, Debug)]
pub struct Proved {
    /// The account.
    pub user: UserId,
    /// Its address.
    pub email: Email,
    /// Its password, if it has one.
    pub password_hash: Option<PasswordHash>,
}

/// Why no session begins for what was proved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoSession {
    /// The account is not as it was.
    AccountChanged,
    /// The account has a second factor that was not shown.
    SecondFactorNeeded,
}

/// The use of a mailed token.
pub struct Redemption {
    /// The token.
    pub token: Uuid,
    /// With a token that resets a password, and only then: the hash of the new one.
    pub password: Option<PasswordHash>,
    /// To be issued with it.
    pub issue: Option<Issue>,
    /// When.
    pub at: Timestamp,
}

/// What the use of a mailed token has come to.
#[derive(Debug)]
pub enum Redeemed {
    /// The user as it is now, and the sessions that have ended.
    Done(User, Vec<EndedSession>),
    /// There is no such token any more, or it is good for something else.
    Void,
    /// Another account has the address.
    EmailTaken,
}

/// An account whose address nobody had proved, about to go to who has proved it now.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The account.
    pub user: UserId,
    /// The address.
    pub email: Email,
    /// Who has proved it.
    pub identity: Identity,
    /// What to call them.
    pub name: Option<String>,
    /// The account's role from then on; `None`: as it was.
    pub role: Option<Role>,
    /// When.
    pub at: Timestamp,
}

/// What has come of deleting an account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Deleted {
    /// It is gone, and these sessions and API keys have ended.
    Done(Vec<EndedSession>),
    /// Until then somebody can put an earlier address back, and is not to find nothing.
    WayBack(Timestamp),
    /// It has changed meanwhile.
    Changed,
}

/// What has come of adding an API key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyAdded {
    /// It is there.
    Added,
    /// The account has [`crate::domain::MAX_KEYS`].
    TooMany,
    /// Whoever asked for it is signed out.
    SessionEnded,
}

/// A change of a password.
pub struct PasswordChange {
    /// Whose.
    pub user: UserId,
    /// The hash of the password that was checked.
    pub old: PasswordHash,
    /// The hash of the one that replaces it.
    pub new: PasswordHash,
    /// The session that changes it, and goes on.
    pub keep: Uuid,
    /// When.
    pub at: Timestamp,
    /// To be issued with it.
    pub issue: Issue,
}

/// The accounts. Each method is one atomic decision; a change is durable when it returns.
#[async_trait]
pub trait Store: Send + Sync {
    /// Adds an account with the token that is mailed to it, unless its address has one. Of several at once with one address
    /// exactly one is added.
    async fn insert(&self, account: Account, issue: Option<Issue>) -> Result<(), InsertError>;

    /// Adds an account without a password, linked with an identity, unless its address or the identity has one.
    async fn insert_linked(&self, user: User, identity: Identity) -> Result<(), InsertError>;

    /// The user that an identity is linked with.
    async fn by_identity(&self, identity: &Identity) -> Result<Option<User>, StoreError>;

    /// Links an identity with an account, if it still has this address, verified, and this password; `false` when not, or
    /// when the identity is linked already.
    async fn link(
        &self,
        identity: Identity,
        user: UserId,
        email: Email,
        proved: PasswordHash,
        at: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Gives an account to who has proved its address, if nobody had: it has no password from then on, no second factor,
    /// no mailed tokens, and nothing of what was said of its user; its sessions and API keys have ended, which are given, and
    /// the identity is linked. `None`: somebody was faster.
    async fn claim(&self, claim: Claim) -> Result<Option<Vec<EndedSession>>, StoreError>;

    /// The account of an address.
    async fn by_email(&self, email: &Email) -> Result<Option<Account>, StoreError>;

    /// Up to `limit` accounts whose address is not plain ASCII, or has a label in punycode, in the order of the
    /// addresses, beyond `after`: only those may have more than one form.
    async fn of_many_forms(
        &self,
        after: Option<&Email>,
        limit: usize,
    ) -> Result<Vec<(UserId, Email)>, StoreError>;

    /// Gives an account the other form of its address; `false` when another account has that, or the account no
    /// longer has `from`.
    async fn readdress(&self, user: UserId, from: &Email, to: &Email) -> Result<bool, StoreError>;

    /// A user with the credentials.
    async fn account(&self, user: UserId) -> Result<Option<Account>, StoreError>;

    /// A user.
    async fn by_id(&self, user: UserId) -> Result<Option<User>, StoreError>;

    /// How to reach each of these users; once each, in no particular order, without those that do not exist.
    async fn cards(&self, users: Vec<UserId>) -> Result<Vec<UserCard>, StoreError>;

    /// Replaces a password's hash, if it still is `old`; returns whether it was. So a hash that was renewed at
    /// login never undoes a change of the password that came between.
    async fn update_password_hash(
        &self,
        user: UserId,
        old: PasswordHash,
        new: PasswordHash,
    ) -> Result<bool, StoreError>;

    /// Replaces a password's hash, if it still is the old one, and ends all of the user's sessions but one, both or neither.
    /// Gives the sessions that it ended, or `None` when the hash is another. A change of the address that is pending is off.
    async fn change_password(&self, change: PasswordChange) -> Result<Option<Vec<EndedSession>>, StoreError>;

    /// Issues tokens, all or none. Up to [`TIDIED`] that have expired go with them, so that they never pile up.
    async fn issue(&self, issues: Vec<Issue>) -> Result<(), StoreError>;

    /// The same, if the account still is as it was when its user was asked to prove it; returns whether it was.
    async fn issue_if(&self, proved: Proved, issues: Vec<Issue>) -> Result<bool, StoreError>;

    /// A mailed token that has been neither used nor replaced.
    async fn mailed_token(&self, id: Uuid) -> Result<Option<MailedToken>, StoreError>;

    /// Those that were mailed to an address, newest first.
    async fn mailed_tokens(&self, email: &Email) -> Result<Vec<MailedToken>, StoreError>;

    /// Uses a mailed token, once, with all of its effect ([`MailedToken::effect`]).
    async fn redeem(&self, redemption: Redemption) -> Result<Redeemed, StoreError>;

    /// Changes a user's details; gives the user as it is now, if there is one.
    async fn update_details(&self, user: UserId, details: Details) -> Result<Option<User>, StoreError>;

    /// Keeps the secret of a second factor that is not confirmed yet, in place of an earlier one; `false` when the user has a
    /// confirmed one.
    async fn propose_second_factor(&self, user: UserId, secret: TotpSecret) -> Result<bool, StoreError>;

    /// A user's second factor, confirmed or not.
    async fn second_factor(&self, user: UserId) -> Result<Option<SecondFactor>, StoreError>;

    /// Confirms a second factor by the code of this step, which is used by that, and stores its recovery codes; `false` when
    /// the one to be confirmed is another, or there is none.
    async fn confirm_second_factor(
        &self,
        user: UserId,
        secret: TotpSecret,
        step: i64,
        recovery: Vec<RecoveryHash>,
        at: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Uses the code of a step; `false` when it, or a later one, was used before.
    async fn use_step(&self, user: UserId, step: i64) -> Result<bool, StoreError>;

    /// Uses a recovery code of a confirmed second factor; `false` when it is none, or was used before.
    async fn use_recovery_code(&self, user: UserId, code: RecoveryHash) -> Result<bool, StoreError>;

    /// Removes a second factor and its recovery codes; `false` when there was none.
    async fn remove_second_factor(&self, user: UserId) -> Result<bool, StoreError>;

    /// Deletes an account with all that belongs to it, if it still is as it was when its user was asked to prove it and nobody can
    /// take it back; what is to be published of it is stored with that.
    async fn delete_account(
        &self,
        proved: Proved,
        messages: Vec<NewMessage>,
        at: Timestamp,
    ) -> Result<Deleted, StoreError>;

    /// The identities that an account is linked with, and since when, the earliest first.
    async fn identities(&self, user: UserId) -> Result<Vec<(Identity, Timestamp)>, StoreError>;

    /// Adds an API key, if this session of its user has not been ended.
    async fn add_api_key(&self, key: StoredKey, session: Uuid) -> Result<KeyAdded, StoreError>;

    /// A user's API keys, newest first: up to one more than `page.limit`.
    async fn api_keys(&self, user: UserId, page: Page) -> Result<Vec<StoredKey>, StoreError>;

    /// Deletes a user's API key, and gives it as an ended session, which it is for every process; `None`: there is none.
    async fn delete_api_key(
        &self,
        user: UserId,
        key: Uuid,
        at: Timestamp,
    ) -> Result<Option<EndedSession>, StoreError>;

    /// What the API keys of these hashes are good for, and notes their uses ([`StoredKey::notes_use`]).
    async fn use_api_keys(&self, hashes: Vec<KeyHash>, now: Timestamp)
    -> Result<Vec<ApiKeyCard>, StoreError>;

    /// Begins a session. Up to [`TIDIED`] sessions that are over go with it, so that they never pile up.
    async fn begin_session(&self, session: Session) -> Result<(), StoreError>;
    /// Likewise, unless the account has changed since its user proved to be one, or has a second factor that was not `passed`: then
    /// nothing happens.
    async fn begin_session_if(
        &self,
        proved: Proved,
        passed: bool,
        session: Session,
    ) -> Result<Result<(), NoSession>, StoreError>;

    /// A session that has not been ended.
    async fn session(&self, session: Uuid) -> Result<Option<Session>, StoreError>;

    /// A user's sessions whose refresh tokens are good at `now`, newest first: up to one more than `page.limit`.
    async fn sessions(&self, user: UserId, page: Page, now: Timestamp) -> Result<Vec<Session>, StoreError>;

    /// Replaces a session's refresh token, if its live one still is of `generation`; returns whether it was.
    async fn rotate(&self, session: Uuid, generation: u32, rotation: Rotation) -> Result<bool, StoreError>;

    /// Ends a session, of which nothing may be stored: earlier releases kept none. Again is fine: the first time counts.
    /// Gives it as it has ended, good until the last of its access tokens runs out.
    async fn end_session(&self, session: EndedSession) -> Result<EndedSession, StoreError>;

    /// Ends up to `limit` sessions of a user, but not `except`, and gives those it ended.
    async fn end_sessions_of(
        &self,
        user: UserId,
        except: Option<Uuid>,
        at: Timestamp,
        limit: usize,
    ) -> Result<Vec<EndedSession>, StoreError>;

    /// Sessions that ended at `since` or later, in the order of time and id, those after `after` only. Sessions whose
    /// tokens ran out before another one ended may be missing.
    async fn ended_sessions(
        &self,
        since: Timestamp,
        after: Option<(Timestamp, Uuid)>,
        limit: usize,
    ) -> Result<Vec<EndedSession>, StoreError>;

    /// The outbox.
    fn outbox(&self) -> Arc<dyn OutboxStore>;

    /// The audit trail.
    fn audit(&self) -> Arc<dyn AuditStore>;

    /// The wake signal, sent after a commit that may have stored messages.
    fn wake_signal(&self) -> WakeSignal;

    /// Checks that changes can be made.
    async fn ping(&self) -> Result<(), StoreError>;
}

/// Opens the store that the settings name.
///
/// # Errors
/// One sentence for the person who started the program.
pub async fn open(settings: &Settings) -> Result<Arc<dyn Store>, String> {
    #[cfg(feature = "mongodb")]
    if let Some(uri) = &settings.mongodb_uri {
        let db = mongo_store::open(uri, service::USERS, mongo::COLLECTIONS).await?;
        return Ok(Arc::new(mongo::MongoStore::new(db)));
    }
    #[cfg(not(feature = "mongodb"))]
    settings.refuse_mongodb()?;
    let db = sqlite_store::open(settings, service::USERS, sqlite::MIGRATIONS)?;
    Ok(Arc::new(sqlite::SqliteStore::new(db)))
}
