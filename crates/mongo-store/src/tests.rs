//! The engine's promises, against a real server.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use futures_util::{FutureExt, future::join_all};
use mongodb::bson::doc;

use super::*;
use common::{
    clock::from_millis,
    ids::new_id,
    outbox::{Failure, NewMessage, OutboxStore},
};

const THINGS: Collection = Collection {
    name: "things",
    fields: &[("count", "long"), ("name", "string?")],
    check: Some(|| doc! {"count": {"$lte": 50}}),
    indexes: &[Index::unique(&[("name", 1)]).only(|| doc! {"name": {"$exists": true}})],
};

async fn fresh() -> Mongo {
    let uri = test_kit::mongo::fresh_uri();
    Mongo::open(
        &uri,
        "tests",
        &[
            THINGS,
            outbox::SCHEMA,
            outbox::DEAD_LETTERS,
            lease::SCHEMA,
            inbox::SCHEMA,
        ],
    )
    .await
    .unwrap()
}

async fn count_up(tx: &mut Tx) -> Result<i64, StoreError> {
    let thing = tx.find_one("things", doc! {"_id": 1}).await?;
    let count = thing.map_or(Ok(0), |thing| thing.long("count"))?;
    tx.upsert("things", doc! {"_id": 1}, doc! {"$set": {"count": count + 1}})
        .await?;
    Ok(count + 1)
}

#[tokio::test]
async fn changes_that_meet_are_made_one_after_the_other() {
    let db = fresh().await;
    let one = || db.write((), |tx, ()| count_up(tx).boxed());
    let all: Vec<i64> = join_all((0..12).map(|_| one()))
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let mut sorted = all.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, (1..=12).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_error_undoes_all() {
    let db = fresh().await;
    let result: Result<(), StoreError> = db
        .write((), |tx, ()| {
            async move {
                count_up(tx).await?;
                Err(StoreError::Overloaded)
            }
            .boxed()
        })
        .await;
    assert!(matches!(result, Err(StoreError::Overloaded)));
    assert_eq!(db.read().count("things", doc! {}).await.unwrap(), 0);
}

#[tokio::test]
async fn the_validator_and_the_unique_index_are_walls() {
    let db = fresh().await;
    let mut tx = db.read();
    assert!(
        tx.insert("things", vec![doc! {"_id": 1, "count": "many"}])
            .await
            .is_err()
    );
    assert!(
        tx.insert("things", vec![doc! {"_id": 1, "count": 51_i64}])
            .await
            .is_err()
    );
    assert!(!tx.met_duplicate());
    tx.insert("things", vec![doc! {"_id": 1, "count": 1_i64, "name": "a"}])
        .await
        .unwrap();
    assert!(
        tx.insert("things", vec![doc! {"_id": 2, "count": 1_i64, "name": "a"}])
            .await
            .is_err()
    );
    assert!(tx.met_duplicate());
}

#[tokio::test]
async fn a_duplicate_ends_a_change_that_does_not_look() {
    let db = fresh().await;
    db.read()
        .insert("things", vec![doc! {"_id": 1, "count": 1_i64}])
        .await
        .unwrap();
    let blind = db.write((), |tx, ()| {
        async move { tx.insert("things", vec![doc! {"_id": 1, "count": 2_i64}]).await }.boxed()
    });
    assert!(matches!(blind.await, Err(StoreError::Unavailable(_))));
}

#[tokio::test]
async fn what_a_dead_process_had_locked_is_free_again_soon() {
    a_dead_process_lets_go(TimeDelta::zero()).await;
}

#[tokio::test]
async fn also_when_the_server_s_clock_was_put_back_since() {
    a_dead_process_lets_go(TimeDelta::hours(1)).await;
}

/// It was last seen `ahead` of the server's clock.
async fn a_dead_process_lets_go(ahead: TimeDelta) {
    let uri = test_kit::mongo::fresh_uri();
    let (dead, alive) = (
        Mongo::open(&uri, "tests", &[THINGS]).await.unwrap(),
        Mongo::open(&uri, "tests", &[THINGS]).await.unwrap(),
    );
    dead.read()
        .insert("things", vec![doc! {"_id": 1, "count": 0_i64}])
        .await
        .unwrap();
    // It dies in the middle of a change: no abort, no more beats.
    let tx = transaction::begin(&dead).await.map(|mut tx| async move {
        count_up(&mut tx).await.unwrap();
        tx
    });
    std::mem::forget(tx.unwrap().await);
    drop(dead);
    if ahead > TimeDelta::zero() {
        let seen = common::clock::Clock::system().now() + ahead;
        let forgotten = doc! {"sessions.0": {"$exists": true}};
        let update = doc! {"$set": {"seen_at": date(seen)}};
        alive
            .read()
            .update_all("processes", forgotten, update)
            .await
            .unwrap();
    }
    let counted = alive.write((), |tx, ()| count_up(tx).boxed()).await.unwrap();
    assert_eq!(counted, 1, "what the dead one did never happened");
}

#[tokio::test]
async fn a_lease_has_one_owner_and_a_growing_fence() {
    let db = fresh().await;
    let (a, b) = (new_id(), new_id());
    let now = from_millis(1_800_000_000_000);
    let later = now + TimeDelta::seconds(4);
    let firsts = join_all([
        lease::acquire(&db, "x", a, now, later),
        lease::acquire(&db, "x", b, now, later),
    ])
    .await;
    let firsts: Vec<_> = firsts.into_iter().map(Result::unwrap).collect();
    assert!(
        firsts == [Some(1), None] || firsts == [None, Some(1)],
        "{firsts:?}"
    );
    let (holder, other) = if firsts[0].is_some() { (a, b) } else { (b, a) };
    assert_eq!(
        lease::acquire(&db, "x", holder, now, later).await.unwrap(),
        Some(1)
    );
    assert_eq!(
        lease::acquire(&db, "x", other, later, later).await.unwrap(),
        Some(2)
    );
    lease::release(&db, "x", other).await.unwrap();
    assert_eq!(
        lease::acquire(&db, "x", holder, now, later).await.unwrap(),
        Some(3)
    );
}

#[tokio::test]
async fn the_outbox_keeps_the_order_of_a_subject_and_buries_the_dead() {
    let db = fresh().await;
    let store = outbox::MongoOutbox {
        db: db.clone(),
        service: common::services::Service::Events,
    };
    let now = from_millis(1_800_000_000_000);
    let (x, y) = (new_id(), new_id());
    for subject in [x, x, y] {
        let message = NewMessage::new("payments", "k", subject, now, &"data");
        db.write(message, |tx, message| {
            outbox::push(tx, std::slice::from_ref(message)).boxed()
        })
        .await
        .unwrap();
    }
    let due = store.due("payments", now, 10).await.unwrap();
    assert_eq!(due.iter().map(|m| m.event.subject).collect::<Vec<_>>(), [x, x, y]);
    let owner = new_id();
    let fence = store
        .lease("payments", owner, now, now + TimeDelta::seconds(4))
        .await
        .unwrap()
        .unwrap();
    let retry_at = Some(now + TimeDelta::seconds(9));
    let failed = vec![Failure {
        seq: due[0].seq,
        retry_at,
        why: "busy".into(),
    }];
    assert!(
        !store
            .settle("payments", owner, fence + 1, vec![due[2].seq], vec![])
            .await
            .unwrap()
    );
    assert!(
        store
            .settle("payments", owner, fence, vec![due[2].seq], failed)
            .await
            .unwrap()
    );
    assert!(
        store.due("payments", now, 10).await.unwrap().is_empty(),
        "the second waits for the first"
    );
    let again = store
        .due("payments", now + Duration::from_secs(9), 10)
        .await
        .unwrap();
    assert_eq!((again.len(), again[0].attempts), (2, 1));
    let dead = vec![Failure {
        seq: again[0].seq,
        retry_at: None,
        why: "no".into(),
    }];
    assert!(
        store
            .settle("payments", owner, fence, vec![again[1].seq], dead)
            .await
            .unwrap()
    );
    let stats = store.stats(now).await.unwrap();
    assert_eq!((stats.pending, stats.dead), (0, 1));
}

#[tokio::test]
async fn a_message_counts_once_however_often_it_comes_at_once() {
    let db = Arc::new(fresh().await);
    let id = new_id();
    let one = || db.write(id, |tx, id| inbox::first_time(tx, *id, from_millis(1)).boxed());
    let firsts = join_all((0..8).map(|_| one())).await;
    assert_eq!(
        firsts
            .into_iter()
            .filter(|first| *first.as_ref().unwrap())
            .count(),
        1
    );
}
