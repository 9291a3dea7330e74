//! One row that cannot be read stops nothing but itself.

use common::{ids::MessageId, wire::EventFacts};
use test_kit::damage::{Bad, Damage};
use uuid::Uuid;

use super::{Fresh, kit::*};
use crate::{
    domain::message::{Kind, Status},
    store::Change,
};

async fn damage(
    fresh: &Fresh,
    table: &'static str,
    key: (&'static str, &'static str),
    id: Uuid,
    field: &'static str,
    to: Bad,
) {
    (fresh.damager)(Damage {
        table,
        key,
        id,
        field,
        to,
    })
    .await;
}

const MESSAGE: (&str, &str) = ("id", "_id");
const EVENT: (&str, &str) = ("event_id", "event_id");

/// An event in a zone that there is not.
async fn spoil_zone(fresh: &Fresh, event: &EventFacts) {
    let to = Bad::Text("Asia/Atlantis");
    damage(fresh, "events", EVENT, event.event_id.0, "zone", to).await;
}

async fn message_of(fresh: &Fresh, person: Person) -> MessageId {
    entries(&fresh.store, person.user).await[0].id
}

pub async fn an_unreadable_letter_fails_alone(fresh: &Fresh) {
    let damages = [
        ("details", Bad::Text("{\"amount\": ")),
        ("details", Bad::Text("7")),
        ("details", Bad::Type),
        ("kind", Bad::Text("telegram")),
        ("address", Bad::Type),
        ("user_id", Bad::Text("somebody")),
        ("fence", Bad::Type),
        ("not_after", Bad::Text("tomorrow")),
    ];
    for (field, to) in damages {
        let people = queue(&fresh.store, 3).await;
        let bad = message_of(fresh, people[0]).await;
        damage(fresh, "messages", MESSAGE, bad.0, field, to).await;
        let claimed = claim(&fresh.store, now(), 100).await;
        assert_eq!(claimed.len(), 2, "{field}");
        assert!(claimed.iter().all(|claimed| claimed.message.id != bad));
        assert_eq!(note(&fresh.store, claimed.iter().map(sent).collect()).await, 2);
        let waiting = fresh
            .store
            .next_message(crate::domain::message::Channel::Email)
            .await;
        assert_eq!(waiting.unwrap(), None, "{field}");
        for person in &people[1..] {
            assert_eq!(
                status(&fresh.store, *person, Kind::RegistrationConfirmed).await,
                Status::Sent
            );
        }
    }
    assert_eq!(fresh.store.stats(now()).await.unwrap().dead, damages.len() as u64);
}

pub async fn a_letter_whose_event_cannot_be_read_fails_alone(fresh: &Fresh) {
    let (odd, even) = (event(hours(48)), event(hours(48)));
    let (lost, fine) = (
        attend(&fresh.store, &odd).await,
        attend(&fresh.store, &even).await,
    );
    spoil_zone(fresh, &odd).await;
    let claimed = claim(&fresh.store, now(), 100).await;
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].message.user_id, fine.user);
    assert_eq!(
        status(&fresh.store, lost, Kind::RegistrationConfirmed).await,
        Status::Dead
    );
}

pub async fn a_list_leaves_out_what_it_cannot_read(fresh: &Fresh) {
    let store = &fresh.store;
    let (facts, person) = (event(hours(-1)), Person::new());
    for _ in 0..5 {
        let change = Change::Told {
            letters: vec![crate::domain::message::Letter {
                occurrence: common::ids::new_id(),
                ..person.letter(&facts, Kind::Ticket, crate::domain::message::Channel::Email)
            }],
        };
        take(store, [change]).await;
    }
    let all = entries(store, person.user).await;
    for bad in [0, 2] {
        damage(
            fresh,
            "messages",
            MESSAGE,
            all[bad].id.0,
            "kind",
            Bad::Text("telegram"),
        )
        .await;
    }
    let mut page = common::http::Page {
        limit: 1,
        after: None,
    };
    let mut seen = Vec::new();
    loop {
        let (found, next) = page.cut(
            store
                .of_user(person.user, crate::store::Only::All, page)
                .await
                .unwrap(),
            |entry| common::http::Cursor {
                key: entry.created_at.timestamp_millis(),
                id: entry.id.0,
            },
        );
        seen.extend(found.iter().map(|entry| entry.id));
        match next {
            Some(next) => page.after = Some(next),
            None => break,
        }
    }
    assert_eq!(seen, [all[1].id, all[3].id, all[4].id]);
}

pub async fn a_provider_s_list_leaves_out_what_it_cannot_read(fresh: &Fresh) {
    let store = &fresh.store;
    let people = queue(store, 4).await;
    let claimed = claim(store, now(), 100).await;
    note(store, claimed.iter().map(sent).collect()).await;
    let bad = message_of(fresh, people[1]).await;
    damage(fresh, "messages", MESSAGE, bad.0, "details", Bad::Text("{")).await;
    let page = common::http::Page {
        limit: 2,
        after: None,
    };
    let found = store.taken_by(PROVIDER, None, page).await.unwrap();
    assert_eq!(found.len(), 3);
    assert!(found.iter().all(|message| message.id != bad));
    assert!(store.find(PROVIDER, bad).await.is_err());
}

pub async fn an_unreadable_reminder_is_dropped_alone(fresh: &Fresh) {
    let store = &fresh.store;
    let damages = [
        ("attendances", ("registration_id", "_id"), "", Bad::Gone),
        (
            "attendances",
            ("registration_id", "_id"),
            "event_id",
            Bad::Text("x"),
        ),
        (
            "schedules",
            ("registration_id", "registration_id"),
            "schedule_version",
            Bad::Type,
        ),
        ("events", EVENT, "zone", Bad::Text("Asia/Atlantis")),
        ("events", EVENT, "name", Bad::Type),
        ("events", EVENT, "", Bad::Gone),
    ];
    for (round, (table, key, field, to)) in (1..).zip(damages) {
        let (odd, even) = (event(hours(48 * round)), event(hours(48 * round)));
        let (lost, fine) = (attend(store, &odd).await, attend(store, &even).await);
        let id = if key == EVENT {
            odd.event_id.0
        } else {
            lost.registration.0
        };
        damage(fresh, table, key, id, field, to).await;
        let when = hours(48 * round - 20);
        let found = due(store, when).await;
        assert_eq!(found.len(), 1, "{table} {field}");
        assert_eq!(found[0].registration_id, fine.registration);
        store.decide(vec![send(&found[0])], at(when)).await.unwrap();
        let later = due(store, hours(48 * round - 2)).await;
        assert_eq!(later.len(), 1, "{table} {field}");
        store.decide(vec![send(&later[0])], at(when)).await.unwrap();
        assert!(store.next_reminder().await.unwrap().is_none(), "{table} {field}");
    }
}

pub async fn an_unreadable_announcement_is_left_alone(fresh: &Fresh) {
    let store = &fresh.store;
    let (odd, even) = (event(hours(48)), event(hours(48)));
    attend(store, &odd).await;
    let fine = attend(store, &even).await;
    take(store, [Change::EventChanged(moved(&odd, hours(50)))]).await;
    take(store, [Change::EventChanged(moved(&even, hours(50)))]).await;
    spoil_zone(fresh, &odd).await;
    let next = store.announcement(10).await.unwrap().unwrap();
    assert_eq!(next.facts.event_id, even.event_id);
    assert_eq!(next.attendees[0].registration_id, fine.registration);
    // The next change of the event is announced again.
    let newer = moved(&moved(&odd, hours(50)), hours(51));
    take(store, [Change::EventChanged(newer.clone())]).await;
    take(store, [Change::EventChanged(moved(&newer, hours(52)))]).await;
    let next = store.announcement(10).await.unwrap().unwrap();
    assert_eq!(next.facts.event_id, odd.event_id);
    assert_eq!(next.attendees[0].known, None);
}

pub async fn what_is_heard_of_an_event_takes_the_place_of_what_cannot_be_read(fresh: &Fresh) {
    let store = &fresh.store;
    let odd = event(hours(48));
    attend(store, &odd).await;
    spoil_zone(fresh, &odd).await;
    attend(store, &odd).await;
    assert_eq!(due(store, hours(30)).await.len(), 2);
}
