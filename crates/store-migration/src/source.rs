//! A file that is read whole under an exclusive lock: the source of a migration.

use std::{path::Path, sync::Arc, time::Duration};

use parking_lot::Mutex;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use sqlite_store::{Error, Row};

use common::store::StoreError;

/// How long a file that is in use is waited for: a process may just be closing it.
const BUSY: Duration = Duration::from_secs(1);

/// The file. Cheap to clone; its lock ends with the last.
#[derive(Clone)]
pub struct Source(Arc<Mutex<Connection>>);

impl Source {
    /// Opens a file that a system has made, locks it, and checks that it is of this version and has the tables `expected`.
    ///
    /// A connection in WAL mode holds a shared lock on its file for as long as it is open, idle or not. In exclusive
    /// locking mode the first look takes the exclusive lock, which is refused while any process has the file open, and
    /// from then on refuses every other.
    ///
    /// # Errors
    /// One sentence for the person who started the program.
    pub fn open<'a>(
        path: &Path,
        version: usize,
        expected: impl Iterator<Item = &'a str>,
    ) -> Result<Self, String> {
        let file = path.display();
        if !path.is_file() {
            return Err(format!(
                "{file} is not there. DATA_DIR must name the folder of a system that has run on SQLite."
            ));
        }
        let trouble = |error: rusqlite::Error| match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                format!("{file} is in use. Stop every process of the system that runs on it, then try again.")
            }
            Some(ErrorCode::NotADatabase) => format!("{file} is no database."),
            _ => format!("{file} cannot be read: {error}."),
        };
        let flags = OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_READ_WRITE;
        let connection = Connection::open_with_flags(path, flags).map_err(trouble)?;
        connection.busy_timeout(BUSY).map_err(trouble)?;
        connection
            .execute_batch("PRAGMA locking_mode = EXCLUSIVE; PRAGMA temp_store = MEMORY; BEGIN IMMEDIATE; COMMIT; PRAGMA query_only = ON")
            .map_err(trouble)?;
        let found: i64 = connection
            .query_row("PRAGMA user_version", [], |row| row.get(0))
            .map_err(trouble)?;
        let foreign = format!("{file} is not a file of this system.");
        match usize::try_from(found) {
            Ok(found) if found == version => {}
            Ok(found) if found > version => {
                return Err(format!("{file} was written by a newer version of this program."));
            }
            Ok(1..) => {
                return Err(format!(
                    "{file} was written by an older version of this program. Start the system of this version on it \
                     once, then stop it."
                ));
            }
            _ => return Err(foreign),
        }
        for table in expected {
            let is_there = connection
                .prepare("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?1")
                .and_then(|mut statement| statement.exists([table]))
                .map_err(trouble)?;
            if !is_there {
                return Err(foreign);
            }
        }
        Ok(Self(Arc::new(Mutex::new(connection))))
    }

    /// How many rows a table has.
    ///
    /// # Errors
    /// A storage error.
    pub fn count(&self, table: &str) -> Result<u64, StoreError> {
        let sql = format!("SELECT count(*) FROM {table}");
        let count = self.0.lock().query_row(&sql, [], |row| row.get::<_, i64>(0));
        let count = count.map_err(Error::from)?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// Goes through the rows of a query, until `row` returns `false`.
    ///
    /// # Errors
    /// What `row` returns, or a storage error.
    pub fn each(
        &self,
        sql: &str,
        mut row: impl FnMut(&Row<'_>) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let connection = self.0.lock();
        let mut statement = connection.prepare(sql).map_err(Error::from)?;
        let mut rows = statement.query([]).map_err(Error::from)?;
        while let Some(found) = rows.next().map_err(Error::from)? {
            if !row(&found.into())? {
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlite_store::Sqlite;

    const SCHEMA: &[&str] = &["CREATE TABLE things (id INTEGER PRIMARY KEY)"];

    fn open(path: &Path) -> Result<Source, String> {
        Source::open(path, SCHEMA.len(), ["things"].into_iter())
    }

    fn refusal(path: &Path) -> String {
        open(path).err().expect("it is refused")
    }

    #[tokio::test]
    async fn a_file_is_somebody_elses_while_anybody_has_it_open_and_ours_from_then_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("test.db");
        let db = Sqlite::open(&path, SCHEMA).unwrap();
        db.ping().await.unwrap(); // and now it is idle
        assert!(refusal(&path).contains("in use"), "{}", refusal(&path));
        // A reader is enough.
        let reader = Connection::open(&path).unwrap();
        reader
            .query_row("SELECT count(*) FROM things", [], |_| Ok(()))
            .unwrap();
        drop(db);
        assert!(refusal(&path).contains("in use"));
        drop(reader);
        // The writer's thread may take a moment to close its connection; a second is waited for it.
        let source = open(&path).unwrap();
        assert_eq!(source.count("things").unwrap(), 0);
        assert!(refusal(&path).contains("in use"), "a second migration");
        let other = Connection::open(&path).unwrap();
        other
            .query_row("SELECT count(*) FROM things", [], |_| Ok(()))
            .unwrap_err();
        drop((source, other));
        drop(Sqlite::open(&path, SCHEMA).unwrap());
    }

    #[test]
    fn what_is_not_ours_is_refused_and_not_made() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("test.db");
        assert!(refusal(&path).contains("not there"));
        assert!(!path.exists());
        std::fs::write(
            &path,
            "this is no database, but long enough to look at it twice".repeat(50),
        )
        .unwrap();
        assert!(refusal(&path).contains("no database"));
        std::fs::remove_file(&path).unwrap();
        Connection::open(&path)
            .unwrap()
            .execute_batch("CREATE TABLE notes (text TEXT)")
            .unwrap();
        assert!(refusal(&path).contains("not a file of this system"));
        std::fs::remove_file(&path).unwrap();
        drop(Sqlite::open(&path, &[SCHEMA[0], "CREATE TABLE more (id INTEGER)"]).unwrap());
        assert!(refusal(&path).contains("newer"));
        assert!(
            Source::open(&path, 3, ["things"].into_iter())
                .err()
                .unwrap()
                .contains("older")
        );
    }
}
