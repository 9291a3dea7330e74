//! The part of the store that the desk of an event works with. Every method is one atomic decision.

use std::sync::Arc;

use async_trait::async_trait;
use common::{
    clock::Timestamp,
    idempotency::{Keyed, Outcome},
    ids::{EventId, RegistrationId, TicketId},
    store::StoreError,
};

use super::{CancelError, Registered};
use crate::domain::{
    check_in::{Admitted, CheckIn, Held, Scan, Turned, on_scan},
    counts::Counts,
    ending::Refund,
    event::Event,
    registration::{Registration, State, Ticket},
    stream::Attendance,
};

/// Which ticket is meant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TicketBy {
    /// That of a registration.
    Registration(RegistrationId),
    /// The one with this id.
    Id(TicketId),
    /// The one with this code, as it was issued.
    Code(String),
}

/// Somebody who registered, as the desk sees them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attendee {
    /// The registration.
    pub registration: Registration,
    /// Its ticket, valid or not.
    pub ticket: Option<Ticket>,
    /// The last check-in with it.
    pub check_in: Option<CheckIn>,
    /// What they have watched of the event's streams.
    pub attendance: Option<Attendance>,
}

impl Attendee {
    /// The check-in that stands.
    pub fn admitted(&self) -> Option<&CheckIn> {
        self.check_in.as_ref().filter(|last| last.stands())
    }
}

/// A ticket that was admitted, or whose admission was undone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scanned {
    /// Whose.
    pub registered: Registered,
    /// The check-in.
    pub check_in: CheckIn,
    /// What to call them, as the scanner is shown it.
    pub name: Option<String>,
}

impl Scanned {
    /// What a scan comes to, of the ticket that was found and its last check-in. With [`Admitted::Now`] the check-in is yet to
    /// be written.
    ///
    /// # Errors
    /// Why nobody is admitted.
    pub fn decide(
        found: Option<(Registered, Option<CheckIn>)>,
        scan: &Scan,
        name: Option<String>,
    ) -> Result<(Admitted, Self), Turned> {
        let found = found.filter(|(registered, _)| registered.ticket.is_some());
        let (registered, last) = found.ok_or(Turned::Invalid)?;
        let held = Held {
            event: registered.event.id,
            state: registered.registration.state,
            last: last.as_ref(),
        };
        let admitted = on_scan(Some(held), scan)?;
        let check_in = match (&admitted, last) {
            (Admitted::Before, Some(last)) => last,
            _ => CheckIn::of(scan),
        };
        let scanned = Self {
            registered,
            check_in,
            name,
        };
        Ok((admitted, scanned))
    }
}

/// Why nobody is admitted.
#[derive(Debug, thiserror::Error)]
pub enum CheckInError {
    /// By the ticket.
    #[error("refused: {0:?}")]
    Turned(Turned),
    /// There is no check-in to be undone.
    #[error("not checked in")]
    NotCheckedIn,
    /// A storage error.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Which of those who registered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct AttendeeFilter {
    /// Only those with this status, by its public name.
    pub status: Option<&'static str>,
    /// Only those who were admitted, or who were not.
    pub checked_in: Option<bool>,
}

impl AttendeeFilter {
    /// Whether this one is wanted.
    pub fn takes(&self, attendee: &Attendee) -> bool {
        let state: State = attendee.registration.state;
        self.status.is_none_or(|status| state.name() == status)
            && self
                .checked_in
                .is_none_or(|wanted| attendee.admitted().is_some() == wanted)
    }
}

/// A part of an event's registrations, the newest first.
#[derive(Debug, Default)]
pub struct Attendees {
    /// Those that are wanted.
    pub found: Vec<Attendee>,
    /// Where to go on, when as many were looked at as may be; `None`: all that are wanted were found, or there are no more.
    pub rest: Option<RegistrationId>,
}

impl Attendees {
    /// Adds those of a page that are wanted, until there are `limit`; whether there are.
    pub fn add(
        &mut self,
        page: impl IntoIterator<Item = Attendee>,
        filter: AttendeeFilter,
        limit: usize,
    ) -> bool {
        let left = limit - self.found.len();
        self.found
            .extend(page.into_iter().filter(|one| filter.takes(one)).take(left));
        self.found.len() == limit
    }
}

/// The organizer cancels a registration.
#[derive(Clone, Debug)]
pub struct Cancel {
    /// Of this event.
    pub event: EventId,
    /// The registration.
    pub registration: RegistrationId,
    /// How much goes back.
    pub refund: Refund,
    /// What the organizer says to it.
    pub words: Option<String>,
    /// Now.
    pub now: Timestamp,
}

/// How an event's registrations have come about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Seats that are held now.
    pub pending_payment: u64,
    /// What was counted, by the hour, in order of time.
    pub hours: Vec<(Timestamp, Counts)>,
}

/// The desk's part of the store.
#[async_trait]
pub trait DeskStore: Send + Sync {
    /// A registration that has a ticket, valid or not, by the ticket, as of `now`.
    async fn ticketed(&self, by: TicketBy, now: Timestamp) -> Result<Option<Registered>, StoreError>;
    /// Admits the holder of a ticket once. `name` is part of the answer.
    async fn check_in(
        &self,
        ticket: TicketBy,
        scan: Scan,
        name: Option<String>,
        keyed: Keyed<Scanned>,
    ) -> Result<Outcome<Scanned>, CheckInError>;
    /// Undoes the check-in of a ticket at an event.
    async fn undo_check_in(
        &self,
        event: EventId,
        ticket: TicketId,
        now: Timestamp,
        keyed: Keyed<Scanned>,
    ) -> Result<Outcome<Scanned>, CheckInError>;
    /// Up to `limit` of an event's registrations, of which no more than `look_at` are looked at, the newest first, from
    /// behind `after`.
    async fn desk_attendees(
        &self,
        event: Arc<Event>,
        filter: AttendeeFilter,
        after: Option<RegistrationId>,
        limit: usize,
        look_at: usize,
        now: Timestamp,
    ) -> Result<Attendees, StoreError>;
    /// Cancels a registration for its attendee and publishes it.
    async fn cancel_for(
        &self,
        cancel: Cancel,
        keyed: Keyed<Registered>,
    ) -> Result<Outcome<Registered>, CancelError>;
    /// What was counted of an event.
    async fn counted(&self, event: EventId, now: Timestamp) -> Result<Counted, StoreError>;
    /// Counts up to `limit` events of an earlier release, which did not count; returns the number.
    async fn count_events(&self, limit: usize) -> Result<usize, StoreError>;
}
