//! How places in lines begin and end.

use common::{
    ids::WaitlistId,
    wire::{AttendeeFound, Recipients},
};
use test_kit::damage::Bad;

use super::{
    unreadable::damage,
    waitlist::{
        OFFER, advance, cancel, counts, full, join, leave, offers, place, places, told_of_the_end, until,
    },
    *,
};
use crate::{
    domain::{
        registering::RegisterRefusal,
        waitlist::{Join, JoinRefusal, State as Place},
    },
    store::waitlist::{Listed, WaitlistError},
};

pub async fn joining_has_its_reasons_to_be_refused(store: S) {
    let user = UserId::new();
    let refused = async |event: EventId, user, at| match join(&store, event, user, at).await {
        Err(WaitlistError::Refused(why)) => why,
        other => panic!("{other:?}"),
    };
    assert!(matches!(
        join(&store, EventId::new(), user, now()).await,
        Err(WaitlistError::NoSuchEvent)
    ));
    assert!(matches!(
        leave(&store, EventId::new(), user, now()).await,
        Err(WaitlistError::NoSuchEvent)
    ));
    for seats in [None, Some(1)] {
        let event = created(&store, draft(seats, 0)).await;
        assert_eq!(refused(event.id, user, now()).await, JoinRefusal::SeatsAvailable);
    }
    let (event, registered) = full(&store, 1, 50_000).await;
    let holder = registered[0].registration.user_id;
    assert_eq!(
        refused(event.id, holder, now()).await,
        JoinRefusal::Cannot(RegisterRefusal::Already(registered[0].registration.clone()))
    );
    assert_eq!(
        refused(event.id, user, event.time.at).await,
        JoinRefusal::Cannot(RegisterRefusal::Closed)
    );
    let entry = join(&store, event.id, user, now()).await.unwrap().entry;
    assert!(matches!(
        join(&store, event.id, user, now()).await,
        Err(WaitlistError::Listed(found, Some(1))) if found == entry
    ));
    assert!(matches!(
        leave(&store, event.id, holder, now()).await,
        Err(WaitlistError::NotListed)
    ));
    assert_eq!(
        leave(&store, event.id, user, now()).await.unwrap().entry.id,
        entry.id
    );
    assert!(matches!(
        leave(&store, event.id, user, now()).await,
        Err(WaitlistError::NotListed)
    ));
    // Whose hold has run out may wait again, behind those who do, and is told of its end.
    let gone = now() + TimeDelta::seconds(900);
    assert_eq!(refused(event.id, holder, gone).await, JoinRefusal::SeatsAvailable);
    join(&store, event.id, user, now()).await.unwrap();
    let joined = join(&store, event.id, holder, gone).await.unwrap();
    assert_eq!(joined.position, Some(2));
    assert_eq!(counts(&store, event.id).await, (0, 2, 0));
    assert_eq!(kinds_for(&store, "notifications").await, [kind::HOLD_EXPIRED]);
    let cancelled = store
        .cancel_event(event.id, event.organizer, now(), plain())
        .await;
    done(cancelled.unwrap());
    assert_eq!(
        refused(event.id, user, now()).await,
        JoinRefusal::Cannot(RegisterRefusal::EventCancelled)
    );
}

pub async fn a_line_ends_with_its_event(store: S) {
    let (event, registered) = full(&store, 2, 0).await;
    let users: Vec<UserId> = (0..3).map(|_| UserId::new()).collect();
    for user in &users {
        join(&store, event.id, *user, now()).await.unwrap();
    }
    cancel(&store, &registered[0], now()).await;
    advance(&store, event.id, now()).await;
    let cancelled = store
        .cancel_event(event.id, event.organizer, now(), plain())
        .await;
    done(cancelled.unwrap());
    assert_eq!(
        place(&store, users[1], now()).await,
        "closed",
        "from the first moment"
    );
    while store.end_registrations(now(), 10).await.unwrap() > 0 {}
    let mut moved = 0;
    while store.lines_due(None, now(), 10).await.unwrap() == [event.id] {
        moved += store.advance_line(event.id, OFFER, now(), 1).await.unwrap();
    }
    assert_eq!(moved, 3);
    assert_eq!(counts(&store, event.id).await, (0, 0, 0));
    assert_eq!(offers(&store).await.len(), 1, "nothing is offered any more");
    let mut all = users.clone();
    all.sort();
    assert_eq!(told_of_the_end(&store).await, all, "each once");

    // An offer does not outlast registration, and nothing is offered once that has closed.
    let closes = now() + TimeDelta::seconds(100);
    let closing = EventDraft {
        closes_at: Some(closes),
        ..draft(Some(1), 0)
    };
    let event = created(&store, closing).await;
    let first = register(&store, event.id, users[0], now()).await.unwrap();
    join(&store, event.id, users[1], now()).await.unwrap();
    join(&store, event.id, users[2], now()).await.unwrap();
    cancel(&store, &first, now()).await;
    advance(&store, event.id, now()).await;
    assert_eq!(
        places(&store, users[1], now()).await[0].state,
        Place::Offered { until: closes }
    );
    assert_eq!(store.lines_due(None, closes, 10).await.unwrap(), [event.id]);
    assert_eq!(advance(&store, event.id, closes).await, 2);
    assert_eq!(place(&store, users[1], closes).await, "expired");
    assert_eq!(place(&store, users[2], closes).await, "closed");
    assert_eq!(told_of_the_end(&store).await.len(), 3, "it takes place");
    assert_eq!(counts(&store, event.id).await, (0, 0, 0));
    assert_eq!(store.lines_due(None, closes, 10).await.unwrap(), []);
}

pub async fn those_who_wait_are_found_and_forgotten(store: S) {
    let (event, registered) = full(&store, 1, 0).await;
    let users: Vec<UserId> = (0..3).map(|_| UserId::new()).collect();
    let mut found = Vec::new();
    for user in &users {
        let entry = join(&store, event.id, *user, now()).await.unwrap().entry;
        found.push(AttendeeFound {
            user_id: *user,
            registration_id: RegistrationId(entry.id.0),
        });
    }
    found.sort_by_key(|found| found.user_id);
    let listed = async |after, limit| {
        let to = Recipients::Waitlist;
        store.attendees(event.id, to, after, limit).await.unwrap()
    };
    assert_eq!(listed(None, 10).await, found);
    assert_eq!(listed(Some(found[0].user_id), 1).await, found[1..2]);
    let all = store
        .attendees(event.id, Recipients::All, None, 10)
        .await
        .unwrap();
    assert_eq!(all.len(), 1, "who waits has no registration");
    cancel(&store, &registered[0], now()).await;
    advance(&store, event.id, now()).await;
    assert_eq!(listed(None, 10).await.len(), 3, "nor who is offered a seat");
    // Of another event, and one that has ended.
    let (other, _) = full(&store, 1, 0).await;
    join(&store, other.id, users[0], now()).await.unwrap();
    leave(&store, other.id, users[0], now()).await.unwrap();
    let (page, next) = store.waitlist_of(users[0], first(1), now()).await.unwrap();
    assert_eq!((page[0].event.id, next.is_some()), (other.id, true));
    let page = Page {
        limit: 1,
        after: next,
    };
    let (page, next) = store.waitlist_of(users[0], page, now()).await.unwrap();
    assert_eq!((page[0].event.id, next), (event.id, None));
    let one = store.waitlist_entry(page[0].entry.id, now()).await.unwrap();
    assert_eq!(one.as_ref(), Some(&page[0]));
    assert_eq!(
        store.waitlist_entry(WaitlistId::new(), now()).await.unwrap(),
        None
    );
    let mut gone = 0;
    loop {
        match store.forget_waiting(users[0], now(), 1).await.unwrap() {
            0 => break,
            some => gone += some,
        }
    }
    assert_eq!(gone, 2);
    assert_eq!(places(&store, users[0], now()).await, []);
    assert_eq!(
        counts(&store, event.id).await,
        (0, 2, 0),
        "what was offered is free for the next"
    );
    advance(&store, event.id, now()).await;
    assert_eq!(place(&store, users[1], now()).await, "offered");
}

pub async fn a_key_gives_one_place(store: S) {
    let (event, _) = full(&store, 1, 0).await;
    let user = UserId::new();
    let keyed = || Keyed {
        key: Some(Key {
            caller: user,
            route: "POST /x".to_owned(),
            key: "k".to_owned(),
            fingerprint: Key::fingerprint(b""),
        }),
        answer: |listed: &Listed| Answer::json(StatusCode::CREATED, &listed.entry.id),
    };
    let join = || Join {
        id: WaitlistId::new(),
        event_id: event.id,
        user_id: user,
        now: now(),
    };
    let made = done(store.join_waitlist(join(), keyed()).await.unwrap());
    let again = store.join_waitlist(join(), keyed()).await.unwrap();
    let Outcome::Refused(Refusal::Replay(again)) = again else {
        panic!("{again:?}");
    };
    assert_eq!(again.body, (keyed().answer)(&made).body);
    assert_eq!(counts(&store, event.id).await, (1, 1, 0));
}

pub async fn an_unreadable_place_holds_up_nobody(fresh: Fresh) {
    let store = &fresh.store;
    let (event, registered) = full(store, 2, 0).await;
    let users: Vec<UserId> = (0..3).map(|_| UserId::new()).collect();
    let mut ids = Vec::new();
    for user in &users {
        ids.push(join(store, event.id, *user, now()).await.unwrap().entry.id);
    }
    damage(&fresh, "waitlist", ids[0].0, "joined_at", Bad::Type).await;
    assert_eq!(places(store, users[0], now()).await, []);
    cancel(store, &registered[0], now()).await;
    advance(store, event.id, now()).await;
    advance(store, event.id, now()).await;
    assert_eq!(counts(store, event.id).await, (2, 1, 1));
    assert_eq!(place(store, users[1], now()).await, "offered");
    // An offer that becomes unreadable gives its seat back once it has run out.
    damage(&fresh, "waitlist", ids[1].0, "joined_at", Bad::Type).await;
    register(store, event.id, users[1], now()).await.unwrap_err();
    advance(store, event.id, until()).await;
    advance(store, event.id, until()).await;
    assert_eq!(place(store, users[2], until()).await, "offered");
    assert_eq!(counts(store, event.id).await, (2, 0, 1));
}
