//! Registering in groups: one transaction decides on all reservations that wait for the same event.

use std::{collections::HashMap, sync::Arc};

use common::{
    clock::Timestamp,
    idempotency::{Keyed, Outcome},
    ids::{EventId, RegistrationId, UserId},
    outbox::NewMessage,
    store::StoreError,
};
use mongo_store::{DocumentExt, Tx, date, idempotency, outbox, set_aside, sift, uuid, uuids};
use mongodb::bson::{Document, doc};

use super::{
    counts, documents, events,
    schema::{REGISTRATIONS, TICKETS},
    waitlist,
};
use crate::{
    domain::{
        change::RegistrationChanged,
        counts::Counts,
        event::Event,
        registering::{Place, on_register},
        registration::{Registration, State},
        waitlist::{self as line, Delta, Entry},
    },
    store::{Register, RegisterError, Registered, messages, table},
};

/// A command to register, with its idempotency key.
pub(super) type Reservation = (Register, Keyed<Registered>);
/// The result of a reservation.
pub(super) type RegisterResult = Result<Outcome<Registered>, RegisterError>;

/// Decides on reservations for one event, in order. A registration that this transaction could not see violates a
/// unique index; the transaction is retried, and then sees it and refuses users who are registered already.
pub(super) async fn register(
    tx: &mut Tx,
    event: EventId,
    reservations: &[Reservation],
) -> Result<Vec<RegisterResult>, StoreError> {
    let Some(event) = events::find(tx, event).await? else {
        return Ok(reservations
            .iter()
            .map(|_| Err(RegisterError::NoSuchEvent))
            .collect());
    };
    let event = Arc::new(event);
    let mut round = Round::begin(tx, event.clone(), reservations).await?;
    let mut answers = Vec::with_capacity(reservations.len());
    for (command, keyed) in reservations {
        if let Some(refusal) = idempotency::check(tx, keyed, command.now).await? {
            answers.push(Ok(Outcome::Refused(refusal)));
            continue;
        }
        let decided = round.decide(tx, command).await?;
        if let Ok(registered) = &decided {
            idempotency::keep(tx, keyed, registered, command.now).await?;
        }
        answers.push(decided.map(Outcome::Done));
    }
    round.end(tx).await?;
    Ok(answers)
}

/// The state of an event during the decisions on a group, and the writes due at the end.
struct Round {
    event: Arc<Event>,
    /// The live registrations by user; an unreadable one fails the reservation of its own user only.
    live: HashMap<UserId, Result<Registration, StoreError>>,
    /// The users' open entries in the line.
    listed: HashMap<UserId, Entry>,
    /// Entries that end, because their users register.
    moves: Vec<(Entry, line::State)>,
    /// The changes of the event's counts in this round.
    delta: Delta,
    swept: bool,
    made: Vec<(Registration, Register)>,
    /// Holds of users who have registered again.
    ran_out: Vec<RegistrationChanged>,
}

impl Round {
    async fn begin(tx: &mut Tx, event: Arc<Event>, reservations: &[Reservation]) -> Result<Self, StoreError> {
        let users: Vec<UserId> = reservations.iter().map(|(command, _)| command.user_id).collect();
        let limit = users.len();
        let theirs =
            doc! {"event_id": uuid(event.id), "user_id": {"$in": uuids(users.clone())}, "live": true};
        let found = tx.find(REGISTRATIONS, theirs, doc! {}, limit).await?;
        let listed = match event.line.is_empty() {
            true => HashMap::new(),
            false => waitlist::open_of(tx, event.id, users).await?,
        };
        let live = found
            .iter()
            .map(|found| Ok((found.id("user_id")?, documents::registration(found))))
            .collect::<Result<_, StoreError>>()?;
        Ok(Self {
            event,
            live,
            listed,
            moves: Vec::new(),
            delta: Delta::default(),
            swept: false,
            made: Vec::new(),
            ran_out: Vec::new(),
        })
    }

    async fn decide(
        &mut self,
        tx: &mut Tx,
        command: &Register,
    ) -> Result<Result<Registered, RegisterError>, StoreError> {
        let (event, now) = (self.event.clone(), command.now);
        let live = match self.live.get(&command.user_id) {
            Some(Err(why)) => return Ok(Err(StoreError::Corrupt(why.to_string()).into())),
            Some(Ok(live)) => Some(live),
            None => None,
        };
        let Place {
            registration,
            ran_out,
        } = match on_register(&event, live, command) {
            Ok(place) => place,
            Err(why) => return Ok(Err(why.into())),
        };
        let own = i64::from(ran_out.is_some());
        let entry = self.listed.get(&command.user_id);
        let has_offer = entry.is_some_and(|entry| entry.has_offer(now));
        if !has_offer && !self.has_room(own) {
            self.sweep(tx, command.user_id, now).await?;
            // The sweep has freed the user's own expired hold, too.
            if !self.has_room(0) {
                return Ok(Err(RegisterError::Full));
            }
        } else if let Some(id) = ran_out {
            // The user registers again, so the expired hold is not notified.
            tx.update(REGISTRATIONS, doc! {"_id": uuid(id)}, documents::expiring())
                .await?;
            self.delta.seats -= 1;
            self.ran_out.push(RegistrationChanged {
                registration_id: id,
                event_id: event.id,
                user_id: command.user_id,
                revokes: Some(false),
            });
        }
        if let Some(entry) = self.listed.remove(&command.user_id) {
            let state = entry.once_registered(now);
            self.delta += Delta::of(Some(entry.state), state);
            self.moves.push((entry, state));
        }
        self.delta.seats += 1;
        self.live.insert(command.user_id, Ok(registration.clone()));
        self.made.push((registration.clone(), command.clone()));
        let ticket = matches!(registration.state, State::Confirmed).then(|| command.ticket.clone());
        Ok(Ok(Registered {
            registration,
            event,
            ticket,
        }))
    }

    /// Whether a seat is free that nobody in line has a claim to, once `own` seats are given back.
    fn has_room(&self, own: i64) -> bool {
        let taken = i64::from(self.event.seats_taken) + self.delta.seats;
        let waiting = i64::from(self.event.line.waiting) + self.delta.waiting;
        self.event
            .capacity
            .is_none_or(|capacity| taken - own + waiting < i64::from(capacity))
    }

    /// Frees the seats of expired holds and offers when all seats are taken; once per round is enough.
    async fn sweep(&mut self, tx: &mut Tx, user: UserId, now: Timestamp) -> Result<(), StoreError> {
        if !std::mem::replace(&mut self.swept, true) {
            self.delta.seats -= expire_holds(tx, &self.event, Some(user), now).await?;
            if self.event.line.offered > 0 {
                self.delta += waitlist::expire(tx, &self.event, now, usize::MAX).await?;
                self.listed.retain(|_, entry| entry.state.at(now) == entry.state);
            }
            // Those of users whose turn is still to come are no longer live: their seats have been given back, and must
            // not be given back again.
            self.live.retain(|_, live| match live {
                Ok(live) => !live.state.at(now).is_expired(),
                Err(_) => true,
            });
        }
        Ok(())
    }

    /// Writes the decisions.
    async fn end(self, tx: &mut Tx) -> Result<(), StoreError> {
        if !events::count(tx, &self.event, self.delta).await? {
            return Err(StoreError::Corrupt(format!(
                "event {} has not the seats it says",
                self.event.id
            )));
        }
        let confirmed = self.made.iter().map(|(made, _)| made);
        let confirmed = confirmed.filter(|made| made.state == State::Confirmed);
        if let (Some(first), Some((_, command))) = (confirmed.clone().next(), self.made.last()) {
            let counts = confirmed
                .map(Counts::confirmed)
                .fold(Counts::default(), Counts::and);
            counts::add(tx, &self.event, counts, first.id.0, command.now).await?;
        }
        let (mut registrations, mut tickets, mut told) = (Vec::new(), Vec::new(), Vec::new());
        for (registration, command) in &self.made {
            registrations.push(documents::of_registration(registration));
            let messages = if let State::Confirmed = registration.state {
                tickets.push(documents::of_ticket(registration, &command.ticket, command.now));
                messages::confirmed(registration, &self.event, &command.ticket, command.now).into()
            } else {
                vec![messages::held(registration, command.now)]
            };
            told.extend(messages.into_iter().map(|message| NewMessage {
                request_id: command.request_id.clone(),
                ..message
            }));
        }
        if let Some((_, command)) = self.made.last() {
            waitlist::move_all(tx, &self.moves, &self.event, command.now).await?;
            told.extend(self.ran_out.iter().map(|hold| hold.message(command.now)));
        }
        tx.insert(REGISTRATIONS, registrations).await?;
        tx.insert(TICKETS, tickets).await?;
        outbox::push(tx, &told).await.map(drop)
    }
}

/// Marks all expired holds of an event as such and notifies their users, except the user `here`, who is registering
/// again; returns the number. The caller must free their seats.
pub(super) async fn expire_holds(
    tx: &mut Tx,
    event: &Event,
    here: Option<UserId>,
    now: Timestamp,
) -> Result<i64, StoreError> {
    let run_out = doc! {"event_id": uuid(event.id), "status": "pending_payment", "hold_expires_at": {"$lte": date(now)}};
    let found = tx.find(REGISTRATIONS, run_out, doc! {}, usize::MAX).await?;
    let holds = expire(tx, &found).await?;
    let told: Vec<_> = holds
        .iter()
        .filter(|hold| Some(hold.user_id) != here)
        .flat_map(|hold| messages::hold_expired(hold, event, now))
        .collect();
    outbox::push(tx, &told).await?;
    Ok(i64::try_from(found.len()).unwrap_or(i64::MAX))
}

/// Marks holds as expired; returns the readable ones, whose users can be notified.
pub(super) async fn expire(tx: &mut Tx, found: &[Document]) -> Result<Vec<Registration>, StoreError> {
    let holds = sift(found, documents::registration)?;
    let expiring = |_: &str| documents::expiring();
    let holds = set_aside(tx, REGISTRATIONS, table::REGISTRATIONS, holds, expiring).await?;
    if !holds.is_empty() {
        let ids: Vec<RegistrationId> = holds.iter().map(|hold| hold.id).collect();
        tx.update_all(
            REGISTRATIONS,
            doc! {"_id": {"$in": uuids(ids)}},
            documents::expiring(),
        )
        .await?;
    }
    Ok(holds)
}
