//! A migration against a real server: what was written by the one engine is read by the other, and no interruption,
//! mistake or other process makes it come out wrong.

use std::sync::atomic::{AtomicU64, Ordering};

use mongodb::bson::doc;
use tempfile::TempDir;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use uuid::Uuid;

use super::*;
use crate::{
    source::Source,
    table::{DEAD_LETTERS, IDEMPOTENCY_KEYS, INBOX, Id, LEASES, OUTBOX, Table},
};
use common::{
    clock::from_millis,
    idempotency::{Answer, Key, Refusal},
    ids::{UserId, new_id},
    outbox::{Failure, NewMessage},
    store::StoreError,
};
use mongo_store::{Collection, Index, Mongo};
use sqlite_store::Sqlite;
use test_kit::mongo::fresh_uri;

const SERVICE: Service = Service {
    name: "tests",
    migrations: &[
        "CREATE TABLE things (id BLOB PRIMARY KEY, name TEXT, at INTEGER NOT NULL, odd INTEGER NOT NULL) WITHOUT ROWID;",
        sqlite_store::outbox::SCHEMA,
        sqlite_store::inbox::SCHEMA,
        sqlite_store::lease::SCHEMA,
        sqlite_store::idempotency::SCHEMA,
        sqlite_store::outbox::REQUEST_IDS,
    ],
    collections: &[
        Collection {
            name: "things",
            fields: &[("name", "string?"), ("at", "date"), ("odd", "bool")],
            check: None,
            indexes: &[Index::on(&[("at", 1)])],
        },
        mongo_store::outbox::SCHEMA,
        mongo_store::outbox::DEAD_LETTERS,
        mongo_store::inbox::SCHEMA,
        mongo_store::lease::SCHEMA,
        mongo_store::idempotency::SCHEMA,
    ],
    tables: &[
        Table::new("things", Id::Is("id")),
        OUTBOX,
        DEAD_LETTERS,
        INBOX,
        IDEMPOTENCY_KEYS,
    ],
    left: &[LEASES],
};
/// More than are copied or compared at once.
const THINGS: u64 = 1_300;

/// Counts the steps, and can call for an end in the middle.
#[derive(Default)]
struct Steps {
    done: AtomicU64,
    stop_after: u64,
    stop: Notify,
}

impl Progress for Steps {
    fn length(&self, _: u64) {}
    fn doing(&self, _: &str) {}
    fn advance(&self, steps: u64) {
        let before = self.done.fetch_add(steps, Ordering::Relaxed);
        if self.stop_after > 0 && before + steps >= self.stop_after {
            self.stop.notify_one();
        }
    }
}

struct World {
    dir: TempDir,
    uri: SecretString,
    /// The first of a test has one.
    _place: Option<SemaphorePermit<'static>>,
}

/// One migration at a time: the MongoDB of the tests does one thing after the other, and each of several would wait for longer than an
/// operation may take.
static PLACES: Semaphore = Semaphore::const_new(1);

impl World {
    async fn new() -> Self {
        Self::at(Some(PLACES.acquire().await.unwrap())).await
    }

    /// One more, for a test that has one.
    async fn another() -> Self {
        Self::at(None).await
    }

    async fn at(place: Option<SemaphorePermit<'static>>) -> Self {
        let world = Self {
            dir: tempfile::tempdir().unwrap(),
            uri: fresh_uri(),
            _place: place,
        };
        world.add(THINGS as i64).await;
        world
    }

    fn sqlite(&self) -> Sqlite {
        Sqlite::open(&self.dir.path().join("tests.db"), SERVICE.migrations).unwrap()
    }

    async fn add(&self, count: i64) {
        let db = self.sqlite();
        let added = db.write(move |db| -> Result<(), StoreError> {
            for number in 0..count {
                let name = (number % 3 > 0).then(|| format!("thing {number}"));
                db.prepare_cached("INSERT INTO things VALUES (?1, ?2, ?3, ?4)")?
                    .execute(sqlite_store::params![new_id(), name, number, number % 2])?;
            }
            Ok(())
        });
        added.await.unwrap();
        drop(db);
        self.released();
    }

    /// Waits until the file is closed: threads do so, a moment after what they belong to is dropped.
    fn released(&self) {
        let path = self.dir.path().join("tests.db");
        let open = || Source::open(&path, SERVICE.migrations.len(), std::iter::empty());
        let mut tries = 0;
        while let Err(refused) = open() {
            tries += 1;
            assert!(tries < 30, "{refused}");
        }
    }

    async fn run(&self, steps: &Steps) -> Result<Outcome, String> {
        run(&[&SERVICE], self.dir.path(), &self.uri, &Clock::system(), steps).await
    }

    async fn mongo(&self) -> Result<Mongo, StoreError> {
        Mongo::open(&self.uri, SERVICE.name, SERVICE.collections).await
    }

    /// Begins and is cut off while it copies.
    async fn interrupted(&self) {
        let steps = Steps {
            stop_after: THINGS + 700,
            ..Steps::default()
        };
        tokio::select! {
            ended = self.run(&steps) => panic!("it was not interrupted: {ended:?}"),
            () = steps.stop.notified() => {}
        }
        self.released();
    }

    /// Goes through to the end; gives what was compared.
    async fn whole(&self) -> Vec<Compared> {
        match self.run(&Steps::default()).await {
            Ok(Outcome::Compared(compared)) => compared,
            other => panic!("{other:?}"),
        }
    }

    async fn things(&self) -> u64 {
        let mongo = self.mongo().await.unwrap();
        mongo.read().count("things", doc! {}).await.unwrap()
    }
}

fn assert_same(compared: &[Compared], things: u64) {
    assert!(compared.iter().all(Compared::is_same), "{compared:?}");
    assert_eq!(compared[0].table, "tests.things");
    assert_eq!(compared[0].sqlite.count(), things);
}

#[test]
fn the_toy_forgets_nothing() {
    crate::complete::assert_nothing_is_forgotten(&SERVICE);
}

#[test]
#[should_panic(expected = "tests.inbox must be either copied or left")]
fn a_forgotten_table_is_noticed() {
    const TABLES: &[Table] = &[
        Table::new("things", Id::Is("id")),
        OUTBOX,
        DEAD_LETTERS,
        IDEMPOTENCY_KEYS,
    ];
    crate::complete::assert_nothing_is_forgotten(&Service {
        tables: TABLES,
        ..SERVICE
    });
}

#[test]
#[should_panic(expected = "tests.things.name is not copied")]
fn a_forgotten_column_is_noticed() {
    const TABLES: &[Table] = &[
        Table::with("things", Id::Is("id"), &[("name", "NULL")]),
        OUTBOX,
        DEAD_LETTERS,
        INBOX,
        IDEMPOTENCY_KEYS,
    ];
    crate::complete::assert_nothing_is_forgotten(&Service {
        tables: TABLES,
        ..SERVICE
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_move_is_no_store_and_goes_on() {
    let world = World::new().await;
    world.interrupted().await;
    let refused = world.mongo().await.err().unwrap().to_string();
    assert!(refused.contains("migrate-to-mongodb"), "{refused}");
    world.interrupted().await;
    assert_same(&world.whole().await, THINGS);
    assert_eq!(world.things().await, THINGS);
    assert!(matches!(
        world.run(&Steps::default()).await,
        Ok(Outcome::MovedBefore)
    ));
    // What a service writes later is not compared.
    let mongo = world.mongo().await.unwrap();
    mongo.read().delete("things", doc! {"odd": true}).await.unwrap();
    assert!(matches!(
        world.run(&Steps::default()).await,
        Ok(Outcome::MovedBefore)
    ));
    world.add(1).await;
    let refused = world.run(&Steps::default()).await.unwrap_err();
    assert!(refused.contains("the file has changed"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_changed_meanwhile_are_moved_as_they_are_now() {
    let world = World::new().await;
    world.interrupted().await;
    let db = world.sqlite();
    let changed = db.write(|db| -> Result<(), StoreError> {
        db.execute("DELETE FROM things WHERE odd = 1", sqlite_store::params![])?;
        db.execute("UPDATE things SET name = 'changed'", sqlite_store::params![])?;
        Ok(())
    });
    changed.await.unwrap();
    drop(db);
    world.released();
    assert_same(&world.whole().await, THINGS / 2);
    assert_eq!(world.things().await, THINGS / 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_differs_is_named_and_put_right_by_the_next_run() {
    let world = World::new().await;
    world.interrupted().await;
    let server = Server::connect(&world.uri).await.unwrap();
    let odd = doc! {"_id": "a stranger", "at": mongodb::bson::DateTime::now(), "odd": true};
    let target = server.target(SERVICE.name);
    target.add("things", vec![odd], false).await.unwrap();
    let compared = world.whole().await;
    let different: Vec<&str> = compared
        .iter()
        .filter(|table| !table.is_same())
        .map(|table| table.table.as_str())
        .collect();
    assert_eq!(different, ["tests.things"]);
    world.mongo().await.err().expect("no service starts on it");
    assert_same(&world.whole().await, THINGS);
    assert_eq!(world.things().await, THINGS);
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_left_alone() {
    let world = World::new().await;
    let server = Server::connect(&world.uri).await.unwrap();
    let target = server.target(SERVICE.name);
    target.add("notes", vec![doc! {"_id": 1}], false).await.unwrap();
    let refused = world.run(&Steps::default()).await.unwrap_err();
    assert!(refused.contains("_tests.notes"), "{refused}");
    assert!(target.mark().await.unwrap().is_none(), "nothing was written");

    // The same name, another data directory.
    let (one, mut two) = (World::another().await, World::another().await);
    one.interrupted().await;
    two.uri = one.uri.clone();
    let refused = two.run(&Steps::default()).await.unwrap_err();
    assert!(refused.contains("another data directory"), "{refused}");
    assert_same(&one.whole().await, THINGS);

    // An empty database that is in use; when it no longer is, its traces are no data.
    let world = World::another().await;
    let mongo = world.mongo().await.unwrap();
    mongo.ping().await.unwrap();
    let refused = world.run(&Steps::default()).await.unwrap_err();
    assert!(refused.contains("a system runs on"), "{refused}");
    assert!(
        world.mongo().await.is_ok(),
        "the refused migration leaves nothing that stops the system"
    );
    drop(mongo);
    assert_same(&world.whole().await, THINGS);
}

fn message(subject: Uuid, time: i64) -> NewMessage {
    NewMessage {
        id: new_id(),
        destination: "payments",
        kind: "registration.ended",
        subject,
        time: from_millis(time),
        data: format!("{{\"at\":{time}}}"),
        request_id: Some("r".to_owned()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_and_keys_go_on_where_they_were() {
    let world = World::new().await;
    let db = world.sqlite();
    let (subject, now) = (new_id(), from_millis(1_700_000_000_000));
    let messages: Vec<NewMessage> = (1..=4).map(|time| message(subject, time)).collect();
    let ids: Vec<Uuid> = messages.iter().map(|message| message.id).collect();
    let key = Key {
        caller: UserId::new(),
        route: "POST /x".to_owned(),
        key: "k".to_owned(),
        fingerprint: [7; 32],
    };
    let answer = Answer {
        status: 201,
        body: b"sixteen bytes!!!".to_vec(), // as many as a UUID has
    };
    let kept = (key.clone(), answer.clone());
    let heard = new_id();
    let written = db.write(move |db| -> Result<(), StoreError> {
        for message in &messages {
            sqlite_store::outbox::push(db, message)?;
        }
        sqlite_store::inbox::first_time(db, heard, now)?;
        sqlite_store::idempotency::store(db, &kept.0, &kept.1, now)
    });
    written.await.unwrap();
    // The first is given up, the second is to be tried again in a while.
    let outbox = sqlite_store::outbox::SqliteOutbox::shared(db.clone(), common::services::Service::Events);
    let fail = |seq, retry_at| Failure {
        seq,
        retry_at,
        why: "it would not".to_owned(),
    };
    let (owner, later) = (new_id(), now + chrono::TimeDelta::seconds(60));
    let fence = outbox
        .lease("payments", owner, now, later)
        .await
        .unwrap()
        .unwrap();
    let failed = vec![fail(1, None), fail(2, Some(later))];
    outbox
        .settle("payments", owner, fence, vec![], failed)
        .await
        .unwrap();
    drop((outbox, db));
    world.released();
    assert_same(&world.whole().await, THINGS);

    let mongo = world.mongo().await.unwrap();
    let outbox = mongo_store::outbox::MongoOutbox::shared(mongo.clone(), common::services::Service::Events);
    assert!(
        outbox.due("payments", now, 10).await.unwrap().is_empty(),
        "they wait behind the second"
    );
    let due = outbox.due("payments", later, 10).await.unwrap();
    let found: Vec<(Uuid, u32)> = due.iter().map(|due| (due.event.id, due.attempts)).collect();
    assert_eq!(found, [(ids[1], 1), (ids[2], 0), (ids[3], 0)]);
    // Another is given up: its place must not be that of the first.
    let fence = outbox
        .lease("payments", owner, now, later)
        .await
        .unwrap()
        .unwrap();
    let failed = vec![fail(due[0].seq, None)];
    assert!(
        outbox
            .settle("payments", owner, fence, vec![], failed)
            .await
            .unwrap()
    );
    let stats = outbox.stats(later).await.unwrap();
    assert_eq!((stats.pending, stats.dead), (2, 2));
    let mut tx = mongo.read();
    assert!(!mongo_store::inbox::first_time(&mut tx, heard, now).await.unwrap());
    let found = mongo_store::idempotency::find(&mut tx, &key, now).await.unwrap();
    assert!(
        matches!(&found, Some(Refusal::Replay(replay)) if replay.status == answer.status && replay.body == answer.body),
        "{found:?}"
    );
}
