//! Lists, what survives, and upkeep.

use std::sync::Arc;

use chrono::TimeDelta;
use common::clock::from_millis;
use common::http::{Cursor, Page};
use common::ids::{MessageId, new_id};
use common::wire::EventFacts;
use uuid::Uuid;

use super::{Fresh, kit::*};
use crate::domain::message::{Channel, Kind, Status};
use crate::store::{Change, Intake, Only, Tried};

pub async fn a_users_list_is_paged(fresh: &Fresh) {
    let store = &fresh.store;
    let (person, facts) = (Person::new(), event(hours(3)));
    queue(store, 3).await;
    assert!(entries(store, person.user).await.is_empty());
    // Three of one moment, so that ties have to be broken, and two of others.
    let mut expected = Vec::new();
    for (minutes, kind) in [
        (5, Kind::Ticket),
        (1, Kind::HOURS_BEFORE),
        (5, Kind::DAY_BEFORE),
        (5, Kind::EventUpdated),
        (9, Kind::EventCancelled),
    ] {
        let letter = person.letter(&facts, kind, Channel::Email);
        expected.push((at(TimeDelta::minutes(minutes)), letter.id));
        let batch = [Intake {
            id: new_id(),
            change: Change::Told {
                letters: vec![letter],
            },
        }]
        .into();
        store.take(batch, at(TimeDelta::minutes(minutes))).await.unwrap();
    }
    expected.sort();
    expected.reverse();
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = Page { limit: 2, after };
        let entries = store.of_user(person.user, Only::All, page).await.unwrap();
        assert!(entries.len() <= 3);
        let (entries, next) = page.cut(entries, |entry| Cursor {
            key: entry.created_at.timestamp_millis(),
            id: entry.id.0,
        });
        found.extend(entries.iter().map(|entry| (entry.created_at, entry.id)));
        match next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!(found, expected);
}

pub async fn a_provider_s_list_is_paged(fresh: &Fresh) {
    let store = &fresh.store;
    let people = queue(store, 5).await;
    let page = |limit, after| Page { limit, after };
    assert!(
        store
            .taken_by(PROVIDER, None, page(10, None))
            .await
            .unwrap()
            .is_empty()
    );
    let claims = claim(store, now(), 10).await;
    assert_eq!(store.find(PROVIDER, claims[0].message.id).await.unwrap(), None);
    assert_eq!(note(store, claims.iter().skip(1).map(sent).collect()).await, 4);

    let mut expected: Vec<_> = claims.iter().skip(1).map(|claim| claim.message.id).collect();
    expected.sort();
    expected.reverse();
    let ids =
        |messages: Vec<crate::domain::message::Message>| messages.iter().map(|m| m.id).collect::<Vec<_>>();
    assert_eq!(
        ids(store.taken_by(PROVIDER, None, page(10, None)).await.unwrap()),
        expected
    );
    assert_eq!(
        ids(store.taken_by(PROVIDER, None, page(2, None)).await.unwrap()),
        expected[..3]
    );
    let after = Some(Cursor {
        key: 0,
        id: expected[1].0,
    });
    assert_eq!(
        ids(store.taken_by(PROVIDER, None, page(2, after)).await.unwrap()),
        expected[2..]
    );
    let to = |address: &str| store.taken_by(PROVIDER, Some(address.to_owned()), page(10, None));
    assert_eq!(to("asha@example.com").await.unwrap().len(), 4);
    assert_eq!(to("nobody@example.com").await.unwrap().len(), 0);
    assert_eq!(
        store
            .taken_by("another", None, page(10, None))
            .await
            .unwrap()
            .len(),
        0
    );

    let found = store.find(PROVIDER, expected[0]).await.unwrap().unwrap();
    assert_eq!(
        (found.status, found.kind),
        (Status::Sent, Kind::RegistrationConfirmed)
    );
    assert!(
        people
            .iter()
            .any(|person| person.user == found.user_id && person.registration.0 == found.occurrence)
    );
    assert_eq!(store.find(PROVIDER, MessageId(Uuid::nil())).await.unwrap(), None);
}

pub async fn times_keep_milliseconds(fresh: &Fresh) {
    let store = &fresh.store;
    let facts = EventFacts {
        starts_at: from_millis(NOW + 86_400_001),
        ..event(hours(0))
    };
    let person = attend(store, &facts).await;
    assert_eq!(entries(store, person.user).await[0].created_at, now());
    let claims = claim(store, now(), 8).await;
    assert_eq!(claims[0].message.facts.as_ref(), Some(&facts));
    assert_eq!(store.next_reminder().await.unwrap(), Some(from_millis(NOW + 1)));
}

pub async fn any_text_survives(fresh: &Fresh) {
    let store = &fresh.store;
    for text in ["", "Zoë \u{1f389} 'quote\" \\ \n\t", &"é".repeat(20_000)] {
        let person = Person::new();
        let facts = EventFacts {
            name: text.into(),
            address: text.into(),
            ..event(hours(48))
        };
        let mut letter = person.letter(&facts, Kind::Ticket, Channel::Email);
        letter.name = Some(text.into());
        letter.address = text.into();
        letter.details.ticket_code = Some(text.into());
        letter.details.before = Some(facts.clone());
        let details = letter.details.clone();
        let (registration_id, user_id) = (person.registration, person.user);
        take(
            store,
            [Change::Confirmed {
                registration_id,
                user_id,
                facts: facts.clone(),
                paid: false,
                letters: vec![letter],
            }],
        )
        .await;
        let claim = claim(store, now(), 8).await.remove(0);
        let message = &claim.message;
        assert_eq!(
            (message.name.as_deref(), message.address.as_str()),
            (Some(text), text)
        );
        assert_eq!(
            (message.facts.as_ref(), &message.details),
            (Some(&facts), &details)
        );
        assert_eq!(
            note(store, vec![report(&claim, Tried::Failed { why: text.into() })]).await,
            1
        );
    }
}

pub async fn an_empty_batch_is_fine(fresh: &Fresh) {
    let store = &fresh.store;
    take(store, []).await;
    take(store, [Change::Nothing]).await;
    assert_eq!(store.decide(Vec::new(), now()).await.unwrap(), 0);
    assert_eq!(note(store, Vec::new()).await, 0);
    assert!(claim(store, now(), 0).await.is_empty());
    assert!(store.due_reminders(now(), 10).await.unwrap().is_empty());
}

pub async fn a_large_batch_is_fine(fresh: &Fresh) {
    let store = &fresh.store;
    let facts = event(hours(48));
    let people: Vec<_> = (0..500).map(|_| Person::new()).collect();
    take(store, people.iter().map(|person| person.confirmed(&facts))).await;
    let stats = store.stats(now()).await.unwrap();
    assert_eq!((stats.queued, stats.reminders_pending), (500, 1000));
    let found = store.due_reminders(at(hours(24)), 1000).await.unwrap();
    assert_eq!(
        store
            .decide(found.iter().map(send).collect(), now())
            .await
            .unwrap(),
        500
    );
    let claims = claim(store, now(), 2000).await;
    assert_eq!(claims.len(), 1000);
    assert_eq!(note(store, claims.iter().map(sent).collect()).await, 1000);
    assert_eq!(store.stats(now()).await.unwrap().queued, 0);
}

pub async fn purging_forgets_only_what_is_old(fresh: &Fresh) {
    let store = &fresh.store;
    let (person, facts) = (Person::new(), event(hours(48)));
    let batch: Arc<[Intake]> = [Intake {
        id: new_id(),
        change: person.confirmed(&facts),
    }]
    .into();
    store.take(batch.clone(), now()).await.unwrap();
    let seen = due(store, hours(24)).await;
    store
        .decide(seen.iter().map(send).collect(), now())
        .await
        .unwrap();
    assert_eq!(store.purge(at(TimeDelta::days(7)), 100).await.unwrap(), 0);
    assert_eq!(
        store.purge(at(TimeDelta::days(9)), 100).await.unwrap(),
        1,
        "the id of the message"
    );
    // Even then a repeat finds the registration known.
    store.take(batch, now()).await.unwrap();
    assert_eq!(entries(store, person.user).await.len(), 2);
    assert_eq!(
        store.purge(at(TimeDelta::days(40)), 100).await.unwrap(),
        2,
        "the id and the reminder that is done"
    );
    assert_eq!(store.stats(now()).await.unwrap().reminders_pending, 1);
}

pub async fn it_can_be_pinged(fresh: &Fresh) {
    fresh.store.ping().await.unwrap();
    fresh.other.ping().await.unwrap();
}

pub async fn a_reader_marks_what_was_read(fresh: &Fresh) {
    let store = &fresh.store;
    let people = queue(store, 2).await;
    let (one, other) = (people[0], people[1]);
    let facts = event(hours(-1));
    let letters = vec![one.letter(&facts, Kind::Ticket, Channel::Sms)];
    take(store, [Change::Told { letters }]).await;
    let unread = async |person: Person| {
        let page = Page {
            limit: 10,
            after: None,
        };
        store.of_user(person.user, Only::Unread, page).await.unwrap()
    };
    let listed = unread(one).await;
    assert_eq!(listed.len(), 2);
    let id = listed[1].entry.id;
    let mark = |user, message, minutes| store.mark_read(user, message, at(TimeDelta::minutes(minutes)));
    assert_eq!(mark(other.user, Some(id), 1).await.unwrap(), None, "another's");
    assert_eq!(mark(one.user, Some(MessageId::new()), 1).await.unwrap(), None);
    assert_eq!(mark(one.user, Some(id), 1).await.unwrap(), Some(1));
    assert_eq!(mark(one.user, Some(id), 2).await.unwrap(), Some(0), "it is read");
    assert_eq!(unread(one).await.len(), 1);
    let read = store.entry(id, one.user).await.unwrap().unwrap();
    assert_eq!(read.read_at, Some(at(TimeDelta::minutes(1))));
    assert_eq!(mark(one.user, None, 3).await.unwrap(), Some(1));
    assert_eq!((unread(one).await.len(), unread(other).await.len()), (0, 1));
}
