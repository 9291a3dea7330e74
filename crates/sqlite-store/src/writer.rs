//! The writer thread: group commit with a savepoint per change.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tokio::sync::{mpsc, oneshot};

use common::store::StoreError;

use crate::{Connection, Error, RowResult, TURN, params};

/// Changes waiting for the writer; beyond this a caller waits outside, and at last gets `Overloaded`.
const QUEUE: usize = 4096;
/// A group ends after this many changes or this much time, so that the first of them is not kept waiting.
const GROUP: usize = 1024;
const GROUP_TIME: Duration = Duration::from_millis(10);
/// How often a file that cannot be written is tried.
const OPEN_AGAIN: Duration = Duration::from_secs(1);

/// What remains to be done for a change once its group has, or has not, been committed.
type Finish = Box<dyn FnOnce(Result<(), StoreError>) + Send>;
/// A waiting change. It runs inside the group's transaction and returns whether to keep what it did; without a
/// connection it only prepares to notify its caller that there was no transaction.
type Change = Box<dyn FnOnce(Option<&Connection>) -> Option<(Keep, Finish)> + Send>;

#[derive(PartialEq)]
enum Keep {
    Yes,
    No,
}

pub(super) struct Writer {
    changes: mpsc::Sender<Change>,
    commits: Arc<AtomicU64>,
}

impl Writer {
    /// Works on `connection`. Without one, `open` is asked for it when a change comes, at most once in [`OPEN_AGAIN`].
    pub(super) fn start(
        connection: Option<Connection>,
        open: impl Fn() -> Result<Connection, StoreError> + Send + 'static,
    ) -> Result<Self, StoreError> {
        let (changes, receiver) = mpsc::channel(QUEUE);
        let commits = Arc::new(AtomicU64::new(0));
        let counted = commits.clone();
        thread::Builder::new()
            .name("sqlite-writer".to_owned())
            .spawn(move || work(connection, open, receiver, &counted))
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(Self { changes, commits })
    }

    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Acquire)
    }

    pub(super) async fn run<T, E, F>(&self, change: F) -> Result<T, E>
    where
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel::<Result<T, E>>();
        let change: Change = Box::new(move |connection| {
            if reply.is_closed() {
                return None; // the caller gave up before its turn came
            }
            let unavailable = |what: &str| Err(StoreError::Unavailable(what.to_owned()).into());
            let result = match connection {
                Some(connection) => catch_unwind(AssertUnwindSafe(|| change(connection)))
                    .unwrap_or_else(|_| unavailable("a change panicked")),
                None => unavailable("no transaction could be started"),
            };
            let keep = if result.is_ok() { Keep::Yes } else { Keep::No };
            let finish: Finish = Box::new(move |committed| {
                let result = match committed {
                    Ok(()) => result,
                    // An outcome of the domain may rest on a change that is now undone, so none is passed on.
                    Err(cause) => Err(cause.into()),
                };
                let _ = reply.send(result);
            });
            Some((keep, finish))
        });
        match tokio::time::timeout(TURN, self.changes.send(change)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(StoreError::Unavailable("the writer has stopped".to_owned()).into()),
            Err(_) => return Err(StoreError::Overloaded.into()),
        }
        answer
            .await
            .unwrap_or_else(|_| Err(StoreError::Unavailable("the writer has stopped".to_owned()).into()))
    }
}

fn work(
    mut writable: Option<Connection>,
    open: impl Fn() -> Result<Connection, StoreError>,
    mut waiting: mpsc::Receiver<Change>,
    commits: &AtomicU64,
) {
    let mut tried: Option<(Instant, StoreError)> = None;
    while let Some(first) = waiting.blocking_recv() {
        let connection = match (&writable, &tried) {
            (Some(connection), _) => connection,
            (None, Some((at, why))) if at.elapsed() < OPEN_AGAIN => {
                refuse(first, why);
                continue;
            }
            (None, _) => match open() {
                Ok(connection) => &*writable.insert(connection),
                Err(why) => {
                    refuse(first, &why);
                    tried = Some((Instant::now(), why));
                    continue;
                }
            },
        };
        let mut finishes = Vec::new();
        let committed = group(connection, first, &mut waiting, &mut finishes).map_err(StoreError::from);
        if let Err(error) = &committed {
            tracing::error!(%error, "the embedded store could not commit");
            if !connection.0.is_autocommit() {
                let _ = connection.execute_batch("ROLLBACK");
            }
        }
        commits.fetch_add(1, Ordering::Release);
        for finish in finishes {
            finish(committed.clone());
        }
    }
}

fn refuse(change: Change, why: &StoreError) {
    if let Some((_, finish)) = change(None) {
        finish(Err(why.clone()));
    }
}

fn group(
    connection: &Connection,
    first: Change,
    waiting: &mut mpsc::Receiver<Change>,
    finishes: &mut Vec<Finish>,
) -> RowResult<()> {
    let started = Instant::now();
    let mut next = Some(first);
    if let Err(error) = run_cached(connection, "BEGIN IMMEDIATE") {
        // Nothing ran, but the caller of the first change still needs an answer.
        if let Some((_, finish)) = next.take().and_then(|change| change(None)) {
            finishes.push(finish);
        }
        return Err(error);
    }
    while let Some(change) = next.take() {
        run_cached(connection, "SAVEPOINT change")?;
        if let Some((keep, finish)) = change(Some(connection)) {
            finishes.push(finish);
            if connection.0.is_autocommit() {
                return Err(lost());
            }
            if keep == Keep::No {
                run_cached(connection, "ROLLBACK TO change")?;
            }
        }
        run_cached(connection, "RELEASE change")?;
        if finishes.len() < GROUP && started.elapsed() < GROUP_TIME {
            next = waiting.try_recv().ok();
        }
    }
    run_cached(connection, "COMMIT")
}

pub(super) fn run_cached(connection: &Connection, sql: &str) -> RowResult<()> {
    connection.prepare_cached(sql)?.execute(params![])?;
    Ok(())
}

/// Some failures (disk full, I/O) make SQLite roll back the whole transaction by itself.
fn lost() -> Error {
    let error = rusqlite::Error::SqliteFailure(
        rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL),
        Some("the database has rolled the transaction back: the disk is full, or fails".to_owned()),
    );
    error.into()
}
