//! The outbox: order, leases and dead letters.

use chrono::TimeDelta;
use common::{
    ids::{UserId, new_id},
    outbox::Failure,
};

use uuid::Uuid;

use super::*;

pub async fn outbox_keeps_order_and_fences(store: S) {
    let event = created(&store, draft(None, 0)).await;
    let user = UserId::new();
    let id = register(&store, event.id, user, now())
        .await
        .unwrap()
        .registration
        .id;
    register(&store, event.id, UserId::new(), now()).await.unwrap();
    store.cancel_registration(id, user, now(), plain()).await.unwrap();
    let outbox = store.outbox();
    let due = async |at| outbox.due("notifications", at, 10).await.unwrap();
    let waiting = due(now()).await;
    assert_eq!(waiting.len(), 3);
    let (one, two) = (new_id(), new_id());
    let until = now() + TimeDelta::seconds(30);
    let fence = outbox
        .lease("notifications", one, now(), until)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        outbox.lease("notifications", two, now(), until).await.unwrap(),
        None,
        "taken once"
    );
    // The first is to be retried: the later one of its subject waits with it, the other subject does not.
    let retry_at = Some(now() + TimeDelta::seconds(5));
    let failed = vec![Failure {
        seq: waiting[0].seq,
        retry_at,
        why: "busy".to_owned(),
    }];
    assert!(
        outbox
            .settle("notifications", one, fence, vec![waiting[1].seq], failed)
            .await
            .unwrap()
    );
    assert_eq!(due(now()).await.len(), 0);
    assert_eq!(due(now() + TimeDelta::seconds(5)).await.len(), 2);
    // The clock is set back: a lease with more than twice its length left counts as expired; one from a slightly fast
    // clock is valid.
    let back = |seconds| {
        let at = now() - TimeDelta::seconds(seconds);
        outbox.lease("notifications", two, at, at + TimeDelta::seconds(30))
    };
    assert_eq!(back(29).await.unwrap(), None);
    let taken = back(3600).await.unwrap();
    assert_eq!(taken, Some(fence + 1));
    let fence = outbox
        .lease("notifications", one, now(), until)
        .await
        .unwrap()
        .unwrap();
    // A relay with an expired lease cannot settle anything.
    let newer = outbox
        .lease("notifications", two, until, until + TimeDelta::seconds(30))
        .await
        .unwrap()
        .unwrap();
    assert!(newer > fence);
    assert!(
        !outbox
            .settle("notifications", one, fence, vec![waiting[0].seq], vec![])
            .await
            .unwrap()
    );
    assert_eq!(published(&store).await.len(), 3);
    assert_eq!(outbox.stats(now()).await.unwrap().pending, 2);
    let dead = vec![Failure {
        seq: waiting[0].seq,
        retry_at: None,
        why: "never".to_owned(),
    }];
    assert!(
        outbox
            .settle("notifications", two, newer, vec![waiting[2].seq], dead)
            .await
            .unwrap()
    );
    let stats = outbox.stats(now()).await.unwrap();
    assert_eq!((stats.pending, stats.dead), (0, 1));
}

pub async fn what_waits_holds_up_only_its_own_subject(store: S) {
    let event = created(&store, draft(None, 0)).await;
    for _ in 0..5 {
        register(&store, event.id, UserId::new(), now()).await.unwrap();
    }
    let outbox = store.outbox();
    let due = async |limit| {
        let due = outbox.due("notifications", now(), limit).await.unwrap();
        due.into_iter().map(|waiting| waiting.seq).collect::<Vec<_>>()
    };
    let all = due(10).await;
    assert_eq!((all.len(), due(2).await), (5, all[..2].to_vec()));
    // The first four wait for their retry: a relay that reads two at a time finds the one behind them.
    let refused = all[..4]
        .iter()
        .map(|seq| failure(*seq, Some(now() + TimeDelta::seconds(5))));
    settle(&store, refused.collect()).await;
    assert_eq!(due(2).await, all[4..]);
}

pub async fn dead_letters_are_listed_redriven_and_dropped(store: S) {
    let event = created(&store, draft(None, 0)).await;
    let user = UserId::new();
    let registered = register(&store, event.id, user, now()).await.unwrap();
    let id = registered.registration.id;
    register(&store, event.id, UserId::new(), now()).await.unwrap();
    store.cancel_registration(id, user, now(), plain()).await.unwrap();
    let outbox = store.outbox();
    assert_eq!(outbox.dead_letters().await.unwrap(), []);
    let waiting = outbox.due("notifications", now(), 10).await.unwrap();
    settle(
        &store,
        waiting[..2]
            .iter()
            .map(|waiting| failure(waiting.seq, None))
            .collect(),
    )
    .await;
    let dead = outbox.dead_letters().await.unwrap();
    assert_eq!(dead.len(), 2);
    for (letter, waiting) in dead.iter().zip(&waiting) {
        assert_eq!(
            (
                letter.id,
                &letter.kind,
                letter.subject,
                letter.time,
                letter.attempts
            ),
            (
                waiting.event.id,
                &waiting.event.kind,
                waiting.event.subject,
                waiting.event.time,
                1
            )
        );
        assert_eq!(
            (letter.destination.as_str(), letter.why.as_str()),
            ("notifications", "no")
        );
    }
    // Redriven: the same message with no attempts, at the end, behind the newer messages of its subject.
    let first = dead[0].id;
    assert_eq!(outbox.redrive(vec![first, new_id()]).await.unwrap(), 1);
    assert_eq!(outbox.redrive(vec![first]).await.unwrap(), 0, "once");
    let due = outbox.due("notifications", now(), 10).await.unwrap();
    let due: Vec<_> = due
        .iter()
        .map(|waiting| (waiting.event.id, waiting.attempts))
        .collect();
    assert_eq!(due, [(waiting[2].event.id, 0), (first, 0)]);
    // Dropped: deleted.
    assert_eq!(
        outbox.drop_dead_letters(vec![dead[1].id, first]).await.unwrap(),
        1
    );
    assert_eq!(outbox.dead_letters().await.unwrap(), []);
    assert_eq!(published(&store).await.len(), 3);
    let stats = outbox.stats(now()).await.unwrap();
    assert_eq!((stats.pending, stats.dead), (2, 0));
}

/// Every change has a message for the live room, in its own commit: about the registration that has moved, or the event.
pub async fn what_changes_is_published(store: S) {
    const CHANGED: &str = "registration.changed";
    let paid = created(&store, draft(Some(1), 50_000)).await;
    let free = created(&store, draft(None, 0)).await;
    assert_eq!(published(&store).await, []);
    let (asha, ben) = (UserId::new(), UserId::new());
    let held = register(&store, paid.id, asha, now()).await.unwrap().registration;
    let of = |registration: &Registration| (CHANGED.to_owned(), registration.id.0);
    assert_eq!(published(&store).await, [of(&held)]);
    // A repeat changes nothing.
    assert!(register(&store, paid.id, asha, now()).await.is_err());
    assert_eq!(published(&store).await, []);
    let payment = PaymentId::new();
    store
        .consume(vec![captured(&held, payment)], now())
        .await
        .unwrap();
    assert_eq!(published(&store).await, [of(&held)]);
    store
        .cancel_registration(held.id, asha, now(), plain())
        .await
        .unwrap();
    assert_eq!(published(&store).await, [of(&held)]);

    // A hold that runs out: found by the sweeper, by who needs its seat, and by its own user.
    let first = register(&store, paid.id, asha, now()).await.unwrap().registration;
    let later = now() + TimeDelta::hours(1);
    assert_eq!(store.expire_holds(later, 10).await.unwrap(), 1);
    assert_eq!(published(&store).await, [of(&first), of(&first)]);
    let second = register(&store, paid.id, asha, later).await.unwrap().registration;
    published(&store).await;
    let later = later + TimeDelta::hours(1);
    let third = register(&store, paid.id, ben, later).await.unwrap().registration;
    let mut both = published(&store).await;
    both.sort();
    let mut expected = [of(&second), of(&third)];
    expected.sort();
    assert_eq!(both, expected);
    let later = later + TimeDelta::hours(1);
    let fourth = register(&store, paid.id, ben, later).await.unwrap().registration;
    let mut both = published(&store).await;
    both.sort();
    let mut expected = [of(&third), of(&fourth)];
    expected.sort();
    assert_eq!(both, expected);

    let confirmed = register(&store, free.id, asha, now()).await.unwrap().registration;
    assert_eq!(published(&store).await, [of(&confirmed)]);
    let patch = Patch {
        capacity: Some(Some(7)),
        ..Patch::default()
    };
    store
        .update_event(free.id, free.organizer, patch, now(), plain())
        .await
        .unwrap();
    assert_eq!(published(&store).await, [("event.changed".to_owned(), free.id.0)]);
    store
        .cancel_event(free.id, free.organizer, now(), plain())
        .await
        .unwrap();
    assert_eq!(
        published(&store).await,
        [("event.cancelled".to_owned(), free.id.0)]
    );
    store.end_registrations(now(), 10).await.unwrap();
    assert_eq!(published(&store).await, [of(&confirmed)]);
}

/// Takes what waits for the live room: kinds and subjects, in their order.
pub(super) async fn published(store: &S) -> Vec<(String, Uuid)> {
    let (outbox, owner, until) = (store.outbox(), new_id(), now() + TimeDelta::seconds(30));
    let waiting = outbox.due("live", now(), 100).await.unwrap();
    let lease = outbox.lease("live", owner, now(), until).await.unwrap();
    let all = waiting.iter().map(|waiting| waiting.seq).collect();
    let settled = outbox
        .settle("live", owner, lease.unwrap(), all, Vec::new())
        .await;
    assert!(settled.unwrap());
    outbox.release("live", owner).await.unwrap();
    let waiting = waiting.into_iter().map(|waiting| waiting.event);
    waiting.map(|event| (event.kind, event.subject)).collect()
}

fn failure(seq: i64, retry_at: Option<Timestamp>) -> Failure {
    Failure {
        seq,
        retry_at,
        why: "no".to_owned(),
    }
}

async fn settle(store: &S, failed: Vec<Failure>) {
    let (outbox, owner, until) = (store.outbox(), new_id(), now() + TimeDelta::seconds(30));
    let lease = outbox.lease("notifications", owner, now(), until).await.unwrap();
    let settled = outbox
        .settle("notifications", owner, lease.unwrap(), vec![], failed)
        .await;
    assert!(settled.unwrap());
}
