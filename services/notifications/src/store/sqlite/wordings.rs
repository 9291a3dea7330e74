//! The words that events have of their own.

use std::{borrow::Cow, collections::HashMap, sync::Arc};

use common::{
    clock::from_millis,
    http::Page,
    ids::{EventId, UserId, WordingId},
    store::StoreError,
};
use sqlite_store::rows::{named, sift};
use sqlite_store::{Connection, Row, params};

use crate::{
    domain::{
        message::{Details, Letter},
        wording::{OwnWords, Wording, kind_of, may_differ},
    },
    store::table,
};

/// The table. Words that a letter was written with stay when others take their place.
pub const SCHEMA: &str = "
CREATE TABLE wordings (
    id         BLOB    NOT NULL PRIMARY KEY,
    event_id   BLOB    NOT NULL,
    kind       TEXT    NOT NULL,           -- the name of a template
    organizer  BLOB    NOT NULL,
    subject    TEXT    NOT NULL,
    text       TEXT    NOT NULL,
    sms        TEXT,
    created_at INTEGER NOT NULL,           -- ms
    current    INTEGER NOT NULL,           -- whether they are in force
    used       INTEGER NOT NULL DEFAULT 0  -- whether a letter was written with them
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX wordings_in_force ON wordings (event_id, kind) WHERE current = 1;
CREATE INDEX wordings_by_organizer ON wordings (organizer, created_at, id);
";

const COLUMNS: &str = "id, event_id, kind, organizer, subject, text, sms, created_at";

fn read(row: &Row<'_>) -> sqlite_store::RowResult<Wording> {
    Ok(Wording {
        id: row.get(0)?,
        event_id: row.get(1)?,
        kind: named(row, 2, kind_of)?,
        organizer: row.get(3)?,
        words: OwnWords {
            subject: row.get(4)?,
            text: row.get(5)?,
            sms: row.get(6)?,
        },
        created_at: from_millis(row.get(7)?),
    })
}

pub fn of_event(db: &Connection, event: EventId) -> Result<Vec<Wording>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM wordings WHERE event_id = ?1 AND current = 1 ORDER BY kind");
    let mut statement = db.prepare_cached(&sql)?;
    let found = sift(statement.query([event])?, 0, read)?;
    Ok(found.left_out(table::WORDINGS))
}

pub fn by_organizer(db: &Connection, organizer: UserId, page: Page) -> Result<Vec<Wording>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM wordings
         WHERE organizer = ?1 AND (?2 IS NULL OR (created_at, id) < (?2, ?3))
         ORDER BY created_at DESC, id DESC LIMIT ?4"
    );
    let (key, id) = page.after.map(|cursor| (cursor.key, cursor.id)).unzip();
    let mut statement = db.prepare_cached(&sql)?;
    let rows = statement.query(params![organizer, key, id, (page.limit + 1) as i64])?;
    Ok(sift(rows, 0, read)?.left_out(table::WORDINGS))
}

pub fn set(db: &Connection, wording: Wording) -> Result<Wording, StoreError> {
    end(db, wording.event_id, wording.kind)?;
    db.prepare_cached(
        "INSERT INTO wordings (id, event_id, kind, organizer, subject, text, sms, created_at, current)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 1
         WHERE NOT EXISTS (SELECT 1 FROM forgotten WHERE user_id = ?4)",
    )?
    .execute(params![
        wording.id,
        wording.event_id,
        wording.kind,
        wording.organizer,
        wording.words.subject,
        wording.words.text,
        wording.words.sms,
        wording.created_at.timestamp_millis(),
    ])?;
    Ok(wording)
}

/// From now on the standard words are in force.
pub fn end(db: &Connection, event: EventId, kind: &str) -> Result<(), StoreError> {
    db.prepare_cached("DELETE FROM wordings WHERE event_id = ?1 AND kind = ?2 AND current = 1 AND used = 0")?
        .execute(params![event, kind])?;
    db.prepare_cached("UPDATE wordings SET current = 0 WHERE event_id = ?1 AND kind = ?2 AND current = 1")?
        .execute(params![event, kind])?;
    Ok(())
}

/// What a letter holds, with the words that are in force for it.
pub fn worded<'a>(db: &Connection, letter: &'a Letter) -> Result<Cow<'a, Details>, StoreError> {
    let standard = Cow::Borrowed(&letter.details);
    let Some(event) = letter.event_id.filter(|_| may_differ(letter.kind)) else {
        return Ok(standard);
    };
    let found: Option<(WordingId, bool)> = db
        .prepare_cached("SELECT id, used FROM wordings WHERE event_id = ?1 AND kind = ?2 AND current = 1")?
        .find(params![event, letter.kind.template()], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    let Some((id, used)) = found else {
        return Ok(standard);
    };
    if !used {
        db.prepare_cached("UPDATE wordings SET used = 1 WHERE id = ?1")?
            .execute([id])?;
    }
    Ok(Cow::Owned(Details {
        wording: Some(id),
        ..letter.details.clone()
    }))
}

/// What words say, each looked up once.
#[derive(Default)]
pub struct Own(HashMap<WordingId, Option<Arc<OwnWords>>>);

impl Own {
    /// These words; `None`: they are gone.
    pub fn of(&mut self, db: &Connection, id: WordingId) -> Result<Option<Arc<OwnWords>>, StoreError> {
        if let Some(known) = self.0.get(&id) {
            return Ok(known.clone());
        }
        let found = db
            .prepare_cached("SELECT subject, text, sms FROM wordings WHERE id = ?1")?
            .find([id], |row| {
                Ok(OwnWords {
                    subject: row.get(0)?,
                    text: row.get(1)?,
                    sms: row.get(2)?,
                })
            });
        // The standard words are better than no letter.
        let found = match found.map_err(StoreError::from) {
            Err(StoreError::Corrupt(_)) => None,
            found => found?.map(Arc::new),
        };
        self.0.insert(id, found.clone());
        Ok(found)
    }
}
