//! Calendars to subscribe to.

use async_trait::async_trait;
use common::{clock::Timestamp, ids::UserId, store::StoreError};
use mongo_store::{DocumentExt, date, uuid};
use mongodb::bson::doc;

use super::{MongoStore, documents, schema::CALENDARS};
use crate::store::calendars::{CalendarStore, TokenHash};

#[async_trait]
impl CalendarStore for MongoStore {
    async fn set_calendar(&self, user: UserId, token: TokenHash, now: Timestamp) -> Result<(), StoreError> {
        let set = doc! {"$set": {"token_hash": documents::hash(token), "created_at": date(now)}};
        let mut tx = self.db.read();
        tx.upsert(CALENDARS, doc! {"_id": uuid(user)}, set)
            .await
            .map(drop)
    }

    async fn drop_calendar(&self, user: UserId) -> Result<bool, StoreError> {
        let dropped = self.db.read().delete(CALENDARS, doc! {"_id": uuid(user)}).await?;
        Ok(dropped > 0)
    }

    async fn calendar(&self, token: TokenHash) -> Result<Option<UserId>, StoreError> {
        let filter = doc! {"token_hash": documents::hash(token)};
        let found = self.db.read().find_one(CALENDARS, filter).await?;
        found.map(|found| found.id("_id")).transpose()
    }
}
