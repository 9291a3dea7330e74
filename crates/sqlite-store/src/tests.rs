//! What every service relies on: a change is whole or not there, and its caller knows which.

use std::{collections::BTreeSet, time::Duration};

use tempfile::TempDir;

use common::store::StoreError;

use crate::{Connection, Sqlite, params};

const SCHEMA: &[&str] = &["CREATE TABLE things (id INTEGER PRIMARY KEY, data BLOB)"];

fn open() -> (Sqlite, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    (Sqlite::open(&dir.path().join("test.db"), SCHEMA).unwrap(), dir)
}

fn add(db: &Connection, id: i64) -> Result<(), StoreError> {
    db.prepare_cached("INSERT INTO things (id) VALUES (?1)")?
        .execute([id])?;
    Ok(())
}

async fn ids(db: &Sqlite) -> BTreeSet<i64> {
    let read = |db: &Connection| -> Result<BTreeSet<i64>, StoreError> {
        let all = db
            .prepare_cached("SELECT id FROM things")?
            .all(params![], |row| row.get(0))?;
        Ok(all.into_iter().collect())
    };
    db.read(read).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_fails_undoes_itself_and_no_other() {
    let (db, _dir) = open();
    let changes = (0..300_i64).map(|id| {
        let db = db.clone();
        tokio::spawn(async move {
            db.write(move |db| {
                add(db, id)?;
                match id % 3 {
                    0 => Ok(()),
                    1 => Err(StoreError::Corrupt("refused".to_owned())),
                    _ => panic!("a change that panics"),
                }
            })
            .await
        })
    });
    let mut kept = BTreeSet::new();
    for (id, change) in (0..).zip(changes.collect::<Vec<_>>()) {
        match change.await.unwrap() {
            Ok(()) => drop(kept.insert(id)),
            Err(StoreError::Corrupt(_)) => assert_eq!(id % 3, 1),
            Err(_) => assert_eq!(id % 3, 2),
        }
    }
    assert_eq!(kept, (0..300).filter(|id| id % 3 == 0).collect());
    assert_eq!(ids(&db).await, kept, "what was answered is what is there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_an_error_and_not_an_end() {
    let (db, _dir) = open();
    db.write(|db| add(db, 1)).await.unwrap();
    // The limit on pages is how SQLite itself plays a full disk: the same error, at the same places.
    let limit = |db: &Connection, pages: i64| -> Result<(), StoreError> {
        Ok(db.execute_batch(&format!("PRAGMA max_page_count = {pages}"))?)
    };
    db.write(move |db| limit(db, 20)).await.unwrap();
    let large = |id: i64| {
        move |db: &Connection| -> Result<(), StoreError> {
            db.execute("INSERT INTO things VALUES (?1, zeroblob(1000000))", [id])?;
            Ok(())
        }
    };
    let tries: Vec<_> = (10..20)
        .map(|id| {
            let db = db.clone();
            tokio::spawn(async move { db.write(large(id)).await })
        })
        .collect();
    for tried in tries {
        assert!(matches!(tried.await.unwrap(), Err(StoreError::ReadOnly(_))));
    }
    assert_eq!(
        ids(&db).await,
        BTreeSet::from([1]),
        "nothing of it is there, and reading goes on"
    );
    assert!(db.ping().await.is_ok(), "a page that is there can be written");
    db.write(move |db| limit(db, 100_000)).await.unwrap();
    db.write(large(30)).await.unwrap();
    assert_eq!(
        ids(&db).await,
        BTreeSet::from([1, 30]),
        "with room again, writing goes on"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_written_at_start_is_read_until_it_can_be() {
    let (db, dir) = open();
    for id in 1..=3 {
        db.write(move |db| add(db, id)).await.unwrap();
    }
    drop(db);
    let path = dir.path().join("test.db");
    // A full disk has no room for the index of the write-ahead log; a folder in its place has the same effect.
    let in_the_way = dir.path().join("test.db-shm");
    // The writer's thread closes its connection a moment after the store is dropped.
    soon("the store is closed", async || !in_the_way.exists()).await;
    std::fs::create_dir(&in_the_way).unwrap();
    // A file that would have to be migrated cannot be used.
    let newer = [SCHEMA[0], "CREATE TABLE more (id INTEGER)"];
    assert!(Sqlite::open(&path, &newer).is_err());
    let db = Sqlite::open(&path, SCHEMA).unwrap();
    assert_eq!(ids(&db).await, BTreeSet::from([1, 2, 3]));
    let refused = db.write(|db| add(db, 4)).await;
    assert!(matches!(refused, Err(StoreError::ReadOnly(_))), "{refused:?}");
    let pinged = db.ping().await;
    assert!(matches!(pinged, Err(StoreError::ReadOnly(_))), "{pinged:?}");
    assert_eq!(ids(&db).await, BTreeSet::from([1, 2, 3]));
    std::fs::remove_dir(&in_the_way).unwrap();
    soon("writing goes on", async || {
        db.write(|db| add(db, 5)).await.is_ok()
    })
    .await;
    assert_eq!(ids(&db).await, BTreeSet::from([1, 2, 3, 5]));
    db.ping().await.unwrap();
}

/// Waits for a condition.
async fn soon(what: &str, is: impl AsyncFn() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while !is().await {
        assert!(std::time::Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn what_a_newer_version_wrote_is_refused() {
    let (db, dir) = open();
    drop(db);
    let newer = [SCHEMA[0], "CREATE TABLE more (id INTEGER)"];
    drop(Sqlite::open(&dir.path().join("test.db"), &newer).unwrap());
    assert!(Sqlite::open(&dir.path().join("test.db"), SCHEMA).is_err());
}

#[tokio::test]
async fn commits_are_counted_before_anybody_hears_of_them() {
    let (db, _dir) = open();
    for id in 0..50 {
        let before = db.commits();
        db.write(move |db| add(db, id)).await.unwrap();
        assert!(db.commits() > before);
    }
}
