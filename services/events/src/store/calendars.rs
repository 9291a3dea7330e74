//! The part of the store that keeps who has a calendar to subscribe to. Every method is one atomic decision.

use async_trait::async_trait;
use common::{clock::Timestamp, ids::UserId, store::StoreError};

/// SHA-256 of a calendar's token, which itself is kept nowhere.
pub type TokenHash = [u8; 32];

/// The calendars' part of the store.
#[async_trait]
pub trait CalendarStore: Send + Sync {
    /// Gives the user's calendar a new token; the old one is worth nothing any more.
    async fn set_calendar(&self, user: UserId, token: TokenHash, now: Timestamp) -> Result<(), StoreError>;
    /// Drops the user's calendar; `false`: there was none.
    async fn drop_calendar(&self, user: UserId) -> Result<bool, StoreError>;
    /// Whose calendar has this token.
    async fn calendar(&self, token: TokenHash) -> Result<Option<UserId>, StoreError>;
}
