//! The store: one SQLite file. All changes go through one thread, so a change sees all that came before it and
//! nothing happens between its looking and its writing; that is what decides captures, refunds and keys.

mod writer;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension, Params, types::FromSql};
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;

use self::writer::Writer;
use crate::failure::Failure;

/// The script of each version of the schema, in order. `user_version` counts those that have run.
const VERSIONS: &[&str] = &[include_str!("schema.sql")];
/// Reads at once.
const READERS: usize = 4;
/// How long a read waits for its turn.
const TURN: Duration = Duration::from_secs(5);

/// Why the store cannot be opened.
pub(crate) enum OpenError {
    Sqlite(rusqlite::Error),
    /// What is in it cannot be read; the log says why.
    State,
}

impl From<rusqlite::Error> for OpenError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// The simulator's store.
pub(crate) struct Db {
    writer: Writer,
    /// `None` when the state is in memory, where only one connection can see it.
    readers: Option<Arc<Readers>>,
}

struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    turns: Semaphore,
}

impl Db {
    /// Opens or creates the file (`None` keeps everything in memory) and has `prepare` read and write what it needs
    /// before anything else happens.
    pub(crate) fn open<T>(
        path: Option<&Path>,
        prepare: impl FnOnce(&Connection) -> Result<T, Failure>,
    ) -> Result<(Self, T), OpenError> {
        let mut connection = match path {
            Some(path) => {
                create_private(path);
                connect(path)?
            }
            None => Connection::open_in_memory()?,
        };
        if path.is_some() {
            connection.pragma_update(None, "journal_mode", "WAL")?;
        }
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        upgrade(&mut connection)?;
        let prepared = prepare(&connection).map_err(|_| OpenError::State)?;
        let readers = path.map(|path| {
            Arc::new(Readers {
                path: path.to_owned(),
                idle: Mutex::default(),
                turns: Semaphore::new(READERS),
            })
        });
        Ok((
            Self {
                writer: Writer::start(connection),
                readers,
            },
            prepared,
        ))
    }

    /// Makes one atomic change. It is on disk when this returns; an `Err` of `change` undoes all that it did.
    pub(crate) async fn write<T, F>(&self, change: F) -> Result<T, Failure>
    where
        F: FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
        T: Send + 'static,
    {
        self.writer.run(change).await
    }

    /// Reads one state of everything.
    pub(crate) async fn read<T, F>(&self, read: F) -> Result<T, Failure>
    where
        F: FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
        T: Send + 'static,
    {
        let Some(readers) = self.readers.clone() else {
            return self.writer.run(read).await;
        };
        let Ok(Ok(_turn)) = tokio::time::timeout(TURN, readers.turns.acquire()).await else {
            tracing::error!("the simulator's store has too much to read");
            return Err(Failure::internal());
        };
        let pool = readers.clone();
        let task = tokio::task::spawn_blocking(move || {
            let idle = pool.idle.lock().pop();
            let connection = match idle {
                Some(connection) => connection,
                None => connect(&pool.path)?,
            };
            let snapshot = connection.unchecked_transaction()?;
            let value = read(&snapshot);
            drop(snapshot);
            pool.idle.lock().push(connection);
            value
        });
        task.await.unwrap_or_else(|error| {
            tracing::error!(%error, "a read of the simulator's store failed");
            Err(Failure::internal())
        })
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(TURN)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// The file holds webhook secrets, so it is made readable by its owner alone; SQLite gives its other files the same
/// mode. When this fails, opening fails too and says why.
fn create_private(path: &Path) {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let _ = options.open(path);
}

fn upgrade(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    let version: u32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    for (number, script) in (1u32..).zip(VERSIONS).filter(|(number, _)| *number > version) {
        transaction.execute_batch(script)?;
        transaction.pragma_update(None, "user_version", number)?;
    }
    transaction.commit()
}

/// The first document that `sql` selects.
pub(crate) fn document<T: DeserializeOwned>(
    db: &Connection,
    sql: &str,
    by: impl Params,
) -> Result<Option<T>, Failure> {
    let text: Option<String> = value(db, sql, by)?;
    text.map(|text| serde_json::from_str(&text))
        .transpose()
        .map_err(Failure::from)
}

/// All documents that `sql` selects.
pub(crate) fn documents<T: DeserializeOwned>(
    db: &Connection,
    sql: &str,
    by: impl Params,
) -> Result<Vec<T>, Failure> {
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(by)?;
    let mut documents = Vec::new();
    while let Some(row) = rows.next()? {
        documents.push(serde_json::from_str(
            row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?,
        )?);
    }
    Ok(documents)
}

/// The first column of the first row that `sql` selects.
pub(crate) fn value<T: FromSql>(db: &Connection, sql: &str, by: impl Params) -> Result<Option<T>, Failure> {
    Ok(db
        .prepare_cached(sql)?
        .query_row(by, |row| row.get(0))
        .optional()?)
}

/// Runs a statement; gives the number of rows it changed.
pub(crate) fn execute(db: &Connection, sql: &str, with: impl Params) -> Result<usize, Failure> {
    Ok(db.prepare_cached(sql)?.execute(with)?)
}
