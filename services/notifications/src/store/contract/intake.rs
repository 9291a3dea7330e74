//! Taking messages in.

use std::sync::Arc;

use chrono::TimeDelta;
use common::ids::{RegistrationId, new_id};
use common::wire::EventFacts;

use super::{Fresh, kit::*};
use crate::domain::message::{Channel, Kind, Status};
use crate::store::{Change, Intake};

pub async fn a_message_has_its_effect_once(fresh: &Fresh) {
    let (person, facts) = (Person::new(), event(hours(48)));
    let batch: Arc<[Intake]> = [Intake {
        id: new_id(),
        change: person.confirmed(&facts),
    }]
    .into();
    for store in [&fresh.store, &fresh.other, &fresh.store] {
        store.take(batch.clone(), now()).await.unwrap();
    }
    assert_eq!(
        statuses(&fresh.store, person.user).await,
        [(Kind::RegistrationConfirmed, Status::Queued)]
    );
    let stats = fresh.other.stats(now()).await.unwrap();
    assert_eq!(
        (
            stats.queued,
            stats.failed,
            stats.reminders_pending,
            stats.overdue_millis
        ),
        (1, 0, 2, 0)
    );
}

pub async fn an_id_counts_once_whatever_comes_with_it(fresh: &Fresh) {
    let (first, second, id) = (Person::new(), Person::new(), new_id());
    for person in [first, second] {
        let change = person.confirmed(&event(hours(48)));
        fresh
            .store
            .take([Intake { id, change }].into(), now())
            .await
            .unwrap();
    }
    assert_eq!(entries(&fresh.store, first.user).await.len(), 1);
    assert!(entries(&fresh.store, second.user).await.is_empty());
    // An id that comes twice in one batch.
    let (third, id) = (Person::new(), new_id());
    let twice = [third, second].map(|person| Intake {
        id,
        change: person.confirmed(&event(hours(48))),
    });
    fresh.store.take(twice.into(), now()).await.unwrap();
    assert!(entries(&fresh.store, second.user).await.is_empty());
}

pub async fn letters_are_not_queued_twice(fresh: &Fresh) {
    let (person, facts) = (Person::new(), event(hours(48)));
    let told = |kind, channel| Change::Told {
        letters: vec![person.letter(&facts, kind, channel)],
    };
    let all = || {
        Channel::ALL
            .iter()
            .flat_map(|channel| Kind::ALL.iter().map(|kind| told(*kind, *channel)))
    };
    take(&fresh.store, all()).await;
    take(&fresh.other, all()).await;
    assert_eq!(
        entries(&fresh.store, person.user).await.len(),
        Kind::ALL.len() * 2
    );

    let mut next = person.letter(&facts, Kind::DAY_BEFORE, Channel::Email);
    next.schedule_version = 1;
    take(&fresh.store, [Change::Told { letters: vec![next] }]).await;
    assert_eq!(
        entries(&fresh.store, person.user).await.len(),
        Kind::ALL.len() * 2 + 1
    );
}

pub async fn a_letter_about_an_event_brings_its_facts(fresh: &Fresh) {
    let (person, facts) = (Person::new(), event(hours(48)));
    let told = || Change::ToldOf {
        facts: facts.clone(),
        letters: vec![person.letter(&facts, Kind::WaitlistOffer, Channel::Email)],
    };
    take(&fresh.store, [told()]).await;
    take(&fresh.other, [told()]).await;
    let claimed = claim(&fresh.store, now(), 10).await;
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].message.facts.as_ref(), Some(&facts));
}

pub async fn registering_again_is_told_again(fresh: &Fresh) {
    let facts = event(hours(48));
    let first = attend(&fresh.store, &facts).await;
    take(&fresh.store, [first.ended(&facts)]).await;
    let second = Person {
        user: first.user,
        registration: RegistrationId::new(),
    };
    take(&fresh.store, [second.confirmed(&facts)]).await;
    let told = statuses(&fresh.store, first.user).await;
    assert_eq!(
        told.iter()
            .filter(|(kind, _)| *kind == Kind::RegistrationConfirmed)
            .count(),
        2
    );
    assert_eq!(fresh.store.stats(now()).await.unwrap().reminders_pending, 2);
}

pub async fn reminders_are_planned_and_found_in_order(fresh: &Fresh) {
    let store = &fresh.store;
    assert_eq!(store.next_reminder().await.unwrap(), None);
    let (soon, late) = (event(hours(30)), event(hours(40)));
    let second = attend(store, &late).await;
    let first = attend(store, &soon).await;
    assert_eq!(store.next_reminder().await.unwrap(), Some(at(hours(6))));
    assert!(due(store, hours(6) - TimeDelta::milliseconds(1)).await.is_empty());

    let found = due(store, hours(37)).await;
    let order: Vec<_> = found
        .iter()
        .map(|r| (r.registration_id, r.user_id, r.kind, r.due_at))
        .collect();
    assert_eq!(
        order,
        [
            (first.registration, first.user, Kind::DAY_BEFORE, at(hours(6))),
            (second.registration, second.user, Kind::DAY_BEFORE, at(hours(16))),
            (first.registration, first.user, Kind::HOURS_BEFORE, at(hours(27))),
            (
                second.registration,
                second.user,
                Kind::HOURS_BEFORE,
                at(hours(37))
            ),
        ]
    );
    assert_eq!(*found[0].facts, soon);
    assert_eq!(store.due_reminders(at(hours(37)), 3).await.unwrap().len(), 3);
}

pub async fn no_reminder_after_its_time(fresh: &Fresh) {
    attend(&fresh.store, &event(hours(24))).await;
    assert_eq!(fresh.store.stats(now()).await.unwrap().reminders_pending, 1);
    for starts_in in [hours(3), hours(0), hours(-100)] {
        attend(&fresh.store, &event(starts_in)).await;
    }
    attend(
        &fresh.store,
        &EventFacts {
            cancelled: true,
            ..event(hours(48))
        },
    )
    .await;
    assert_eq!(fresh.store.stats(now()).await.unwrap().reminders_pending, 1);
}

pub async fn an_end_drops_reminders(fresh: &Fresh) {
    let store = &fresh.store;
    let facts = event(hours(48));
    let (person, other) = (attend(store, &facts).await, attend(store, &facts).await);
    let reminders = due(store, hours(24)).await;
    store
        .decide(reminders.iter().map(send).collect(), now())
        .await
        .unwrap();
    take(store, [person.ended(&facts)]).await;
    assert_eq!(
        statuses(store, person.user).await,
        [
            (Kind::RegistrationCancelled, Status::Queued),
            (Kind::RegistrationConfirmed, Status::Queued),
            (Kind::DAY_BEFORE, Status::Skipped),
        ]
    );
    assert_eq!(status(store, other, Kind::DAY_BEFORE).await, Status::Queued);
    let left = due(store, hours(48)).await;
    assert_eq!(
        left.iter().map(|r| r.registration_id).collect::<Vec<_>>(),
        [other.registration]
    );
}

pub async fn a_late_confirmation_does_not_bring_back_an_end(fresh: &Fresh) {
    let (person, facts) = (Person::new(), event(hours(48)));
    take(&fresh.store, [person.ended(&facts)]).await;
    take(&fresh.store, [person.confirmed(&facts)]).await;
    assert_eq!(
        statuses(&fresh.store, person.user).await,
        [(Kind::RegistrationCancelled, Status::Queued)]
    );
    assert_eq!(fresh.store.stats(now()).await.unwrap().reminders_pending, 0);
}

pub async fn the_highest_version_wins(fresh: &Fresh) {
    let store = &fresh.store;
    let old = event(hours(48));
    let new = EventFacts {
        name: "Rust night".into(),
        ..moved(&old, hours(72))
    };
    take(store, [Change::EventChanged(new.clone())]).await;
    let person = attend(store, &old).await;
    assert_eq!(store.next_reminder().await.unwrap(), Some(at(hours(48))));
    assert_eq!(
        claim(store, now(), 10).await[0].message.facts.as_ref(),
        Some(&new)
    );
    take(store, [Change::EventChanged(old)]).await;
    assert_eq!(*due(store, hours(48)).await[0].facts, new);
    assert!(
        store.announcement(10).await.unwrap().is_none(),
        "{}",
        person.registration
    );
}

pub async fn a_deleted_account_is_written_to_no_more(fresh: &Fresh) {
    let facts = event(hours(48));
    let (person, other) = (
        attend(&fresh.store, &facts).await,
        attend(&fresh.store, &facts).await,
    );
    // One that waits, one that a worker has, and one of the same batch.
    let claimed = claim(&fresh.store, now(), 1).await;
    assert_eq!(claimed.len(), 1);
    let late = person.letter(&facts, Kind::DAY_BEFORE, Channel::Email);
    let forget = |user_id| Change::Forget { user_id };
    let batch = [Change::Told { letters: vec![late] }, forget(person.user)];
    take(&fresh.store, batch).await;
    assert!(entries(&fresh.other, person.user).await.is_empty());
    assert_eq!(entries(&fresh.store, other.user).await.len(), 1, "nobody else's");
    take(&fresh.store, [forget(person.user)]).await;
    let left = claim(&fresh.other, now() + hours(1), 10).await;
    assert!(left.iter().all(|claim| claim.message.user_id == other.user));
    // What was looked up before and comes later.
    let late = [Kind::RegistrationConfirmed, Kind::DAY_BEFORE].map(|kind| Change::Told {
        letters: vec![
            Person {
                registration: RegistrationId::new(),
                ..person
            }
            .letter(&facts, kind, Channel::Email),
        ],
    });
    take(&fresh.other, late).await;
    assert!(entries(&fresh.store, person.user).await.is_empty());
    // What came of the one under way is of nobody any more.
    let noted = note(&fresh.store, vec![sent(&claimed[0])]).await;
    let was_of_other = claimed[0].message.user_id == other.user;
    assert_eq!(noted, usize::from(was_of_other));
}
