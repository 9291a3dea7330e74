//! The desk of an event.

use std::sync::Arc;

use async_trait::async_trait;
use common::{
    clock::{Timestamp, from_millis},
    idempotency::{Keyed, Outcome},
    ids::{EventId, RegistrationId, TicketId},
    store::StoreError,
    wire::EndReason,
};
use sqlite_store::{
    Connection, Row, RowResult,
    idempotency::keyed as with_key,
    params,
    rows::{sift, sift_page},
};

use super::{SqliteStore, counts, events, events::const_sql, registrations, rows, streams};
use crate::{
    domain::{
        check_in::{Admitted, CheckIn, Scan},
        counts::Counts,
        ending::{Ending, on_organizer_cancel},
        event::Event,
        registration::Ticket,
    },
    store::{
        CancelError, Registered,
        desk::{
            Attendee, AttendeeFilter, Attendees, Cancel, CheckInError, Counted, DeskStore, Scanned, TicketBy,
        },
        table,
    },
};

/// Rows that are read at once.
const AT_ONCE: usize = 500;
/// The columns that [`check_in`] reads.
const CHECK_IN: &str = "t.checked_in_at, t.gate, t.checked_in_by, t.nonce, t.undone_at";

fn check_in(row: &Row<'_>, at: usize) -> RowResult<Option<CheckIn>> {
    let Some(checked_in_at) = row.get::<_, Option<i64>>(at)? else {
        return Ok(None);
    };
    Ok(Some(CheckIn {
        at: from_millis(checked_in_at),
        gate: row.get(at + 1)?,
        by: row.get(at + 2)?,
        nonce: row.get(at + 3)?,
        undone_at: row.get::<_, Option<i64>>(at + 4)?.map(from_millis),
    }))
}

#[async_trait]
impl DeskStore for SqliteStore {
    async fn ticketed(&self, by: TicketBy, now: Timestamp) -> Result<Option<Registered>, StoreError> {
        let found = self.db.read(move |db| held(db, &by, now)).await?;
        Ok(found.map(|(registered, _)| registered))
    }

    async fn check_in(
        &self,
        ticket: TicketBy,
        scan: Scan,
        name: Option<String>,
        keyed: Keyed<Scanned>,
    ) -> Result<Outcome<Scanned>, CheckInError> {
        let now = scan.now;
        self.db
            .write(move |db| with_key(db, &keyed, now, |db| admit(db, &ticket, scan, name)))
            .await
    }

    async fn undo_check_in(
        &self,
        event: EventId,
        ticket: TicketId,
        now: Timestamp,
        keyed: Keyed<Scanned>,
    ) -> Result<Outcome<Scanned>, CheckInError> {
        self.db
            .write(move |db| with_key(db, &keyed, now, |db| undo(db, event, ticket, now)))
            .await
    }

    async fn desk_attendees(
        &self,
        event: Arc<Event>,
        filter: AttendeeFilter,
        after: Option<RegistrationId>,
        limit: usize,
        look_at: usize,
        now: Timestamp,
    ) -> Result<Attendees, StoreError> {
        self.db
            .read(move |db| attendees(db, &event, filter, after, limit, look_at, now))
            .await
    }

    async fn cancel_for(
        &self,
        cancel: Cancel,
        keyed: Keyed<Registered>,
    ) -> Result<Outcome<Registered>, CancelError> {
        let now = cancel.now;
        self.publishing(move |db| with_key(db, &keyed, now, |db| cancel_for(db, cancel)))
            .await
    }

    async fn counted(&self, event: EventId, now: Timestamp) -> Result<Counted, StoreError> {
        self.db.read(move |db| counts::of(db, event, now)).await
    }

    /// The migration has counted them.
    async fn count_events(&self, _: usize) -> Result<usize, StoreError> {
        Ok(0)
    }
}

/// The registration of a ticket, and the last check-in with it.
fn held(
    db: &Connection,
    by: &TicketBy,
    now: Timestamp,
) -> Result<Option<(Registered, Option<CheckIn>)>, StoreError> {
    const LAST: usize = rows::EVENT_COLUMNS + rows::REGISTRATION_COLUMNS + 2;
    let condition = match by {
        TicketBy::Registration(_) => "t.registration_id = ?1",
        TicketBy::Id(_) => "t.id = ?1",
        TicketBy::Code(_) => "t.code = ?1",
    };
    let sql = const_sql(&[
        "SELECT ",
        rows::EVENT,
        ", ",
        rows::REGISTRATION,
        ", t.id, t.code, ",
        CHECK_IN,
        " FROM tickets AS t JOIN registrations AS r ON r.id = t.registration_id
         JOIN events AS e ON e.id = r.event_id WHERE ",
        condition,
    ]);
    let mut statement = db.prepare_cached(&sql)?;
    let read = |row: &Row<'_>| Ok((rows::registered(row, now)?, check_in(row, LAST)?));
    Ok(match by {
        TicketBy::Registration(id) => statement.find(params![id], read)?,
        TicketBy::Id(id) => statement.find(params![id], read)?,
        TicketBy::Code(code) => statement.find(params![code], read)?,
    })
}

fn admit(db: &Connection, by: &TicketBy, scan: Scan, name: Option<String>) -> Result<Scanned, CheckInError> {
    let found = held(db, by, scan.now)?;
    let (admitted, scanned) = Scanned::decide(found, &scan, name).map_err(CheckInError::Turned)?;
    if admitted == Admitted::Now {
        let (registered, check_in) = (&scanned.registered, &scanned.check_in);
        db.prepare_cached(
            "UPDATE tickets SET checked_in_at = ?2, gate = ?3, checked_in_by = ?4, nonce = ?5, undone_at = NULL
             WHERE registration_id = ?1",
        )
        .map_err(StoreError::from)?
        .execute(params![
            registered.registration.id,
            check_in.at.timestamp_millis(),
            check_in.gate,
            check_in.by,
            check_in.nonce
        ])
        .map_err(StoreError::from)?;
        counts::add(db, &registered.event, Counts::ADMITTED, scan.now)?;
    }
    Ok(scanned)
}

fn undo(db: &Connection, event: EventId, ticket: TicketId, now: Timestamp) -> Result<Scanned, CheckInError> {
    let found = held(db, &TicketBy::Id(ticket), now)?.filter(|(registered, _)| registered.event.id == event);
    let Some((registered, Some(mut check_in))) = found else {
        return Err(CheckInError::NotCheckedIn);
    };
    if !check_in.stands() {
        return Err(CheckInError::NotCheckedIn);
    }
    let changed = db
        .prepare_cached("UPDATE tickets SET undone_at = ?2 WHERE registration_id = ?1")
        .and_then(|mut statement| {
            statement.execute(params![registered.registration.id, now.timestamp_millis()])
        });
    changed.map_err(StoreError::from)?;
    counts::add(db, &registered.event, Counts::UNDONE, now)?;
    check_in.undone_at = Some(now);
    Ok(Scanned {
        registered,
        check_in,
        name: None,
    })
}

fn attendees(
    db: &Connection,
    event: &Event,
    filter: AttendeeFilter,
    after: Option<RegistrationId>,
    limit: usize,
    look_at: usize,
    now: Timestamp,
) -> Result<Attendees, StoreError> {
    const TICKET: usize = rows::REGISTRATION_COLUMNS;
    let sql = const_sql(&[
        "SELECT ",
        rows::REGISTRATION,
        ", t.id, t.code, ",
        CHECK_IN,
        " FROM registrations AS r LEFT JOIN tickets AS t ON t.registration_id = r.id
         WHERE r.event_id = ?1 AND (?2 IS NULL OR r.id < ?2) ORDER BY r.id DESC LIMIT ?3",
    ]);
    let mut statement = db.prepare_cached(&sql)?;
    let mut read = |row: &Row<'_>| {
        let registration = rows::registration(row, 0)?.as_of(event.cancelled, now);
        let ticket = match row.get(TICKET)? {
            Some(id) => Some(Ticket {
                id,
                code: row.get(TICKET + 1)?,
                qr: None,
            }),
            None => None,
        };
        Ok::<_, StoreError>(Attendee {
            registration,
            ticket,
            check_in: check_in(row, TICKET + 2)?,
            attendance: None,
        })
    };
    let (mut attendees, mut after, mut left) = (Attendees::default(), after, look_at);
    while left > 0 {
        let wanted = left.min(AT_ONCE);
        let page = sift_page(wanted, |asked| {
            sift(statement.query(params![event.id, after, asked])?, 0, &mut read)
        })?;
        let page = page.left_out(table::REGISTRATIONS);
        let is_last = page.len() < wanted;
        after = page.last().map(|last| last.registration.id);
        let is_full = attendees.add(page, filter, limit);
        if is_full || is_last {
            after = None;
            break;
        }
        left -= wanted;
    }
    attendees.rest = after;
    for attendee in &mut attendees.found {
        attendee.attendance = streams::attendance(db, event.id, attendee.registration.user_id)?;
    }
    Ok(attendees)
}

fn cancel_for(db: &Connection, cancel: Cancel) -> Result<Registered, CancelError> {
    let registration = registrations::find(db, cancel.registration)?
        .filter(|found| found.event_id == cancel.event)
        .ok_or(CancelError::NoSuchRegistration)?;
    let event = events::known(db, registration.event_id)?;
    on_organizer_cancel(&registration, &event, cancel.refund, cancel.now)?;
    let ending = Ending {
        reason: EndReason::Organizer,
        refund: cancel.refund,
        words: cancel.words,
    };
    Ok(registrations::end(db, registration, event, &ending, cancel.now)?)
}
