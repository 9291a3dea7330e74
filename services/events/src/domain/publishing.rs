//! Drafts: an event that nobody but its organizer and their team knows of, until it is published; and copies of events, which are drafts.

use common::{
    clock::Timestamp,
    ids::EventId,
    time::{EventTime, in_range},
};

use super::{
    event::{Closing, Event, PatchError, opens_before},
    team::{Rank, Right},
};

/// What a copy of an event is to be.
#[derive(Clone, Debug)]
pub struct Duplicate {
    /// The id that it will have.
    pub id: EventId,
    /// Its start, as text; read in the event's zone.
    pub time: String,
}

impl Event {
    /// Whether somebody of this rank may know of it.
    pub fn is_seen_by(&self, rank: Rank) -> bool {
        !self.draft || rank.has(Right::Door)
    }

    /// The draft, published. It never becomes a draft again: others know of it from here on.
    ///
    /// # Errors
    /// When it is cancelled, or published already.
    pub fn published(&self) -> Result<Self, PatchError> {
        if self.cancelled {
            return Err(PatchError::Cancelled);
        }
        if !self.draft {
            return Err(PatchError::Published);
        }
        Ok(Self {
            draft: false,
            version: self.version + 1,
            ..self.clone()
        })
    }

    /// A copy at another time, as a draft: all but the registrations, and that it was cancelled. The end, and the opening and
    /// closing of registration that were set, keep their distance from the start.
    ///
    /// # Errors
    /// When a time is invalid.
    pub fn duplicated(&self, copy: &Duplicate, now: Timestamp) -> Result<Self, PatchError> {
        let time = EventTime::parse(&copy.time, self.time.zone)
            .map_err(|why| PatchError::Time("event_time", why))?;
        let moved = |at: Timestamp| {
            in_range(time.at + (at - self.time.at)).map_err(|_| {
                PatchError::Time(
                    "event_time",
                    "moves another time of the event out of the years 1970 to 9999",
                )
            })
        };
        let closes = match self.closes {
            Closing::Default(_) => Closing::by_default(time.at, now),
            Closing::At(at) => Closing::At(moved(at)?),
        };
        let opens_at = self.opens_at.map(moved).transpose()?;
        // By default registration closes at the start, also where the event that is copied closed never.
        opens_before(opens_at, closes)
            .map_err(|_| PatchError::Time("event_time", "would have registration close before it opens"))?;
        Ok(Self {
            id: copy.id,
            time,
            ends_at: self.ends_at.map(moved).transpose()?,
            opens_at,
            closes,
            draft: true,
            cancelled: false,
            seats_taken: 0,
            version: 1,
            schedule_version: 1,
            created_at: now,
            ..self.clone()
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::team::TeamRole;
    use chrono::TimeDelta;
    use proptest::prelude::*;

    use super::*;
    use crate::domain::samples::{NOW, event};

    fn draft() -> Event {
        Event {
            draft: true,
            ..event(0)
        }
    }

    #[test]
    fn a_draft_is_its_organizers_until_it_is_published_once() {
        let draft = draft();
        for rank in [
            Rank::Owner,
            Rank::Member(TeamRole::Manager),
            Rank::Member(TeamRole::Scanner),
        ] {
            assert!(draft.is_seen_by(rank));
        }
        assert!(!draft.is_seen_by(Rank::Stranger));
        let published = draft.published().unwrap();
        assert!(published.is_seen_by(Rank::Stranger));
        assert_eq!((published.version, published.schedule_version), (2, 1));
        assert_eq!(published.published(), Err(PatchError::Published));
        let cancelled = Event {
            cancelled: true,
            ..draft
        };
        assert_eq!(cancelled.published(), Err(PatchError::Cancelled));
    }

    fn copy(event: &Event, start: Timestamp, now: Timestamp) -> Result<Event, PatchError> {
        let copy = Duplicate {
            id: EventId::new(),
            time: start.to_rfc3339(),
        };
        event.duplicated(&copy, now)
    }

    #[test]
    fn a_copy_of_what_never_closed_closes_at_its_start() {
        let record = Event {
            closes: Closing::Default(None),
            opens_at: Some(NOW + TimeDelta::days(2)),
            ..event(0)
        };
        let start = NOW + TimeDelta::days(9);
        // It opened a day after its start.
        assert!(matches!(
            copy(&record, start, NOW),
            Err(PatchError::Time("event_time", _))
        ));
        let record = Event {
            opens_at: None,
            ..record
        };
        assert_eq!(
            copy(&record, start, NOW).unwrap().closes,
            Closing::Default(Some(start))
        );
        assert_eq!(copy(&record, NOW, NOW).unwrap().closes, Closing::Default(None));
    }

    #[test]
    fn no_time_of_a_copy_leaves_the_calendar() {
        let event = Event {
            ends_at: Some(NOW + TimeDelta::days(3)),
            ..event(0)
        };
        let last = EventTime::parse("9999-12-30T00:00:00Z", chrono_tz::UTC).unwrap();
        assert!(matches!(
            copy(&event, last.at, NOW),
            Err(PatchError::Time("event_time", _))
        ));
        let wrong = Duplicate {
            id: EventId::new(),
            time: "tomorrow".to_owned(),
        };
        assert!(matches!(
            event.duplicated(&wrong, NOW),
            Err(PatchError::Time("event_time", _))
        ));
    }

    proptest! {
        /// Whatever an event is, its copy is a draft that keeps its distances, and has neither seats nor a past.
        #[test]
        fn a_copy_keeps_its_distances(
            start in 1_i64..100_000, moved in -100_000_i64..100_000, opens in prop::option::of(-900_i64..-400),
            closes in prop::option::of(-300_i64..300), ends in prop::option::of(1_i64..100),
            cancelled: bool, draft: bool, seats in 0_u32..9,
        ) {
            let hours = |hours: i64| NOW + TimeDelta::hours(hours);
            let mut event = event(100);
            event.time.at = hours(start);
            event.closes = closes.map_or(Closing::Default(Some(hours(start))), |at| Closing::At(hours(start + at)));
            event.opens_at = opens.map(|at| hours(start + at));
            event.ends_at = ends.map(|at| hours(start + at));
            (event.cancelled, event.draft, event.seats_taken) = (cancelled, draft, seats);
            let to = hours(start + moved);
            let copy = copy(&event, to, NOW).unwrap();
            prop_assert!(copy.draft && !copy.cancelled && copy.seats_taken == 0 && copy.id != event.id);
            prop_assert_eq!(copy.time.at, to);
            prop_assert_eq!(copy.ends_at.map(|at| at - to), event.ends_at.map(|at| at - event.time.at));
            prop_assert_eq!(copy.opens_at.map(|at| at - to), event.opens_at.map(|at| at - event.time.at));
            match event.closes {
                Closing::At(at) => prop_assert_eq!(copy.closes, Closing::At(at + (to - event.time.at))),
                Closing::Default(_) => prop_assert_eq!(copy.closes, Closing::by_default(to, NOW)),
            }
            prop_assert_eq!(
                (&copy.listing, copy.reminders, copy.fee, copy.organizer),
                (&event.listing, event.reminders, event.fee, event.organizer)
            );
            prop_assert!(copy.published().is_ok());
        }
    }
}
