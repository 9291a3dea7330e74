//! The embedded store's engine: one writer that commits in groups, and a pool of readers.
//!
//! SQLite has one writer at a time and pays for durability per commit. So all changes of a file go through one
//! thread: it opens a transaction, runs every change that is waiting, each inside its own savepoint, commits once
//! with `synchronous=FULL`, and only then answers the callers. A change that fails undoes itself and nothing else.

pub mod audit;
mod connection;
pub mod idempotency;
pub mod inbox;
pub mod lease;
pub mod outbox;
mod read_only;
pub mod rows;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use common::{context::Carried, outbox::Receipt, settings::Settings, store::StoreError};
use parking_lot::Mutex;
use rusqlite::OpenFlags;
use tokio::sync::Semaphore;

pub use self::connection::{Column, Connection, Error, Param, Params, Row, RowResult, Rows, Statement};
use self::{
    read_only::ReadOnly,
    writer::{Writer, run_cached},
};

/// How long a caller waits for its turn, read or write, before it gets [`StoreError::Overloaded`].
const TURN: Duration = Duration::from_secs(5);
/// Reads at once. SQLite reads from memory mostly; more connections than this only cost memory.
const READERS: usize = 4;
/// A commit that changes nothing.
const TOUCH: &str = "UPDATE alive SET at = unixepoch()";
/// Part of every file: what [`TOUCH`] touches.
const ALIVE: &str = "CREATE TABLE IF NOT EXISTS alive (at INTEGER NOT NULL);
    INSERT INTO alive SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM alive);";
/// Prepared statements kept per connection; a service has fewer than this.
const STATEMENTS: usize = 128;

/// One SQLite file. Cheap to clone.
#[derive(Clone)]
pub struct Sqlite(Arc<Inner>);

struct Inner {
    writer: Writer,
    readers: Mutex<Vec<Connection>>,
    read_only: Arc<ReadOnly>,
    turns: Semaphore,
    path: PathBuf,
}

impl Sqlite {
    /// Opens or creates the file and brings its schema up to date. `migrations` are SQL scripts in order; the
    /// number of those already run is kept in `user_version`. A script, once released, never changes.
    ///
    /// A file that is up to date but cannot be written (the disk is full) is read until it can be.
    ///
    /// # Errors
    /// When the file cannot be opened, is no database, or was written by a newer version.
    pub fn open(path: &Path, migrations: &[&str]) -> Result<Self, StoreError> {
        let (connection, read_only) = match open_writable(path, migrations) {
            Ok(connection) => (Some(connection), ReadOnly::none(path)),
            Err(error) => match ReadOnly::open(path, migrations.len()) {
                Some(read_only) => {
                    let file = path.display();
                    tracing::error!(%file, %error, "the store cannot be written; it is only read until it can be");
                    (None, read_only)
                }
                None => return Err(error),
            },
        };
        let read_only = Arc::new(read_only);
        let reader = read_only.clone();
        Ok(Self(Arc::new(Inner {
            writer: Writer::start(connection, move || reader.end(|path| connect(path, true)))?,
            readers: Mutex::new(Vec::with_capacity(READERS)),
            read_only,
            turns: Semaphore::new(READERS),
            path: path.to_owned(),
        })))
    }

    /// Makes one atomic, durable change. `change` runs on the writer's thread inside a savepoint: an `Err` undoes
    /// all it did. The answer comes after the commit. `change` must not block on anything but the database.
    ///
    /// # Errors
    /// What `change` returns, or a storage error.
    pub async fn write<T, E, F>(&self, change: F) -> Result<T, E>
    where
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        // The change's messages name the request that made it.
        let carried = Carried::now();
        self.0
            .writer
            .run(move |db: &Connection| carried.enter(|| change(db)))
            .await
    }

    /// Reads a consistent snapshot.
    ///
    /// # Errors
    /// What `read` returns, or a storage error.
    pub async fn read<T, E, F>(&self, read: F) -> Result<T, E>
    where
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let turn = tokio::time::timeout(TURN, self.0.turns.acquire()).await;
        let _turn = match turn {
            Ok(Ok(turn)) => turn,
            _ => return Err(StoreError::Overloaded.into()),
        };
        let (inner, carried) = (self.0.clone(), Carried::now());
        // What is logged of an unreadable row names the request that met it.
        let read = move |db: &Connection| carried.enter(|| read(db));
        let read = tokio::task::spawn_blocking(move || {
            let read = match inner.read_only.read(read) {
                Ok(value) => return value,
                Err(read) => read,
            };
            // Bound first: a match on the locked expression would hold the lock while a connection is opened.
            let pooled = inner.readers.lock().pop();
            let connection = match pooled {
                Some(connection) => connection,
                None => connect(&inner.path, false)?,
            };
            let value = in_snapshot(&connection, read);
            inner.readers.lock().push(connection);
            value
        });
        read.await
            .unwrap_or_else(|error| Err(StoreError::Unavailable(error.to_string()).into()))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Commits so far. What was read before it grew may have changed since; a change is counted before its caller is
    /// answered.
    pub fn commits(&self) -> u64 {
        self.0.writer.commits()
    }

    /// Checks that the store can still be written, by a commit that changes nothing.
    ///
    /// # Errors
    /// When it cannot: [`StoreError::ReadOnly`] when it can be read.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let written = self.write(|db| Ok(db.execute_batch(TOUCH)?)).await;
        if let Err(StoreError::Unavailable(why)) = written {
            self.read(|db| Ok::<_, StoreError>(db.execute_batch("SELECT at FROM alive")?))
                .await?;
            return Err(StoreError::ReadOnly(why));
        }
        written
    }
}

fn open_writable(path: &Path, migrations: &[&str]) -> Result<Connection, StoreError> {
    let mut connection = connect(path, true)?;
    migrate(&mut connection, migrations)?;
    Ok(connection)
}

/// Several statements of one read must see the same state.
fn in_snapshot<T, E: From<StoreError>>(
    connection: &Connection,
    read: impl FnOnce(&Connection) -> Result<T, E>,
) -> Result<T, E> {
    // Ends when it is dropped.
    let _snapshot = connection.begin().map_err(StoreError::from)?;
    read(connection)
}

/// Consumes one message of a batch. One that meets a row which cannot be read is undone and to be sent again, in case
/// an operator repairs the row, until it becomes a dead letter; the others do not wait for it.
///
/// # Errors
/// A storage error.
pub fn receipt(
    db: &Connection,
    id: uuid::Uuid,
    take: impl FnOnce(&Connection) -> Result<Receipt, StoreError>,
) -> Result<Receipt, StoreError> {
    run_cached(db, "SAVEPOINT message")?;
    let taken = take(db);
    if taken.is_err() {
        run_cached(db, "ROLLBACK TO message")?;
    }
    run_cached(db, "RELEASE message")?;
    Receipt::unless_unreadable(id, taken)
}

fn connect(path: &Path, writer: bool) -> Result<Connection, StoreError> {
    let mut flags = OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_READ_WRITE;
    flags.set(OpenFlags::SQLITE_OPEN_CREATE, writer);
    if writer {
        create_private(path).map_err(|error| StoreError::Unavailable(error.to_string()))?;
    }
    let connection = Connection::open(path, flags)?;
    // FULL: an acknowledged change survives a power cut. NORMAL may lose the last commits (sqlite.org/pragma).
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
         PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16000; PRAGMA wal_autocheckpoint = 4000;",
    )?;
    if !writer {
        connection.execute_batch("PRAGMA query_only = ON")?;
    }
    Ok(connection)
}

/// Makes the file if it is not there, readable by its owner only; SQLite gives its companions the same mode.
fn create_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .map(drop)
}

fn migrate(connection: &mut Connection, migrations: &[&str]) -> Result<(), StoreError> {
    let connection = &mut connection.0;
    let migrated = connection
        .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
        .and_then(|transaction| {
            let done = schema_version(&transaction)?;
            for script in migrations.iter().skip(done) {
                transaction.execute_batch(script)?;
            }
            if done <= migrations.len() {
                transaction.execute_batch(ALIVE)?;
                transaction.pragma_update(None, "user_version", migrations.len() as i64)?;
            }
            transaction.commit()?;
            Ok(done)
        });
    match migrated.map_err(Error::from)? {
        done if done > migrations.len() => Err(StoreError::Unavailable(
            "it was written by a newer version of this program".to_owned(),
        )),
        _ => Ok(()),
    }
}

/// How many migrations have run.
fn schema_version(db: &rusqlite::Connection) -> rusqlite::Result<usize> {
    let version: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    Ok(usize::try_from(version).unwrap_or(0))
}

/// Opens a service's SQLite file in the data directory.
///
/// # Errors
/// One sentence for the person who started the program.
pub fn open(settings: &Settings, service: &str, migrations: &[&str]) -> Result<Sqlite, String> {
    let path = settings.data_dir.join(format!("{service}.db"));
    Sqlite::open(&path, migrations).map_err(|error| format!("{} cannot be used: {error}.", path.display()))
}
