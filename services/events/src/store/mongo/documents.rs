//! Documents to domain types and back.

use common::{leads::Leads, money::Paise, store::StoreError, time::EventTime, wire::EventFormat};
use mongo_store::{DocumentExt, date, uuid};
use mongodb::bson::{Binary, Bson, Document, doc, spec::BinarySubtype};

use crate::domain::{
    check_in::CheckIn,
    event::{Closing, Event},
    listing::{Category, Listing, Tags, Visibility},
    registration::{Registration, State, Ticket},
    search_terms,
    waitlist::Line,
};

/// An event's fields except `_id`, `seats_taken`, the counts of its line and `ending`, which have updates of their own; fields to be left out
/// are in the second document, for `$unset`.
pub(super) fn event_fields(event: &Event) -> (Document, Document) {
    let mut set = doc! {
        "organizer": uuid(event.organizer),
        "name": &event.name,
        "details": &event.details,
        "starts_at": date(event.time.at),
        "zone": event.time.zone.name(),
        "address": &event.address,
        "fee": event.fee.0,
        "cancelled": event.cancelled,
        "closes_by_default": matches!(event.closes, Closing::Default(_)),
        "version": event.version,
        "schedule_version": event.schedule_version,
        "created_at": date(event.created_at),
        "format": event.format.name(),
        "draft": event.draft,
        "category": event.listing.category.name(),
        "unlisted": event.listing.visibility == Visibility::Unlisted,
    };
    let Listing { category, tags, .. } = &event.listing;
    let texts = [&*event.name, &event.address, &event.details];
    set.extend(words(texts, *category, tags));
    let mut unset = Document::new();
    let optional = [
        ("capacity", event.capacity.map(|seats| i64::from(seats).into())),
        ("closes_at", event.closes.at().map(date)),
        ("ends_at", event.ends_at.map(date)),
        ("join_url", event.join_url.as_deref().map(Bson::from)),
        ("reminders", event.reminders.to_store().map(Bson::from)),
        ("opens_at", event.opens_at.map(date)),
        ("tags", (!tags.is_empty()).then(|| tags.texts().into())),
        ("image_url", event.listing.image_url.as_deref().map(Bson::from)),
    ];
    for (name, value) in optional {
        match value {
            Some(value) => set.insert(name, value),
            None => unset.insert(name, ""),
        };
    }
    (set, unset)
}

/// The search terms of an event.
pub(super) fn words(texts: [&str; 3], category: Category, tags: &Tags) -> Document {
    doc! {
        "words": search_terms::of_event(texts, category, tags).into_iter().collect::<Vec<_>>(),
        "words_version": search_terms::VERSION,
    }
}

pub(super) fn event(found: &Document) -> Result<Event, StoreError> {
    let zone = found.text("zone")?;
    let zone = zone
        .parse()
        .map_err(|error| StoreError::Corrupt(format!("zone {zone}: {error}")))?;
    let closes = match (found.flag("closes_by_default")?, found.maybe_time("closes_at")?) {
        (false, Some(at)) => Closing::At(at),
        (_, at) => Closing::Default(at),
    };
    Ok(Event {
        id: found.id("_id")?,
        organizer: found.id("organizer")?,
        name: found.text("name")?,
        details: found.text("details")?,
        time: EventTime {
            at: found.time("starts_at")?,
            zone,
        },
        address: found.text("address")?,
        capacity: found.maybe_long("capacity")?.map(count).transpose()?,
        fee: Paise(found.long("fee")?),
        cancelled: found.flag("cancelled")?,
        closes,
        seats_taken: count(found.long("seats_taken")?)?,
        line: Line {
            waiting: count(found.maybe_long("waiting")?.unwrap_or(0))?,
            offered: count(found.maybe_long("offered")?.unwrap_or(0))?,
            last_place: found.maybe_long("last_place")?.unwrap_or(0),
        },
        version: found.long("version")?,
        schedule_version: found.long("schedule_version")?,
        created_at: found.time("created_at")?,
        format: found
            .maybe_named("format", EventFormat::parse)?
            .unwrap_or_default(),
        ends_at: found.maybe_time("ends_at")?,
        join_url: found.maybe_text("join_url")?,
        reminders: found.maybe_named("reminders", Leads::parse)?.unwrap_or_default(),
        draft: found.maybe_flag("draft")?.unwrap_or_default(),
        opens_at: found.maybe_time("opens_at")?,
        listing: Listing {
            category: category(found)?,
            tags: tags(found)?,
            image_url: found.maybe_text("image_url")?,
            visibility: match found.maybe_flag("unlisted")? {
                Some(true) => Visibility::Unlisted,
                Some(false) | None => Visibility::Public,
            },
        },
    })
}

/// An event's category.
pub(super) fn category(found: &Document) -> Result<Category, StoreError> {
    let category = found.maybe_named("category", Category::parse)?;
    Ok(category.unwrap_or_default())
}

/// An event's tags.
pub(super) fn tags(found: &Document) -> Result<Tags, StoreError> {
    let Some(tags) = found.get("tags") else {
        return Ok(Tags::default());
    };
    let texts = tags.as_array().and_then(|tags| {
        let texts = tags.iter().map(|tag| tag.as_str().map(str::to_owned));
        texts.collect::<Option<Vec<_>>>()
    });
    texts
        .and_then(Tags::from_store)
        .ok_or_else(|| StoreError::Corrupt(format!("{tags} are no tags")))
}

fn count(number: i64) -> Result<u32, StoreError> {
    u32::try_from(number).map_err(|_| StoreError::Corrupt(format!("{number} is no number of seats")))
}

pub(super) fn of_registration(registration: &Registration) -> Document {
    let mut document = doc! {
        "_id": uuid(registration.id),
        "event_id": uuid(registration.event_id),
        "user_id": uuid(registration.user_id),
        "amount": registration.amount.0,
        "status": registration.state.name(),
        "live": true,
        "created_at": date(registration.created_at),
    };
    if let State::PendingPayment { hold_expires_at } = registration.state {
        document.insert("hold_expires_at", date(hold_expires_at));
    }
    document
}

pub(super) fn registration(found: &Document) -> Result<Registration, StoreError> {
    let status = found.text("status")?;
    let state = match status.as_str() {
        "pending_payment" => State::PendingPayment {
            hold_expires_at: found.time("hold_expires_at")?,
        },
        "confirmed" => State::Confirmed,
        "expired" => State::Expired {
            held_until: found.maybe_time("hold_expires_at")?,
        },
        "cancelled" => State::Cancelled,
        _ => {
            let why = format!("{status:?} is no status of this release");
            return Err(StoreError::Corrupt(why));
        }
    };
    Ok(Registration {
        id: found.id("_id")?,
        event_id: found.id("event_id")?,
        user_id: found.id("user_id")?,
        amount: Paise(found.long("amount")?),
        state,
        payment_id: found.maybe_id("payment_id")?,
        paid: found.maybe_long("paid")?.map(Paise),
        created_at: found.time("created_at")?,
    })
}

pub(super) fn ticket(found: &Document) -> Result<Ticket, StoreError> {
    Ok(Ticket {
        id: found.id("ticket_id")?,
        code: found.text("code")?,
        qr: None,
    })
}

/// The last check-in with a ticket.
pub(super) fn check_in(found: &Document) -> Result<Option<CheckIn>, StoreError> {
    let Some(at) = found.maybe_time("checked_in_at")? else {
        return Ok(None);
    };
    Ok(Some(CheckIn {
        at,
        gate: found.maybe_text("gate")?,
        by: found.id("checked_in_by")?,
        nonce: found.text("nonce")?,
        undone_at: found.maybe_time("undone_at")?,
    }))
}

/// The update of a ticket that admits its holder.
pub(super) fn checking_in(check_in: &CheckIn) -> Document {
    let mut set = doc! {
        "checked_in_at": date(check_in.at),
        "checked_in_by": uuid(check_in.by),
        "nonce": &check_in.nonce,
    };
    let mut unset = doc! {"undone_at": ""};
    match &check_in.gate {
        Some(gate) => set.insert("gate", gate),
        None => unset.insert("gate", ""),
    };
    doc! {"$set": set, "$unset": unset}
}

/// What a new ticket has not: for one that takes the place of another.
pub(super) fn without_check_in() -> Document {
    doc! {"checked_in_at": "", "gate": "", "checked_in_by": "", "nonce": "", "undone_at": ""}
}

/// The update that cancels a registration.
pub(super) fn cancelling() -> Document {
    doc! {"$set": {"status": "cancelled"}, "$unset": {"live": "", "hold_expires_at": ""}}
}

/// The update that marks a hold as expired.
pub(super) fn expiring() -> Document {
    doc! {"$set": {"status": "expired"}, "$unset": {"live": ""}}
}

pub(super) fn of_ticket(
    registration: &Registration,
    ticket: &Ticket,
    now: common::clock::Timestamp,
) -> Document {
    doc! {
        "_id": uuid(registration.id),
        "ticket_id": uuid(ticket.id),
        "code": &ticket.code,
        "issued_at": date(now),
        "void": false,
    }
}

/// A hash.
pub(super) fn hash(hash: [u8; 32]) -> Bson {
    Bson::Binary(Binary {
        subtype: BinarySubtype::Generic,
        bytes: hash.to_vec(),
    })
}
