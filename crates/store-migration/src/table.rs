//! Tables, and how a row becomes a document.
//!
//! A collection's schema names its fields with their types, and a table's columns have the same names: that is nearly
//! all there is to know. A [`Table`] adds the rest: what `_id` is, and which fields are not the column of their name.

use mongodb::bson::{Binary, Bson, DateTime, Document, spec::BinarySubtype};
use rusqlite::types::ValueRef;
use sqlite_store::Row;
use uuid::Uuid;

use common::store::StoreError;
use mongo_store::{Collection, idempotency, uuid};

/// What one service keeps.
pub struct Service {
    /// Its name: of the file, and in the database's.
    pub name: &'static str,
    /// The scripts that made the file.
    pub migrations: &'static [&'static str],
    /// The collections of the database.
    pub collections: &'static [Collection],
    /// The tables that are copied, each into the collection of the same name.
    pub tables: &'static [Table],
    /// The tables that are not copied, each with the reason.
    pub left: &'static [(&'static str, &'static str)],
}

/// A table that is copied.
pub struct Table {
    /// Its name, and that of the collection.
    pub name: &'static str,
    /// What `_id` is.
    pub id: Id,
    /// Fields that are not the column of their name, with the SQL expression that they are.
    pub fields: &'static [(&'static str, &'static str)],
    /// Fields whose bytes are no UUID.
    pub bytes: &'static [&'static str],
}

/// What `_id` is.
pub enum Id {
    /// A UUID, text or whole number: this SQL expression.
    Is(&'static str),
    /// Made of these columns, separated by commas; the function gets the row and the place of the first.
    Made(&'static str, fn(&Row<'_>, usize) -> Result<Bson, StoreError>),
}

impl Table {
    /// A table whose columns are the fields.
    pub const fn new(name: &'static str, id: Id) -> Self {
        Self {
            name,
            id,
            fields: &[],
            bytes: &[],
        }
    }

    /// Likewise, but for these fields.
    pub const fn with(name: &'static str, id: Id, fields: &'static [(&'static str, &'static str)]) -> Self {
        Self {
            name,
            id,
            fields,
            bytes: &[],
        }
    }

    /// The query whose rows [`Table::document`] reads.
    pub(crate) fn query(&self, collection: &Collection) -> String {
        let mut columns: Vec<&str> = collection
            .fields
            .iter()
            .map(|(field, _)| self.expression(field))
            .collect();
        columns.push(match self.id {
            Id::Is(sql) | Id::Made(sql, _) => sql,
        });
        format!("SELECT {} FROM {}", columns.join(", "), self.name)
    }

    pub(crate) fn expression(&self, field: &'static str) -> &'static str {
        let own = self.fields.iter().find(|(name, _)| *name == field);
        own.map_or(field, |(_, sql)| sql)
    }

    pub(crate) fn document(&self, collection: &Collection, row: &Row<'_>) -> Result<Document, StoreError> {
        let at = collection.fields.len();
        let id = match self.id {
            Id::Is(_) => match row.get_ref(at)? {
                ValueRef::Integer(number) => Some(Bson::Int64(number)),
                ValueRef::Text(_) => read(row, at, "string", false)?,
                _ => read(row, at, "binData", false)?,
            },
            Id::Made(_, make) => Some(make(row, at)?),
        };
        let mut document = Document::new();
        let missing = |field: &str| StoreError::Corrupt(format!("a row of {} without {field}", self.name));
        document.insert("_id", id.ok_or_else(|| missing("an id"))?);
        for (at, (field, kind)) in collection.fields.iter().enumerate() {
            let value = read(row, at, kind.trim_end_matches('?'), self.bytes.contains(field))
                .map_err(|error| StoreError::Corrupt(format!("{}.{field}: {error}", self.name)))?;
            match value {
                Some(value) => drop(document.insert(*field, value)),
                None if kind.ends_with('?') => {}
                None => return Err(missing(field)),
            }
        }
        Ok(document)
    }
}

/// A column as a field of this type; `None` when it is NULL.
fn read(row: &Row<'_>, at: usize, kind: &str, plain_bytes: bool) -> Result<Option<Bson>, StoreError> {
    let value = row.get_ref(at)?;
    let wrong = || StoreError::Corrupt(format!("{value:?} is no {kind}"));
    Ok(Some(match (kind, value) {
        (_, ValueRef::Null) => return Ok(None),
        ("date", ValueRef::Integer(millis)) => Bson::DateTime(DateTime::from_millis(millis)),
        ("long", ValueRef::Integer(number)) => Bson::Int64(number),
        ("bool", ValueRef::Integer(number @ (0 | 1))) => Bson::Boolean(number == 1),
        ("string", ValueRef::Text(text)) => {
            Bson::String(std::str::from_utf8(text).map_err(|_| wrong())?.to_owned())
        }
        // Several texts are one JSON array.
        ("array", ValueRef::Text(text)) => {
            let texts: Vec<String> = serde_json::from_slice(text).map_err(|_| wrong())?;
            Bson::Array(texts.into_iter().map(Bson::String).collect())
        }
        ("binData", ValueRef::Blob(bytes)) if plain_bytes => Bson::Binary(Binary {
            subtype: BinarySubtype::Generic,
            bytes: bytes.to_vec(),
        }),
        ("binData", ValueRef::Blob(bytes)) => uuid(Uuid::from_slice(bytes).map_err(|_| wrong())?),
        _ => return Err(wrong()),
    }))
}

/// Messages that wait keep their places. Those of MongoDB are microseconds since 1970, so whatever is added later comes
/// after them.
pub const OUTBOX: Table = Table::with(
    "outbox",
    Id::Is("seq"),
    &[
        ("message_id", "id"),
        // 0: never tried.
        ("retry_at", "nullif(retry_at, 0)"),
    ],
);

/// In SQLite a dead letter has lost its place in the outbox. It gets one that no message of the outbox ever had.
pub const DEAD_LETTERS: Table = Table::with(
    "dead_letters",
    Id::Is(
        "(SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'outbox') + row_number() OVER (ORDER BY time, id)",
    ),
    &[("message_id", "id"), ("retry_at", "NULL")],
);

/// The audit trail.
pub const AUDIT: Table = Table::new("audit", Id::Is("id"));

/// Messages that had their effect: a repeat after the migration has none.
pub const INBOX: Table = Table::new("inbox", Id::Is("id"));

/// Answers to keyed requests: a repeat after the migration gets the first one.
pub const IDEMPOTENCY_KEYS: Table = Table {
    name: "idempotency_keys",
    id: Id::Made("caller, route, key", |row, at| {
        let (route, key): (String, String) = (row.get(at + 1)?, row.get(at + 2)?);
        Ok(idempotency::id(row.get(at)?, &route, &key))
    }),
    fields: &[],
    bytes: &["fingerprint", "body"],
};

/// To be left: the leases belong to workers of processes that have ended. The next workers take them anew.
pub const LEASES: (&str, &str) = ("leases", "held by processes that have ended");
