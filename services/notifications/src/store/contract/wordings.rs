//! The words that events have of their own.

use std::sync::Arc;

use axum::http::StatusCode;
use chrono::TimeDelta;
use common::{
    clock::Timestamp,
    http::{Cursor, Page},
    idempotency::{Answer, Key, Keyed, Outcome, Refusal},
    ids::{EventId, UserId, WordingId},
};
use test_kit::damage::{Bad, Damage};

use super::{Fresh, kit::*};
use crate::{
    domain::{
        message::{Channel, Kind},
        wording::{OwnWords, Wording},
    },
    store::{Change, Store},
};

fn new(event: EventId, organizer: UserId, kind: &'static str, at: Timestamp) -> Wording {
    Wording {
        id: WordingId::new(),
        event_id: event,
        kind,
        organizer,
        words: OwnWords {
            subject: "{{ event_name }} \u{1f600}".into(),
            text: "Come early.\n\nSee you!".into(),
            sms: Some("नमस्ते".into()),
        },
        created_at: at,
    }
}

fn answer(_: &Wording) -> Answer {
    Answer::json(StatusCode::OK, &"set")
}

fn done(_: &()) -> Answer {
    Answer::json(StatusCode::OK, &"done")
}

async fn set(store: &Arc<dyn Store>, wording: &Wording) {
    let outcome = store
        .set_wording(wording.clone(), Keyed::none(answer))
        .await
        .unwrap();
    assert_eq!(outcome, Outcome::Done(wording.clone()));
}

async fn end(store: &Arc<dyn Store>, event: EventId, kind: &'static str) {
    let outcome = store.drop_wording(event, kind, now(), Keyed::none(done)).await;
    assert_eq!(outcome.unwrap(), Outcome::Done(()));
}

async fn by(store: &Arc<dyn Store>, organizer: UserId, limit: usize, after: Option<Cursor>) -> Vec<Wording> {
    store.wordings_by(organizer, Page { limit, after }).await.unwrap()
}

/// The words that a new ticket for the event is written with.
async fn of_new_ticket(store: &Arc<dyn Store>, event: &common::wire::EventFacts) -> Option<Arc<OwnWords>> {
    let person = Person::new();
    let letters = vec![person.letter(event, Kind::Ticket, Channel::Email)];
    take(store, [Change::Told { letters }]).await;
    let listed = entries(store, person.user).await;
    let details = &listed[0].message.as_ref().unwrap().details;
    assert_eq!(details.wording.is_some(), details.own.is_some());
    details.own.clone()
}

pub async fn an_event_s_words_are_kept_by_kind_until_others_are(fresh: &Fresh) {
    let (store, organizer) = (&fresh.store, UserId::new());
    let (one, two) = (EventId::new(), EventId::new());
    let ticket = new(one, organizer, "ticket", now());
    let reminder = Wording {
        words: OwnWords {
            sms: None,
            ..ticket.words.clone()
        },
        ..new(one, organizer, "reminder", now())
    };
    let elsewhere = new(two, organizer, "ticket", at(TimeDelta::milliseconds(1)));
    for wording in [&ticket, &reminder, &elsewhere] {
        set(store, wording).await;
    }
    assert_eq!(
        fresh.other.wordings(one).await.unwrap(),
        [reminder.clone(), ticket]
    );
    let newer = new(one, organizer, "ticket", at(TimeDelta::seconds(1)));
    set(&fresh.other, &newer).await;
    assert_eq!(
        store.wordings(one).await.unwrap(),
        [reminder.clone(), newer.clone()]
    );
    // Nothing was written with the words before, so nothing is left of them.
    let all = by(store, organizer, 10, None).await;
    assert_eq!(all, [newer.clone(), elsewhere.clone(), reminder.clone()]);
    let first = by(store, organizer, 1, None).await;
    assert_eq!(
        first,
        [newer.clone(), elsewhere.clone()],
        "one more than asked for"
    );
    let cursor = Cursor {
        key: newer.created_at.timestamp_millis(),
        id: newer.id.0,
    };
    assert_eq!(
        by(store, organizer, 10, Some(cursor)).await,
        [elsewhere.clone(), reminder.clone()]
    );
    end(store, one, "ticket").await;
    end(store, one, "ticket").await;
    assert_eq!(store.wordings(one).await.unwrap(), [reminder]);
    assert_eq!(store.wordings(two).await.unwrap(), [elsewhere]);
    assert_eq!(store.wordings(EventId::new()).await.unwrap(), []);
}

pub async fn a_letter_keeps_the_words_that_it_was_written_with(fresh: &Fresh) {
    let (store, organizer) = (&fresh.store, UserId::new());
    let facts = event(hours(48));
    assert_eq!(of_new_ticket(store, &facts).await, None);
    let first = new(facts.event_id, organizer, "ticket", now());
    set(store, &first).await;
    let person = Person::new();
    let letters = [Kind::Ticket, Kind::EventCancelled, Kind::PaymentRefunded]
        .map(|kind| person.letter(&facts, kind, Channel::Email))
        .to_vec();
    take(store, [Change::Told { letters }]).await;
    let second = Wording {
        words: OwnWords {
            subject: "Second".into(),
            ..first.words.clone()
        },
        ..new(facts.event_id, organizer, "ticket", at(hours(1)))
    };
    set(&fresh.other, &second).await;
    assert_eq!(of_new_ticket(store, &facts).await.as_deref(), Some(&second.words));
    end(store, facts.event_id, "ticket").await;
    assert_eq!(of_new_ticket(store, &facts).await, None);
    assert_eq!(
        of_new_ticket(store, &event(hours(48))).await,
        None,
        "of another event"
    );
    // Whatever came afterwards.
    let claimed = claim(store, now(), 100).await;
    let told: Vec<_> = claimed
        .iter()
        .filter(|claimed| claimed.message.user_id == person.user)
        .map(|claimed| (claimed.message.kind, claimed.message.details.own.as_deref()))
        .collect();
    assert_eq!(told.len(), 3);
    for (kind, own) in told {
        assert_eq!(own, (kind == Kind::Ticket).then_some(&first.words), "{kind:?}");
    }
    // Those with letters are still the organizer's to see.
    assert_eq!(by(store, organizer, 10, None).await, [second, first]);
}

pub async fn reminders_have_an_event_s_words_too(fresh: &Fresh) {
    let (store, facts) = (&fresh.store, event(hours(48)));
    set(store, &new(facts.event_id, UserId::new(), "reminder", now())).await;
    let person = attend(store, &facts).await;
    let due = due(store, hours(46)).await;
    store.decide(due.iter().map(send).collect(), now()).await.unwrap();
    let listed = entries(store, person.user).await;
    let reminders = listed
        .iter()
        .filter(|listed| matches!(listed.kind, Kind::Reminder(_)));
    let own: Vec<_> = reminders
        .map(|listed| listed.message.as_ref().unwrap().details.own.is_some())
        .collect();
    assert!(!own.is_empty() && own.iter().all(|own| *own), "{own:?}");
}

pub async fn words_go_with_their_organizer(fresh: &Fresh) {
    let (store, organizer) = (&fresh.store, UserId::new());
    let facts = event(hours(48));
    set(store, &new(facts.event_id, organizer, "ticket", now())).await;
    let other = new(facts.event_id, UserId::new(), "reminder", now());
    set(store, &other).await;
    let person = Person::new();
    let letters = vec![person.letter(&facts, Kind::Ticket, Channel::Email)];
    take(store, [Change::Told { letters }]).await;
    take(store, [Change::Forget { user_id: organizer }]).await;
    assert_eq!(by(store, organizer, 10, None).await, []);
    let left = store.wordings(facts.event_id).await.unwrap();
    assert_eq!(left, std::slice::from_ref(&other));
    let listed = entries(store, person.user).await;
    assert_eq!(listed[0].message.as_ref().unwrap().details.own, None);
    set(store, &new(facts.event_id, organizer, "ticket", now())).await;
    assert_eq!(
        store.wordings(facts.event_id).await.unwrap(),
        [other],
        "the account is gone"
    );
}

pub async fn a_key_sets_words_once(fresh: &Fresh) {
    let (store, organizer, event) = (&fresh.store, UserId::new(), EventId::new());
    let key = || Key {
        caller: organizer,
        route: "PUT /x".into(),
        key: "1".into(),
        fingerprint: [7; 32],
    };
    let keyed = || Keyed {
        key: Some(key()),
        answer,
    };
    let first = new(event, organizer, "ticket", now());
    let again = new(event, organizer, "ticket", now());
    let outcome = store.set_wording(first.clone(), keyed()).await.unwrap();
    assert!(matches!(outcome, Outcome::Done(_)));
    let outcome = store.set_wording(again, keyed()).await.unwrap();
    assert_eq!(outcome, Outcome::Refused(Refusal::Replay(answer(&first))));
    assert_eq!(store.wordings(event).await.unwrap(), [first]);
}

pub async fn two_who_set_words_at_once_leave_one(fresh: &Fresh) {
    let (organizer, event) = (UserId::new(), EventId::new());
    let (one, other) = (
        new(event, organizer, "ticket", now()),
        new(event, organizer, "ticket", now()),
    );
    tokio::join!(set(&fresh.store, &one), set(&fresh.other, &other));
    let left = fresh.store.wordings(event).await.unwrap();
    assert!(left == [one] || left == [other], "{left:?}");
}

pub async fn unreadable_words_stop_no_letter(fresh: &Fresh) {
    let (store, facts) = (&fresh.store, event(hours(48)));
    let wording = new(facts.event_id, UserId::new(), "ticket", now());
    set(store, &wording).await;
    (fresh.damager)(Damage {
        table: "wordings",
        key: ("id", "_id"),
        id: wording.id.0,
        field: "kind",
        to: Bad::Text("telegram"),
    })
    .await;
    assert_eq!(store.wordings(facts.event_id).await.unwrap(), []);
    assert_eq!(of_new_ticket(store, &facts).await, None);
}
