//! Announcements of organizers.

use std::sync::Arc;

use axum::http::StatusCode;
use chrono::TimeDelta;
use common::{
    clock::Timestamp,
    http::{Cursor, Page},
    idempotency::{Answer, Key, Keyed, Outcome, Refusal},
    ids::{AnnouncementId, EventId, UserId},
    wire::{EventFacts, Recipients},
};

use super::{Fresh, kit::*};
use crate::domain::broadcast::{A_DAY, Broadcast, Channels, Counts, State, TO_ONE_A_DAY, Words, mark};
use crate::domain::message::{Channel, Kind, Status};
use crate::store::{
    Change, PreferencesChange, Store,
    broadcasts::{AnnounceError, BroadcastStep, Progress, Reached, WithdrawError},
};

fn new(event: EventId, organizer: UserId, made_at: Timestamp) -> Broadcast {
    Broadcast {
        id: AnnouncementId::new(),
        event_id: event,
        organizer,
        words: Words {
            subject: "Doors open at six".into(),
            text: "Come early.\n\nSee you! 😀".into(),
        },
        to: Recipients::All,
        channels: Channels {
            email: true,
            sms: true,
        },
        state: State::Scheduled,
        send_at: made_at,
        created_at: made_at,
        recipients: 0,
        skipped: 0,
    }
}

fn answer(_: &Broadcast) -> Answer {
    Answer::json(StatusCode::ACCEPTED, &"done")
}

fn plain() -> Keyed<Broadcast> {
    Keyed::none(answer)
}

async fn create(store: &Arc<dyn Store>, broadcast: Broadcast) -> Broadcast {
    match store.create_broadcast(broadcast, plain()).await.unwrap() {
        Outcome::Done(broadcast) => broadcast,
        Outcome::Refused(refusal) => panic!("{refusal:?}"),
    }
}

/// One that is made now and due at once.
async fn made(store: &Arc<dyn Store>, event: EventId) -> Broadcast {
    create(store, new(event, UserId::new(), now())).await
}

fn written(broadcast: &Broadcast, facts: &EventFacts, person: Person) -> Reached {
    let mut letter = person.letter(facts, Kind::Announcement, Channel::Email);
    letter.schedule_version = mark(broadcast.id);
    letter.details.announcement = Some(broadcast.id);
    Reached {
        user_id: person.user,
        registration_id: person.registration,
        letters: vec![letter],
    }
}

fn step(
    broadcast: &Broadcast,
    cursor: Option<UserId>,
    facts: &EventFacts,
    people: Vec<Reached>,
) -> BroadcastStep {
    BroadcastStep {
        id: broadcast.id,
        cursor,
        progress: Progress::Reached {
            facts: facts.clone(),
            people,
        },
    }
}

fn over(broadcast: &Broadcast, cursor: Option<UserId>) -> BroadcastStep {
    BroadcastStep {
        id: broadcast.id,
        cursor,
        progress: Progress::Over,
    }
}

async fn found(store: &Arc<dyn Store>, broadcast: &Broadcast) -> (Broadcast, Counts) {
    let found = store.broadcast(broadcast.id, broadcast.event_id).await.unwrap();
    found.unwrap()
}

pub async fn an_announcement_reads_back_and_is_listed(fresh: &Fresh) {
    let store = &fresh.store;
    let event = EventId::new();
    let mut all = Vec::new();
    for _ in 0..3 {
        all.push(made(store, event).await);
    }
    made(store, EventId::new()).await;
    assert_eq!(found(store, &all[0]).await, (all[0].clone(), Counts::default()));
    assert_eq!(store.broadcast(all[0].id, EventId::new()).await.unwrap(), None);
    all.reverse();
    let page = |after: Option<&Broadcast>| Page {
        limit: 2,
        after: after.map(|last| Cursor {
            key: 0,
            id: last.id.0,
        }),
    };
    let listed = async |page| {
        let found = store.broadcasts_of(event, page).await.unwrap();
        found
            .into_iter()
            .map(|(broadcast, _)| broadcast)
            .collect::<Vec<_>>()
    };
    assert_eq!(listed(page(None)).await, all);
    assert_eq!(listed(page(Some(&all[1]))).await, all[2..]);

    // Those of one organizer, whatever the event.
    let organizer = UserId::new();
    let mut theirs = Vec::new();
    for minute in [0, 1, 1] {
        let made_at = at(TimeDelta::minutes(minute));
        theirs.push(create(store, new(EventId::new(), organizer, made_at)).await);
    }
    theirs.reverse();
    let mut found: Vec<Broadcast> = Vec::new();
    while found.len() < theirs.len() {
        let after = found.last().map(|last| Cursor {
            key: last.created_at.timestamp_millis(),
            id: last.id.0,
        });
        let some = store
            .broadcasts_by(organizer, Page { limit: 1, after })
            .await
            .unwrap();
        found.extend(some.into_iter().take(1));
    }
    assert_eq!(found, theirs);
}

pub async fn an_organizer_announces_so_often_in_a_day(fresh: &Fresh) {
    let (store, other) = (&fresh.store, &fresh.other);
    let (event, organizer) = (EventId::new(), UserId::new());
    let at_minute = |n: i64| new(event, organizer, at(TimeDelta::minutes(n)));
    for n in 0..A_DAY as i64 - 1 {
        create(store, at_minute(n)).await;
    }
    // One that is withdrawn does not count, and of two at the same time one is the last.
    let withdrawn = create(store, at_minute(30)).await;
    store
        .withdraw_broadcast(withdrawn.id, event, now(), plain())
        .await
        .unwrap();
    let (one, two) = tokio::join!(
        store.create_broadcast(at_minute(60), plain()),
        other.create_broadcast(at_minute(60), plain()),
    );
    let refused = [&one, &two].into_iter().filter(|made| made.is_err()).count();
    assert_eq!(refused, 1, "{one:?} {two:?}");
    match store.create_broadcast(at_minute(61), plain()).await {
        Err(AnnounceError::TooMany(until)) => assert_eq!(until, at(hours(24))),
        other => panic!("{other:?}"),
    }
    create(store, new(event, UserId::new(), now())).await;
    create(store, at_minute(24 * 60 + 1)).await;
}

pub async fn a_key_makes_one_announcement(fresh: &Fresh) {
    let store = &fresh.store;
    let (event, organizer) = (EventId::new(), UserId::new());
    let keyed = || Keyed {
        key: Some(Key {
            caller: organizer,
            route: "POST /x".into(),
            key: "1".into(),
            fingerprint: [7; 32],
        }),
        answer,
    };
    let first = store
        .create_broadcast(new(event, organizer, now()), keyed())
        .await;
    assert!(matches!(first.unwrap(), Outcome::Done(_)));
    let again = store
        .create_broadcast(new(event, organizer, now()), keyed())
        .await;
    assert!(matches!(
        again.unwrap(),
        Outcome::Refused(Refusal::Replay(Answer { status: 202, .. }))
    ));
    let page = Page {
        limit: 10,
        after: None,
    };
    assert_eq!(store.broadcasts_of(event, page).await.unwrap().len(), 1);
}

pub async fn an_announcement_goes_step_by_step_and_to_everybody_once(fresh: &Fresh) {
    let (store, other) = (&fresh.store, &fresh.other);
    let facts = event(hours(48));
    let mut people: Vec<Person> = (0..4).map(|_| Person::new()).collect();
    people.sort_by_key(|person| person.user);
    take(store, people.iter().map(|person| person.confirmed(&facts))).await;
    let later = create(
        store,
        Broadcast {
            send_at: at(hours(1)),
            ..new(facts.event_id, UserId::new(), now())
        },
    )
    .await;
    assert!(store.due_broadcast(now()).await.unwrap().is_none());
    let broadcast = made(store, facts.event_id).await;
    let due = store.due_broadcast(at(hours(1))).await.unwrap().unwrap();
    assert_eq!((&due.broadcast, due.cursor), (&broadcast, None));

    let reached = |range: std::ops::Range<usize>| {
        let people = people[range].iter();
        people
            .map(|person| written(&broadcast, &facts, *person))
            .collect::<Vec<_>>()
    };
    let first = step(&broadcast, None, &facts, reached(0..2));
    let (one, two) = tokio::join!(
        store.broadcast_step(first.clone(), now()),
        other.broadcast_step(first.clone(), now()),
    );
    assert!(one.unwrap() != two.unwrap(), "a step must not be taken twice");
    // It goes on where it was, and has begun: it can no longer be withdrawn.
    let due = store.due_broadcast(now()).await.unwrap().unwrap();
    assert_eq!(
        (due.broadcast.state, due.cursor),
        (State::Sending, Some(people[1].user))
    );
    assert!(matches!(
        store
            .withdraw_broadcast(broadcast.id, facts.event_id, now(), plain())
            .await,
        Err(WithdrawError::UnderWay)
    ));
    assert!(!store.broadcast_step(first, now()).await.unwrap());
    // Somebody cannot be written to, and somebody has left.
    take(store, [people[3].ended(&facts)]).await;
    let mut rest = reached(2..4);
    rest.push(Reached {
        user_id: UserId::new(),
        registration_id: Person::new().registration,
        letters: Vec::new(),
    });
    let last = rest.last().map(|last| last.user_id);
    assert!(
        store
            .broadcast_step(step(&broadcast, due.cursor, &facts, rest), now())
            .await
            .unwrap()
    );
    assert!(!store.broadcast_step(over(&broadcast, None), now()).await.unwrap());
    assert!(store.broadcast_step(over(&broadcast, last), now()).await.unwrap());
    let (stored, counts) = found(store, &broadcast).await;
    assert_eq!(
        (stored.state, stored.recipients, stored.skipped),
        (State::Sent, 3, 2)
    );
    assert_eq!((counts.queued, counts.sent, counts.failed), (3, 0, 0));
    for person in &people[..3] {
        assert_eq!(status(store, *person, Kind::Announcement).await, Status::Queued);
    }
    let due = store.due_broadcast(at(hours(1))).await.unwrap().unwrap();
    assert_eq!(due.broadcast.id, later.id);

    // Its letters bring its words.
    let claims = claim(store, now(), 100).await;
    let letter = claims
        .iter()
        .find(|claim| claim.message.kind == Kind::Announcement);
    let letter = letter.unwrap();
    assert_eq!(letter.message.details.words.as_deref(), Some(&broadcast.words));
    assert_eq!(letter.message.facts.as_ref(), Some(&facts));
    note(store, vec![sent(letter)]).await;
    let (_, counts) = found(store, &broadcast).await;
    assert_eq!((counts.queued, counts.sent, counts.failed), (2, 1, 0));
}

pub async fn a_delayed_announcement_lets_others_pass(fresh: &Fresh) {
    let store = &fresh.store;
    let (first, second) = (
        made(store, EventId::new()).await,
        made(store, EventId::new()).await,
    );
    let due = async |when| {
        store
            .due_broadcast(when)
            .await
            .unwrap()
            .map(|due| due.broadcast.id)
    };
    let ahead = due(now()).await.unwrap();
    let (waits, passes) = if ahead == first.id {
        (first, second)
    } else {
        (second, first)
    };
    let delayed = BroadcastStep {
        progress: Progress::Delayed(at(hours(1))),
        ..over(&waits, None)
    };
    assert!(store.broadcast_step(delayed, now()).await.unwrap());
    assert_eq!(due(now()).await, Some(passes.id));
    assert!(store.broadcast_step(over(&passes, None), now()).await.unwrap());
    assert_eq!(due(now()).await, None);
    assert_eq!(due(at(hours(1))).await, Some(waits.id));
    assert_eq!(found(store, &waits).await.0.send_at, now());
}

pub async fn nobody_is_written_to_after_the_end(fresh: &Fresh) {
    let store = &fresh.store;
    let facts = event(hours(48));
    let (stays, leaves) = (attend(store, &facts).await, attend(store, &facts).await);
    let broadcast = made(store, facts.event_id).await;
    let people = vec![
        written(&broadcast, &facts, stays),
        written(&broadcast, &facts, leaves),
    ];
    let cursor = people.last().map(|last| last.user_id);
    assert!(
        store
            .broadcast_step(step(&broadcast, None, &facts, people), now())
            .await
            .unwrap()
    );
    // Letters that are not sent yet are withdrawn with their registration, and go with their account.
    take(store, [leaves.ended(&facts)]).await;
    assert_eq!(status(store, leaves, Kind::Announcement).await, Status::Skipped);
    take(store, [Change::Forget { user_id: stays.user }]).await;
    assert!(statuses(store, stays.user).await.is_empty());
    let stopped = BroadcastStep {
        progress: Progress::Stopped,
        ..over(&broadcast, cursor)
    };
    assert!(store.broadcast_step(stopped, now()).await.unwrap());
    assert_eq!(found(store, &broadcast).await.0.state, State::Cancelled);
    assert!(store.due_broadcast(now()).await.unwrap().is_none());
}

pub async fn who_wants_no_announcements_gets_none(fresh: &Fresh) {
    let store = &fresh.store;
    let facts = event(hours(48));
    let (unwilling, willing) = (attend(store, &facts).await, attend(store, &facts).await);
    let no_more = PreferencesChange::Unsubscribe(Kind::Announcement.template());
    store
        .set_preferences(unwilling.user, no_more, now())
        .await
        .unwrap();
    let broadcast = made(store, facts.event_id).await;
    let people = vec![
        written(&broadcast, &facts, unwilling),
        written(&broadcast, &facts, willing),
    ];
    assert!(
        store
            .broadcast_step(step(&broadcast, None, &facts, people), now())
            .await
            .unwrap()
    );
    let (stored, counts) = found(store, &broadcast).await;
    assert_eq!((stored.recipients, stored.skipped, counts.queued), (1, 1, 1));
    assert_eq!(status(store, willing, Kind::Announcement).await, Status::Queued);
}

pub async fn a_withdrawn_announcement_is_not_sent(fresh: &Fresh) {
    let store = &fresh.store;
    let facts = event(hours(48));
    let broadcast = made(store, facts.event_id).await;
    let withdraw = async |event| {
        store
            .withdraw_broadcast(broadcast.id, event, now(), plain())
            .await
    };
    assert!(matches!(
        withdraw(EventId::new()).await,
        Err(WithdrawError::NoSuch)
    ));
    match withdraw(facts.event_id).await.unwrap() {
        Outcome::Done(withdrawn) => assert_eq!(withdrawn.state, State::Cancelled),
        Outcome::Refused(refusal) => panic!("{refusal:?}"),
    }
    assert!(matches!(
        withdraw(facts.event_id).await,
        Err(WithdrawError::UnderWay)
    ));
    assert!(store.due_broadcast(now()).await.unwrap().is_none());
    let people = vec![written(&broadcast, &facts, Person::new())];
    assert!(
        !store
            .broadcast_step(step(&broadcast, None, &facts, people), now())
            .await
            .unwrap()
    );
    assert_eq!(found(store, &broadcast).await.1, Counts::default());
}

pub async fn an_event_writes_to_one_so_often_in_a_day(fresh: &Fresh) {
    let store = &fresh.store;
    let facts = event(hours(48));
    let (old, new) = (attend(store, &facts).await, attend(store, &facts).await);
    let announce = async |people: &[Person], when: Timestamp| {
        let broadcast = made(store, facts.event_id).await;
        let people = people.iter().map(|person| written(&broadcast, &facts, *person));
        let step = step(&broadcast, None, &facts, people.collect());
        assert!(store.broadcast_step(step, when).await.unwrap());
        let (stored, _) = found(store, &broadcast).await;
        (stored.recipients, stored.skipped)
    };
    for _ in 0..TO_ONE_A_DAY {
        assert_eq!(announce(&[old], now()).await, (1, 0));
    }
    assert_eq!(announce(&[old, new], at(hours(23))).await, (1, 1));
    assert_eq!(announce(&[old, new], at(hours(25))).await, (2, 0));
}
