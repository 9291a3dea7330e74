//! An event and the rules for changing it.

use chrono_tz::Tz;
use common::{
    clock::Timestamp,
    ids::{EventId, UserId},
    leads::Leads,
    money::Paise,
    time::{EventTime, in_range},
    wire::{EventFacts, EventFormat},
};

use super::listing::{Listing, ListingPatch};
use super::waitlist::Line;

/// The largest capacity (DESIGN section 3).
pub const MAX_CAPACITY: u32 = 1_000_000;

/// An event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The id.
    pub id: EventId,
    /// The organizer; only they may change it.
    pub organizer: UserId,
    /// The name.
    pub name: String,
    /// The description.
    pub details: String,
    /// The start.
    pub time: EventTime,
    /// The address: a street or a link. Empty only for an online event.
    pub address: String,
    /// Seats; `None`: unlimited.
    pub capacity: Option<u32>,
    /// The price of new registrations.
    pub fee: Paise,
    /// Whether it was cancelled.
    pub cancelled: bool,
    /// When registration closes.
    pub closes: Closing,
    /// Live registrations, including unpaid holds, and open offers to people on the waitlist.
    pub seats_taken: u32,
    /// Who waits for a seat.
    pub line: Line,
    /// Incremented with every change.
    pub version: i64,
    /// Incremented when the start or the reminders change.
    pub schedule_version: i64,
    /// When it was created.
    pub created_at: Timestamp,
    /// How people take part.
    pub format: EventFormat,
    /// When it ends, after its start; `None`: not said.
    pub ends_at: Option<Timestamp>,
    /// Where to join it, an https address; for confirmed attendees and the organizer only.
    pub join_url: Option<String>,
    /// When its attendees are reminded of it.
    pub reminders: Leads,
    /// Whether only its organizer knows of it.
    pub draft: bool,
    /// When registration opens; `None`: it is open from the beginning.
    pub opens_at: Option<Timestamp>,
    /// How it is listed.
    pub listing: Listing,
}

/// When registration closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// The default: at the start, or never for an event that was in the past when its time was set.
    Default(Option<Timestamp>),
    /// Set by the organizer.
    At(Timestamp),
}

impl Closing {
    /// The default for a start set at `now`.
    pub fn by_default(start: Timestamp, now: Timestamp) -> Self {
        Self::Default((start > now).then_some(start))
    }

    /// The closing of an event whose start moves from `before` to `after`. A default follows the start. It never
    /// becomes "never": registration for an event that has started stays closed until the start is in the future again
    /// or the organizer sets a closing.
    fn moved(self, before: Timestamp, after: Timestamp, now: Timestamp) -> Result<Self, PatchError> {
        match self {
            Self::Default(Some(_)) => Ok(Self::Default(Some(after))),
            Self::Default(None) => Ok(Self::by_default(after, now)),
            // Sales after the start need an explicit request. This closing lay at or before the old start, and would
            // allow them after the new one.
            Self::At(at) if at <= before && at > after && at > now => Err(PatchError::Time(
                "registration_closes_at",
                "would lie after the new start; send the one that is meant along, or null to close at the start",
            )),
            Self::At(_) => Ok(self),
        }
    }

    /// The default in place of a closing set earlier, as if none had been set. Whether the start was in the future when
    /// it was set is known for the creation of the event only.
    fn reset(event: &Event, after: Timestamp, now: Timestamp) -> Self {
        Self::Default((after > now || event.time.at > event.created_at).then_some(after))
    }

    /// The instant; `None`: never.
    pub fn at(self) -> Option<Timestamp> {
        match self {
            Self::Default(at) => at,
            Self::At(at) => Some(at),
        }
    }
}

/// The input for a new event.
#[derive(Clone, Debug)]
pub struct EventDraft {
    /// The name.
    pub name: String,
    /// The description.
    pub details: String,
    /// The start.
    pub time: EventTime,
    /// The address.
    pub address: String,
    /// Seats; `None`: unlimited.
    pub capacity: Option<u32>,
    /// The price.
    pub fee: Paise,
    /// When registration closes; `None`: the default.
    pub closes_at: Option<Timestamp>,
    /// How people take part.
    pub format: EventFormat,
    /// When it ends.
    pub ends_at: Option<Timestamp>,
    /// Where to join it.
    pub join_url: Option<String>,
    /// Whether only its organizer is to know of it.
    pub draft: bool,
    /// When registration opens; `None`: at once.
    pub opens_at: Option<Timestamp>,
    /// How it is listed.
    pub listing: Listing,
}

impl EventDraft {
    /// When registration closes.
    pub fn closes(&self, now: Timestamp) -> Closing {
        self.closes_at
            .map_or_else(|| Closing::by_default(self.time.at, now), Closing::At)
    }

    /// The event created from it.
    pub fn into_event(self, id: EventId, organizer: UserId, now: Timestamp) -> Event {
        let closes = self.closes(now);
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
            line: Line::default(),
            version: 1,
            schedule_version: 1,
            created_at: now,
            format: self.format,
            ends_at: self.ends_at,
            join_url: self.join_url,
            reminders: Leads::default(),
            draft: self.draft,
            opens_at: self.opens_at,
            listing: self.listing,
        }
    }
}

/// A change of an event; `None` leaves a field as it is.
#[derive(Clone, Debug, Default)]
pub struct Patch {
    /// New name.
    pub name: Option<String>,
    /// New details.
    pub details: Option<String>,
    /// New start, as text; read in the event's zone.
    pub time: Option<String>,
    /// New zone. Without a new start the wall-clock time stays and the instant moves, unless both zones agree on it.
    pub zone: Option<Tz>,
    /// New address.
    pub address: Option<String>,
    /// New capacity; `Some(None)`: unlimited.
    pub capacity: Option<Option<u32>>,
    /// New price, for new registrations only.
    pub fee: Option<Paise>,
    /// New closing of registration, as text; `Some(None)`: back to the default.
    pub closes_at: Option<Option<String>>,
    /// New format.
    pub format: Option<EventFormat>,
    /// New end, as text; `Some(None)`: none. Without one the end moves with the start.
    pub ends_at: Option<Option<String>>,
    /// New place to join; `Some(None)`: none.
    pub join_url: Option<Option<String>>,
    /// New reminders.
    pub reminders: Option<Leads>,
    /// New opening of registration, as text; `Some(None)`: at once. Without one it moves with the start, unless registration
    /// has opened.
    pub opens_at: Option<Option<String>>,
    /// How it is listed from now on.
    pub listing: ListingPatch,
}

/// Whether an event of this format must have an address.
pub fn needs_address(format: EventFormat) -> bool {
    format != EventFormat::Online
}

/// Checks that an event ends after it starts.
///
/// # Errors
/// Why it does not.
pub fn ends_after(start: Timestamp, end: Timestamp) -> Result<(), &'static str> {
    if end > start {
        Ok(())
    } else {
        Err("must be after event_time")
    }
}

/// Checks that registration opens before it closes.
///
/// # Errors
/// Why it does not.
pub fn opens_before(opens: Option<Timestamp>, closes: Closing) -> Result<(), &'static str> {
    match (opens, closes.at()) {
        (Some(opens), Some(closes)) if opens >= closes => Err("must be before registration closes"),
        _ => Ok(()),
    }
}

/// Why a change is refused.
#[derive(Debug, PartialEq, Eq)]
pub enum PatchError {
    /// The event is cancelled.
    Cancelled,
    /// It is published already.
    Published,
    /// Somebody is registered, so that registration cannot be yet to open.
    RegistrationBegan,
    /// The new capacity is below this number of live registrations.
    CapacityBelowRegistrations(u32),
    /// It has no address and is to be more than online.
    NoAddress,
    /// A time is invalid: the field, and why.
    Time(&'static str, &'static str),
}

impl Event {
    /// Whether people can still come: it was not called off, and it has not begun or still takes registrations.
    pub fn is_to_come(&self, now: Timestamp) -> bool {
        !self.cancelled && (now < self.time.at || !self.is_closed(now))
    }

    /// Whether registration has closed by `now`.
    pub fn is_closed(&self, now: Timestamp) -> bool {
        self.closes.at().is_some_and(|closes| closes <= now)
    }

    /// When registration will open; `None`: it has opened by `now`.
    pub fn opens_later(&self, now: Timestamp) -> Option<Timestamp> {
        self.opens_at.filter(|opens| now < *opens)
    }

    /// Whether registration is open at `now`.
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.opens_later(now).is_none() && !self.is_closed(now)
    }

    /// The end, ready to be shown.
    pub fn end(&self) -> Option<EventTime> {
        let zone = self.time.zone;
        self.ends_at.map(|at| EventTime { at, zone })
    }

    /// Free seats for who is not on the waitlist; `None`: unlimited. Each person who waits has a claim to one.
    pub fn seats_left(&self) -> Option<u32> {
        let spoken_for = self.seats_taken.saturating_add(self.line.waiting);
        self.capacity.map(|capacity| capacity.saturating_sub(spoken_for))
    }

    /// Live registrations, including unpaid holds.
    pub fn registered(&self) -> u32 {
        self.seats_taken.saturating_sub(self.line.offered)
    }

    /// Whether a change is visible to attendees: in any of the facts but the version.
    pub fn differs_for_others(&self, after: &Self) -> bool {
        let after = EventFacts {
            version: self.version,
            ..after.facts()
        };
        self.facts() != after
    }

    /// The facts that are published to other services.
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
            format: self.format,
            ends_at: self.ends_at,
            join_url: self.join_url.clone(),
            reminders: self.reminders,
            organizer: Some(self.organizer),
        }
    }

    /// The event after a change.
    ///
    /// # Errors
    /// Why the change is refused.
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
        event.format = patch.format.unwrap_or(event.format);
        event.join_url = patch.join_url.clone().unwrap_or(event.join_url);
        event.reminders = patch.reminders.unwrap_or(event.reminders);
        event.listing = self.listing.patched(&patch.listing);
        if event.address.is_empty() && needs_address(event.format) {
            return Err(PatchError::NoAddress);
        }
        event.time = self.moved(patch)?;
        event.ends_at = self.ends(patch, event.time)?;
        let (before, after) = (self.time.at, event.time.at);
        if before != after || self.reminders != event.reminders {
            event.schedule_version += 1;
        }
        match &patch.closes_at {
            None if before == after => {}
            None => event.closes = self.closes.moved(before, after, now)?,
            Some(None) => {
                event.closes = match self.closes {
                    Closing::Default(_) => self.closes.moved(before, after, now)?,
                    Closing::At(_) => Closing::reset(self, after, now),
                };
            }
            Some(Some(text)) => {
                let at = EventTime::parse(text, event.time.zone)
                    .map_err(|why| PatchError::Time("registration_closes_at", why))?;
                event.closes = Closing::At(at.at);
            }
        }
        event.opens_at = self.opens(patch, event.time, now)?;
        opens_before(event.opens_at, event.closes).map_err(|why| {
            match patch.closes_at.is_some() && patch.opens_at.is_none() {
                true => PatchError::Time("registration_closes_at", "must be after registration opens"),
                false => PatchError::Time("registration_opens_at", why),
            }
        })?;
        Ok(event)
    }

    /// The opening of registration after a change that moves the start to `start`.
    fn opens(
        &self,
        patch: &Patch,
        start: EventTime,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, PatchError> {
        let refused = |why| PatchError::Time("registration_opens_at", why);
        let opens = match &patch.opens_at {
            // What has opened is not shut by a new start.
            None if !self.draft && self.opens_later(now).is_none() => return Ok(self.opens_at),
            None => {
                let moved = self.opens_at.map(|at| in_range(at + (start.at - self.time.at)));
                moved.transpose().map_err(refused)?
            }
            Some(None) => None,
            Some(Some(text)) => Some(EventTime::parse(text, start.zone).map_err(refused)?.at),
        };
        let shuts = opens != self.opens_at && opens.is_some_and(|at| now < at);
        match shuts && self.seats_taken > 0 {
            true => Err(PatchError::RegistrationBegan),
            false => Ok(opens),
        }
    }

    /// The end after a change that moves the start to `start`.
    fn ends(&self, patch: &Patch, start: EventTime) -> Result<Option<Timestamp>, PatchError> {
        let refused = |why| PatchError::Time("ends_at", why);
        match &patch.ends_at {
            None => {
                let moved = self.ends_at.map(|end| in_range(start.at + (end - self.time.at)));
                moved.transpose().map_err(refused)
            }
            Some(None) => Ok(None),
            Some(Some(text)) => {
                let end = EventTime::parse(text, start.zone).map_err(refused)?.at;
                ends_after(start.at, end).map_err(refused)?;
                Ok(Some(end))
            }
        }
    }

    fn moved(&self, patch: &Patch) -> Result<EventTime, PatchError> {
        let zone = patch.zone.unwrap_or(self.time.zone);
        match (&patch.time, patch.zone) {
            (None, None) => Ok(self.time),
            (Some(text), _) => {
                EventTime::parse(text, zone).map_err(|why| PatchError::Time("event_time", why))
            }
            (None, Some(_)) => self
                .time
                .in_zone(zone)
                .map_err(|why| PatchError::Time("timezone", why)),
        }
    }
}

#[cfg(test)]
#[path = "event_tests.rs"]
mod tests;
