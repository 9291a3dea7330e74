//! Production's store.

mod announcements;
mod broadcasts;
mod delivery;
mod events;
mod intake;
mod letters;
mod lists;
mod preferences;
mod reminders;
mod schema;
mod tracking;
mod wordings;

use std::sync::Arc;

use async_trait::async_trait;
use common::audit::AuditStore;
use common::{
    clock::Timestamp,
    http::Page,
    idempotency::{Keyed, Outcome},
    ids::{AnnouncementId, EventId, MessageId, UserId},
    outbox::OutboxStore,
    services::Service,
    store::StoreError,
    workers::WakeSignal,
};
use futures_util::FutureExt;
use mongo_store::audit::MongoAudit;
use mongo_store::{
    Mongo, date,
    idempotency::{self, keyed as with_key},
    inbox,
    outbox::MongoOutbox,
};
use mongodb::bson::doc;
use uuid::Uuid;

pub use self::{events::id as event_id, reminders::schedule_id, schema::COLLECTIONS};
use super::broadcasts::{AnnounceError, BroadcastStep, BroadcastStore, DueBroadcast, WithdrawError};
use super::wordings::WordingStore;
use super::{
    Announcement, Claimed, DecidedReminder, DeliveryReport, DueReminder, Intake, Listed, News, Only, Planned,
    PreferencesChange, Record, SETTLED_KEPT_MILLIS, Stats, Step, Store,
};
use crate::domain::{
    broadcast::{Broadcast, Counts},
    message::{Channel, Message},
    preferences::Preferences,
    wording::Wording,
};

/// Messages consumed by one transaction. The inbox drops what a repeat brings again, so that a batch may be several.
const TAKEN_AT_ONCE: usize = 100;

/// The service's MongoDB database.
pub struct MongoStore {
    db: Mongo,
    wake: WakeSignal,
}

impl MongoStore {
    /// The store in a database that was opened with [`COLLECTIONS`].
    pub fn new(db: Mongo) -> Self {
        Self {
            db,
            wake: WakeSignal::default(),
        }
    }
}

#[async_trait]
impl Store for MongoStore {
    async fn take(&self, batch: Arc<[Intake]>, now: Timestamp) -> Result<(), StoreError> {
        for begin in (0..batch.len()).step_by(TAKEN_AT_ONCE) {
            let end = (begin + TAKEN_AT_ONCE).min(batch.len());
            self.db
                .write((batch.clone(), begin..end, now), |tx, (batch, range, now)| {
                    intake::take(tx, &batch[range.clone()], *now).boxed()
                })
                .await?;
        }
        Ok(())
    }

    async fn due_reminders(&self, now: Timestamp, limit: usize) -> Result<Vec<DueReminder>, StoreError> {
        reminders::due(&mut self.db.read(), now, limit).await
    }

    async fn next_reminder(&self) -> Result<Option<Timestamp>, StoreError> {
        reminders::next(&mut self.db.read()).await
    }

    async fn decide(&self, decided: Vec<DecidedReminder>, now: Timestamp) -> Result<usize, StoreError> {
        self.db
            .write((decided, now), |tx, (decided, now)| {
                reminders::decide(tx, decided, *now).boxed()
            })
            .await
    }

    async fn announcement(&self, limit: usize) -> Result<Option<Announcement>, StoreError> {
        announcements::next(&mut self.db.read(), limit).await
    }

    async fn announce(&self, step: Step, now: Timestamp) -> Result<bool, StoreError> {
        self.db
            .write((step, now), |tx, (step, now)| {
                announcements::step(tx, step, *now).boxed()
            })
            .await
    }

    async fn claim(
        &self,
        channel: Channel,
        owner: Uuid,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Claimed>, StoreError> {
        let next = delivery::next(&mut self.db.read(), channel).await?;
        match next {
            None => return Ok(Vec::new()),
            Some(next) if next > now => {
                delivery::release_outlasted(&mut self.db.read(), channel, now, until).await?;
                return Ok(Vec::new());
            }
            Some(_) => {}
        }
        self.db
            .write(
                (channel, owner, now, until, limit),
                |tx, (channel, owner, now, until, limit)| {
                    delivery::claim(tx, *channel, *owner, *now, *until, *limit).boxed()
                },
            )
            .await
    }

    async fn next_message(&self, channel: Channel) -> Result<Option<Timestamp>, StoreError> {
        delivery::next(&mut self.db.read(), channel).await
    }

    async fn report(&self, reports: Arc<[DeliveryReport]>, now: Timestamp) -> Result<usize, StoreError> {
        let held = self
            .db
            .write((reports, now), |tx, (reports, now)| {
                delivery::report(tx, reports, *now).boxed()
            })
            .await?;
        self.wake.wake();
        Ok(held)
    }

    async fn note(&self, news: News, now: Timestamp) -> Result<Option<MessageId>, StoreError> {
        let noted = self
            .db
            .write((news, now), |tx, (news, now)| {
                tracking::note(tx, news, *now).boxed()
            })
            .await?;
        self.wake.wake();
        Ok(noted)
    }

    async fn redrive(&self, ids: Option<Vec<MessageId>>, now: Timestamp) -> Result<usize, StoreError> {
        self.db
            .write((ids, now), |tx, (ids, now)| {
                tracking::redrive(tx, ids.as_deref(), *now).boxed()
            })
            .await
    }

    async fn record(&self, id: MessageId) -> Result<Option<Record>, StoreError> {
        tracking::record(&mut self.db.read(), id).await
    }

    async fn about(&self, occurrence: Uuid) -> Result<(Vec<Record>, Vec<Planned>), StoreError> {
        tracking::about(&mut self.db.read(), occurrence).await
    }

    async fn dead(&self, limit: usize) -> Result<Vec<Record>, StoreError> {
        tracking::dead(&mut self.db.read(), limit).await
    }

    async fn entry(&self, id: MessageId, user: UserId) -> Result<Option<Listed>, StoreError> {
        lists::one(&mut self.db.read(), id, user).await
    }

    async fn of_user(&self, user: UserId, only: Only, page: Page) -> Result<Vec<Listed>, StoreError> {
        lists::of_user(&mut self.db.read(), user, only, page).await
    }

    async fn mark_read(
        &self,
        user: UserId,
        message: Option<MessageId>,
        now: Timestamp,
    ) -> Result<Option<usize>, StoreError> {
        self.db
            .write((user, message, now), |tx, (user, message, now)| {
                lists::mark_read(tx, *user, *message, *now).boxed()
            })
            .await
    }

    async fn taken_by(
        &self,
        provider: &'static str,
        address: Option<String>,
        page: Page,
    ) -> Result<Vec<Message>, StoreError> {
        lists::taken_by(&mut self.db.read(), provider, address.as_deref(), page).await
    }

    async fn find(&self, provider: &'static str, id: MessageId) -> Result<Option<Message>, StoreError> {
        lists::find(&mut self.db.read(), provider, id).await
    }

    async fn preferences(&self, user: UserId) -> Result<Preferences, StoreError> {
        preferences::of(&mut self.db.read(), user).await
    }

    async fn set_preferences(
        &self,
        user: UserId,
        change: PreferencesChange,
        now: Timestamp,
    ) -> Result<Preferences, StoreError> {
        self.db
            .write((user, change, now), |tx, (user, change, now)| {
                preferences::set(tx, *user, change.clone(), *now).boxed()
            })
            .await
    }

    async fn stats(&self, now: Timestamp) -> Result<Stats, StoreError> {
        lists::stats(&mut self.db.read(), now).await
    }

    async fn purge(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let oldest = now.timestamp_millis() - SETTLED_KEPT_MILLIS;
        let settled = reminders::purge(&mut self.db.read(), oldest, limit).await?;
        let old = doc! {"at": {"$lte": date(common::clock::from_millis(oldest))}};
        let mut tx = self.db.read();
        let forgotten = tx
            .delete_some(schema::FORGOTTEN, old, doc! {"at": 1}, limit)
            .await?;
        let keys = idempotency::purge(&self.db, now, limit).await?;
        Ok(settled + forgotten + keys + inbox::purge(&self.db, now, limit).await?)
    }

    fn outbox(&self) -> Arc<dyn OutboxStore> {
        MongoOutbox::shared(self.db.clone(), Service::Notifications)
    }

    fn wake_signal(&self) -> WakeSignal {
        self.wake.clone()
    }

    fn audit(&self) -> Arc<dyn AuditStore> {
        MongoAudit::shared(self.db.clone())
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.db.ping().await
    }
}

#[async_trait]
impl BroadcastStore for MongoStore {
    async fn create_broadcast(
        &self,
        broadcast: Broadcast,
        keyed: Keyed<Broadcast>,
    ) -> Result<Outcome<Broadcast>, AnnounceError> {
        self.db
            .write((broadcast, keyed), |tx, (broadcast, keyed)| {
                with_key(tx, keyed, broadcast.created_at, async |tx| {
                    broadcasts::create(tx, broadcast).await
                })
                .boxed()
            })
            .await
    }

    async fn broadcast(
        &self,
        id: AnnouncementId,
        event: EventId,
    ) -> Result<Option<(Broadcast, Counts)>, StoreError> {
        broadcasts::one(&mut self.db.read(), id, event).await
    }

    async fn broadcasts_of(
        &self,
        event: EventId,
        page: Page,
    ) -> Result<Vec<(Broadcast, Counts)>, StoreError> {
        broadcasts::of_event(&mut self.db.read(), event, page).await
    }

    async fn broadcasts_by(&self, organizer: UserId, page: Page) -> Result<Vec<Broadcast>, StoreError> {
        broadcasts::by_organizer(&mut self.db.read(), organizer, page).await
    }

    async fn withdraw_broadcast(
        &self,
        id: AnnouncementId,
        event: EventId,
        now: Timestamp,
        keyed: Keyed<Broadcast>,
    ) -> Result<Outcome<Broadcast>, WithdrawError> {
        self.db
            .write((id, event, now, keyed), |tx, (id, event, now, keyed)| {
                with_key(tx, keyed, *now, async |tx| {
                    broadcasts::withdraw(tx, *id, *event).await
                })
                .boxed()
            })
            .await
    }

    async fn due_broadcast(&self, now: Timestamp) -> Result<Option<DueBroadcast>, StoreError> {
        broadcasts::due(&mut self.db.read(), now).await
    }

    async fn broadcast_step(&self, step: BroadcastStep, now: Timestamp) -> Result<bool, StoreError> {
        self.db
            .write((step, now), |tx, (step, now)| {
                broadcasts::step(tx, step, *now).boxed()
            })
            .await
    }
}

#[async_trait]
impl WordingStore for MongoStore {
    async fn wordings(&self, event: EventId) -> Result<Vec<Wording>, StoreError> {
        wordings::of_event(&mut self.db.read(), event).await
    }

    async fn wordings_by(&self, organizer: UserId, page: Page) -> Result<Vec<Wording>, StoreError> {
        wordings::by_organizer(&mut self.db.read(), organizer, page).await
    }

    async fn set_wording(
        &self,
        wording: Wording,
        keyed: Keyed<Wording>,
    ) -> Result<Outcome<Wording>, StoreError> {
        self.db
            .write((wording, keyed), |tx, (wording, keyed)| {
                with_key(tx, keyed, wording.created_at, async |tx| {
                    wordings::set(tx, wording).await
                })
                .boxed()
            })
            .await
    }

    async fn drop_wording(
        &self,
        event: EventId,
        kind: &'static str,
        now: Timestamp,
        keyed: Keyed<()>,
    ) -> Result<Outcome<()>, StoreError> {
        self.db
            .write((event, kind, now, keyed), |tx, (event, kind, now, keyed)| {
                with_key(tx, keyed, *now, async |tx| wordings::end(tx, *event, kind).await).boxed()
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use common::wire::service;
    use store_test_kit::mongo::{Watch, damager};
    use test_kit::mongo::fresh_uri;

    use super::*;
    use crate::store::contract::Fresh;

    async fn fresh() -> Fresh {
        let (watch, uri) = (Watch::default(), fresh_uri());
        let db = watch.open(&uri, service::NOTIFICATIONS, COLLECTIONS).await;
        let other = watch.open(&uri, service::NOTIFICATIONS, COLLECTIONS).await;
        Fresh {
            store: Arc::new(MongoStore::new(db.clone())),
            other: Arc::new(MongoStore::new(other)),
            damager: damager(&db),
            finish: Box::new(move || Box::pin(async move { watch.assert_no_scan(&db).await })),
        }
    }

    crate::store_contract!(fresh);
}
