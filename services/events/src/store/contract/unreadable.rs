//! An unreadable row affects nothing but itself.

use test_kit::damage::{Bad, Damage, Uuid};

use super::*;
use crate::store::desk::AttendeeFilter;

pub(super) async fn damage(fresh: &Fresh, table: &'static str, id: Uuid, field: &'static str, to: Bad) {
    let key = match table {
        "outbox" => ("subject", "subject"),
        "segments" => ("stream_id", "stream_id"),
        _ => ("id", "_id"),
    };
    (fresh.damager)(Damage {
        table,
        key,
        id,
        field,
        to,
    })
    .await;
}

async fn listed(store: &S, limit: usize) -> Vec<EventId> {
    let search = Search {
        soonest_first: true,
        ..Search::default()
    };
    let (mut page, mut seen) = (first(limit), Vec::new());
    loop {
        let found = store.search_events(search.clone(), page).await.unwrap();
        seen.extend(found.events.iter().map(|event| event.id));
        match found.next {
            Some(next) => page.after = Some(next),
            None => return seen,
        }
    }
}

pub async fn an_unreadable_event_is_left_out_of_lists(fresh: Fresh) {
    let store = &fresh.store;
    let organizer = UserId::new();
    let mut ids = Vec::new();
    for _ in 0..5 {
        let event = draft(None, 0).into_event(EventId::new(), organizer, now());
        ids.push(done(store.create_event(event, plain()).await.unwrap()).id);
    }
    for (bad, field, to) in [
        (0, "zone", Bad::Text("Asia/Atlantis")),
        (2, "fee", Bad::Type),
        (3, "name", Bad::Type),
    ] {
        damage(&fresh, "events", ids[bad].0, field, to).await;
    }
    for limit in [1, 2, 3, 100] {
        assert_eq!(listed(store, limit).await, [ids[1], ids[4]], "{limit}");
        let mine = store
            .organizer_events(organizer, Own::Kept, first(limit))
            .await
            .unwrap();
        assert_eq!(mine.events[0].id, ids[4], "{limit}");
        assert_eq!(mine.next.is_some(), limit == 1);
    }
    assert!(store.event(ids[0]).await.is_err());
    // Other events can be registered for; the registrations of this one are left out.
    let user = UserId::new();
    register(store, ids[1], user, now()).await.unwrap();
    register(store, ids[4], user, now()).await.unwrap();
    damage(&fresh, "events", ids[1].0, "zone", Bad::Text("")).await;
    let (found, next) = store
        .registrations(user, StatusFilter::Live, first(1), now())
        .await
        .unwrap();
    assert_eq!((found.len(), next), (1, None));
    assert_eq!(found[0].event.id, ids[4]);
}

pub async fn an_unreadable_registration_is_left_out_and_ended_with_the_others(fresh: Fresh) {
    let store = &fresh.store;
    let event = created(store, draft(None, 50_000)).await;
    let users: Vec<UserId> = (0..3).map(|_| UserId::new()).collect();
    let mut ids = Vec::new();
    for user in &users {
        ids.push(
            register(store, event.id, *user, now())
                .await
                .unwrap()
                .registration
                .id,
        );
    }
    damage(&fresh, "registrations", ids[0].0, "amount", Bad::Type).await;
    assert_eq!(statuses(store, users[0], now()).await, [] as [&str; 0]);
    assert!(store.registration(ids[0], users[0], now()).await.is_err());
    assert!(register(store, event.id, users[0], now()).await.is_err());
    assert!(register(store, event.id, UserId::new(), now()).await.is_ok());
    // The event is cancelled: all registrations end, and the readable ones are notified.
    store
        .cancel_event(event.id, event.organizer, now(), plain())
        .await
        .unwrap();
    while store.end_registrations(now(), 2).await.unwrap() > 0 {}
    assert_eq!(statuses(store, users[1], now()).await, ["cancelled"]);
    let told = kinds_for(store, "notifications").await;
    assert_eq!(
        told.iter()
            .filter(|told| *told == kind::REGISTRATION_ENDED)
            .count(),
        3
    );
    assert_eq!(seats(store, event.id).await, 0);
}

pub async fn the_desk_goes_on_behind_unreadable_registrations(fresh: Fresh) {
    let store = &fresh.store;
    let event = Arc::new(created(store, draft(None, 0)).await);
    let mut ids = Vec::new();
    for _ in 0..5 {
        let registered = register(store, event.id, UserId::new(), now()).await.unwrap();
        ids.push(registered.registration.id);
    }
    for bad in [1, 2, 4] {
        damage(&fresh, "registrations", ids[bad].0, "amount", Bad::Type).await;
    }
    for look_at in [1, 2, 3, 1_000] {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let found = store
                .desk_attendees(
                    event.clone(),
                    AttendeeFilter::default(),
                    after,
                    100,
                    look_at,
                    now(),
                )
                .await
                .unwrap();
            seen.extend(found.found.iter().map(|one| one.registration.id));
            match found.rest {
                Some(rest) => after = Some(rest),
                None => break,
            }
        }
        assert_eq!(seen, [ids[3], ids[0]], "{look_at}");
    }
}

pub async fn a_status_of_a_newer_release_is_not_taken_for_one_of_this(fresh: Fresh) {
    let store = &fresh.store;
    let event = created(store, draft(None, 0)).await;
    let user = UserId::new();
    let registered = register(store, event.id, user, now()).await.unwrap();
    let id = registered.registration.id;
    damage(&fresh, "registrations", id.0, "status", Bad::Text("waitlisted")).await;
    assert!(store.registration(id, user, now()).await.is_err());
    assert_eq!(statuses(store, user, now()).await, [] as [&str; 0]);
}

pub async fn an_unreadable_event_does_not_stop_the_ending_of_others(fresh: Fresh) {
    let store = &fresh.store;
    let (odd, even) = (
        created(store, draft(None, 0)).await,
        created(store, draft(None, 0)).await,
    );
    let user = UserId::new();
    for event in [&odd, &even] {
        register(store, event.id, user, now()).await.unwrap();
        store
            .cancel_event(event.id, event.organizer, now(), plain())
            .await
            .unwrap();
    }
    damage(&fresh, "events", odd.id.0, "zone", Bad::Text("Asia/Atlantis")).await;
    while store.end_registrations(now(), 10).await.unwrap() > 0 {}
    assert_eq!(seats(store, even.id).await, 0);
}

pub async fn holds_run_out_beside_an_unreadable_one(fresh: Fresh) {
    let store = &fresh.store;
    let (odd, even) = (
        created(store, draft(Some(5), 100)).await,
        created(store, draft(Some(5), 100)).await,
    );
    let bad = register(store, odd.id, UserId::new(), now()).await.unwrap();
    register(store, even.id, UserId::new(), now()).await.unwrap();
    damage(
        &fresh,
        "registrations",
        bad.registration.id.0,
        "event_id",
        Bad::Type,
    )
    .await;
    let later = now() + TimeDelta::hours(1);
    assert_eq!(store.expire_holds(later, 10).await.unwrap(), 2);
    assert_eq!(store.expire_holds(later, 10).await.unwrap(), 0);
    assert_eq!(seats(store, even.id).await, 0);
}

pub async fn captured_money_of_others_is_consumed_beside_an_unreadable_row(fresh: Fresh) {
    let store = &fresh.store;
    let (odd, even) = (
        created(store, draft(None, 50_000)).await,
        created(store, draft(None, 50_000)).await,
    );
    let (lost, fine) = (UserId::new(), UserId::new());
    let bad = register(store, odd.id, lost, now()).await.unwrap().registration;
    let good = register(store, even.id, fine, now()).await.unwrap().registration;
    damage(&fresh, "events", odd.id.0, "zone", Bad::Text("Asia/Atlantis")).await;
    let batch = vec![
        captured(&bad, PaymentId::new()),
        captured(&good, PaymentId::new()),
    ];
    let receipts = store.consume(batch, now()).await.unwrap();
    let status: Vec<ReceiptStatus> = receipts.iter().map(|receipt| receipt.status).collect();
    assert_eq!(status, [ReceiptStatus::Retry, ReceiptStatus::Accepted]);
    assert_eq!(statuses(store, fine, now()).await, ["confirmed"]);
}

pub async fn an_unreadable_message_becomes_a_dead_letter(fresh: Fresh) {
    let store = &fresh.store;
    let event = created(store, draft(None, 0)).await;
    let damages = [
        ("data", Bad::Text("{\"a\": ")),
        ("data", Bad::Type),
        ("kind", Bad::Type),
        ("time", Bad::Type),
    ];
    for (dead, (field, to)) in (1..).zip(damages) {
        let bad = register(store, event.id, UserId::new(), now()).await.unwrap();
        register(store, event.id, UserId::new(), now()).await.unwrap();
        super::outbox::published(store).await;
        let outbox = store.outbox();
        let before = outbox.due("notifications", now(), 10).await.unwrap();
        let subjects: Vec<Uuid> = before.iter().map(|waiting| waiting.event.subject).collect();
        assert_eq!(subjects.len(), dead + 1, "{field}");
        damage(&fresh, "outbox", bad.registration.id.0, field, to).await;
        let due = outbox.due("notifications", now(), 10).await.unwrap();
        assert_eq!(due.len(), dead, "{field}");
        assert!(
            due.iter()
                .all(|waiting| waiting.event.subject != bad.registration.id.0)
        );
        let stats = outbox.stats(now()).await.unwrap();
        assert_eq!((stats.pending, stats.dead), (dead as u64, dead as u64), "{field}");
    }
}
