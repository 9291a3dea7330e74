//! The desk of an event.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use common::{
    clock::Timestamp,
    idempotency::{Keyed, Outcome},
    ids::{EventId, RegistrationId, TicketId},
    store::StoreError,
    wire::EndReason,
};
use futures_util::FutureExt;
use mongo_store::{DocumentExt, Tx, date, idempotency::keyed as with_key, sift, uuid, uuids};
use mongodb::bson::{Document, doc};

use super::{
    MongoStore, counts, documents, events, registrations,
    schema::{REGISTRATIONS, TICKETS},
    streams,
};
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

/// Documents that are read at once.
const AT_ONCE: usize = 500;

#[async_trait]
impl DeskStore for MongoStore {
    async fn ticketed(&self, by: TicketBy, now: Timestamp) -> Result<Option<Registered>, StoreError> {
        let found = held(&mut self.db.read(), &by, now).await?;
        Ok(found.map(|(registered, _)| registered))
    }

    async fn check_in(
        &self,
        ticket: TicketBy,
        scan: Scan,
        name: Option<String>,
        keyed: Keyed<Scanned>,
    ) -> Result<Outcome<Scanned>, CheckInError> {
        self.db
            .write((ticket, scan, name, keyed), |tx, (ticket, scan, name, keyed)| {
                with_key(tx, keyed, scan.now, async |tx| {
                    admit(tx, ticket, scan, name.clone()).await
                })
                .boxed()
            })
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
            .write((event, ticket, now, keyed), |tx, (event, ticket, now, keyed)| {
                with_key(tx, keyed, *now, async |tx| undo(tx, *event, *ticket, *now).await).boxed()
            })
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
        let (mut attendees, mut after, mut left) = (Attendees::default(), after, look_at);
        while left > 0 {
            let wanted = left.min(AT_ONCE);
            let page = page(&mut self.db.read(), &event, after, wanted, now).await?;
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
        for some in attendees.found.chunks_mut(AT_ONCE) {
            let users = some.iter().map(|attendee| attendee.registration.user_id);
            let attended = streams::attendances(&mut self.db.read(), event.id, users).await?;
            for attendee in some {
                attendee.attendance = attended.get(&attendee.registration.user_id).copied();
            }
        }
        Ok(attendees)
    }

    async fn cancel_for(
        &self,
        cancel: Cancel,
        keyed: Keyed<Registered>,
    ) -> Result<Outcome<Registered>, CancelError> {
        self.publishing((cancel, keyed), |tx, (cancel, keyed)| {
            with_key(tx, keyed, cancel.now, async |tx| cancel_for(tx, cancel).await).boxed()
        })
        .await
    }

    async fn counted(&self, event: EventId, now: Timestamp) -> Result<Counted, StoreError> {
        counts::of(&mut self.db.read(), event, now).await
    }

    async fn count_events(&self, limit: usize) -> Result<usize, StoreError> {
        let found = counts::uncounted(&mut self.db.read(), limit).await?;
        for event in &found {
            self.db
                .write(event.clone(), |tx, event| counts::count(tx, event).boxed())
                .await?;
        }
        Ok(found.len())
    }
}

/// The registration of a ticket, and the last check-in with it.
async fn held(
    tx: &mut Tx,
    by: &TicketBy,
    now: Timestamp,
) -> Result<Option<(Registered, Option<CheckIn>)>, StoreError> {
    let filter = match by {
        TicketBy::Registration(id) => doc! {"_id": uuid(*id)},
        TicketBy::Id(id) => doc! {"ticket_id": uuid(*id)},
        TicketBy::Code(code) => doc! {"code": code},
    };
    let Some(ticket) = tx.find_one(TICKETS, filter).await? else {
        return Ok(None);
    };
    let id: RegistrationId = ticket.id("_id")?;
    let found = tx.find(REGISTRATIONS, doc! {"_id": uuid(id)}, doc! {}, 1).await?;
    let registered = registrations::readable_one(tx, &found, id, now).await?;
    let last = documents::check_in(&ticket)?;
    Ok(registered.map(|registered| (registered, last)))
}

async fn admit(
    tx: &mut Tx,
    by: &TicketBy,
    scan: &Scan,
    name: Option<String>,
) -> Result<Scanned, CheckInError> {
    let found = held(tx, by, scan.now).await?;
    let (admitted, scanned) = Scanned::decide(found, scan, name).map_err(CheckInError::Turned)?;
    if admitted == Admitted::Now {
        let (event, registration) = (&scanned.registered.event, scanned.registered.registration.id);
        // Written to the ticket, which a cancellation writes too: of two at once, one is repeated and sees the other.
        tx.update(
            TICKETS,
            doc! {"_id": uuid(registration)},
            documents::checking_in(&scanned.check_in),
        )
        .await?;
        counts::add(tx, event, Counts::ADMITTED, registration.0, scan.now).await?;
    }
    Ok(scanned)
}

async fn undo(
    tx: &mut Tx,
    event: EventId,
    ticket: TicketId,
    now: Timestamp,
) -> Result<Scanned, CheckInError> {
    let found = held(tx, &TicketBy::Id(ticket), now).await?;
    let found = found.filter(|(registered, _)| registered.event.id == event);
    let Some((registered, Some(mut check_in))) = found else {
        return Err(CheckInError::NotCheckedIn);
    };
    if !check_in.stands() {
        return Err(CheckInError::NotCheckedIn);
    }
    let id = registered.registration.id;
    tx.update(
        TICKETS,
        doc! {"_id": uuid(id)},
        doc! {"$set": {"undone_at": date(now)}},
    )
    .await?;
    counts::add(tx, &registered.event, Counts::UNDONE, id.0, now).await?;
    check_in.undone_at = Some(now);
    Ok(Scanned {
        registered,
        check_in,
        name: None,
    })
}

/// The next `wanted` readable ones, if there are as many.
async fn page(
    tx: &mut Tx,
    event: &Event,
    after: Option<RegistrationId>,
    wanted: usize,
    now: Timestamp,
) -> Result<Vec<Attendee>, StoreError> {
    let mut of_event = doc! {"event_id": uuid(event.id)};
    if let Some(after) = after {
        of_event.insert("_id", doc! {"$lt": uuid(after)});
    }
    let mut asked = wanted;
    let registrations = loop {
        let found = tx
            .find(REGISTRATIONS, of_event.clone(), doc! {"_id": -1}, asked)
            .await?;
        let found = sift(&found, documents::registration)?;
        match found.ask_again(wanted, asked) {
            Some(more) => asked = more,
            None => break found.left_out(table::REGISTRATIONS),
        }
    };
    let ids = uuids(registrations.iter().map(|one| one.id));
    let tickets = tx
        .find(TICKETS, doc! {"_id": {"$in": ids}}, doc! {}, registrations.len())
        .await?;
    type Held = (RegistrationId, (Ticket, Option<CheckIn>));
    let read = |found: &Document| -> Result<Held, StoreError> {
        let held = (documents::ticket(found)?, documents::check_in(found)?);
        Ok((found.id("_id")?, held))
    };
    let tickets = sift(&tickets, read)?.left_out(table::TICKETS);
    let mut tickets: HashMap<RegistrationId, (Ticket, Option<CheckIn>)> = tickets.into_iter().collect();
    let attendees = registrations.into_iter().map(|registration| {
        let (ticket, check_in) = tickets.remove(&registration.id).unzip();
        Attendee {
            registration: registration.as_of(event.cancelled, now),
            ticket,
            check_in: check_in.flatten(),
            attendance: None,
        }
    });
    Ok(attendees.collect())
}

async fn cancel_for(tx: &mut Tx, cancel: &Cancel) -> Result<Registered, CancelError> {
    let registration = registrations::find(tx, cancel.registration)
        .await?
        .filter(|found| found.event_id == cancel.event)
        .ok_or(CancelError::NoSuchRegistration)?;
    let event = events::known(tx, registration.event_id).await?;
    on_organizer_cancel(&registration, &event, cancel.refund, cancel.now)?;
    let ending = Ending {
        reason: EndReason::Organizer,
        refund: cancel.refund,
        words: cancel.words.clone(),
    };
    Ok(registrations::end_one(tx, registration, event, &ending, cancel.now).await?)
}
