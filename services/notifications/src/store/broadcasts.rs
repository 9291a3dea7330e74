//! Announcements of organizers, and how they reach attendees.

use async_trait::async_trait;
use common::{
    clock::Timestamp,
    http::Page,
    idempotency::{Keyed, Outcome},
    ids::{AnnouncementId, EventId, RegistrationId, UserId},
    store::StoreError,
    wire::EventFacts,
};

use crate::domain::{
    broadcast::{Broadcast, Counts},
    message::Letter,
};

/// Why an announcement was not made.
#[derive(Debug, thiserror::Error)]
pub enum AnnounceError {
    /// The organizer has made as many as one may in a day.
    #[error("too many announcements until {0}")]
    TooMany(Timestamp),
    /// A storage error.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why an announcement was not withdrawn.
#[derive(Debug, thiserror::Error)]
pub enum WithdrawError {
    /// The event has none of that id.
    #[error("no such announcement")]
    NoSuch,
    /// It is being sent, or has been, or was withdrawn before.
    #[error("it is under way")]
    UnderWay,
    /// A storage error.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An announcement whose time has come, and where it stands.
#[derive(Clone, Debug)]
pub struct DueBroadcast {
    /// The announcement.
    pub broadcast: Broadcast,
    /// The last user it has reached; `None` at the beginning.
    pub cursor: Option<UserId>,
}

/// Somebody that a step reaches.
#[derive(Clone, Debug)]
pub struct Reached {
    /// Who.
    pub user_id: UserId,
    /// Their registration.
    pub registration_id: RegistrationId,
    /// To be queued. None: there is no way to write to them.
    pub letters: Vec<Letter>,
}

/// A step of an announcement. It is void when the announcement stands elsewhere by now.
#[derive(Clone, Debug)]
pub struct BroadcastStep {
    /// The announcement.
    pub id: AnnouncementId,
    /// Where it stood.
    pub cursor: Option<UserId>,
    /// What to do.
    pub progress: Progress,
}

/// What a step of an announcement does.
#[derive(Clone, Debug)]
pub enum Progress {
    /// Reaches the next ones, in the order of their ids; one at least.
    Reached {
        /// The event as it is now.
        facts: EventFacts,
        /// Who.
        people: Vec<Reached>,
    },
    /// The next ones could not be looked up: it is tried again then, and others are sent meanwhile.
    Delayed(Timestamp),
    /// All are reached.
    Over,
    /// The event does not take place, or there is none: nobody else is written to.
    Stopped,
}

/// The part of the store that keeps announcements.
#[async_trait]
pub trait BroadcastStore: Send + Sync {
    /// Stores an announcement, unless its organizer has made too many within a day.
    async fn create_broadcast(
        &self,
        broadcast: Broadcast,
        keyed: Keyed<Broadcast>,
    ) -> Result<Outcome<Broadcast>, AnnounceError>;
    /// One announcement of an event.
    async fn broadcast(
        &self,
        id: AnnouncementId,
        event: EventId,
    ) -> Result<Option<(Broadcast, Counts)>, StoreError>;
    /// An event's announcements, newest first; one more than the page holds, if there are more.
    async fn broadcasts_of(&self, event: EventId, page: Page)
    -> Result<Vec<(Broadcast, Counts)>, StoreError>;
    /// What an organizer has announced, newest first; one more than the page holds, if there are more.
    async fn broadcasts_by(&self, organizer: UserId, page: Page) -> Result<Vec<Broadcast>, StoreError>;
    /// Withdraws an announcement of which nothing was sent yet.
    async fn withdraw_broadcast(
        &self,
        id: AnnouncementId,
        event: EventId,
        now: Timestamp,
        keyed: Keyed<Broadcast>,
    ) -> Result<Outcome<Broadcast>, WithdrawError>;
    /// The announcement that has been due the longest.
    async fn due_broadcast(&self, now: Timestamp) -> Result<Option<DueBroadcast>, StoreError>;
    /// Takes an announcement one step further: letters are queued in the commit that notes how far it got. Left out is
    /// who no longer takes part, does not want announcements, or has got too many from this event within a day. `false`: another worker was there
    /// first, or it was withdrawn.
    async fn broadcast_step(&self, step: BroadcastStep, now: Timestamp) -> Result<bool, StoreError>;
}
