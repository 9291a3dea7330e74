//! Everything that is kept. Each method is one decision that is atomic in every adapter; `contract` tests what all
//! of them must do.

pub mod broadcasts;
#[cfg(test)]
pub mod contract;
pub(crate) mod messages;
#[cfg(feature = "mongodb")]
pub mod mongo;
pub mod sqlite;
pub mod wordings;

use std::{ops::Deref, sync::Arc};

use async_trait::async_trait;
use common::{
    audit::AuditStore,
    clock::Timestamp,
    http::Page,
    ids::{EventId, MessageId, RegistrationId, UserId},
    outbox::OutboxStore,
    settings::Settings,
    store::StoreError,
    wire::{EventFacts, service},
    workers::WakeSignal,
};
use uuid::Uuid;

use self::{broadcasts::BroadcastStore, wordings::WordingStore};
use crate::domain::{
    delivery::Outcome,
    kind::Kinds,
    message::{Channel, Kind, Letter, Message, Status},
    preferences::Preferences,
};

/// The tables as the log and figures name them.
mod table {
    pub const ANNOUNCEMENTS: &str = "notifications.announcements";
    pub const ATTENDANCES: &str = "notifications.attendances";
    pub const BROADCASTS: &str = "notifications.broadcasts";
    pub const MESSAGES: &str = "notifications.messages";
    pub const SCHEDULES: &str = "notifications.schedules";
    pub const WORDINGS: &str = "notifications.wordings";
}

/// How a message that is about no event is stored: under an id that no event has.
fn stored_event(event: Option<EventId>) -> EventId {
    event.unwrap_or(EventId(Uuid::nil()))
}

/// The event of a stored message.
fn event_of(stored: EventId) -> Option<EventId> {
    (!stored.0.is_nil()).then_some(stored)
}

/// Letters that are void once the registration has ended.
const WITHDRAWN_AT_END: [Kinds; 5] = [
    Kinds::Reminders,
    Kinds::Only(Kind::EventUpdated),
    Kinds::Only(Kind::Announcement),
    Kinds::Only(Kind::PaymentFailed),
    Kinds::Only(Kind::HoldExpired),
];

/// How long settled reminders are kept for diagnosis: 30 days.
const SETTLED_KEPT_MILLIS: i64 = 30 * 24 * 3600 * 1000;

/// A message from another service, with the letters it asks for.
#[derive(Clone, Debug)]
pub struct Intake {
    /// The id by which repeats are recognized.
    pub id: Uuid,
    /// What it changes here.
    pub change: Change,
}

/// What a message from another service changes here.
#[derive(Clone, Debug)]
pub enum Change {
    /// A registration was confirmed: reminders are planned and letters queued. One that ended before stays ended.
    Confirmed {
        /// The registration.
        registration_id: RegistrationId,
        /// The attendee.
        user_id: UserId,
        /// The event as the sender knew it.
        facts: EventFacts,
        /// Whether it was paid for: letters about it as unpaid are withdrawn.
        paid: bool,
        /// To be queued.
        letters: Vec<Letter>,
    },
    /// A registration is not paid for: letters are queued, unless it was confirmed or has ended, or its user was
    /// notified that it has expired.
    Unpaid {
        /// The registration.
        registration_id: RegistrationId,
        /// The event, where the sender knew it.
        facts: Option<EventFacts>,
        /// To be queued. The letter about an expired hold replaces those about declines that are not sent yet.
        letters: Vec<Letter>,
    },
    /// A registration ended: reminders are dropped and letters queued.
    Ended {
        /// The registration.
        registration_id: RegistrationId,
        /// The attendee.
        user_id: UserId,
        /// The event as the sender knew it.
        facts: EventFacts,
        /// To be queued.
        letters: Vec<Letter>,
    },
    /// An event is different.
    EventChanged(EventFacts),
    /// Letters that depend on nothing else.
    Told {
        /// To be queued.
        letters: Vec<Letter>,
    },
    /// Letters about an event, which depend on nothing else.
    ToldOf {
        /// The event as the sender knew it.
        facts: EventFacts,
        /// To be queued.
        letters: Vec<Letter>,
    },
    /// An account was deleted: all messages to its user go.
    Forget {
        /// The user.
        user_id: UserId,
    },
    /// Nothing, for instance because the user is gone. It is only remembered that the message came.
    Nothing,
}

/// A reminder whose time has come.
#[derive(Clone, Debug)]
pub struct DueReminder {
    /// The attendee's registration.
    pub registration_id: RegistrationId,
    /// The attendee.
    pub user_id: UserId,
    /// Which reminder.
    pub kind: Kind,
    /// When it was due.
    pub due_at: Timestamp,
    /// The schedule it belongs to.
    pub schedule_version: i64,
    /// The event as it is now.
    pub facts: Arc<EventFacts>,
}

/// What was decided on a due reminder.
#[derive(Clone, Debug)]
pub struct DecidedReminder {
    /// With the next two: which reminder. It is left alone when it is not pending for this schedule any more.
    pub registration_id: RegistrationId,
    /// Which.
    pub kind: Kind,
    /// The schedule it was due for.
    pub schedule_version: i64,
    /// What to do.
    pub decision: Decision,
}

/// What to do with a due reminder.
#[derive(Clone, Debug)]
pub enum Decision {
    /// Queue these and be done.
    Send {
        /// The version of the event that they announce.
        event_version: i64,
        /// To be queued.
        letters: Vec<Letter>,
    },
    /// Wait for another time.
    Move {
        /// Until when.
        due_at: Timestamp,
        /// The schedule it belongs to from now on.
        schedule_version: i64,
    },
    /// Not needed any more.
    Drop,
    /// Too late to be of use.
    SkipLate,
}

/// A change of an event that has not reached all attendees, and the next of them.
#[derive(Clone, Debug)]
pub struct Announcement {
    /// The event as it is announced.
    pub facts: Arc<EventFacts>,
    /// The last registration that it reached; `None` at the beginning.
    pub cursor: Option<RegistrationId>,
    /// The next ones in order. None: all are reached.
    pub attendees: Vec<Attendee>,
}

/// An attendee of an event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attendee {
    /// The registration.
    pub registration_id: RegistrationId,
    /// The attendee.
    pub user_id: UserId,
    /// The event as the attendee was last notified of it; `None` when that cannot be read any more.
    pub known: Option<Arc<EventFacts>>,
}

/// A step of an announcement.
#[derive(Clone, Debug)]
pub struct Step {
    /// The event as it is announced.
    pub facts: Arc<EventFacts>,
    /// Where the announcement stood. The step is void when it stands elsewhere or is of another version.
    pub cursor: Option<RegistrationId>,
    /// Those reached with this step, in order, each with the letters to be queued. None: the announcement is over.
    pub reached: Vec<(RegistrationId, Vec<Letter>)>,
}

/// A message leased to a worker.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// The message.
    pub message: Message,
    /// Proves that the worker's lease is the latest.
    pub fence: i64,
    /// Tries, this one included.
    pub attempts: u32,
}

/// What a worker reports of a message it claimed.
#[derive(Clone, PartialEq, Debug)]
pub struct DeliveryReport {
    /// The message.
    pub id: MessageId,
    /// From [`Claimed`].
    pub fence: i64,
    /// What came of the try.
    pub result: Tried,
}

/// What came of a try.
#[derive(Clone, PartialEq, Debug)]
pub enum Tried {
    /// The provider took it.
    Sent {
        /// The provider.
        provider: &'static str,
        /// The provider's name for it.
        provider_id: String,
    },
    /// It may work later.
    Retry {
        /// When to try again.
        at: Timestamp,
        /// What went wrong.
        why: String,
    },
    /// The provider will never take it.
    Failed {
        /// What went wrong.
        why: String,
    },
    /// It cannot be rendered: a release that can may send it.
    Dead {
        /// What is wrong.
        why: String,
    },
    /// It was not tried; this claim does not count.
    Returned,
}

/// What a provider reports of a message.
#[derive(Clone, PartialEq, Debug)]
pub struct News {
    /// The provider.
    pub provider: &'static str,
    /// The message, where the report says so.
    pub id: Option<MessageId>,
    /// The provider's name for it.
    pub provider_id: String,
    /// What became of it.
    pub outcome: Outcome,
}

/// All that is known of a message's way. Neither address nor text: an operator needs neither.
#[derive(Clone, PartialEq, Debug)]
pub struct Record {
    /// As its reader sees it.
    pub entry: Entry,
    /// The recipient.
    pub user_id: UserId,
    /// The registration, payment, token or announcement it is about.
    pub occurrence: Uuid,
    /// Tries so far.
    pub attempts: u32,
    /// When it may be tried, or the lease of the worker that has it ends; `None`: settled.
    pub due_at: Option<Timestamp>,
    /// When it stops being worth sending.
    pub not_after: Option<Timestamp>,
    /// Which provider took it.
    pub provider: Option<String>,
    /// The provider's name for it.
    pub provider_id: Option<String>,
}

/// A reminder that is planned, or was.
#[derive(Clone, PartialEq, Debug)]
pub struct Planned {
    /// Which.
    pub kind: Kind,
    /// When it is due.
    pub due_at: Timestamp,
    /// `pending`, `done`, `dropped`, or `skipped_late`.
    pub status: String,
    /// Why it was set aside.
    pub why: Option<String>,
}

/// A message as its reader may see it in a list.
#[derive(Clone, PartialEq, Debug)]
pub struct Entry {
    /// The message.
    pub id: MessageId,
    /// The event it is about, if any.
    pub event_id: Option<EventId>,
    /// What it is about.
    pub kind: Kind,
    /// The way it takes.
    pub channel: Channel,
    /// What became of it.
    pub status: Status,
    /// When it was stored.
    pub created_at: Timestamp,
    /// When the provider took it.
    pub sent_at: Option<Timestamp>,
    /// When the provider reported that it has arrived.
    pub delivered_at: Option<Timestamp>,
    /// What went wrong last.
    pub error: Option<String>,
    /// When its reader has marked it as read.
    pub read_at: Option<Timestamp>,
}

/// A message in a list of its reader's, with all that its text is made of.
#[derive(Clone, PartialEq, Debug)]
pub struct Listed {
    /// How it stands.
    pub entry: Entry,
    /// What it says; `None`: that cannot be read any more.
    pub message: Option<Message>,
}

impl Listed {
    /// A message whose text may be unreadable.
    fn new(entry: Entry, message: Result<Message, StoreError>) -> Result<Self, StoreError> {
        let message = match message {
            Err(StoreError::Corrupt(_)) => None,
            message => Some(message?),
        };
        Ok(Self { entry, message })
    }
}

impl Deref for Listed {
    type Target = Entry;

    fn deref(&self) -> &Entry {
        &self.entry
    }
}

/// A change of what a person has chosen.
#[derive(Clone, PartialEq, Debug)]
pub enum PreferencesChange {
    /// All of it.
    Set(Preferences),
    /// No e-mails of this kind any more.
    Unsubscribe(&'static str),
}

impl PreferencesChange {
    /// What is chosen after it.
    pub fn apply(self, mut before: Preferences) -> Preferences {
        match self {
            Self::Set(preferences) => preferences,
            Self::Unsubscribe(kind) => {
                before.kinds.entry(kind.to_owned()).or_default().email = false;
                before
            }
        }
    }
}

/// Which messages a list has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Only {
    /// All.
    All,
    /// Those that were not marked as read.
    Unread,
}

/// How things stand.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Stats {
    /// Messages waiting or being sent.
    pub queued: u64,
    /// Messages that were refused for good, or have not arrived.
    pub failed: u64,
    /// Messages given up.
    pub dead: u64,
    /// Reminders to come.
    pub reminders_pending: u64,
    /// How long the most overdue message has been waiting for its turn, in milliseconds.
    pub overdue_millis: u64,
}

/// The service's store.
#[async_trait]
pub trait Store: BroadcastStore + WordingStore {
    /// Consumes a batch, in order, in one commit: each message's id together with its effect. What came before has
    /// no effect again.
    async fn take(&self, batch: Arc<[Intake]>, now: Timestamp) -> Result<(), StoreError>;

    /// Pending reminders whose time has come, the longest due first.
    async fn due_reminders(&self, now: Timestamp, limit: usize) -> Result<Vec<DueReminder>, StoreError>;
    /// When the next pending reminder is due, or was.
    async fn next_reminder(&self) -> Result<Option<Timestamp>, StoreError>;
    /// Carries out decisions on due reminders; gives the number of those that still stood.
    async fn decide(&self, decided: Vec<DecidedReminder>, now: Timestamp) -> Result<usize, StoreError>;

    /// A change that has not reached all attendees, the oldest first, with the next of them.
    async fn announcement(&self, limit: usize) -> Result<Option<Announcement>, StoreError>;
    /// Takes an announcement one step further: reminders follow the event's schedule and letters are queued, unless
    /// the attendee has cancelled or was notified of this version. `false`: another worker was there first.
    async fn announce(&self, step: Step, now: Timestamp) -> Result<bool, StoreError>;

    /// Leases messages whose turn has come, the longest due first, until `until`. Those with an expired lease are
    /// taken over, with a new fence. Messages that are not to be sent any more are settled on the way.
    async fn claim(
        &self,
        channel: Channel,
        owner: Uuid,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Claimed>, StoreError>;
    /// When the next message of a channel may be taken, or might have been.
    async fn next_message(&self, channel: Channel) -> Result<Option<Timestamp>, StoreError>;
    /// Notes what came of tries, and queues an e-mail in place of a text message that is lost, where no e-mail goes beside it; gives the number of reports whose fence still held, the others have no effect.
    async fn report(&self, reports: Arc<[DeliveryReport]>, now: Timestamp) -> Result<usize, StoreError>;

    /// Notes what a provider reports of a message; gives the message when that was news. Nothing when the provider has
    /// taken no such message. An e-mail may take the place of a text message that has not arrived, as in [`Store::report`].
    async fn note(&self, news: News, now: Timestamp) -> Result<Option<MessageId>, StoreError>;
    /// Queues messages that were given up, or that failed, once more; all that were given up where `ids` is `None`. Gives
    /// their number.
    async fn redrive(&self, ids: Option<Vec<MessageId>>, now: Timestamp) -> Result<usize, StoreError>;
    /// All that is known of a message, for operators.
    async fn record(&self, id: MessageId) -> Result<Option<Record>, StoreError>;
    /// All messages about a registration, payment, token or announcement, the first stored first, and the reminders that are
    /// planned for it, or were.
    async fn about(&self, occurrence: Uuid) -> Result<(Vec<Record>, Vec<Planned>), StoreError>;
    /// The messages that were given up, the latest stored first.
    async fn dead(&self, limit: usize) -> Result<Vec<Record>, StoreError>;

    /// A message to this user.
    async fn entry(&self, id: MessageId, user: UserId) -> Result<Option<Listed>, StoreError>;
    /// A user's messages, newest first; one more than the page holds, if there are more.
    async fn of_user(&self, user: UserId, only: Only, page: Page) -> Result<Vec<Listed>, StoreError>;
    /// Marks a user's message, or all of them, as read. Gives how many were not yet; `None`: there is no such message.
    async fn mark_read(
        &self,
        user: UserId,
        message: Option<MessageId>,
        now: Timestamp,
    ) -> Result<Option<usize>, StoreError>;
    /// Messages that `provider` took, the latest stored first, only those to `address` if it is given; one more than
    /// the page holds, if there are more. The page's cursor counts by id alone.
    async fn taken_by(
        &self,
        provider: &'static str,
        address: Option<String>,
        page: Page,
    ) -> Result<Vec<Message>, StoreError>;
    /// A message, if `provider` took it.
    async fn find(&self, provider: &'static str, id: MessageId) -> Result<Option<Message>, StoreError>;

    /// What a person has chosen; the default when nothing.
    async fn preferences(&self, user: UserId) -> Result<Preferences, StoreError>;
    /// Sets what a person has chosen, from letters that are queued from now on. No effect for a deleted account.
    async fn set_preferences(
        &self,
        user: UserId,
        change: PreferencesChange,
        now: Timestamp,
    ) -> Result<Preferences, StoreError>;

    /// How things stand.
    async fn stats(&self, now: Timestamp) -> Result<Stats, StoreError>;
    /// Forgets ids of messages that no relay sends again, and reminders settled long ago; at most `limit` of each.
    /// Returns the number forgotten.
    async fn purge(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError>;
    /// The outbox, which has one message for each that was sent.
    fn outbox(&self) -> Arc<dyn OutboxStore>;
    /// Notifies the relay when there is something in the outbox.
    fn wake_signal(&self) -> WakeSignal;
    /// The audit trail.
    fn audit(&self) -> Arc<dyn AuditStore>;
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
        let db = mongo_store::open(uri, service::NOTIFICATIONS, mongo::COLLECTIONS).await?;
        return Ok(Arc::new(mongo::MongoStore::new(db)));
    }
    #[cfg(not(feature = "mongodb"))]
    settings.refuse_mongodb()?;
    let db = sqlite_store::open(settings, service::NOTIFICATIONS, sqlite::MIGRATIONS)?;
    Ok(Arc::new(sqlite::SqliteStore::new(db)))
}
