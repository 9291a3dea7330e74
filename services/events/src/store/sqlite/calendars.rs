//! Calendars to subscribe to.

use async_trait::async_trait;
use common::{clock::Timestamp, ids::UserId, store::StoreError};
use sqlite_store::params;

use super::SqliteStore;
use crate::store::calendars::{CalendarStore, TokenHash};

#[async_trait]
impl CalendarStore for SqliteStore {
    async fn set_calendar(&self, user: UserId, token: TokenHash, now: Timestamp) -> Result<(), StoreError> {
        self.db
            .write(move |db| {
                db.prepare_cached(
                    "INSERT OR REPLACE INTO calendars (user_id, token_hash, created_at) VALUES (?1, ?2, ?3)",
                )?
                .execute(params![user, token.as_slice(), now.timestamp_millis()])?;
                Ok(())
            })
            .await
    }

    async fn drop_calendar(&self, user: UserId) -> Result<bool, StoreError> {
        self.db
            .write(move |db| {
                let dropped = db
                    .prepare_cached("DELETE FROM calendars WHERE user_id = ?1")?
                    .execute([user])?;
                Ok(dropped > 0)
            })
            .await
    }

    async fn calendar(&self, token: TokenHash) -> Result<Option<UserId>, StoreError> {
        self.db
            .read(move |db| {
                Ok(db
                    .prepare_cached("SELECT user_id FROM calendars WHERE token_hash = ?1")?
                    .find(params![token.as_slice()], |row| row.get(0))?)
            })
            .await
    }
}
