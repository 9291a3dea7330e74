//! The words that events have of their own for kinds of messages.

use async_trait::async_trait;
use common::{
    clock::Timestamp,
    http::Page,
    idempotency::{Keyed, Outcome},
    ids::{EventId, UserId},
    store::StoreError,
};

use crate::domain::wording::Wording;

/// The part of the store that keeps words of events. Letters are queued with the words in force then, and keep them whatever
/// becomes of those.
#[async_trait]
pub trait WordingStore: Send + Sync {
    /// The words of an event that are in force, by kind.
    async fn wordings(&self, event: EventId) -> Result<Vec<Wording>, StoreError>;
    /// All that an organizer has written and that is in force or in letters, newest first; one more than the page holds, if
    /// there are more. The page's cursor counts by time and id.
    async fn wordings_by(&self, organizer: UserId, page: Page) -> Result<Vec<Wording>, StoreError>;
    /// Puts words in force, in place of those of the same event and kind. No effect for a deleted account.
    async fn set_wording(
        &self,
        wording: Wording,
        keyed: Keyed<Wording>,
    ) -> Result<Outcome<Wording>, StoreError>;
    /// Goes back to the standard words; fine where there are no others.
    async fn drop_wording(
        &self,
        event: EventId,
        kind: &'static str,
        now: Timestamp,
        keyed: Keyed<()>,
    ) -> Result<Outcome<()>, StoreError>;
}
