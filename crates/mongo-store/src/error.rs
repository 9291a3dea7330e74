//! The driver's errors in our terms.

use mongodb::error::{
    Error, ErrorKind, TRANSIENT_TRANSACTION_ERROR, UNKNOWN_TRANSACTION_COMMIT_RESULT, WriteFailure,
};

use common::store::StoreError;

/// The code of a violated unique index.
const DUPLICATE: i32 = 11000;
/// The code of a write that met another transaction.
const CONFLICT: i32 = 112;

/// The driver's error in our terms.
pub fn store(error: Error) -> StoreError {
    match *error.kind {
        ErrorKind::BsonSerialization(..) | ErrorKind::BsonDeserialization(..) => {
            StoreError::Corrupt(error.to_string())
        }
        _ => StoreError::Unavailable(error.to_string()),
    }
}

/// The error of an operation that took too long.
pub fn late() -> StoreError {
    StoreError::Unavailable("MongoDB gave no answer in time".to_owned())
}

pub(super) fn is_duplicate(error: &Error) -> bool {
    code(error) == Some(DUPLICATE)
}

/// Whether the transaction as a whole may be tried again: nothing of it has happened.
pub(super) fn is_transient(error: &Error) -> bool {
    error.contains_label(TRANSIENT_TRANSACTION_ERROR) || code(error) == Some(CONFLICT)
}

pub(super) fn is_commit_unknown(error: &Error) -> bool {
    error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT)
}

fn code(error: &Error) -> Option<i32> {
    match &*error.kind {
        ErrorKind::Command(error) => Some(error.code),
        ErrorKind::Write(WriteFailure::WriteError(error)) => Some(error.code),
        ErrorKind::InsertMany(many) => many.write_errors.as_ref()?.first().map(|error| error.code),
        _ => None,
    }
}
