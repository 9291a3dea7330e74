//! Reminders that are due.

use super::{Fresh, kit::*};
use crate::domain::message::{Kind, Status};
use crate::store::Decision;

pub async fn a_decision_stands_once(fresh: &Fresh) {
    let facts = event(hours(48));
    let person = attend(&fresh.store, &facts).await;
    let seen = due(&fresh.store, hours(24)).await;
    let seen_too = due(&fresh.other, hours(24)).await;
    let (one, two) = tokio::join!(
        fresh.store.decide(seen.iter().map(send).collect(), now()),
        fresh.other.decide(seen_too.iter().map(send).collect(), now()),
    );
    assert_eq!(one.unwrap() + two.unwrap(), 1);
    assert_eq!(
        status(&fresh.store, person, Kind::DAY_BEFORE).await,
        Status::Queued
    );
    assert!(due(&fresh.store, hours(24)).await.is_empty());
}

pub async fn a_late_decision_is_void(fresh: &Fresh) {
    let store = &fresh.store;
    let facts = event(hours(48));
    let person = attend(store, &facts).await;
    let seen = due(store, hours(24)).await;
    take(store, [person.ended(&facts)]).await;
    for decision in [
        Decision::Drop,
        Decision::SkipLate,
        Decision::Move {
            due_at: now(),
            schedule_version: 9,
        },
    ] {
        assert_eq!(
            store
                .decide(vec![decided(&seen[0], decision)], now())
                .await
                .unwrap(),
            0
        );
    }
    assert_eq!(store.decide(vec![send(&seen[0])], now()).await.unwrap(), 0);
    assert!(
        !statuses(store, person.user)
            .await
            .iter()
            .any(|(kind, _)| *kind == Kind::DAY_BEFORE)
    );
}

pub async fn a_reminder_moves_by_decision(fresh: &Fresh) {
    let store = &fresh.store;
    attend(store, &event(hours(48))).await;
    let seen = due(store, hours(24)).await;
    let later = Decision::Move {
        due_at: at(hours(30)),
        schedule_version: 2,
    };
    assert_eq!(
        store.decide(vec![decided(&seen[0], later)], now()).await.unwrap(),
        1
    );
    assert!(due(store, hours(29)).await.is_empty());
    let found = due(store, hours(30)).await;
    assert_eq!(
        (found.len(), found[0].schedule_version, found[0].due_at),
        (1, 2, at(hours(30)))
    );
    assert_eq!(
        store
            .decide(vec![decided(&found[0], Decision::SkipLate)], now())
            .await
            .unwrap(),
        1
    );
    assert_eq!(store.next_reminder().await.unwrap(), Some(at(hours(45))));
}
