//! The lines for full events: whom a seat is offered to.

use super::*;
use crate::{
    domain::waitlist::{Entry, Join, JoinRefusal, State as Place},
    store::waitlist::{Listed, WaitlistError},
};
use common::{
    ids::WaitlistId,
    wire::{WaitlistClosed, WaitlistOffered},
};
use serde::de::DeserializeOwned;

pub(super) const OFFER: Duration = Duration::from_secs(3600);

pub(super) fn until() -> Timestamp {
    now() + OFFER
}

pub(super) async fn join(
    store: &S,
    event: EventId,
    user: UserId,
    at: Timestamp,
) -> Result<Listed, WaitlistError> {
    let join = Join {
        id: WaitlistId::new(),
        event_id: event,
        user_id: user,
        now: at,
    };
    store.join_waitlist(join, plain()).await.map(done)
}

pub(super) async fn leave(
    store: &S,
    event: EventId,
    user: UserId,
    at: Timestamp,
) -> Result<Listed, WaitlistError> {
    store.leave_waitlist(event, user, at, plain()).await.map(done)
}

pub(super) async fn advance(store: &S, event: EventId, at: Timestamp) -> usize {
    store.advance_line(event, OFFER, at, 100).await.unwrap()
}

/// The entries of a user, newest first.
pub(super) async fn places(store: &S, user: UserId, at: Timestamp) -> Vec<Entry> {
    let (found, _) = store.waitlist_of(user, first(100), at).await.unwrap();
    found.into_iter().map(|listed| listed.entry).collect()
}

pub(super) async fn place(store: &S, user: UserId, at: Timestamp) -> &'static str {
    places(store, user, at).await[0].state.name()
}

async fn position(store: &S, user: UserId) -> Option<u32> {
    let (found, _) = store.waitlist_of(user, first(1), now()).await.unwrap();
    found[0].position
}

/// Taken seats, people waiting and open offers, as the event counts them.
pub(super) async fn counts(store: &S, event: EventId) -> (u32, u32, u32) {
    let event = store.event(event).await.unwrap().unwrap();
    (event.seats_taken, event.line.waiting, event.line.offered)
}

/// What notifications are to be sent of a kind, in its order.
async fn told<T: DeserializeOwned>(store: &S, kind: &str) -> Vec<T> {
    let far = now() + TimeDelta::days(300);
    let waiting = store.outbox().due("notifications", far, 1000).await.unwrap();
    let told = waiting.iter().filter(|waiting| waiting.event.kind == kind);
    told.map(|waiting| waiting.event.data().unwrap()).collect()
}

/// All offers that were published, in their order.
pub(super) async fn offers(store: &S) -> Vec<WaitlistOffered> {
    told(store, kind::WAITLIST_OFFERED).await
}

/// Who was told that the event they waited for is cancelled, in the order of ids.
pub(super) async fn told_of_the_end(store: &S) -> Vec<UserId> {
    let told: Vec<WaitlistClosed> = told(store, kind::WAITLIST_CLOSED).await;
    assert!(told.iter().all(|one| one.event.cancelled));
    let mut users: Vec<UserId> = told.iter().map(|one| one.user_id).collect();
    users.sort();
    users
}

pub(super) async fn cancel(store: &S, registered: &Registered, at: Timestamp) {
    let registration = &registered.registration;
    let cancelled = store
        .cancel_registration(registration.id, registration.user_id, at, plain())
        .await;
    done(cancelled.unwrap());
}

fn is_full<T>(result: Result<T, RegisterError>) -> bool {
    matches!(result, Err(RegisterError::Full))
}

/// An event whose seats are taken, with the registrations.
pub(super) async fn full(store: &S, seats: u32, fee: i64) -> (Event, Vec<Registered>) {
    let event = created(store, draft(Some(seats), fee)).await;
    let mut registered = Vec::new();
    for _ in 0..seats {
        registered.push(register(store, event.id, UserId::new(), now()).await.unwrap());
    }
    (event, registered)
}

pub async fn a_freed_seat_is_offered_to_the_first_in_line(store: S) {
    let (event, registered) = full(&store, 1, 0).await;
    let (one, two, stranger) = (UserId::new(), UserId::new(), UserId::new());
    for (user, expected) in [(one, 1), (two, 2)] {
        let joined = join(&store, event.id, user, now()).await.unwrap();
        assert_eq!(
            (joined.position, joined.entry.state),
            (Some(expected), Place::Waiting)
        );
    }
    assert_eq!(counts(&store, event.id).await, (1, 2, 0));
    assert_eq!(
        store.lines_due(None, now(), 10).await.unwrap(),
        [],
        "nothing is free"
    );
    assert_eq!(advance(&store, event.id, now()).await, 0);
    cancel(&store, &registered[0], now()).await;
    // Nobody jumps the queue, whether or not the seat is offered yet.
    for _ in 0..2 {
        assert!(is_full(register(&store, event.id, stranger, now()).await));
        assert!(is_full(register(&store, event.id, two, now()).await));
        assert_eq!(
            store.event(event.id).await.unwrap().unwrap().seats_left(),
            Some(0)
        );
        if store.lines_due(None, now(), 10).await.unwrap() == [event.id] {
            assert_eq!(advance(&store, event.id, now()).await, 1);
        }
        assert_eq!(
            advance(&store, event.id, now()).await,
            0,
            "a second worker has nothing to do"
        );
    }
    assert_eq!(counts(&store, event.id).await, (1, 1, 1));
    let offered = offers(&store).await;
    assert_eq!(offered.len(), 1);
    assert_eq!((offered[0].user_id, offered[0].until), (one, until()));
    assert_eq!(offered[0].event, event.facts());
    assert_eq!(
        places(&store, one, now()).await[0].state,
        Place::Offered { until: until() }
    );
    assert_eq!(position(&store, one).await, None);
    assert_eq!(position(&store, two).await, Some(1));
    // Who is offered the seat takes it.
    let taken = register(&store, event.id, one, until() - TimeDelta::milliseconds(1)).await;
    assert_eq!(taken.unwrap().registration.state, State::Confirmed);
    assert_eq!(place(&store, one, now()).await, "registered");
    assert_eq!(counts(&store, event.id).await, (1, 1, 0));
    assert_eq!(offers(&store).await.len(), 1);
}

pub async fn an_offer_that_is_not_taken_goes_on(store: S) {
    let (event, registered) = full(&store, 1, 0).await;
    let (one, two, three) = (UserId::new(), UserId::new(), UserId::new());
    join(&store, event.id, one, now()).await.unwrap();
    join(&store, event.id, two, now()).await.unwrap();
    cancel(&store, &registered[0], now()).await;
    advance(&store, event.id, now()).await;
    let late = until();
    assert_eq!(place(&store, one, late).await, "expired");
    assert!(is_full(register(&store, event.id, one, late).await));
    assert!(is_full(register(&store, event.id, three, late).await));
    assert_eq!(store.lines_due(None, late, 10).await.unwrap(), [event.id]);
    // An adapter may have ended the offer already, when it looked for a free seat.
    assert!(advance(&store, event.id, late).await > 0);
    assert_eq!(place(&store, two, late).await, "offered");
    assert_eq!(counts(&store, event.id).await, (1, 0, 1));
    assert_eq!(
        offers(&store)
            .await
            .iter()
            .map(|offer| offer.user_id)
            .collect::<Vec<_>>(),
        [one, two]
    );
    // With nobody behind them the seat is anybody's, from that moment on and without the worker.
    let later = late + OFFER;
    assert_eq!(
        register(&store, event.id, three, later)
            .await
            .unwrap()
            .registration
            .state,
        State::Confirmed
    );
    assert_eq!(counts(&store, event.id).await, (1, 0, 0));
    assert_eq!(place(&store, two, later).await, "expired");
    // Who let it pass may join again, at the end.
    assert_eq!(
        join(&store, event.id, one, later).await.unwrap().position,
        Some(1)
    );
    assert_eq!(places(&store, one, later).await.len(), 2);
}

pub async fn an_own_offer_that_ran_out_is_no_obstacle(store: S) {
    let (event, registered) = full(&store, 1, 0).await;
    let (one, two) = (UserId::new(), UserId::new());
    join(&store, event.id, one, now()).await.unwrap();
    cancel(&store, &registered[0], now()).await;
    advance(&store, event.id, now()).await;
    assert!(
        matches!(
            join(&store, event.id, one, until()).await,
            Err(WaitlistError::Refused(JoinRefusal::SeatsAvailable))
        ),
        "its seat is free"
    );
    assert_eq!(
        counts(&store, event.id).await,
        (1, 0, 1),
        "and nothing was half done"
    );
    assert!(matches!(
        leave(&store, event.id, one, until()).await,
        Err(WaitlistError::NotListed)
    ));
    // Behind somebody who waits it is another place, at the end.
    join(&store, event.id, two, until() - TimeDelta::seconds(1))
        .await
        .unwrap();
    assert_eq!(
        join(&store, event.id, one, until()).await.unwrap().position,
        Some(2)
    );
    assert_eq!(counts(&store, event.id).await, (0, 2, 0));
    advance(&store, event.id, until()).await;
    assert_eq!(place(&store, two, until()).await, "offered");
    // The same without a line: the next registration of the same user takes the freed seat.
    let (event, registered) = full(&store, 1, 0).await;
    join(&store, event.id, one, now()).await.unwrap();
    cancel(&store, &registered[0], now()).await;
    advance(&store, event.id, now()).await;
    register(&store, event.id, one, until()).await.unwrap();
    assert_eq!(place(&store, one, until()).await, "expired");
    assert_eq!(counts(&store, event.id).await, (1, 0, 0));
}

pub async fn who_leaves_passes_the_offer_on(store: S) {
    let (event, registered) = full(&store, 1, 0).await;
    let users: Vec<UserId> = (0..3).map(|_| UserId::new()).collect();
    for user in &users {
        join(&store, event.id, *user, now()).await.unwrap();
    }
    cancel(&store, &registered[0], now()).await;
    advance(&store, event.id, now()).await;
    leave(&store, event.id, users[0], now()).await.unwrap();
    leave(&store, event.id, users[1], now()).await.unwrap();
    assert_eq!(counts(&store, event.id).await, (0, 1, 0));
    assert_eq!(position(&store, users[2]).await, Some(1));
    assert!(is_full(register(&store, event.id, users[0], now()).await));
    assert_eq!(store.lines_due(None, now(), 10).await.unwrap(), [event.id]);
    assert_eq!(advance(&store, event.id, now()).await, 1);
    assert_eq!(place(&store, users[2], now()).await, "offered");
    assert_eq!(place(&store, users[0], now()).await, "left");
}

pub async fn an_offer_of_a_paid_seat_becomes_a_hold(store: S) {
    let (event, registered) = full(&store, 1, 50_000).await;
    let (one, two) = (UserId::new(), UserId::new());
    join(&store, event.id, one, now()).await.unwrap();
    join(&store, event.id, two, now()).await.unwrap();
    let gone = now() + TimeDelta::seconds(900);
    assert_eq!(store.expire_holds(gone, 10).await.unwrap(), 1);
    advance(&store, event.id, gone).await;
    // Money for the expired hold does not jump the queue.
    let late = &registered[0].registration;
    let question = || SecureSeat {
        registration_id: late.id,
        payment_id: PaymentId::new(),
        amount: late.amount,
    };
    let secured = store.secure_seat(question(), gone).await.unwrap().unwrap();
    assert_eq!(secured.refused, Some(RefundReason::NoSeat));
    // The payer's claim takes the offer.
    let claim = ClaimSeat {
        event_id: event.id,
        user_id: one,
    };
    let claim = store
        .claim_seat(claim, command(event.id, one, gone))
        .await
        .unwrap();
    assert_eq!(claim.held_until, Some(gone + TimeDelta::seconds(900)));
    assert_eq!(counts(&store, event.id).await, (1, 1, 0));
    assert_eq!(place(&store, one, gone).await, "registered");
    // It runs out as any hold, and the seat goes on.
    let later = gone + TimeDelta::seconds(900);
    assert!(is_full(register(&store, event.id, one, later).await));
    store.expire_holds(later, 10).await.unwrap();
    advance(&store, event.id, later).await;
    assert_eq!(place(&store, two, later).await, "offered");
    // Late money of who is offered a seat gets that one.
    let held = register(&store, event.id, two, later).await.unwrap();
    let (held, last) = (held.registration, later + TimeDelta::seconds(900));
    store.expire_holds(last, 10).await.unwrap();
    let three = register(&store, event.id, UserId::new(), last).await.unwrap();
    join(&store, event.id, two, last).await.unwrap();
    cancel(&store, &three, last).await;
    advance(&store, event.id, last).await;
    consume(&store, captured(&held, PaymentId::new()), last).await;
    assert_eq!(statuses(&store, two, last).await, ["confirmed"]);
    assert_eq!(place(&store, two, last).await, "registered");
    assert_eq!(counts(&store, event.id).await, (1, 0, 0));
}

pub async fn more_seats_go_to_the_line_first(store: S) {
    let (event, _) = full(&store, 1, 0).await;
    let users: Vec<UserId> = (0..3).map(|_| UserId::new()).collect();
    for user in &users {
        join(&store, event.id, *user, now()).await.unwrap();
    }
    let capacity = async |seats| {
        let patch = Patch {
            capacity: Some(seats),
            ..Patch::default()
        };
        let changed = store.update_event(event.id, event.organizer, patch, now(), plain());
        changed.await.map(done)
    };
    capacity(Some(3)).await.unwrap();
    assert!(is_full(register(&store, event.id, UserId::new(), now()).await));
    assert_eq!(store.advance_line(event.id, OFFER, now(), 1).await.unwrap(), 1);
    assert_eq!(advance(&store, event.id, now()).await, 1);
    assert_eq!(counts(&store, event.id).await, (3, 1, 2));
    assert!(
        matches!(
            capacity(Some(2)).await,
            Err(ChangeError::Refused(PatchError::CapacityBelowRegistrations(3)))
        ),
        "an offer is kept"
    );
    // Seats beyond those who wait are anybody's.
    capacity(Some(5)).await.unwrap();
    register(&store, event.id, UserId::new(), now()).await.unwrap();
    assert!(is_full(register(&store, event.id, UserId::new(), now()).await));
    capacity(None).await.unwrap();
    assert_eq!(advance(&store, event.id, now()).await, 1);
    assert_eq!(counts(&store, event.id).await, (5, 0, 3));
    for user in users {
        register(&store, event.id, user, now()).await.unwrap();
    }
    assert_eq!(counts(&store, event.id).await, (5, 0, 0));
    assert_eq!(store.event(event.id).await.unwrap().unwrap().registered(), 5);
}

pub async fn nothing_is_offered_twice_by_two_at_once(store: S) {
    let (event, registered) = full(&store, 4, 0).await;
    let users: Vec<UserId> = (0..8).map(|_| UserId::new()).collect();
    for user in &users {
        join(&store, event.id, *user, now()).await.unwrap();
    }
    let work = (0..4).map(|at| {
        let (store, event) = (store.clone(), event.id);
        let (cancelled, leaves) = (registered[at].clone(), users[at * 2]);
        tokio::spawn(async move {
            cancel(&store, &cancelled, now()).await;
            advance(&store, event, now()).await;
            let _ = register(&store, event, UserId::new(), now()).await;
            let _ = leave(&store, event, leaves, now()).await;
            advance(&store, event, now()).await;
        })
    });
    for one in work.collect::<Vec<_>>() {
        one.await.unwrap();
    }
    advance(&store, event.id, now()).await;
    let offered = offers(&store).await;
    let ids: BTreeSet<_> = offered.iter().map(|offer| offer.waitlist_id).collect();
    assert_eq!(ids.len(), offered.len(), "each once");
    assert_eq!(
        counts(&store, event.id).await,
        (4, 0, 4),
        "four left, four are offered the four seats"
    );
}
