//! What the events service keeps, in its own terms. Every method is one atomic decision.

#[cfg(test)]
pub mod contract;
mod messages;
#[cfg(feature = "mongodb")]
pub mod mongo;
pub mod sqlite;

use std::sync::Arc;

use async_trait::async_trait;
use common::{
    clock::Timestamp,
    http::{Cursor, Page},
    idempotency::{Keyed, Outcome},
    ids::{EventId, PaymentId, RegistrationId, UserId},
    outbox::{OutboxStore, Receipt},
    settings::Settings,
    store::StoreError,
    subscriber::Incoming,
    wire::{ClaimSeat, ExtendedHold, SeatClaim, SecureSeat, SecuredSeat, service},
    workers::WakeSignal,
};

use crate::domain::{
    ending::CancelRefusal,
    event::{Event, Patch, PatchError},
    fact::Fact,
    registering::RegisterRefusal,
    registration::{Registration, State, Ticket},
};

pub use crate::domain::registering::Register;

/// The tables as the log and figures name them.
mod table {
    pub const EVENTS: &str = "events.events";
    pub const REGISTRATIONS: &str = "events.registrations";
    #[cfg(feature = "mongodb")]
    pub const TICKETS: &str = "events.tickets";
}

/// A page of events.
#[derive(Debug, Default)]
pub struct EventPage {
    /// The events.
    pub events: Vec<Event>,
    /// Where the next page begins.
    pub next: Option<Cursor>,
}

/// Which events somebody looks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// Each must begin a word of the event.
    pub words: Vec<String>,
    /// Starting then or later.
    pub from: Option<Timestamp>,
    /// Starting before then.
    pub to: Option<Timestamp>,
    /// Soonest first, instead of latest first.
    pub soonest_first: bool,
    /// Only free ones (`true`) or only paid ones (`false`).
    pub free: Option<bool>,
}

/// A registration with its event and ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// The registration.
    pub registration: Registration,
    /// Its event.
    pub event: Arc<Event>,
    /// Its ticket, valid while it is confirmed; stays known when it has ended.
    pub ticket: Option<Ticket>,
}

/// Why nobody was registered.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// There is no such event.
    #[error("no such event")]
    NoSuchEvent,
    /// It was called off.
    #[error("the event is cancelled")]
    EventCancelled,
    /// Registration has closed.
    #[error("registration is closed")]
    Closed,
    /// Every seat is taken.
    #[error("the event is full")]
    Full,
    /// The user has a live registration.
    #[error("already registered")]
    Already(Registration),
    /// The event is free, so there is nothing to claim a seat for.
    #[error("nothing is due")]
    NothingDue,
    /// A storage error.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<RegisterRefusal> for RegisterError {
    fn from(why: RegisterRefusal) -> Self {
        match why {
            RegisterRefusal::EventCancelled => Self::EventCancelled,
            RegisterRefusal::Already(registration) => Self::Already(registration),
            RegisterRefusal::Closed => Self::Closed,
        }
    }
}

/// Why an event was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// There is no such event, or it belongs to another.
    #[error("no such event")]
    NoSuchEvent,
    /// The change may not be made.
    #[error("refused: {0:?}")]
    Refused(PatchError),
    /// A storage error.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a registration was not cancelled.
#[derive(Debug, thiserror::Error)]
pub enum CancelError {
    /// There is no such registration, or it belongs to another.
    #[error("no such registration")]
    NoSuchRegistration,
    /// It has ended already.
    #[error("it has ended: {0:?}")]
    Ended(State),
    /// The event has begun.
    #[error("the event has started")]
    EventStarted,
    /// A storage error.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<CancelRefusal> for CancelError {
    fn from(why: CancelRefusal) -> Self {
        match why {
            CancelRefusal::Ended(state) => Self::Ended(state),
            CancelRefusal::EventStarted => Self::EventStarted,
        }
    }
}

/// Which of a user's registrations are wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StatusFilter {
    /// Those that count: pending and confirmed.
    Live,
    /// One status by its public name.
    Only(&'static str),
    /// All there ever were.
    All,
}

/// The events service's store.
#[async_trait]
pub trait Store: Send + Sync {
    /// Keeps a new event.
    async fn create_event(&self, event: Event, keyed: Keyed<Event>) -> Result<Outcome<Event>, StoreError>;
    /// One event.
    async fn event(&self, id: EventId) -> Result<Option<Event>, StoreError>;
    /// An organizer's events, newest first.
    async fn organizer_events(&self, organizer: UserId, page: Page) -> Result<EventPage, StoreError>;
    /// A number that grows with every change, whatever it is: what was read while it was the same is still so. `None`:
    /// the store cannot tell, because other processes change it too.
    fn changes(&self) -> Option<u64>;
    /// Events that are not cancelled, by start.
    async fn search_events(&self, search: Search, page: Page) -> Result<EventPage, StoreError>;
    /// Changes an event and tells the others.
    async fn update_event(
        &self,
        id: EventId,
        organizer: UserId,
        patch: Patch,
        now: Timestamp,
        keyed: Keyed<Event>,
    ) -> Result<Outcome<Event>, ChangeError>;
    /// Calls an event off. Nobody can register from here on; [`Store::end_registrations`] ends those there are.
    async fn cancel_event(
        &self,
        id: EventId,
        organizer: UserId,
        now: Timestamp,
        keyed: Keyed<Event>,
    ) -> Result<Outcome<Event>, ChangeError>;
    /// Ends up to `limit` live registrations of cancelled events and tells the others; gives the number.
    async fn end_registrations(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError>;
    /// Registers a user: confirmed at once when the event is free, else with a hold.
    async fn register(
        &self,
        command: Register,
        keyed: Keyed<Registered>,
    ) -> Result<Outcome<Registered>, RegisterError>;
    /// What a user owes for an event; takes a hold when there is no live registration.
    async fn claim_seat(&self, question: ClaimSeat, command: Register) -> Result<SeatClaim, RegisterError>;
    /// Whether money that waits to be captured would confirm a registration, as [`Store::consume`] decides when it is.
    /// Then the seat is held, or taken again, for as long as the capture may take. `None`: no such registration.
    async fn secure_seat(
        &self,
        question: SecureSeat,
        now: Timestamp,
    ) -> Result<Option<SecuredSeat>, StoreError>;
    /// Has an extended hold end when it would have ended before, unless something else happened to it meanwhile.
    async fn release_hold(&self, hold: ExtendedHold) -> Result<(), StoreError>;
    /// Cancels a registration of `user` and tells the others.
    async fn cancel_registration(
        &self,
        id: RegistrationId,
        user: UserId,
        now: Timestamp,
        keyed: Keyed<Registered>,
    ) -> Result<Outcome<Registered>, CancelError>;
    /// A user's registrations, newest first, as they stand at `now`.
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
    /// whether it is confirmed still.
    async fn paid_registrations(
        &self,
        after: Option<RegistrationId>,
        limit: usize,
    ) -> Result<Vec<(RegistrationId, PaymentId, bool)>, StoreError>;
    /// Notes holds that have run out, up to `limit`; gives the number.
    async fn expire_holds(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError>;
    /// Takes messages in, each once: captured payments confirm registrations or go back.
    async fn consume(&self, batch: Vec<Incoming<Fact>>, now: Timestamp) -> Result<Vec<Receipt>, StoreError>;
    /// Finds the words of up to `limit` events anew that an earlier release indexed; gives the number.
    async fn index_events(&self, limit: usize) -> Result<usize, StoreError>;
    /// Drops what has been kept long enough.
    async fn tidy(&self, now: Timestamp) -> Result<(), StoreError>;
    /// Whether changes can be made.
    async fn ping(&self) -> Result<(), StoreError>;
    /// The messages to others.
    fn outbox(&self) -> Arc<dyn OutboxStore>;
    /// Rung after a commit that may have stored messages.
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
