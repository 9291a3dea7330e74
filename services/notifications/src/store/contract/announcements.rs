//! Changes on their way to attendees.

use std::sync::Arc;

use common::ids::RegistrationId;
use common::leads::Leads;
use common::wire::EventFacts;

use super::{Fresh, kit::*};
use crate::domain::message::{Channel, Kind, Status};
use crate::store::{Change, Step, Store};

/// One step as the worker takes it, notifying all attendees.
async fn step(store: &Arc<dyn Store>, limit: usize) -> Option<(Vec<RegistrationId>, bool)> {
    take_step(store, limit, true).await
}

/// The same without a letter: only reminders follow.
async fn follow(store: &Arc<dyn Store>, limit: usize) -> Option<(Vec<RegistrationId>, bool)> {
    take_step(store, limit, false).await
}

async fn take_step(store: &Arc<dyn Store>, limit: usize, tell: bool) -> Option<(Vec<RegistrationId>, bool)> {
    let announcement = store.announcement(limit).await.unwrap()?;
    let facts = announcement.facts;
    let reached: Vec<_> = announcement
        .attendees
        .iter()
        .map(|attendee| {
            let person = Person {
                user: attendee.user_id,
                registration: attendee.registration_id,
            };
            let mut letter = person.letter(&facts, Kind::EventUpdated, Channel::Email);
            letter.schedule_version = facts.version;
            let letters = if tell { vec![letter] } else { Vec::new() };
            (attendee.registration_id, letters)
        })
        .collect();
    let ids = reached.iter().map(|(id, _)| *id).collect();
    let step = Step {
        facts,
        cursor: announcement.cursor,
        reached,
    };
    let stood = store.announce(step.clone(), now()).await.unwrap();
    assert!(
        !store.announce(step, now()).await.unwrap(),
        "a step must not be taken twice"
    );
    Some((ids, stood))
}

pub async fn a_change_reaches_all_attendees_once(fresh: &Fresh) {
    let (store, other) = (&fresh.store, &fresh.other);
    let facts = event(hours(48));
    let mut people = Vec::new();
    for _ in 0..5 {
        people.push(attend(store, &facts).await);
    }
    take(store, [people[1].ended(&facts)]).await;
    attend(store, &event(hours(48))).await;
    take(
        store,
        [Change::EventChanged(EventFacts {
            address: "Hall 2".into(),
            version: 2,
            ..facts.clone()
        })],
    )
    .await;

    let attendees = store.announcement(10).await.unwrap().unwrap().attendees;
    assert!(
        attendees
            .iter()
            .all(|attendee| attendee.known.as_deref() == Some(&facts))
    );
    let ids = |range: &[usize]| range.iter().map(|i| people[*i].registration).collect::<Vec<_>>();
    assert_eq!(step(store, 3).await, Some((ids(&[0, 2, 3]), true)));
    assert_eq!(step(other, 3).await, Some((ids(&[4]), true)));
    assert_eq!(step(store, 3).await, Some((vec![], true)));
    assert_eq!(step(other, 3).await, None);
    for (index, person) in people.iter().enumerate() {
        let told = statuses(store, person.user)
            .await
            .iter()
            .filter(|(kind, _)| *kind == Kind::EventUpdated)
            .count();
        assert_eq!(told, usize::from(index != 1), "{index}");
    }
}

pub async fn a_newer_change_starts_again(fresh: &Fresh) {
    let store = &fresh.store;
    let first = event(hours(48));
    let people = [attend(store, &first).await, attend(store, &first).await];
    let second = EventFacts {
        address: "Hall 2".into(),
        version: 2,
        ..first.clone()
    };
    let third = EventFacts {
        address: "Hall 3".into(),
        version: 3,
        ..first.clone()
    };
    take(store, [Change::EventChanged(second.clone())]).await;
    assert_eq!(step(store, 1).await, Some((vec![people[0].registration], true)));
    let outdated = store.announcement(1).await.unwrap().unwrap();
    take(store, [Change::EventChanged(third.clone())]).await;
    let late = Step {
        facts: outdated.facts,
        cursor: outdated.cursor,
        reached: vec![(
            people[1].registration,
            vec![people[1].letter(&second, Kind::EventUpdated, Channel::Email)],
        )],
    };
    assert!(!store.announce(late, now()).await.unwrap());

    let again = store.announcement(10).await.unwrap().unwrap();
    let known: Vec<_> = again
        .attendees
        .iter()
        .filter_map(|attendee| attendee.known.as_deref().cloned())
        .collect();
    assert_eq!(
        (again.cursor, &*again.facts, known),
        (None, &third, vec![second, first])
    );
}

pub async fn a_cancelled_event_drops_reminders(fresh: &Fresh) {
    let store = &fresh.store;
    let facts = event(hours(48));
    let person = attend(store, &facts).await;
    let reminders = due(store, hours(24)).await;
    store
        .decide(reminders.iter().map(send).collect(), now())
        .await
        .unwrap();
    take(
        store,
        [Change::EventChanged(EventFacts {
            cancelled: true,
            version: 2,
            ..facts
        })],
    )
    .await;
    assert!(
        due(store, hours(45))
            .await
            .iter()
            .all(|reminder| reminder.facts.cancelled)
    );
    while step(store, 10).await.is_some() {}
    assert_eq!(store.stats(now()).await.unwrap().reminders_pending, 0);
    assert_eq!(status(store, person, Kind::DAY_BEFORE).await, Status::Skipped);
}

pub async fn an_unimportant_change_is_not_announced(fresh: &Fresh) {
    let facts = event(hours(48));
    attend(&fresh.store, &facts).await;
    take(
        &fresh.store,
        [Change::EventChanged(EventFacts { version: 2, ..facts })],
    )
    .await;
    assert!(fresh.store.announcement(10).await.unwrap().is_none());
}

pub async fn who_knows_the_change_is_not_told(fresh: &Fresh) {
    let store = &fresh.store;
    let old = event(hours(48));
    let new = EventFacts {
        address: "Hall 2".into(),
        version: 2,
        ..old.clone()
    };
    let before = attend(store, &old).await;
    // The newer version comes with a confirmation, before the message about the change itself.
    let after = attend(store, &new).await;
    while step(store, 10).await.is_some() {}
    take(store, [Change::EventChanged(new)]).await;
    assert_eq!(step(store, 10).await, None);
    assert_eq!(status(store, before, Kind::EventUpdated).await, Status::Queued);
    assert_eq!(
        statuses(store, after.user).await,
        [(Kind::RegistrationConfirmed, Status::Queued)]
    );
}

pub async fn reminders_follow_the_event(fresh: &Fresh) {
    let store = &fresh.store;
    let facts = event(hours(48));
    let person = attend(store, &facts).await;
    let seen = due(store, hours(24)).await;
    assert_eq!(
        store
            .decide(seen.iter().map(send).collect(), now())
            .await
            .unwrap(),
        1
    );

    // Later: the sent reminder is due once more for the new schedule, its queued letter is withdrawn.
    let later = moved(&facts, hours(72));
    take(store, [Change::EventChanged(later.clone())]).await;
    while step(store, 10).await.is_some() {}
    assert_eq!(status(store, person, Kind::DAY_BEFORE).await, Status::Skipped);
    let found = due(store, hours(72)).await;
    let planned: Vec<_> = found
        .iter()
        .map(|r| (r.kind, r.due_at, r.schedule_version))
        .collect();
    assert_eq!(
        planned,
        [
            (Kind::DAY_BEFORE, at(hours(48)), 2),
            (Kind::HOURS_BEFORE, at(hours(69)), 2),
        ]
    );
    assert_eq!(store.decide(vec![send(&found[0])], now()).await.unwrap(), 1);
    let reminders = statuses(store, person.user).await;
    assert_eq!(
        reminders
            .iter()
            .filter(|(kind, _)| *kind == Kind::DAY_BEFORE)
            .count(),
        2
    );

    // Sooner: what would have been due before now is dropped.
    take(store, [Change::EventChanged(moved(&later, hours(4)))]).await;
    while step(store, 10).await.is_some() {}
    let planned: Vec<_> = due(store, hours(72))
        .await
        .iter()
        .map(|r| (r.kind, r.due_at, r.schedule_version))
        .collect();
    assert_eq!(planned, [(Kind::HOURS_BEFORE, at(hours(1)), 3)]);
}

pub async fn other_reminders_are_planned_for_who_is_in_already(fresh: &Fresh) {
    let store = &fresh.store;
    let facts = event(hours(100));
    let person = attend(store, &facts).await;
    let planned = async || {
        let found = due(store, hours(100)).await;
        let planned = found
            .iter()
            .map(|r| (r.kind.name(), r.due_at, r.schedule_version));
        planned.collect::<Vec<_>>()
    };
    let mut facts = facts;
    let mut set = async |leads: &[i64]| {
        facts = EventFacts {
            reminders: Leads::new(leads).unwrap(),
            version: facts.version + 1,
            schedule_version: facts.schedule_version + 1,
            ..facts.clone()
        };
        take(store, [Change::EventChanged(facts.clone())]).await;
        let mut reached = 0;
        while let Some((some, _)) = follow(store, 10).await {
            reached += some.len();
        }
        assert_eq!(reached, 1);
    };
    set(&[72, 24, 1]).await;
    let expected = [
        ("reminder_72h", at(hours(28)), 2),
        ("reminder_24h", at(hours(76)), 2),
        ("reminder_1h", at(hours(99)), 2),
    ];
    assert_eq!(planned().await, expected);
    // The first is sent, its letter waits; then there are others, and it is among them or not.
    let seen = due(store, hours(28)).await;
    assert_eq!(
        store
            .decide(seen.iter().map(send).collect(), now())
            .await
            .unwrap(),
        1
    );
    set(&[72, 48]).await;
    assert_eq!(planned().await, [("reminder_48h", at(hours(52)), 3)]);
    let first = Kind::parse("reminder_72h").unwrap();
    assert_eq!(status(store, person, first).await, Status::Queued);
    set(&[48]).await;
    assert_eq!(planned().await, [("reminder_48h", at(hours(52)), 4)]);
    assert_eq!(status(store, person, first).await, Status::Skipped);
    // Nobody was told that something is different, and who leaves is reminded of nothing.
    let told = statuses(store, person.user).await;
    assert!(
        told.iter().all(|(kind, _)| *kind != Kind::EventUpdated),
        "{told:?}"
    );
    take(store, [person.ended(&event(hours(100)))]).await;
    assert_eq!(planned().await, []);
}
