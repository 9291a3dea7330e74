//! The waitlist of a full event: who is in line, whom a freed seat is offered to, and what becomes of the offer.
//!
//! An open offer occupies a seat, as a hold does, so that `seats_taken` (live registrations and open offers) can never
//! exceed the capacity. Whoever waits has a claim to the next free seat: others get only the seats that are left over
//! ([`Event::seats_left`]). A worker turns claims into offers; until it has, nobody else can take the seat.

use std::{ops::AddAssign, time::Duration};

use common::{
    clock::Timestamp,
    ids::{EventId, UserId, WaitlistId},
};

use super::{
    event::Event,
    registering::{RegisterRefusal, takes_place, takes_registrations},
    registration::Registration,
};

/// An event's counts of its line, kept with it in the same commit as each change of an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// People who wait.
    pub waiting: u32,
    /// Open offers; each occupies a seat.
    pub offered: u32,
    /// The last place that was given; places are never given again.
    pub last_place: i64,
}

impl Line {
    /// Whether nobody waits and nothing is offered.
    pub fn is_empty(&self) -> bool {
        self.waiting == 0 && self.offered == 0
    }

    /// All who are on the list.
    pub fn listed(&self) -> u32 {
        self.waiting.saturating_add(self.offered)
    }
}

/// Somebody's place in the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The id.
    pub id: WaitlistId,
    /// The event.
    pub event_id: EventId,
    /// Who waits.
    pub user_id: UserId,
    /// The order in the line: smaller comes first. Grows by one with each who joins.
    pub place: i64,
    /// The state.
    pub state: State,
    /// When they joined.
    pub joined_at: Timestamp,
}

/// The state of an entry. It moves down this list only; the last four are ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// In line.
    Waiting,
    /// A seat is held for them.
    Offered {
        /// Until then.
        until: Timestamp,
    },
    /// The offer was not taken in time, and the seat went on.
    Expired {
        /// When it ended.
        until: Timestamp,
    },
    /// They have registered.
    Registered,
    /// They have left the line.
    Left,
    /// The event was cancelled, or its registration closed.
    Closed,
}

impl State {
    /// The state as of `now`: an offer past its end is expired, whether or not that is stored yet.
    pub fn at(self, now: Timestamp) -> Self {
        match self {
            Self::Offered { until } if until <= now => Self::Expired { until },
            state => state,
        }
    }

    /// Whether the person is still on the list.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Waiting | Self::Offered { .. })
    }

    /// When the offer ends or ended.
    pub fn until(self) -> Option<Timestamp> {
        match self {
            Self::Offered { until } | Self::Expired { until } => Some(until),
            _ => None,
        }
    }

    /// The public name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Offered { .. } => "offered",
            Self::Expired { .. } => "expired",
            Self::Registered => "registered",
            Self::Left => "left",
            Self::Closed => "closed",
        }
    }

    /// The state of that name; `None`: there is none, or it lacks the end of its offer.
    pub fn parse(name: &str, until: Option<Timestamp>) -> Option<Self> {
        match name {
            "waiting" => Some(Self::Waiting),
            "offered" => until.map(|until| Self::Offered { until }),
            "expired" => until.map(|until| Self::Expired { until }),
            "registered" => Some(Self::Registered),
            "left" => Some(Self::Left),
            "closed" => Some(Self::Closed),
            _ => None,
        }
    }

    /// What an entry in this state adds to the counts of its event.
    fn counts(self) -> Delta {
        let (waiting, offered) = match self {
            Self::Waiting => (1, 0),
            Self::Offered { .. } => (0, 1),
            _ => (0, 0),
        };
        Delta {
            seats: offered,
            waiting,
            offered,
        }
    }
}

/// A change of an event's counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    /// Of the seats taken.
    pub seats: i64,
    /// Of those who wait.
    pub waiting: i64,
    /// Of the open offers.
    pub offered: i64,
}

impl Delta {
    /// What changes when an entry moves from one state to another; `None` before it is made.
    pub fn of(before: Option<State>, after: State) -> Self {
        let (before, after) = (before.map(State::counts).unwrap_or_default(), after.counts());
        Self {
            seats: after.seats - before.seats,
            waiting: after.waiting - before.waiting,
            offered: after.offered - before.offered,
        }
    }
}

impl AddAssign for Delta {
    fn add_assign(&mut self, other: Self) {
        self.seats += other.seats;
        self.waiting += other.waiting;
        self.offered += other.offered;
    }
}

impl Entry {
    /// The entry in another state.
    #[must_use]
    pub fn moved(&self, state: State) -> Self {
        Self {
            state,
            ..self.clone()
        }
    }

    /// The entry as of `now`. One of a cancelled event has ended, even if the worker has not processed it yet.
    #[must_use]
    pub fn as_of(mut self, event_cancelled: bool, now: Timestamp) -> Self {
        self.state = match self.state.at(now) {
            state if state.is_open() && event_cancelled => State::Closed,
            state => state,
        };
        self
    }

    /// Whether a seat is held for the person at `now`.
    pub fn has_offer(&self, now: Timestamp) -> bool {
        matches!(self.state.at(now), State::Offered { .. })
    }

    /// What becomes of an open entry when its person registers at `now`: nobody is registered and in line at once.
    pub fn once_registered(&self, now: Timestamp) -> State {
        match self.state.at(now) {
            expired @ State::Expired { .. } => expired,
            _ => State::Registered,
        }
    }
}

/// The command to join a line.
#[derive(Clone, Debug)]
pub struct Join {
    /// The id that the entry will have.
    pub id: WaitlistId,
    /// The event.
    pub event_id: EventId,
    /// Who wants to wait.
    pub user_id: UserId,
    /// Now.
    pub now: Timestamp,
}

/// Why somebody cannot join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JoinRefusal {
    /// They could not register either, if there were a seat.
    Cannot(RegisterRefusal),
    /// They are on the list, as this entry says.
    Listed(Entry),
    /// There are seats: they can register.
    SeatsAvailable,
}

/// The decision to let somebody join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// The new entry, the last in line.
    pub entry: Entry,
    /// Their own offer that has run out and is not marked so yet; its seat goes to the line.
    pub offer: Option<Entry>,
    /// The same for a hold. Its money may still come: it must not find the hold as if nothing had happened.
    pub hold: Option<Registration>,
}

/// Decides whether somebody may join. `live` is their pending or confirmed registration and `open` their open entry for
/// the event, as they are stored.
///
/// # Errors
/// Why not. That they are registered or listed takes precedence over the rest.
pub fn on_join(
    event: &Event,
    live: Option<&Registration>,
    open: Option<&Entry>,
    join: &Join,
) -> Result<Joined, JoinRefusal> {
    takes_place(event, join.user_id).map_err(JoinRefusal::Cannot)?;
    let hold = match live {
        Some(live) if !live.state.at(join.now).is_expired() => {
            return Err(JoinRefusal::Cannot(RegisterRefusal::Already(live.clone())));
        }
        hold => hold.cloned(),
    };
    let offer = match open {
        Some(entry) if entry.state.at(join.now).is_open() => return Err(JoinRefusal::Listed(entry.clone())),
        entry => entry.cloned(),
    };
    takes_registrations(event, join.now).map_err(JoinRefusal::Cannot)?;
    let freed = u32::from(offer.is_some()) + u32::from(hold.is_some());
    let spoken_for = event
        .seats_taken
        .saturating_sub(freed)
        .saturating_add(event.line.waiting);
    if event.capacity.is_none_or(|capacity| spoken_for < capacity) {
        return Err(JoinRefusal::SeatsAvailable);
    }
    Ok(Joined {
        entry: Entry {
            id: join.id,
            event_id: event.id,
            user_id: join.user_id,
            place: event.line.last_place + 1,
            state: State::Waiting,
            joined_at: join.now,
        },
        offer,
        hold,
    })
}

/// Whether the line of an event has ended: nothing is offered any more.
pub fn is_over(event: &Event, now: Timestamp) -> bool {
    event.cancelled || event.is_closed(now)
}

/// What becomes of an open entry when the line has ended.
pub fn once_over(entry: &Entry, now: Timestamp) -> State {
    match entry.state.at(now) {
        expired @ State::Expired { .. } => expired,
        _ => State::Closed,
    }
}

/// How many of those who wait get an offer, when `freed` offers have just ended.
pub fn seats_to_offer(event: &Event, freed: usize) -> usize {
    let waiting = event.line.waiting as usize;
    event.capacity.map_or(waiting, |capacity| {
        let free = (capacity as usize + freed).saturating_sub(event.seats_taken as usize);
        free.min(waiting)
    })
}

/// The offer made at `now`: it lasts for `length`, and no longer than registration is open.
pub fn offer(event: &Event, length: Duration, now: Timestamp) -> State {
    let until = now + length;
    State::Offered {
        until: event.closes.at().map_or(until, |closes| until.min(closes)),
    }
}

#[cfg(test)]
#[path = "waitlist_tests.rs"]
mod tests;
