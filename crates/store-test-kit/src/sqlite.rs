//! Damage to a SQLite file.

use std::time::Duration;

use rusqlite::{Connection, params};
use sqlite_store::Sqlite;

use test_kit::damage::{Bad, Damage, Damager};

/// How long a writer may hold the file's lock.
const PATIENCE: Duration = Duration::from_secs(5);

/// Damages rows of a file by a connection of its own, past every check.
pub fn damager(db: &Sqlite) -> Damager {
    let path = db.path().to_owned();
    Box::new(move |damage| {
        let done = Connection::open(&path).and_then(|db| hurt(&db, &damage));
        assert_eq!(done, Ok(true), "nothing was damaged in {}", damage.table);
        Box::pin(async {})
    })
}

fn hurt(db: &Connection, damage: &Damage) -> rusqlite::Result<bool> {
    let Damage {
        table,
        key: (key, _),
        id,
        field,
        to,
    } = damage;
    db.busy_timeout(PATIENCE)?;
    db.execute_batch("PRAGMA ignore_check_constraints = ON")?;
    let done = match to {
        Bad::Text(text) => db.execute(
            &format!("UPDATE {table} SET {field} = ?2 WHERE {key} = ?1"),
            params![id, text],
        ),
        Bad::Number(number) => db.execute(
            &format!("UPDATE {table} SET {field} = ?2 WHERE {key} = ?1"),
            params![id, number],
        ),
        // Neither a number nor UTF-8.
        Bad::Type => db.execute(
            &format!("UPDATE {table} SET {field} = CAST(x'ff' AS TEXT) WHERE {key} = ?1"),
            params![id],
        ),
        Bad::Gone => db.execute(&format!("DELETE FROM {table} WHERE {key} = ?1"), params![id]),
    }?;
    Ok(done > 0)
}
