//! Rows as far as they can be read.

use std::fmt;

use rusqlite::types::{ToSqlOutput, Value};
use uuid::Uuid;

use common::{
    clock::{Timestamp, from_millis},
    store::StoreError,
    unreadable::Sifted,
};

use crate::{Error, Param, Row, RowResult, Rows};

/// A row's key as it is stored, whatever it is.
pub struct Key(Value);

impl Key {
    /// The key in a column.
    pub fn of(row: &Row<'_>, column: usize) -> Self {
        Self(row.value(column))
    }
}

impl Param for Key {
    fn value(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        self.0.value()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Value::Blob(bytes) => match Uuid::from_slice(bytes) {
                Ok(id) => id.fmt(f),
                Err(_) => bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
            },
            Value::Integer(number) => number.fmt(f),
            other => write!(f, "a key that is {}", other.data_type()),
        }
    }
}

/// Reads rows whose key is in the column `key`.
///
/// # Errors
/// A storage error.
pub fn sift<T, E: Into<StoreError>>(
    mut rows: Rows<'_>,
    key: usize,
    mut read: impl FnMut(&Row<'_>) -> Result<T, E>,
) -> Result<Sifted<T, Key>, StoreError> {
    let mut sifted = Sifted::default();
    while let Some(row) = rows.next()? {
        sifted.add(read(&row).map_err(Into::into), || Key::of(&row, key))?;
    }
    Ok(sifted)
}

/// As [`sift`], for a list that wants `wanted` readable rows, if there are as many; `find` is given the number to ask for.
///
/// # Errors
/// A storage error.
pub fn sift_page<T>(
    wanted: usize,
    mut find: impl FnMut(i64) -> Result<Sifted<T, Key>, StoreError>,
) -> Result<Sifted<T, Key>, StoreError> {
    let mut asked = wanted;
    loop {
        let found = find(asked as i64)?;
        match found.ask_again(wanted, asked) {
            Some(more) => asked = more,
            None => return Ok(found),
        }
    }
}

/// A time that a column holds, as `min(due_at)` gives it. Something else, which no query by time finds, is none.
///
/// # Errors
/// A storage error.
pub fn maybe_time(row: &Row<'_>, column: usize) -> RowResult<Option<Timestamp>> {
    Ok(match row.value(column) {
        Value::Integer(millis) => Some(from_millis(millis)),
        _ => None,
    })
}

/// What a column holds that is one of a few names, or a form of ours.
///
/// # Errors
/// [`StoreError::Corrupt`] for any other: a newer release may have written it, and a default would be a guess.
pub fn named<T>(row: &Row<'_>, column: usize, parse: impl FnOnce(&str) -> Option<T>) -> RowResult<T> {
    let text: String = row.get(column)?;
    parse(&text)
        .ok_or_else(|| Error::unreadable(column, format!("{text:?} is nothing that this release writes")))
}

/// The same for a column that may be NULL.
///
/// # Errors
/// As [`named`].
pub fn maybe_named<T>(
    row: &Row<'_>,
    column: usize,
    parse: impl FnOnce(&str) -> Option<T>,
) -> RowResult<Option<T>> {
    match row.value(column) {
        Value::Null => Ok(None),
        _ => named(row, column, parse).map(Some),
    }
}
