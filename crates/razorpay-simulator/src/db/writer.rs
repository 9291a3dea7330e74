//! The writer's thread. Durability is paid per commit, so all changes that are waiting share one: each runs in a
//! savepoint of its own, and nobody hears of a change before the commit that has it.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
    time::{Duration, Instant},
};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::failure::Failure;

/// Changes waiting for the thread; beyond this, callers wait outside.
const QUEUE: usize = 1024;
/// How long they do, before they are told that it failed.
const TURN: Duration = Duration::from_secs(5);
/// A commit is made after this many changes, or this much time, even if more are waiting.
const GROUP: usize = 256;
const GROUP_TIME: Duration = Duration::from_millis(10);

/// Lets the caller of a change know its result. Dropped without a call when the commit failed, which tells the caller
/// as much.
type Finish = Box<dyn FnOnce() + Send>;
/// Gives whether to keep what it did.
type Change = Box<dyn FnOnce(&Connection) -> (bool, Finish) + Send>;

pub(super) struct Writer(mpsc::Sender<Change>);

impl Writer {
    /// Starts the thread. It ends, after what is waiting, when the writer is dropped.
    pub(super) fn start(connection: Connection) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE);
        thread::spawn(move || work(&connection, receiver));
        Self(sender)
    }

    pub(super) async fn run<T, F>(&self, change: F) -> Result<T, Failure>
    where
        F: FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
        T: Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let change: Change = Box::new(move |connection| {
            let result = change(connection);
            let keep = result.is_ok();
            (keep, Box::new(move || drop(reply.send(result))))
        });
        match tokio::time::timeout(TURN, self.0.send(change)).await {
            Ok(Ok(())) => answer.await.unwrap_or_else(|_| Err(Failure::internal())),
            Ok(Err(_)) | Err(_) => {
                tracing::error!("the simulator's store does not take changes");
                Err(Failure::internal())
            }
        }
    }
}

fn work(connection: &Connection, mut waiting: mpsc::Receiver<Change>) {
    while let Some(first) = waiting.blocking_recv() {
        match group(connection, first, &mut waiting) {
            Ok(finishes) => finishes.into_iter().for_each(|finish| finish()),
            Err(error) => {
                tracing::error!(%error, "the simulator's store could not commit");
                if !connection.is_autocommit() {
                    let _ = connection.execute_batch("ROLLBACK");
                }
            }
        }
    }
}

fn group(
    connection: &Connection,
    first: Change,
    waiting: &mut mpsc::Receiver<Change>,
) -> rusqlite::Result<Vec<Finish>> {
    let started = Instant::now();
    let mut finishes = Vec::new();
    let mut next = Some(first);
    run_cached(connection, "BEGIN IMMEDIATE")?;
    while let Some(change) = next.take() {
        run_cached(connection, "SAVEPOINT change")?;
        let keep = match catch_unwind(AssertUnwindSafe(|| change(connection))) {
            Ok((keep, finish)) => {
                finishes.push(finish);
                keep
            }
            Err(_) => {
                tracing::error!("a change of the simulator's store panicked");
                false
            }
        };
        if !keep {
            // When SQLite has rolled everything back by itself (disk full), this fails and nobody is told a success.
            run_cached(connection, "ROLLBACK TO change")?;
        }
        run_cached(connection, "RELEASE change")?;
        if finishes.len() < GROUP && started.elapsed() < GROUP_TIME {
            next = waiting.try_recv().ok();
        }
    }
    run_cached(connection, "COMMIT")?;
    Ok(finishes)
}

fn run_cached(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}
