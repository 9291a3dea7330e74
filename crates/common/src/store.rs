//! What every store has in common, whichever database is behind it.

use futures_util::future::BoxFuture;
use rusqlite::ErrorCode;

/// Asks a store whether changes can be made.
pub type Ping = Box<dyn Fn() -> BoxFuture<'static, Result<(), StoreError>> + Send + Sync>;

/// A store could not answer. Outcomes of the domain ("the event is full") are types of their service, not these.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// More is waiting than the store takes; nothing was done.
    #[error("the store has too many requests waiting")]
    Overloaded,
    /// The database is away, full or failing. Whether the change was made is not known.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// Nothing can be written, because the disk is full, failing or read-only; what is there can be read. Nothing was done.
    #[error("the store cannot be written: {0}")]
    ReadOnly(String),
    /// The database holds what no code of ours writes.
    #[error("the store holds something unreadable: {0}")]
    Corrupt(String),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::Error as E;
        match error {
            E::FromSqlConversionFailure(..)
            | E::IntegralValueOutOfRange(..)
            | E::InvalidColumnType(..)
            | E::Utf8Error(..) => Self::Corrupt(error.to_string()),
            error => match error.sqlite_error_code() {
                Some(ErrorCode::DiskFull | ErrorCode::ReadOnly) => Self::ReadOnly(error.to_string()),
                _ => Self::Unavailable(error.to_string()),
            },
        }
    }
}

/// Whether this error is a violated unique index or primary key.
pub fn is_duplicate(error: &rusqlite::Error) -> bool {
    use rusqlite::ffi;
    matches!(error, rusqlite::Error::SqliteFailure(e, _)
        if e.extended_code == ffi::SQLITE_CONSTRAINT_UNIQUE || e.extended_code == ffi::SQLITE_CONSTRAINT_PRIMARYKEY)
}
