//! Rows to domain types and back.

use std::sync::Arc;

use common::{
    clock::{Timestamp, from_millis},
    leads::Leads,
    time::EventTime,
    wire::EventFormat,
};
use sqlite_store::Row;
use sqlite_store::{
    Error,
    rows::{maybe_named, named},
};

use crate::{
    domain::{
        event::{Closing, Event},
        listing::{Category, Listing, Tags, Visibility},
        registration::{Registration, State, Ticket},
        waitlist::Line,
    },
    store::Registered,
};

/// The columns that [`event`] reads.
pub const EVENT: &str =
    "e.id, e.organizer, e.name, e.details, e.starts_at, e.zone, e.address, e.capacity, e.fee, e.cancelled,
    e.closes_at, e.closes_by_default, e.seats_taken, e.version, e.schedule_version, e.created_at, e.format, e.ends_at,
    e.join_url, e.reminders, e.draft, e.opens_at, e.category, e.tags, e.image_url, e.unlisted, e.waiting, e.offered,
    e.last_place";
/// The number of [`EVENT`]'s columns.
pub const EVENT_COLUMNS: usize = 29;

/// Reads an event from the first columns of a row.
pub fn event(row: &Row<'_>) -> sqlite_store::RowResult<Event> {
    let zone = named(row, 5, |zone| zone.parse().ok())?;
    let closes_at: Option<Timestamp> = row.get::<_, Option<i64>>(10)?.map(from_millis);
    let closes = match (row.get::<_, bool>(11)?, closes_at) {
        (false, Some(at)) => Closing::At(at),
        (_, at) => Closing::Default(at),
    };
    Ok(Event {
        id: row.get(0)?,
        organizer: row.get(1)?,
        name: row.get(2)?,
        details: row.get(3)?,
        time: EventTime {
            at: from_millis(row.get(4)?),
            zone,
        },
        address: row.get(6)?,
        capacity: row.get(7)?,
        fee: row.get(8)?,
        cancelled: row.get(9)?,
        closes,
        seats_taken: row.get(12)?,
        line: Line {
            waiting: row.get(26)?,
            offered: row.get(27)?,
            last_place: row.get(28)?,
        },
        version: row.get(13)?,
        schedule_version: row.get(14)?,
        created_at: from_millis(row.get(15)?),
        format: named(row, 16, EventFormat::parse)?,
        ends_at: row.get::<_, Option<i64>>(17)?.map(from_millis),
        join_url: row.get(18)?,
        reminders: maybe_named(row, 19, Leads::parse)?.unwrap_or_default(),
        draft: row.get(20)?,
        opens_at: row.get::<_, Option<i64>>(21)?.map(from_millis),
        listing: Listing {
            category: named(row, 22, Category::parse)?,
            tags: tags(row, 23)?,
            image_url: row.get(24)?,
            visibility: match row.get(25)? {
                true => Visibility::Unlisted,
                false => Visibility::Public,
            },
        },
    })
}

/// Reads an event's tags.
pub fn tags(row: &Row<'_>, at: usize) -> sqlite_store::RowResult<Tags> {
    let read = |texts: &str| Tags::from_store(serde_json::from_str(texts).ok()?);
    Ok(maybe_named(row, at, read)?.unwrap_or_default())
}

/// An event's tags, as they are written.
pub fn of_tags(tags: &Tags) -> Option<String> {
    (!tags.is_empty()).then(|| serde_json::json!(tags.texts()).to_string())
}

/// The columns that [`registration`] reads.
pub const REGISTRATION: &str =
    "r.id, r.event_id, r.user_id, r.amount, r.status, r.hold_expires_at, r.payment_id, r.created_at,
    r.paid";

/// The number of [`REGISTRATION`]'s columns.
pub const REGISTRATION_COLUMNS: usize = 9;

/// Reads a registration from the columns that begin at `at`.
pub fn registration(row: &Row<'_>, at: usize) -> sqlite_store::RowResult<Registration> {
    let status: String = row.get(at + 4)?;
    let state = match status.as_str() {
        "pending_payment" => State::PendingPayment {
            hold_expires_at: from_millis(row.get(at + 5)?),
        },
        "confirmed" => State::Confirmed,
        "expired" => State::Expired {
            held_until: row.get::<_, Option<i64>>(at + 5)?.map(from_millis),
        },
        "cancelled" => State::Cancelled,
        _ => {
            return Err(Error::unreadable(
                at + 4,
                format!("{status:?} is no status of this release"),
            ));
        }
    };
    Ok(Registration {
        id: row.get(at)?,
        event_id: row.get(at + 1)?,
        user_id: row.get(at + 2)?,
        amount: row.get(at + 3)?,
        state,
        payment_id: row.get(at + 6)?,
        created_at: from_millis(row.get(at + 7)?),
        paid: row.get(at + 8)?,
    })
}

/// Reads an event, a registration and its ticket, if it ever had one (`t.id, t.code`), as of `now`.
pub fn registered(row: &Row<'_>, now: Timestamp) -> sqlite_store::RowResult<Registered> {
    const TICKET: usize = EVENT_COLUMNS + REGISTRATION_COLUMNS;
    let event = event(row)?;
    let registration = registration(row, EVENT_COLUMNS)?.as_of(event.cancelled, now);
    let ticket = match row.get(TICKET)? {
        Some(id) => Some(Ticket {
            id,
            code: row.get(TICKET + 1)?,
            qr: None,
        }),
        None => None,
    };
    Ok(Registered {
        registration,
        event: Arc::new(event),
        ticket,
    })
}
