//! The store of the events service, in the terms of its domain. Every method is one atomic decision.

pub mod calendars;
#[cfg(test)]
pub mod contract;
pub mod desk;
mod messages;
#[cfg(feature = "mongodb")]
pub mod mongo;
pub mod posts;
pub mod sqlite;
pub mod streams;
pub mod waitlist;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use common::{
    audit::AuditStore,
    clock::Timestamp,
    http::{Cursor, Page},
    idempotency::{Keyed, Outcome},
    ids::{EventId, PaymentId, RegistrationId, UserId},
    money::Paise,
    outbox::{OutboxStore, Receipt},
    settings::Settings,
    store::StoreError,
    subscriber::Incoming,
    wire::{AttendeeFound, ClaimSeat, ExtendedHold, Recipients, SeatClaim, SecureSeat, SecuredSeat, service},
    workers::WakeSignal,
};

use crate::domain::{
    ending::CancelRefusal,
    event::{Event, Patch, PatchError},
    fact::Fact,
    listing::{Category, Tag},
    publishing::Duplicate,
    registering::RegisterRefusal,
    registration::{Registration, State, Ticket},
};

pub use self::{
    calendars::CalendarStore, desk::DeskStore, posts::PostStore, streams::StreamStore,
    waitlist::WaitlistStore,
};
pub use crate::domain::registering::Register;

/// The tables as the log and figures name them.
mod table {
    pub const EVENTS: &str = "events.events";
    pub const REGISTRATIONS: &str = "events.registrations";
    pub const POSTS: &str = "events.posts";
    pub const STREAMS: &str = "events.streams";
    pub const SEGMENTS: &str = "events.segments";
    pub const PLAYBACKS: &str = "events.playbacks";
    pub const WAITLIST: &str = "events.waitlist";
    #[cfg(feature = "mongodb")]
    pub const TICKETS: &str = "events.tickets";
}

/// A page of events.
#[derive(Debug, Default)]
pub struct EventPage {
    /// The events.
    pub events: Vec<Event>,
    /// The cursor of the next page.
    pub next: Option<Cursor>,
}

/// A search for events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// Each must be a prefix of a word of the event.
    pub words: Vec<String>,
    /// Starting at this time or later.
    pub from: Option<Timestamp>,
    /// Starting before this time.
    pub to: Option<Timestamp>,
    /// Soonest first, instead of latest first.
    pub soonest_first: bool,
    /// Only free ones (`true`) or only paid ones (`false`).
    pub free: Option<bool>,
    /// Only those of this category.
    pub category: Option<Category>,
    /// Only those with this tag, however it is written.
    pub tag: Option<Tag>,
}

/// Which of an organizer's events.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Own {
    /// All but drafts that were cancelled: nobody ever knew of those.
    Kept,
    /// All that is held.
    All,
}

/// A registration with its event and ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// The registration.
    pub registration: Registration,
    /// The event.
    pub event: Arc<Event>,
    /// The ticket, valid while the registration is confirmed; kept after it has ended.
    pub ticket: Option<Ticket>,
}

/// Why a registration was refused.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// There is no such event.
    #[error("no such event")]
    NoSuchEvent,
    /// It is the user's own draft.
    #[error("the event is not published")]
    NotPublished,
    /// The event is cancelled.
    #[error("the event is cancelled")]
    EventCancelled,
    /// Registration opens later.
    #[error("registration is not open yet")]
    NotOpen {
        /// When.
        opens_at: Timestamp,
        /// How long that is from now.
        wait: Duration,
    },
    /// Registration has closed.
    #[error("registration is closed")]
    Closed,
    /// Every seat is taken.
    #[error("the event is full")]
    Full,
    /// The user has a live registration.
    #[error("already registered")]
    Already(Registration),
    /// The event is free, so there is no seat to claim.
    #[error("nothing is due")]
    NothingDue,
    /// A storage error.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<RegisterRefusal> for RegisterError {
    fn from(why: RegisterRefusal) -> Self {
        match why {
            RegisterRefusal::NoSuchEvent => Self::NoSuchEvent,
            RegisterRefusal::NotPublished => Self::NotPublished,
            RegisterRefusal::EventCancelled => Self::EventCancelled,
            RegisterRefusal::NotOpen { opens_at, wait } => Self::NotOpen { opens_at, wait },
            RegisterRefusal::Already(registration) => Self::Already(registration),
            RegisterRefusal::Closed => Self::Closed,
        }
    }
}

/// Why an event was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// There is no such event, or it is another organizer's.
    #[error("no such event")]
    NoSuchEvent,
    /// The change is refused.
    #[error("refused: {0:?}")]
    Refused(PatchError),
    /// A storage error.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a registration was not cancelled.
#[derive(Debug, thiserror::Error)]
pub enum CancelError {
    /// There is no such registration, or it is another user's.
    #[error("no such registration")]
    NoSuchRegistration,
    /// It has ended already.
    #[error("it has ended: {0:?}")]
    Ended(State),
    /// The event has started.
    #[error("the event has started")]
    EventStarted,
    /// More is to go back than was paid, which is this much.
    #[error("{0} was paid")]
    RefundExceedsPayment(Paise),
    /// A storage error.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<CancelRefusal> for CancelError {
    fn from(why: CancelRefusal) -> Self {
        match why {
            CancelRefusal::Ended(state) => Self::Ended(state),
            CancelRefusal::EventStarted => Self::EventStarted,
            CancelRefusal::RefundExceedsPayment(paid) => Self::RefundExceedsPayment(paid),
        }
    }
}

/// A filter of a user's registrations.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StatusFilter {
    /// The live ones: pending and confirmed.
    Live,
    /// One status by its public name.
    Only(&'static str),
    /// All, ended ones included.
    All,
}

/// The events service's store.
#[async_trait]
pub trait Store: CalendarStore + DeskStore + PostStore + StreamStore + WaitlistStore {
    /// Stores a new event.
    async fn create_event(&self, event: Event, keyed: Keyed<Event>) -> Result<Outcome<Event>, StoreError>;
    /// One event.
    async fn event(&self, id: EventId) -> Result<Option<Event>, StoreError>;
    /// An organizer's events, newest first.
    async fn organizer_events(
        &self,
        organizer: UserId,
        which: Own,
        page: Page,
    ) -> Result<EventPage, StoreError>;
    /// A count that grows with every change of the store: data read while it was the same is still current. `None`: the
    /// store cannot determine it, because other processes change it too.
    fn changes(&self) -> Option<u64>;
    /// Events that anybody may find and that are not cancelled, by start.
    async fn search_events(&self, search: Search, page: Page) -> Result<EventPage, StoreError>;
    /// Changes an event and publishes the change.
    async fn update_event(
        &self,
        id: EventId,
        organizer: UserId,
        patch: Patch,
        now: Timestamp,
        keyed: Keyed<Event>,
    ) -> Result<Outcome<Event>, ChangeError>;
    /// Cancels an event. Registering is refused from here on; [`Store::end_registrations`] ends the existing
    /// registrations.
    async fn cancel_event(
        &self,
        id: EventId,
        organizer: UserId,
        now: Timestamp,
        keyed: Keyed<Event>,
    ) -> Result<Outcome<Event>, ChangeError>;
    /// Publishes a draft, and that it was published.
    async fn publish_event(
        &self,
        id: EventId,
        organizer: UserId,
        now: Timestamp,
        keyed: Keyed<Event>,
    ) -> Result<Outcome<Event>, ChangeError>;
    /// Stores a copy of an event, as a draft.
    async fn duplicate_event(
        &self,
        id: EventId,
        organizer: UserId,
        copy: Duplicate,
        now: Timestamp,
        keyed: Keyed<Event>,
    ) -> Result<Outcome<Event>, ChangeError>;
    /// Ends up to `limit` live registrations of cancelled events and publishes it; returns the number.
    async fn end_registrations(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError>;
    /// Registers a user: confirmed at once when the event is free, else with a hold.
    async fn register(
        &self,
        command: Register,
        keyed: Keyed<Registered>,
    ) -> Result<Outcome<Registered>, RegisterError>;
    /// The amount that a user owes for an event; takes a hold when there is no live registration.
    async fn claim_seat(&self, question: ClaimSeat, command: Register) -> Result<SeatClaim, RegisterError>;
    /// Whether authorized money would confirm a registration, by the same decision that [`Store::consume`] takes after
    /// the capture. If so, the seat is held, or taken again, for as long as the capture may take. `None`: no such
    /// registration.
    async fn secure_seat(
        &self,
        question: SecureSeat,
        now: Timestamp,
    ) -> Result<Option<SecuredSeat>, StoreError>;
    /// Resets an extended hold to its earlier end, unless it was changed in between.
    async fn release_hold(&self, hold: ExtendedHold) -> Result<(), StoreError>;
    /// Cancels a registration of `user` and publishes it.
    async fn cancel_registration(
        &self,
        id: RegistrationId,
        user: UserId,
        now: Timestamp,
        keyed: Keyed<Registered>,
    ) -> Result<Outcome<Registered>, CancelError>;
    /// A user's registrations, newest first, as of `now`.
    async fn registrations(
        &self,
        user: UserId,
        filter: StatusFilter,
        page: Page,
        now: Timestamp,
    ) -> Result<(Vec<Registered>, Option<Cursor>), StoreError>;
    /// One registration of `user`.
    async fn registration(
        &self,
        id: RegistrationId,
        user: UserId,
        now: Timestamp,
    ) -> Result<Option<Registered>, StoreError>;
    /// A page of all registrations that a payment has confirmed, in the order of their ids: registration, payment, and
    /// whether it is still confirmed.
    async fn paid_registrations(
        &self,
        after: Option<RegistrationId>,
        limit: usize,
    ) -> Result<Vec<(RegistrationId, PaymentId, bool)>, StoreError>;
    /// A page of those who take part in an event, in the order of their users' ids.
    async fn attendees(
        &self,
        event: EventId,
        to: Recipients,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<AttendeeFound>, StoreError>;
    /// Marks up to `limit` expired holds as such; returns the number.
    async fn expire_holds(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError>;
    /// Consumes messages, each once: captured payments confirm registrations or are refunded.
    async fn consume(&self, batch: Vec<Incoming<Fact>>, now: Timestamp) -> Result<Vec<Receipt>, StoreError>;
    /// Indexes up to `limit` events again that an earlier release indexed; returns the number.
    async fn index_events(&self, limit: usize) -> Result<usize, StoreError>;
    /// Deletes data past its retention.
    async fn tidy(&self, now: Timestamp) -> Result<(), StoreError>;
    /// Checks that changes can be made.
    async fn ping(&self) -> Result<(), StoreError>;
    /// The outbox.
    fn outbox(&self) -> Arc<dyn OutboxStore>;
    /// The audit trail.
    fn audit(&self) -> Arc<dyn AuditStore>;
    /// The wake signal, sent after a commit that may have stored messages.
    fn wake_signal(&self) -> WakeSignal;
}

/// Opens the store that the settings name.
///
/// # Errors
/// One sentence for the person who started the program.
pub async fn open(settings: &Settings) -> Result<Arc<dyn Store>, String> {
    #[cfg(feature = "mongodb")]
    if let Some(uri) = &settings.mongodb_uri {
        let db = mongo_store::open(uri, service::EVENTS, mongo::COLLECTIONS).await?;
        return Ok(Arc::new(mongo::MongoStore::new(db)));
    }
    #[cfg(not(feature = "mongodb"))]
    settings.refuse_mongodb()?;
    let db = sqlite_store::open(settings, service::EVENTS, sqlite::MIGRATIONS)?;
    Ok(Arc::new(sqlite::SqliteStore::new(db)))
}
