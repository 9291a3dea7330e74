//! The part of the store that keeps the lines for full events. Every method is one atomic decision, and keeps the counts
//! of the event ([`Line`](crate::domain::waitlist::Line)) in the same commit.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use common::{
    clock::Timestamp,
    http::{Cursor, Page},
    idempotency::{Keyed, Outcome},
    ids::{EventId, UserId, WaitlistId},
    store::StoreError,
};

use crate::domain::{
    event::Event,
    waitlist::{Entry, Join, JoinRefusal},
};

/// An entry with its event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The entry.
    pub entry: Entry,
    /// The event.
    pub event: Arc<Event>,
    /// How many are before them, and one, while they wait.
    pub position: Option<u32>,
}

/// Why somebody could not join or leave a line.
#[derive(Debug, thiserror::Error)]
pub enum WaitlistError {
    /// There is no such event.
    #[error("no such event")]
    NoSuchEvent,
    /// They are on the list; the entry and its position.
    #[error("on the list already")]
    Listed(Entry, Option<u32>),
    /// They are not on the list.
    #[error("not on the list")]
    NotListed,
    /// Another reason.
    #[error("refused: {0:?}")]
    Refused(JoinRefusal),
    /// A storage error.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The lines for full events.
#[async_trait]
pub trait WaitlistStore: Send + Sync {
    /// Puts a user at the end of the line.
    async fn join_waitlist(&self, join: Join, keyed: Keyed<Listed>)
    -> Result<Outcome<Listed>, WaitlistError>;
    /// Takes a user out of the line; an open offer goes to the next.
    async fn leave_waitlist(
        &self,
        event: EventId,
        user: UserId,
        now: Timestamp,
        keyed: Keyed<Listed>,
    ) -> Result<Outcome<Listed>, WaitlistError>;
    /// A user's entries, newest first, as of `now`; ended ones too.
    async fn waitlist_of(
        &self,
        user: UserId,
        page: Page,
        now: Timestamp,
    ) -> Result<(Vec<Listed>, Option<Cursor>), StoreError>;
    /// One entry, as of `now`.
    async fn waitlist_entry(&self, id: WaitlistId, now: Timestamp) -> Result<Option<Listed>, StoreError>;
    /// Up to `limit` events after `after`, in the order of their ids, in whose lines something is due at `now`: an offer
    /// has run out, a seat can be offered, or the line has ended.
    async fn lines_due(
        &self,
        after: Option<EventId>,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<EventId>, StoreError>;
    /// Does what is due in the line of an event, for up to `limit` entries each: ends offers that have run out, offers
    /// free seats to the first in line for `length`, or ends all entries when the event takes no registrations any more.
    /// Decided anew on what is stored, so that it may be called twice and by two at once; returns the number of entries
    /// that moved.
    async fn advance_line(
        &self,
        event: EventId,
        length: Duration,
        now: Timestamp,
        limit: usize,
    ) -> Result<usize, StoreError>;
    /// Drops up to `limit` entries of a user whose account is deleted; what they held goes to the next. Returns the
    /// number.
    async fn forget_waiting(&self, user: UserId, now: Timestamp, limit: usize) -> Result<usize, StoreError>;
}
