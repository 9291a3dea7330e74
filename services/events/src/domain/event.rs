//! An event, and how its organizer may change it.

use chrono_tz::Tz;
use common::{
    clock::Timestamp,
    ids::{EventId, UserId},
    money::Paise,
    time::EventTime,
    wire::EventFacts,
};

/// The largest capacity (DESIGN section 3).
pub const MAX_CAPACITY: u32 = 1_000_000;

/// An event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its id.
    pub id: EventId,
    /// Who may change it.
    pub organizer: UserId,
    /// Its name.
    pub name: String,
    /// What it is about.
    pub details: String,
    /// When it starts.
    pub time: EventTime,
    /// Where it is; a street or a link.
    pub address: String,
    /// Seats; `None`: unlimited.
    pub capacity: Option<u32>,
    /// Price of a registration made now.
    pub fee: Paise,
    /// Whether it was called off.
    pub cancelled: bool,
    /// When registration closes.
    pub closes: Closing,
    /// Live registrations, unpaid holds included.
    pub seats_taken: u32,
    /// Grows with every change.
    pub version: i64,
    /// Grows when the start moves.
    pub schedule_version: i64,
    /// When it was created.
    pub created_at: Timestamp,
}

/// When registration closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// The organizer did not say: at the start, or never for an event that lay in the past when its time was set.
    Default(Option<Timestamp>),
    /// The organizer said when.
    At(Timestamp),
}

impl Closing {
    /// The default for a start that is set now.
    pub fn by_default(start: Timestamp, now: Timestamp) -> Self {
        Self::Default((start > now).then_some(start))
    }

    /// The instant, if there is one.
    pub fn at(self) -> Option<Timestamp> {
        match self {
            Self::Default(at) => at,
            Self::At(at) => Some(at),
        }
    }
}

/// A new event, as its organizer describes it.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Its name.
    pub name: String,
    /// What it is about.
    pub details: String,
    /// When it starts.
    pub time: EventTime,
    /// Where it is.
    pub address: String,
    /// Seats; `None`: unlimited.
    pub capacity: Option<u32>,
    /// Price.
    pub fee: Paise,
    /// When registration closes, if the organizer says so.
    pub closes_at: Option<Timestamp>,
}

impl Draft {
    /// The event that comes of it.
    pub fn into_event(self, id: EventId, organizer: UserId, now: Timestamp) -> Event {
        let closes = self
            .closes_at
            .map_or_else(|| Closing::by_default(self.time.at, now), Closing::At);
        Event {
            id,
            organizer,
            name: self.name,
            details: self.details,
            time: self.time,
            address: self.address,
            capacity: self.capacity,
            fee: self.fee,
            cancelled: false,
            closes,
            seats_taken: 0,
            version: 1,
            schedule_version: 1,
            created_at: now,
        }
    }
}

/// What an organizer wants changed; `None` leaves a thing as it is.
#[derive(Clone, Debug, Default)]
pub struct Patch {
    /// New name.
    pub name: Option<String>,
    /// New details.
    pub details: Option<String>,
    /// New start: its text, read in the event's zone.
    pub time: Option<String>,
    /// New zone; without a new start, the wall-clock time stays and the instant moves.
    pub zone: Option<Tz>,
    /// New place.
    pub address: Option<String>,
    /// New capacity; `Some(None)`: unlimited.
    pub capacity: Option<Option<u32>>,
    /// New price, for registrations made from now on.
    pub fee: Option<Paise>,
    /// New end of registration, its text; `Some(None)`: back to the default.
    pub closes_at: Option<Option<String>>,
}

/// Why a change is refused.
#[derive(Debug, PartialEq, Eq)]
pub enum PatchError {
    /// The event was called off.
    Cancelled,
    /// More people are registered than the new capacity has seats.
    CapacityBelowRegistrations(u32),
    /// A time cannot be read.
    Time(&'static str, &'static str),
}

impl Event {
    /// Whether somebody may register now.
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.closes.at().is_none_or(|closes| now < closes)
    }

    /// Free seats; `None`: unlimited.
    pub fn seats_left(&self) -> Option<u32> {
        self.capacity
            .map(|capacity| capacity.saturating_sub(self.seats_taken))
    }

    /// What other services need to know of it.
    pub fn facts(&self) -> EventFacts {
        EventFacts {
            event_id: self.id,
            name: self.name.clone(),
            address: self.address.clone(),
            starts_at: self.time.at,
            zone: self.time.zone,
            version: self.version,
            schedule_version: self.schedule_version,
            cancelled: self.cancelled,
        }
    }

    /// The event after a change.
    ///
    /// # Errors
    /// When the change may not be made.
    pub fn patched(&self, patch: &Patch, now: Timestamp) -> Result<Self, PatchError> {
        if self.cancelled {
            return Err(PatchError::Cancelled);
        }
        let mut event = self.clone();
        event.version += 1;
        let set = |field: &mut String, value: &Option<String>| {
            if let Some(value) = value {
                field.clone_from(value);
            }
        };
        set(&mut event.name, &patch.name);
        set(&mut event.details, &patch.details);
        set(&mut event.address, &patch.address);
        event.fee = patch.fee.unwrap_or(event.fee);
        if let Some(capacity) = patch.capacity {
            if capacity.is_some_and(|seats| seats < self.seats_taken) {
                return Err(PatchError::CapacityBelowRegistrations(self.seats_taken));
            }
            event.capacity = capacity;
        }
        event.time = self.moved(patch)?;
        if event.time.at != self.time.at {
            event.schedule_version += 1;
            if let Closing::Default(_) = event.closes {
                event.closes = Closing::by_default(event.time.at, now);
            }
        }
        match &patch.closes_at {
            None => {}
            Some(None) => event.closes = Closing::by_default(event.time.at, now),
            Some(Some(text)) => {
                let at = EventTime::parse(text, event.time.zone)
                    .map_err(|why| PatchError::Time("registration_closes_at", why))?;
                event.closes = Closing::At(at.at);
            }
        }
        Ok(event)
    }

    fn moved(&self, patch: &Patch) -> Result<EventTime, PatchError> {
        let zone = patch.zone.unwrap_or(self.time.zone);
        let wall_clock = || {
            self.time
                .at
                .with_timezone(&self.time.zone)
                .format("%Y-%m-%dT%H:%M:%S%.3f")
                .to_string()
        };
        match (&patch.time, patch.zone) {
            (None, None) => Ok(self.time),
            (Some(text), _) => {
                EventTime::parse(text, zone).map_err(|why| PatchError::Time("event_time", why))
            }
            (None, Some(_)) => {
                EventTime::parse(&wall_clock(), zone).map_err(|why| PatchError::Time("timezone", why))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use chrono_tz::Asia::Kolkata;
    use common::clock::from_millis;

    use super::*;

    fn event(start: Timestamp, now: Timestamp) -> Event {
        let time = EventTime {
            at: start,
            zone: Kolkata,
        };
        let draft = Draft {
            name: "n".into(),
            details: "d".into(),
            time,
            address: "a".into(),
            capacity: Some(10),
            fee: Paise(0),
            closes_at: None,
        };
        draft.into_event(EventId::new(), UserId::new(), now)
    }

    #[test]
    fn registration_closes_at_the_start_unless_the_event_was_past() {
        let now = from_millis(1_000_000_000_000);
        let future = event(now + TimeDelta::hours(1), now);
        assert!(future.is_open(now) && !future.is_open(now + TimeDelta::hours(1)));
        assert!(event(now - TimeDelta::hours(1), now).is_open(now + TimeDelta::days(999)));
    }

    #[test]
    fn a_new_start_is_a_new_schedule_and_moves_the_default_closing() {
        let now = from_millis(1_000_000_000_000);
        let event = event(now + TimeDelta::hours(1), now);
        let patch = Patch {
            time: Some("2030-01-01T10:00:00+05:30".into()),
            ..Patch::default()
        };
        let moved = event.patched(&patch, now).unwrap();
        assert_eq!((moved.version, moved.schedule_version), (2, 2));
        assert_eq!(moved.closes.at(), Some(moved.time.at));
        let renamed = event
            .patched(
                &Patch {
                    name: Some("x".into()),
                    ..Patch::default()
                },
                now,
            )
            .unwrap();
        assert_eq!((renamed.version, renamed.schedule_version), (2, 1));
    }

    #[test]
    fn a_new_zone_keeps_the_wall_clock() {
        let now = from_millis(1_000_000_000_000);
        let event = event(now + TimeDelta::hours(1), now);
        let patch = Patch {
            zone: Some(Tz::UTC),
            ..Patch::default()
        };
        let moved = event.patched(&patch, now).unwrap();
        assert_eq!(moved.time.rfc3339()[..23], event.time.rfc3339()[..23]);
        assert_ne!(moved.time.at, event.time.at);
    }

    #[test]
    fn capacity_does_not_fall_below_those_who_are_in() {
        let now = from_millis(1_000_000_000_000);
        let event = Event {
            seats_taken: 5,
            ..event(now, now)
        };
        let patch = |seats| Patch {
            capacity: Some(Some(seats)),
            ..Patch::default()
        };
        assert_eq!(
            event.patched(&patch(4), now),
            Err(PatchError::CapacityBelowRegistrations(5))
        );
        assert!(event.patched(&patch(5), now).is_ok());
    }
}
