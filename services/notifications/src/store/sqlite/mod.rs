//! The embedded store.

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
use sqlite_store::audit::SqliteAudit;
use sqlite_store::outbox::SqliteOutbox;
use sqlite_store::params;
use sqlite_store::{
    Sqlite,
    idempotency::{self, keyed as with_key},
    inbox,
};
use uuid::Uuid;

pub use self::schema::MIGRATIONS;
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

/// The service's SQLite file.
pub struct SqliteStore {
    db: Sqlite,
    wake: WakeSignal,
}

impl SqliteStore {
    /// The store in a file that was opened with [`MIGRATIONS`].
    pub fn new(db: Sqlite) -> Self {
        Self {
            db,
            wake: WakeSignal::default(),
        }
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn take(&self, batch: Arc<[Intake]>, now: Timestamp) -> Result<(), StoreError> {
        self.db.write(move |db| intake::take(db, &batch, now)).await
    }

    async fn due_reminders(&self, now: Timestamp, limit: usize) -> Result<Vec<DueReminder>, StoreError> {
        let (due, unreadable) = self.db.read(move |db| reminders::due(db, now, limit)).await?;
        if !unreadable.is_empty() {
            self.db
                .write(move |db| reminders::set_aside(db, &unreadable))
                .await?;
        }
        Ok(due)
    }

    async fn next_reminder(&self) -> Result<Option<Timestamp>, StoreError> {
        self.db.read(reminders::next).await
    }

    async fn decide(&self, decided: Vec<DecidedReminder>, now: Timestamp) -> Result<usize, StoreError> {
        self.db
            .write(move |db| reminders::decide(db, &decided, now))
            .await
    }

    async fn announcement(&self, limit: usize) -> Result<Option<Announcement>, StoreError> {
        loop {
            match self.db.read(move |db| announcements::next(db, limit)).await? {
                announcements::Next::Step(step) => return Ok(Some(step)),
                announcements::Next::None => return Ok(None),
                announcements::Next::Unreadable(event, why) => {
                    self.db
                        .write(move |db| announcements::set_aside(db, &event, &why))
                        .await?;
                }
            }
        }
    }

    async fn announce(&self, step: Step, now: Timestamp) -> Result<bool, StoreError> {
        self.db.write(move |db| announcements::step(db, &step, now)).await
    }

    async fn claim(
        &self,
        channel: Channel,
        owner: Uuid,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Claimed>, StoreError> {
        self.db
            .write(move |db| delivery::claim(db, channel, owner, now, until, limit))
            .await
    }

    async fn next_message(&self, channel: Channel) -> Result<Option<Timestamp>, StoreError> {
        self.db.read(move |db| delivery::next(db, channel)).await
    }

    async fn report(&self, reports: Arc<[DeliveryReport]>, now: Timestamp) -> Result<usize, StoreError> {
        let held = self
            .db
            .write(move |db| delivery::report(db, &reports, now))
            .await?;
        self.wake.wake();
        Ok(held)
    }

    async fn note(&self, news: News, now: Timestamp) -> Result<Option<MessageId>, StoreError> {
        let noted = self.db.write(move |db| tracking::note(db, &news, now)).await?;
        self.wake.wake();
        Ok(noted)
    }

    async fn redrive(&self, ids: Option<Vec<MessageId>>, now: Timestamp) -> Result<usize, StoreError> {
        self.db
            .write(move |db| tracking::redrive(db, ids.as_deref(), now))
            .await
    }

    async fn record(&self, id: MessageId) -> Result<Option<Record>, StoreError> {
        self.db.read(move |db| tracking::record(db, id)).await
    }

    async fn about(&self, occurrence: Uuid) -> Result<(Vec<Record>, Vec<Planned>), StoreError> {
        self.db.read(move |db| tracking::about(db, occurrence)).await
    }

    async fn dead(&self, limit: usize) -> Result<Vec<Record>, StoreError> {
        self.db.read(move |db| tracking::dead(db, limit)).await
    }

    async fn entry(&self, id: MessageId, user: UserId) -> Result<Option<Listed>, StoreError> {
        self.db.read(move |db| lists::one(db, id, user)).await
    }

    async fn of_user(&self, user: UserId, only: Only, page: Page) -> Result<Vec<Listed>, StoreError> {
        self.db.read(move |db| lists::of_user(db, user, only, page)).await
    }

    async fn mark_read(
        &self,
        user: UserId,
        message: Option<MessageId>,
        now: Timestamp,
    ) -> Result<Option<usize>, StoreError> {
        self.db
            .write(move |db| lists::mark_read(db, user, message, now))
            .await
    }

    async fn taken_by(
        &self,
        provider: &'static str,
        address: Option<String>,
        page: Page,
    ) -> Result<Vec<Message>, StoreError> {
        self.db
            .read(move |db| lists::taken_by(db, provider, address.as_deref(), page))
            .await
    }

    async fn find(&self, provider: &'static str, id: MessageId) -> Result<Option<Message>, StoreError> {
        self.db.read(move |db| lists::find(db, provider, id)).await
    }

    async fn preferences(&self, user: UserId) -> Result<Preferences, StoreError> {
        self.db.read(move |db| preferences::of(db, user)).await
    }

    async fn set_preferences(
        &self,
        user: UserId,
        change: PreferencesChange,
        now: Timestamp,
    ) -> Result<Preferences, StoreError> {
        self.db
            .write(move |db| preferences::set(db, user, change.clone(), now))
            .await
    }

    async fn stats(&self, now: Timestamp) -> Result<Stats, StoreError> {
        self.db.read(move |db| lists::stats(db, now)).await
    }

    async fn purge(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.db
            .write(move |db| {
                let oldest = now.timestamp_millis() - SETTLED_KEPT_MILLIS;
                let settled = db
                    .prepare_cached(
                        "DELETE FROM schedules WHERE (registration_id, kind) IN (
                            SELECT registration_id, kind FROM schedules
                            WHERE status IN ('done', 'dropped', 'skipped_late') AND due_at <= ?1 LIMIT ?2)",
                    )?
                    .execute(params![oldest, limit as i64])?;
                let forgotten = db
                    .prepare_cached(
                        "DELETE FROM forgotten WHERE user_id IN
                             (SELECT user_id FROM forgotten WHERE at <= ?1 ORDER BY at LIMIT ?2)",
                    )?
                    .execute(params![oldest, limit as i64])?;
                let keys = idempotency::purge(db, now, limit)?;
                Ok(settled + forgotten + keys + inbox::purge(db, now, limit)?)
            })
            .await
    }

    fn outbox(&self) -> Arc<dyn OutboxStore> {
        SqliteOutbox::shared(self.db.clone(), Service::Notifications)
    }

    fn wake_signal(&self) -> WakeSignal {
        self.wake.clone()
    }

    fn audit(&self) -> Arc<dyn AuditStore> {
        SqliteAudit::shared(self.db.clone())
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.db.ping().await
    }
}

#[async_trait]
impl BroadcastStore for SqliteStore {
    async fn create_broadcast(
        &self,
        broadcast: Broadcast,
        keyed: Keyed<Broadcast>,
    ) -> Result<Outcome<Broadcast>, AnnounceError> {
        self.db
            .write(move |db| {
                with_key(db, &keyed, broadcast.created_at, |db| {
                    broadcasts::create(db, broadcast)
                })
            })
            .await
    }

    async fn broadcast(
        &self,
        id: AnnouncementId,
        event: EventId,
    ) -> Result<Option<(Broadcast, Counts)>, StoreError> {
        self.db.read(move |db| broadcasts::one(db, id, event)).await
    }

    async fn broadcasts_of(
        &self,
        event: EventId,
        page: Page,
    ) -> Result<Vec<(Broadcast, Counts)>, StoreError> {
        self.db
            .read(move |db| broadcasts::of_event(db, event, page))
            .await
    }

    async fn broadcasts_by(&self, organizer: UserId, page: Page) -> Result<Vec<Broadcast>, StoreError> {
        self.db
            .read(move |db| broadcasts::by_organizer(db, organizer, page))
            .await
    }

    async fn withdraw_broadcast(
        &self,
        id: AnnouncementId,
        event: EventId,
        now: Timestamp,
        keyed: Keyed<Broadcast>,
    ) -> Result<Outcome<Broadcast>, WithdrawError> {
        self.db
            .write(move |db| with_key(db, &keyed, now, |db| broadcasts::withdraw(db, id, event)))
            .await
    }

    async fn due_broadcast(&self, now: Timestamp) -> Result<Option<DueBroadcast>, StoreError> {
        loop {
            match self.db.read(move |db| broadcasts::due(db, now)).await? {
                broadcasts::Due::Next(due) => return Ok(Some(*due)),
                broadcasts::Due::None => return Ok(None),
                broadcasts::Due::Unreadable(id, why) => {
                    self.db
                        .write(move |db| broadcasts::set_aside(db, &id, &why))
                        .await?;
                }
            }
        }
    }

    async fn broadcast_step(&self, step: BroadcastStep, now: Timestamp) -> Result<bool, StoreError> {
        self.db.write(move |db| broadcasts::step(db, &step, now)).await
    }
}

#[async_trait]
impl WordingStore for SqliteStore {
    async fn wordings(&self, event: EventId) -> Result<Vec<Wording>, StoreError> {
        self.db.read(move |db| wordings::of_event(db, event)).await
    }

    async fn wordings_by(&self, organizer: UserId, page: Page) -> Result<Vec<Wording>, StoreError> {
        self.db
            .read(move |db| wordings::by_organizer(db, organizer, page))
            .await
    }

    async fn set_wording(
        &self,
        wording: Wording,
        keyed: Keyed<Wording>,
    ) -> Result<Outcome<Wording>, StoreError> {
        self.db
            .write(move |db| with_key(db, &keyed, wording.created_at, |db| wordings::set(db, wording)))
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
            .write(move |db| with_key(db, &keyed, now, |db| wordings::end(db, event, kind)))
            .await
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::store::contract::Fresh;

    async fn temp() -> Fresh {
        let dir = TempDir::new().unwrap();
        // Two connections to one file, as two processes have.
        let open = || Sqlite::open(&dir.path().join("notifications.db"), MIGRATIONS).unwrap();
        let (db, other) = (open(), open());
        let damager = store_test_kit::sqlite::damager(&db);
        Fresh {
            store: Arc::new(SqliteStore::new(db)),
            other: Arc::new(SqliteStore::new(other)),
            damager,
            finish: Box::new(move || Box::pin(async move { drop(dir) })),
        }
    }

    crate::store_contract!(temp);
}
