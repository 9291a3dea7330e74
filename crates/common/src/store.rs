//! What every store has in common, whichever database is behind it.

use futures_util::future::BoxFuture;

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
