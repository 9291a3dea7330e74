//! Registrations after they are made.

use std::{collections::HashMap, sync::Arc};

use common::{
    clock::Timestamp,
    http::{Cursor, Page},
    ids::{EventId, PaymentId, RegistrationId, UserId},
    store::StoreError,
    unreadable::left_out,
    wire::{EndReason, PaymentCaptured},
};
use mongo_store::{DocumentExt, Tx, date, outbox, set_aside, sift, uuid, uuids};
use mongodb::bson::{Document, doc};

use super::{
    counts, documents, events,
    register::{self, expire_holds},
    schema::{EVENTS, REGISTRATIONS, TICKETS},
    waitlist,
};
use crate::{
    domain::{
        counts::Counts,
        ending::{Ending, on_cancel},
        event::Event,
        registration::{Registration, State, Ticket},
        waitlist::Delta,
    },
    store::{CancelError, Registered, StatusFilter, messages, table},
};

pub(super) async fn find(tx: &mut Tx, id: RegistrationId) -> Result<Option<Registration>, StoreError> {
    let found = tx.find_one(REGISTRATIONS, doc! {"_id": uuid(id)}).await?;
    found.as_ref().map(documents::registration).transpose()
}

pub(super) async fn find_live(
    tx: &mut Tx,
    event: EventId,
    user: UserId,
) -> Result<Option<Registration>, StoreError> {
    let live = doc! {"event_id": uuid(event), "user_id": uuid(user), "live": true};
    let found = tx.find_one(REGISTRATIONS, live).await?;
    found.as_ref().map(documents::registration).transpose()
}

/// The live registration that the user of an ended one has for the same event.
pub(super) async fn live_beside(
    tx: &mut Tx,
    ended: &Registration,
) -> Result<Option<Registration>, StoreError> {
    match ended.may_have_a_successor() {
        true => find_live(tx, ended.event_id, ended.user_id).await,
        false => Ok(None),
    }
}

/// Confirms a registration that holds its seat.
pub(super) async fn confirm(
    tx: &mut Tx,
    registration: &Registration,
    event: &Event,
    payment: &PaymentCaptured,
    now: Timestamp,
) -> Result<(), StoreError> {
    let ticket = Ticket::issue().map_err(|error| StoreError::Unavailable(error.to_string()))?;
    let registration = &registration.confirmed_by(payment);
    let mut set = doc! {"status": "confirmed", "live": true, "payment_id": uuid(payment.payment_id)};
    set.put("paid", registration.paid.map(|paid| paid.0));
    let confirmed = doc! {"$set": set, "$unset": {"hold_expires_at": ""}};
    tx.update(REGISTRATIONS, doc! {"_id": uuid(registration.id)}, confirmed)
        .await?;
    // A registration that lost its seat and got it back may already have a ticket.
    let mut fields = documents::of_ticket(registration, &ticket, now);
    fields.remove("_id");
    tx.upsert(
        TICKETS,
        doc! {"_id": uuid(registration.id)},
        doc! {"$set": fields, "$unset": documents::without_check_in()},
    )
    .await?;
    counts::add(tx, event, Counts::confirmed(registration), registration.id.0, now).await?;
    let told = messages::confirmed(registration, event, &ticket, now);
    outbox::push(tx, &told).await.map(drop)
}

/// Takes one seat for `user`: the one that is offered to them, else one that is free and that nobody in line has a claim to.
/// Their entry in the line, if any, ends.
pub(super) async fn take_seat(
    tx: &mut Tx,
    event: &Event,
    user: UserId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let entry = match event.line.is_empty() {
        true => None,
        false => waitlist::open_one(tx, event.id, user).await?,
    };
    let mut delta = Delta::default();
    if !entry.as_ref().is_some_and(|entry| entry.has_offer(now)) && event.seats_left() == Some(0) {
        delta += Delta {
            seats: -expire_holds(tx, event, None, now).await?,
            ..Delta::default()
        };
        delta += waitlist::expire(tx, event, now, usize::MAX).await?;
        events::count(tx, event, delta).await?;
        let spoken_for = i64::from(event.seats_taken) + delta.seats + i64::from(event.line.waiting);
        if event
            .capacity
            .is_some_and(|capacity| spoken_for >= i64::from(capacity))
        {
            return Ok(false);
        }
    }
    // Read again: expired offers have ended meanwhile.
    let entry = match entry {
        Some(_) => waitlist::open_one(tx, event.id, user).await?,
        None => None,
    };
    let mut taking = Delta {
        seats: 1,
        ..Delta::default()
    };
    if let Some(entry) = entry {
        let state = entry.once_registered(now);
        taking += waitlist::move_all(tx, &[(entry, state)], event, now).await?;
    }
    events::count(tx, event, taking).await
}

/// Ends one hold that has run out, and frees its seat.
pub(super) async fn end_hold(
    tx: &mut Tx,
    hold: &Registration,
    event: &Event,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.update(REGISTRATIONS, doc! {"_id": uuid(hold.id)}, documents::expiring())
        .await?;
    outbox::push(tx, &messages::hold_expired(hold, event, now)).await?;
    events::take_seats(tx, event, -1).await.map(drop)
}

pub(super) async fn cancel(
    tx: &mut Tx,
    id: RegistrationId,
    user: UserId,
    now: Timestamp,
) -> Result<Registered, CancelError> {
    let registration = find(tx, id)
        .await?
        .filter(|found| found.user_id == user)
        .ok_or(CancelError::NoSuchRegistration)?;
    let event = events::known(tx, registration.event_id).await?;
    on_cancel(&registration, &event, now)?;
    let ending = Ending::with_everything_back(EndReason::Attendee);
    Ok(end_one(tx, registration, event, &ending, now).await?)
}

/// Ends a live registration and frees its seat.
pub(super) async fn end_one(
    tx: &mut Tx,
    mut registration: Registration,
    event: Event,
    ending: &Ending,
    now: Timestamp,
) -> Result<Registered, StoreError> {
    let these = std::slice::from_ref(&registration);
    end(tx, these, &event, ending, now).await?;
    let ticket = tx.find_one(TICKETS, doc! {"_id": uuid(registration.id)}).await?;
    registration.state = State::Cancelled;
    Ok(Registered {
        registration,
        event: Arc::new(event),
        ticket: ticket.as_ref().map(documents::ticket).transpose()?,
    })
}

/// A page of the registrations that a payment has confirmed.
pub(super) async fn paid_registrations(
    tx: &mut Tx,
    after: Option<RegistrationId>,
    limit: usize,
) -> Result<Vec<(RegistrationId, PaymentId, bool)>, StoreError> {
    let after = after.unwrap_or_else(|| RegistrationId::lenient(""));
    let rest = doc! {"_id": {"$gt": uuid(after)}, "payment_id": {"$exists": true}};
    let found = tx.find(REGISTRATIONS, rest, doc! {"_id": 1}, limit).await?;
    let read = |found: &Document| {
        let confirmed = found.text("status")? == "confirmed";
        Ok((found.id("_id")?, found.id("payment_id")?, confirmed))
    };
    found.iter().map(read).collect()
}

/// Ends a registration whose payment was refunded.
pub(super) async fn reverse(
    tx: &mut Tx,
    registration: Registration,
    event: &Event,
    now: Timestamp,
) -> Result<(), StoreError> {
    let ending = Ending::with_everything_back(EndReason::Refunded);
    end(tx, &[registration], event, &ending, now).await
}

/// Ends live registrations of one event, frees their seats and publishes it.
async fn end(
    tx: &mut Tx,
    registrations: &[Registration],
    event: &Event,
    ending: &Ending,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Some(first) = registrations.first() else {
        return Ok(());
    };
    let counts = registrations
        .iter()
        .map(|registration| Counts::ended(registration, ending.refund))
        .fold(Counts::default(), Counts::and);
    counts::add(tx, event, counts, first.id.0, now).await?;
    let ids: Vec<RegistrationId> = registrations.iter().map(|registration| registration.id).collect();
    let these = doc! {"_id": {"$in": uuids(ids)}};
    tx.update_all(REGISTRATIONS, these.clone(), documents::cancelling())
        .await?;
    tx.update_all(TICKETS, these, doc! {"$set": {"void": true}})
        .await?;
    let seats = i64::try_from(registrations.len()).unwrap_or(i64::MAX);
    events::take_seats(tx, event, -seats).await?;
    let told: Vec<_> = registrations
        .iter()
        .flat_map(|registration| messages::ended(registration, event, ending, now))
        .collect();
    outbox::push(tx, &told).await.map(drop)
}

pub(super) async fn end_cancelled(tx: &mut Tx, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
    let Some(found) = events::ending(tx).await? else {
        return Ok(0);
    };
    let ended = |_: &str| doc! {"$unset": {"ending": ""}};
    let event = sift(std::slice::from_ref(&found), documents::event)?;
    let Some(event) = set_aside(tx, EVENTS, table::EVENTS, event, ended).await?.pop() else {
        return Ok(1);
    };
    let live = doc! {"event_id": uuid(event.id), "live": true};
    let found = tx.find(REGISTRATIONS, live, doc! {}, limit).await?;
    let live = sift(&found, documents::registration)?;
    // No message can be made of unreadable registrations.
    let seats = i64::try_from(live.unreadable.len()).unwrap_or(i64::MAX);
    events::take_seats(tx, &event, -seats).await?;
    let cancelling = |_: &str| documents::cancelling();
    let live = set_aside(tx, REGISTRATIONS, table::REGISTRATIONS, live, cancelling).await?;
    let ending = Ending::with_everything_back(EndReason::EventCancelled);
    end(tx, &live, &event, &ending, now).await?;
    if found.len() < limit {
        tx.update(EVENTS, doc! {"_id": uuid(event.id)}, ended("")).await?;
    }
    Ok(found.len().max(1)) // an event without registrations counts as work: there may be another event
}

fn run_out(now: Timestamp) -> Document {
    doc! {"status": "pending_payment", "hold_expires_at": {"$lte": date(now)}}
}

pub(super) async fn any_expired(tx: &mut Tx, now: Timestamp) -> Result<bool, StoreError> {
    Ok(tx.find_one(REGISTRATIONS, run_out(now)).await?.is_some())
}

pub(super) async fn expire(tx: &mut Tx, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
    let found = tx
        .find(REGISTRATIONS, run_out(now), doc! {"hold_expires_at": 1}, limit)
        .await?;
    if found.is_empty() {
        return Ok(0);
    }
    let holds = register::expire(tx, &found).await?;
    let events = events::all(tx, holds.iter().map(|hold| hold.event_id).collect()).await?;
    let events: HashMap<EventId, Event> = events.into_iter().map(|event| (event.id, event)).collect();
    let mut freed: HashMap<EventId, i64> = HashMap::new();
    let mut told = Vec::with_capacity(holds.len());
    for hold in &holds {
        *freed.entry(hold.event_id).or_default() += 1;
        let event = events.get(&hold.event_id);
        told.extend(
            event
                .into_iter()
                .flat_map(|event| messages::hold_expired(hold, event, now)),
        );
    }
    outbox::push(tx, &told).await?;
    for (event, seats) in freed {
        tx.update(
            EVENTS,
            doc! {"_id": uuid(event)},
            doc! {"$inc": {"seats_taken": -seats}},
        )
        .await?;
    }
    Ok(found.len())
}

pub(super) async fn of_user(
    tx: &mut Tx,
    user: UserId,
    filter: StatusFilter,
    page: Page,
    now: Timestamp,
) -> Result<(Vec<Registered>, Option<Cursor>), StoreError> {
    let mut after = page.after.map(|cursor| cursor.id);
    let at_once = page.limit + 1;
    let mut wanted = Vec::new();
    // The status depends on the time and the event, so the filter is applied here.
    loop {
        let mut theirs = doc! {"user_id": uuid(user)};
        if let Some(after) = after {
            theirs.insert("_id", doc! {"$lt": uuid(after)});
        }
        let found = tx.find(REGISTRATIONS, theirs, doc! {"_id": -1}, at_once).await?;
        let last = found.last().and_then(|last| last.id("_id").ok());
        let more = found.len() == at_once;
        let registered = with_events(tx, &found, now).await?;
        wanted.extend(
            registered
                .into_iter()
                .filter(|registered| matches(filter, registered)),
        );
        if wanted.len() >= at_once || !more || last.is_none() {
            break;
        }
        after = last;
    }
    wanted.truncate(at_once);
    Ok(page.cut(wanted, |registered| Cursor {
        key: 0,
        id: registered.registration.id.0,
    }))
}

fn matches(filter: StatusFilter, registered: &Registered) -> bool {
    let state = registered.registration.state;
    match filter {
        StatusFilter::Live => matches!(state, State::PendingPayment { .. } | State::Confirmed),
        StatusFilter::Only(status) => state.name() == status,
        StatusFilter::All => true,
    }
}

pub(super) async fn of_user_by_id(
    tx: &mut Tx,
    id: RegistrationId,
    user: UserId,
    now: Timestamp,
) -> Result<Option<Registered>, StoreError> {
    let found = tx
        .find(
            REGISTRATIONS,
            doc! {"_id": uuid(id), "user_id": uuid(user)},
            doc! {},
            1,
        )
        .await?;
    readable_one(tx, &found, id, now).await
}

/// The registration that was found, if one was.
///
/// # Errors
/// When it cannot be read.
pub(super) async fn readable_one(
    tx: &mut Tx,
    found: &[Document],
    id: RegistrationId,
    now: Timestamp,
) -> Result<Option<Registered>, StoreError> {
    let registered = with_events(tx, found, now).await?.pop();
    if registered.is_none() && !found.is_empty() {
        return Err(StoreError::Corrupt(format!(
            "registration {id}, its event or its ticket cannot be read"
        )));
    }
    Ok(registered)
}

/// Registrations with their events and tickets, as of `now`.
async fn with_events(tx: &mut Tx, found: &[Document], now: Timestamp) -> Result<Vec<Registered>, StoreError> {
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let registrations = sift(found, documents::registration)?.left_out(table::REGISTRATIONS);
    let events = events::all(tx, registrations.iter().map(|one| one.event_id).collect()).await?;
    let events: HashMap<EventId, Arc<Event>> = events
        .into_iter()
        .map(|event| (event.id, Arc::new(event)))
        .collect();
    let ids: Vec<RegistrationId> = registrations.iter().map(|one| one.id).collect();
    let limit = ids.len();
    let tickets = tx
        .find(TICKETS, doc! {"_id": {"$in": uuids(ids)}}, doc! {}, limit)
        .await?;
    let tickets = sift(&tickets, |ticket| {
        Ok((ticket.id("_id")?, documents::ticket(ticket)?))
    })?;
    let mut tickets: HashMap<RegistrationId, Ticket> = tickets.left_out(table::TICKETS).into_iter().collect();
    Ok(registrations
        .into_iter()
        .filter_map(|registration| {
            let Some(event) = events.get(&registration.event_id).cloned() else {
                let why = format!("its event {} cannot be read", registration.event_id);
                left_out(table::REGISTRATIONS, &registration.id, &why);
                return None;
            };
            let registration = registration.as_of(event.cancelled, now);
            let ticket = tickets.remove(&registration.id);
            Some(Registered {
                registration,
                event,
                ticket,
            })
        })
        .collect())
}
