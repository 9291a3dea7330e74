//! Registrations and their seats.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use common::{
    clock::Timestamp,
    http::{Cursor, Page},
    ids::{EventId, PaymentId, RegistrationId, UserId},
    store::StoreError,
    unreadable::left_out,
    wire::{ClaimSeat, EndReason, PaymentCaptured, SeatClaim},
};
use sqlite_store::{Connection, Param, params};
use sqlite_store::{
    outbox,
    rows::{sift, sift_page},
};

use super::{counts, events, events::const_sql, rows, waitlist};
use crate::{
    domain::{
        change::RegistrationChanged,
        counts::Counts,
        ending::{Ending, on_cancel},
        event::Event,
        registering::{OnClaim, Place, on_claim, on_register},
        registration::{Registration, State, Ticket},
    },
    store::{CancelError, Register, RegisterError, Registered, StatusFilter, messages, table},
};

pub(super) fn register(db: &Connection, command: Register) -> Result<Registered, RegisterError> {
    let event = events::find(db, command.event_id)?.ok_or(RegisterError::NoSuchEvent)?;
    let live = find_live(db, command.event_id, command.user_id)?;
    let Place {
        registration,
        ran_out,
    } = on_register(&event, live.as_ref(), &command)?;
    if let Some(registration_id) = ran_out {
        expire_one(db, &registration_id)?;
        free_seats(db, event.id, 1)?;
        let ran_out = RegistrationChanged {
            registration_id,
            event_id: event.id,
            user_id: command.user_id,
            revokes: Some(false),
        };
        outbox::push(db, &ran_out.message(command.now))?;
    }
    if !take_seat(db, &event, command.user_id, command.now)? {
        return Err(RegisterError::Full);
    }
    insert(db, &registration)?;
    let ticket = match registration.state {
        State::Confirmed => {
            issue(db, &registration, &event, &command.ticket, command.now)?;
            Some(command.ticket)
        }
        _ => {
            outbox::push(db, &messages::held(&registration, command.now))?;
            None
        }
    };
    Ok(Registered {
        registration,
        event: Arc::new(event),
        ticket,
    })
}

fn insert(db: &Connection, registration: &Registration) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT INTO registrations (id, event_id, user_id, amount, status, hold_expires_at, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        registration.id,
        registration.event_id,
        registration.user_id,
        registration.amount,
        registration.state.name(),
        registration.held_until().map(|until| until.timestamp_millis()),
        registration.created_at.timestamp_millis()
    ])?;
    Ok(())
}

pub(super) fn find_live(
    db: &Connection,
    event: EventId,
    user: UserId,
) -> Result<Option<Registration>, StoreError> {
    let sql = const_sql(&[
        "SELECT ",
        rows::REGISTRATION,
        " FROM registrations AS r WHERE event_id = ?1 AND user_id = ?2 AND status IN ('pending_payment', 'confirmed')",
    ]);
    Ok(db
        .prepare_cached(&sql)?
        .find(params![event, user], |row| rows::registration(row, 0))?)
}

/// The live registration that the user of an ended one has for the same event.
pub(super) fn live_beside(db: &Connection, ended: &Registration) -> Result<Option<Registration>, StoreError> {
    match ended.may_have_a_successor() {
        true => find_live(db, ended.event_id, ended.user_id),
        false => Ok(None),
    }
}

pub(super) fn find(db: &Connection, id: RegistrationId) -> Result<Option<Registration>, StoreError> {
    let sql = const_sql(&[
        "SELECT ",
        rows::REGISTRATION,
        " FROM registrations AS r WHERE id = ?1",
    ]);
    Ok(db
        .prepare_cached(&sql)?
        .find([id], |row| rows::registration(row, 0))?)
}

/// Takes one seat for `user`: the one that is offered to them, else one that is free and that nobody in line has a claim to.
/// Their entry in the line, if any, ends.
pub(super) fn take_seat(
    db: &Connection,
    event: &Event,
    user: UserId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    if event.line.is_empty() {
        return take_free_seat(db, event, now);
    }
    let offered = waitlist::open_of(db, event.id, user)?.filter(|entry| entry.has_offer(now));
    if let Some(entry) = offered {
        waitlist::move_to(db, &entry, entry.once_registered(now), event, now)?;
        free_seats(db, event.id, -1)?;
        return Ok(true);
    }
    if !take_free_seat(db, event, now)? {
        return Ok(false);
    }
    // Read again: expired offers have ended meanwhile.
    if let Some(entry) = waitlist::open_of(db, event.id, user)? {
        waitlist::move_to(db, &entry, entry.once_registered(now), event, now)?;
    }
    Ok(true)
}

/// Takes one seat if one is free. When all are taken, the seats of expired holds and offers are freed first.
fn take_free_seat(db: &Connection, event: &Event, now: Timestamp) -> Result<bool, StoreError> {
    let mut guarded = db.prepare_cached(
        "UPDATE events SET seats_taken = seats_taken + 1
         WHERE id = ?1 AND (capacity IS NULL OR seats_taken + waiting < capacity)",
    )?;
    if guarded.execute([event.id])? == 1 {
        return Ok(true);
    }
    let sql = const_sql(&[
        "SELECT ",
        rows::REGISTRATION,
        " FROM registrations AS r WHERE event_id = ?1 AND status = 'pending_payment' AND hold_expires_at <= ?2",
    ]);
    let run_out = {
        let mut statement = db.prepare_cached(&sql)?;
        let rows = statement.query(params![event.id, now.timestamp_millis()])?;
        sift(rows, 0, |row| rows::registration(row, 0))?
    };
    let freed = run_out.found();
    let offers = match event.line.offered {
        0 => 0,
        _ => waitlist::expire(db, event, now, usize::MAX)?,
    };
    if freed + offers == 0 {
        return Ok(false);
    }
    for hold in run_out.set_aside(table::REGISTRATIONS, |id, _| expire_one(db, id))? {
        expire_and_tell(db, &hold, event, now)?;
    }
    free_seats(db, event.id, freed as i64)?;
    Ok(guarded.execute([event.id])? == 1)
}

/// Frees seats; a negative number takes them.
fn free_seats(db: &Connection, event: EventId, seats: i64) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE events SET seats_taken = seats_taken - ?2 WHERE id = ?1")?
        .execute(params![event, seats])?;
    Ok(())
}

fn expire_one(db: &Connection, id: &dyn Param) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE registrations SET status = 'expired' WHERE id = ?1")?
        .execute([id])?;
    Ok(())
}

fn cancel_one(db: &Connection, id: &dyn Param) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE registrations SET status = 'cancelled', hold_expires_at = NULL WHERE id = ?1")?
        .execute([id])?;
    Ok(())
}

/// An event; `None` when it is unreadable.
fn readable(event: Result<Event, StoreError>, id: EventId) -> Result<Option<Event>, StoreError> {
    match event {
        Err(StoreError::Corrupt(why)) => {
            left_out(table::EVENTS, &id, &why);
            Ok(None)
        }
        event => event.map(Some),
    }
}

/// Marks a hold as expired and notifies its user.
fn expire_and_tell(
    db: &Connection,
    hold: &Registration,
    event: &Event,
    now: Timestamp,
) -> Result<(), StoreError> {
    expire_one(db, &hold.id)?;
    for message in messages::hold_expired(hold, event, now) {
        outbox::push(db, &message)?;
    }
    Ok(())
}

/// Ends one hold that has run out, and frees its seat.
pub(super) fn end_hold(
    db: &Connection,
    hold: &Registration,
    event: &Event,
    now: Timestamp,
) -> Result<(), StoreError> {
    expire_and_tell(db, hold, event, now)?;
    free_seats(db, event.id, 1)
}

/// Stores the ticket and publishes the confirmation to notifications.
fn issue(
    db: &Connection,
    registration: &Registration,
    event: &Event,
    ticket: &Ticket,
    now: Timestamp,
) -> Result<(), StoreError> {
    // A registration that lost its seat and got it back may already have a ticket.
    db.prepare_cached(
        "INSERT OR REPLACE INTO tickets (registration_id, id, code, issued_at) VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute(params![
        registration.id,
        ticket.id,
        ticket.code,
        now.timestamp_millis()
    ])?;
    counts::add(db, event, Counts::confirmed(registration), now)?;
    for message in messages::confirmed(registration, event, ticket, now) {
        outbox::push(db, &message)?;
    }
    Ok(())
}

/// Confirms a registration that holds its seat.
pub(super) fn confirm(
    db: &Connection,
    registration: &Registration,
    event: &Event,
    payment: &PaymentCaptured,
    now: Timestamp,
) -> Result<(), StoreError> {
    let confirmed = registration.confirmed_by(payment);
    let ticket = Ticket::issue().map_err(|error| StoreError::Unavailable(error.to_string()))?;
    db.prepare_cached(
        "UPDATE registrations SET status = 'confirmed', hold_expires_at = NULL, payment_id = ?2, paid = ?3
         WHERE id = ?1",
    )?
    .execute(params![confirmed.id, confirmed.payment_id, confirmed.paid])?;
    issue(db, &confirmed, event, &ticket, now)
}

pub(super) fn claim(
    db: &Connection,
    question: ClaimSeat,
    command: Register,
) -> Result<SeatClaim, RegisterError> {
    let event = events::find(db, question.event_id)?.ok_or(RegisterError::NoSuchEvent)?;
    let live = find_live(db, question.event_id, question.user_id)?;
    match on_claim(&event, question.user_id, live.as_ref(), command.now) {
        OnClaim::Refused(why) => Err(why.into()),
        OnClaim::NothingDue => Err(RegisterError::NothingDue),
        OnClaim::Has(live) => Ok(live.claimed(&event.name)),
        OnClaim::Register => Ok(register(db, command)?.registration.claimed(&event.name)),
    }
}

pub(super) fn cancel(
    db: &Connection,
    id: RegistrationId,
    user: UserId,
    now: Timestamp,
) -> Result<Registered, CancelError> {
    let registration = find(db, id)?
        .filter(|found| found.user_id == user)
        .ok_or(CancelError::NoSuchRegistration)?;
    let event = events::known(db, registration.event_id)?;
    on_cancel(&registration, &event, now)?;
    let ending = Ending::with_everything_back(EndReason::Attendee);
    Ok(end(db, registration, event, &ending, now)?)
}

/// Ends a live registration and frees its seat.
pub(super) fn end(
    db: &Connection,
    registration: Registration,
    event: Event,
    ending: &Ending,
    now: Timestamp,
) -> Result<Registered, StoreError> {
    let id = registration.id;
    let ended = end_one(db, registration, &event, ending, now)?;
    free_seats(db, event.id, 1)?;
    Ok(Registered {
        registration: ended,
        event: Arc::new(event),
        ticket: ticket(db, id)?,
    })
}

/// Ends a registration whose payment was refunded.
pub(super) fn reverse(
    db: &Connection,
    registration: Registration,
    event: &Event,
    now: Timestamp,
) -> Result<(), StoreError> {
    let ending = Ending::with_everything_back(EndReason::Refunded);
    end_one(db, registration, event, &ending, now)?;
    free_seats(db, event.id, 1)
}

/// A page of the registrations that a payment has confirmed.
pub(super) fn paid_registrations(
    db: &Connection,
    after: Option<RegistrationId>,
    limit: usize,
) -> Result<Vec<(RegistrationId, PaymentId, bool)>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT id, payment_id, status = 'confirmed' FROM registrations
         WHERE payment_id IS NOT NULL AND (?1 IS NULL OR id > ?1) ORDER BY id LIMIT ?2",
    )?;
    let rows = statement.all(params![after, limit as i64], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    })?;
    Ok(rows)
}

fn ticket(db: &Connection, id: RegistrationId) -> Result<Option<Ticket>, StoreError> {
    Ok(db
        .prepare_cached("SELECT id, code FROM tickets WHERE registration_id = ?1")?
        .find([id], |row| {
            Ok(Ticket {
                id: row.get(0)?,
                code: row.get(1)?,
                qr: None,
            })
        })?)
}

fn end_one(
    db: &Connection,
    mut registration: Registration,
    event: &Event,
    ending: &Ending,
    now: Timestamp,
) -> Result<Registration, StoreError> {
    cancel_one(db, &registration.id)?;
    counts::add(db, event, Counts::ended(&registration, ending.refund), now)?;
    db.prepare_cached("UPDATE tickets SET void = 1 WHERE registration_id = ?1")?
        .execute([registration.id])?;
    for message in messages::ended(&registration, event, ending, now) {
        outbox::push(db, &message)?;
    }
    registration.state = State::Cancelled;
    Ok(registration)
}

pub(super) fn end_cancelled(db: &Connection, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
    let sql = const_sql(&[
        "SELECT ",
        rows::EVENT,
        " FROM events AS e WHERE ending = 1 LIMIT 1",
    ]);
    let event = {
        let mut statement = db.prepare_cached(&sql)?;
        sift(statement.query(params![])?, 0, rows::event)?
    };
    let found = event.found();
    let event = event.set_aside(table::EVENTS, |id, _| {
        db.prepare_cached("UPDATE events SET ending = 0 WHERE id = ?1")?
            .execute([id])?;
        Ok(())
    })?;
    let Some(event) = event.into_iter().next() else {
        return Ok(found);
    };
    let sql = const_sql(&[
        "SELECT ",
        rows::REGISTRATION,
        " FROM registrations AS r WHERE event_id = ?1 AND status IN ('pending_payment', 'confirmed') LIMIT ?2",
    ]);
    let live = {
        let mut statement = db.prepare_cached(&sql)?;
        let rows = statement.query(params![event.id, limit as i64])?;
        sift(rows, 0, |row| rows::registration(row, 0))?
    };
    let ended = live.found();
    let ending = Ending::with_everything_back(EndReason::EventCancelled);
    // No message can be made of unreadable registrations.
    for registration in live.set_aside(table::REGISTRATIONS, |id, _| cancel_one(db, id))? {
        end_one(db, registration, &event, &ending, now)?;
    }
    free_seats(db, event.id, ended as i64)?;
    if ended < limit {
        db.prepare_cached("UPDATE events SET ending = 0 WHERE id = ?1")?
            .execute([event.id])?;
    }
    Ok(ended.max(1)) // an event without registrations counts as work: there may be another event
}

const OF_USER: &str = " FROM registrations AS r JOIN events AS e ON e.id = r.event_id
    LEFT JOIN tickets AS t ON t.registration_id = r.id WHERE r.user_id = ?1";

/// The status of a registration as of `?2`, by the same rules as `rows::registered`.
const STATUS_NOW: &str = "CASE
    WHEN r.status = 'pending_payment' AND r.hold_expires_at <= ?2 THEN 'expired'
    WHEN r.status IN ('pending_payment', 'confirmed') AND e.cancelled THEN 'cancelled'
    ELSE r.status END";

pub(super) fn of_user(
    db: &Connection,
    user: UserId,
    filter: StatusFilter,
    page: Page,
    now: Timestamp,
) -> Result<(Vec<Registered>, Option<Cursor>), StoreError> {
    let condition = match filter {
        StatusFilter::Live => const_sql(&[" AND ", STATUS_NOW, " IN ('pending_payment', 'confirmed')"]),
        StatusFilter::Only(status) => const_sql(&[" AND ", STATUS_NOW, " = '", status, "'"]),
        StatusFilter::All => " AND ?2 = ?2".to_owned(),
    };
    let sql = const_sql(&[
        "SELECT ",
        rows::EVENT,
        ", ",
        rows::REGISTRATION,
        ", t.id, t.code",
        OF_USER,
        &condition,
        " AND (?3 IS NULL OR r.id < ?3) ORDER BY r.id DESC LIMIT ?4",
    ]);
    let after = page.after.map(|cursor| cursor.id);
    let mut statement = db.prepare_cached(&sql)?;
    let found = sift_page(page.limit + 1, |asked| {
        let rows = statement.query(params![user, now.timestamp_millis(), after, asked])?;
        sift(rows, rows::EVENT_COLUMNS, |row| rows::registered(row, now))
    })?;
    Ok(
        page.cut(found.left_out(table::REGISTRATIONS), |registered| Cursor {
            key: 0,
            id: registered.registration.id.0,
        }),
    )
}

pub(super) fn of_user_by_id(
    db: &Connection,
    id: RegistrationId,
    user: UserId,
    now: Timestamp,
) -> Result<Option<Registered>, StoreError> {
    let sql = const_sql(&[
        "SELECT ",
        rows::EVENT,
        ", ",
        rows::REGISTRATION,
        ", t.id, t.code",
        OF_USER,
        " AND r.id = ?2",
    ]);
    Ok(db
        .prepare_cached(&sql)?
        .find(params![user, id], |row| rows::registered(row, now))?)
}

pub(super) fn any_expired(db: &Connection, now: Timestamp) -> Result<bool, StoreError> {
    Ok(db
        .prepare_cached(
            "SELECT 1 FROM registrations WHERE status = 'pending_payment' AND hold_expires_at <= ?1",
        )?
        .exists([now.timestamp_millis()])?)
}

pub(super) fn expire(db: &Connection, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
    let sql = const_sql(&[
        "SELECT ",
        rows::REGISTRATION,
        " FROM registrations AS r WHERE status = 'pending_payment' AND hold_expires_at <= ?1 LIMIT ?2",
    ]);
    let run_out = {
        let mut statement = db.prepare_cached(&sql)?;
        let rows = statement.query(params![now.timestamp_millis(), limit as i64])?;
        sift(rows, 0, |row| rows::registration(row, 0))?
    };
    let found = run_out.found();
    let run_out = run_out.set_aside(table::REGISTRATIONS, |id, _| expire_one(db, id))?;
    let mut known: HashMap<EventId, Option<Event>> = HashMap::new();
    for hold in &run_out {
        let event = match known.entry(hold.event_id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(readable(events::known(db, hold.event_id), hold.event_id)?),
        };
        match event {
            Some(event) => expire_and_tell(db, hold, event, now)?,
            None => expire_one(db, &hold.id)?,
        }
        free_seats(db, hold.event_id, 1)?;
    }
    Ok(found)
}
