//! The mark of a migration of SQLite files in a database: what is copied into it, from where, and whether all is there.

use mongodb::bson::{Document, doc};

use super::{Collection, DocumentExt, Tx, date};
use common::{clock::Timestamp, store::StoreError};

/// Part of every service's schema. It holds one document, or none.
pub const SCHEMA: Collection = Collection {
    name: NAME,
    fields: &[
        ("directory", "string"),
        ("content", "string"),
        ("begun_at", "date"),
        ("done_at", "date?"), // left out: not all is there
    ],
    check: None,
    indexes: &[],
};
/// The collection's name.
pub const NAME: &str = "moves";

/// A migration.
#[derive(Debug, Clone)]
pub struct Mark {
    /// The name of the data directory that is migrated.
    pub directory: String,
    /// The checksum of what its file held.
    pub content: String,
    /// When it began.
    pub begun_at: Timestamp,
    /// When all was there.
    pub done_at: Option<Timestamp>,
}

/// The one document.
pub fn this() -> Document {
    doc! {"_id": "move"}
}

/// The mark, if there is one.
///
/// # Errors
/// A storage error.
pub async fn find(tx: &mut Tx) -> Result<Option<Mark>, StoreError> {
    let Some(found) = tx.find_one(NAME, this()).await? else {
        return Ok(None);
    };
    Ok(Some(Mark {
        directory: found.text("directory")?,
        content: found.text("content")?,
        begun_at: found.time("begun_at")?,
        done_at: found.maybe_time("done_at")?,
    }))
}

/// What a mark that is not done is written as.
pub fn fields(mark: &Mark) -> Document {
    doc! {"directory": &mark.directory, "content": &mark.content, "begun_at": date(mark.begun_at)}
}

/// A partial migration is worse than none: attendees would not find their tickets.
pub(super) async fn require_done(mut tx: Tx) -> Result<(), StoreError> {
    match find(&mut tx).await? {
        Some(Mark { done_at: None, .. }) => Err(StoreError::Unavailable(
            "it holds a part of what was to be migrated from SQLite; run `organise-event migrate-to-mongodb` again until it \
             says that all is there"
                .to_owned(),
        )),
        _ => Ok(()),
    }
}
