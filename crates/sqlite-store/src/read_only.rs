//! A file on a disk that cannot be written: what is in it is read until it can be.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use parking_lot::Mutex;
use rusqlite::OpenFlags;

use common::store::StoreError;

use crate::{Connection, RowResult, TOUCH, in_snapshot, schema_version};

/// The way to such a file: one connection, which keeps the index of the write-ahead log in its own memory instead of in
/// the shared file for which a full disk has no room. That needs the file for itself (sqlite.org/wal.html, section 8).
pub(super) struct ReadOnly {
    path: PathBuf,
    connection: Mutex<Option<Connection>>,
    /// Spares the lock once the file can be written.
    on: AtomicBool,
}

impl ReadOnly {
    /// For a file that can be written.
    pub(super) fn none(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            connection: Mutex::default(),
            on: AtomicBool::new(false),
        }
    }

    /// Opens a file whose schema is of `version`; `None` when it cannot be read, or is of another.
    pub(super) fn open(path: &Path, version: usize) -> Option<Self> {
        let connection = connect(path).ok()?;
        (schema_version(&connection.0).ok()? == version).then(|| Self {
            connection: Mutex::new(Some(connection)),
            on: AtomicBool::new(true),
            ..Self::none(path)
        })
    }

    /// Reads, one after the other; gives `read` back when the file can be written, and so read by others.
    pub(super) fn read<T, E, F>(&self, read: F) -> Result<Result<T, E>, F>
    where
        F: FnOnce(&Connection) -> Result<T, E>,
        E: From<StoreError>,
    {
        if !self.on.load(Ordering::Acquire) {
            return Err(read);
        }
        match &*self.connection.lock() {
            Some(connection) => Ok(in_snapshot(connection, read)),
            None => Err(read),
        }
    }

    /// Gives the file to a connection that can write it, if `open` makes one now.
    ///
    /// # Errors
    /// When the file still cannot be written.
    pub(super) fn end(
        &self,
        open: impl FnOnce(&Path) -> Result<Connection, StoreError>,
    ) -> Result<Connection, StoreError> {
        let mut reading = self.connection.lock();
        drop(reading.take()); // it has the file for itself
        let opened = open(&self.path).and_then(|connection| {
            connection.execute_batch(TOUCH)?;
            Ok(connection)
        });
        match opened {
            Ok(connection) => {
                self.on.store(false, Ordering::Release);
                tracing::warn!(file = %self.path.display(), "the store can be written again");
                Ok(connection)
            }
            Err(error) => {
                *reading = connect(&self.path).ok();
                Err(match error {
                    StoreError::Unavailable(why) => StoreError::ReadOnly(why),
                    error => error,
                })
            }
        }
    }
}

fn connect(path: &Path) -> RowResult<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_READ_WRITE;
    let connection = Connection::open(path, flags)?;
    connection.execute_batch(
        "PRAGMA locking_mode = EXCLUSIVE; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16000;
         PRAGMA query_only = ON; SELECT at FROM alive;",
    )?;
    Ok(connection)
}
