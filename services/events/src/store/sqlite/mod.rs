//! The embedded adapter.

mod attendees;
mod calendars;
mod consume;
mod counts;
mod desk;
mod events;
mod posts;
mod registrations;
mod rows;
mod secure;
mod streams;
mod waitlist;

use std::sync::Arc;

use async_trait::async_trait;
use common::audit::AuditStore;
use common::{
    clock::Timestamp,
    http::{Cursor, Page},
    idempotency::{Keyed, Outcome},
    ids::{EventId, PaymentId, RegistrationId, UserId},
    outbox::{OutboxStore, Receipt},
    services::Service,
    store::StoreError,
    subscriber::Incoming,
    wire::{AttendeeFound, ClaimSeat, ExtendedHold, Recipients, SeatClaim, SecureSeat, SecuredSeat},
    workers::WakeSignal,
};
use sqlite_store::audit::{self, SqliteAudit};
use sqlite_store::{
    Sqlite,
    idempotency::{self, keyed as with_key},
    inbox, lease,
    outbox::{self, SqliteOutbox},
};

use super::{
    CancelError, ChangeError, EventPage, Own, Register, RegisterError, Registered, Search, StatusFilter,
    Store,
};
use crate::domain::{
    event::{Event, Patch},
    fact::Fact,
    publishing::Duplicate,
};

/// The schema, script by script, in order.
pub const MIGRATIONS: &[&str] = &[
    include_str!("schema.sql"),
    outbox::SCHEMA,
    inbox::SCHEMA,
    lease::SCHEMA,
    idempotency::SCHEMA,
    include_str!("words_version.sql"),
    outbox::REQUEST_IDS,
    // The amount paid, where an offer or a convenience fee made it differ from the price; NULL: the price.
    "ALTER TABLE registrations ADD COLUMN paid INTEGER;",
    audit::SCHEMA,
    include_str!("posts.sql"),
    include_str!("streams.sql"),
    include_str!("format.sql"),
    include_str!("receiver.sql"),
    include_str!("reminders.sql"),
    include_str!("desk.sql"),
    include_str!("listing.sql"),
    include_str!("waitlist.sql"),
    include_str!("calendars.sql"),
];

/// The events service's SQLite file.
pub struct SqliteStore {
    db: Sqlite,
    wake: WakeSignal,
}

impl SqliteStore {
    /// The store in `db`, opened with [`MIGRATIONS`].
    pub fn new(db: Sqlite) -> Self {
        Self {
            db,
            wake: WakeSignal::default(),
        }
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn create_event(&self, event: Event, keyed: Keyed<Event>) -> Result<Outcome<Event>, StoreError> {
        self.db
            .write(move |db| {
                with_key(db, &keyed, event.created_at, |db| {
                    events::insert(db, &event)?;
                    Ok(event)
                })
            })
            .await
    }

    async fn event(&self, id: EventId) -> Result<Option<Event>, StoreError> {
        self.db.read(move |db| events::find(db, id)).await
    }

    async fn organizer_events(
        &self,
        organizer: UserId,
        which: Own,
        page: Page,
    ) -> Result<EventPage, StoreError> {
        self.db
            .read(move |db| events::of_organizer(db, organizer, which, page))
            .await
    }

    fn changes(&self) -> Option<u64> {
        Some(self.db.commits())
    }

    async fn search_events(&self, search: Search, page: Page) -> Result<EventPage, StoreError> {
        self.db.read(move |db| events::search(db, &search, page)).await
    }

    async fn update_event(
        &self,
        id: EventId,
        organizer: UserId,
        patch: Patch,
        now: Timestamp,
        keyed: Keyed<Event>,
    ) -> Result<Outcome<Event>, ChangeError> {
        let change = move |db: &sqlite_store::Connection| {
            with_key(db, &keyed, now, |db| {
                events::update(db, id, organizer, &patch, now)
            })
        };
        self.publishing(change).await
    }

    async fn cancel_event(
        &self,
        id: EventId,
        organizer: UserId,
        now: Timestamp,
        keyed: Keyed<Event>,
    ) -> Result<Outcome<Event>, ChangeError> {
        self.publishing(move |db| with_key(db, &keyed, now, |db| events::cancel(db, id, organizer, now)))
            .await
    }

    async fn publish_event(
        &self,
        id: EventId,
        organizer: UserId,
        now: Timestamp,
        keyed: Keyed<Event>,
    ) -> Result<Outcome<Event>, ChangeError> {
        self.publishing(move |db| with_key(db, &keyed, now, |db| events::publish(db, id, organizer, now)))
            .await
    }

    async fn duplicate_event(
        &self,
        id: EventId,
        organizer: UserId,
        copy: Duplicate,
        now: Timestamp,
        keyed: Keyed<Event>,
    ) -> Result<Outcome<Event>, ChangeError> {
        let change = move |db: &sqlite_store::Connection| {
            with_key(db, &keyed, now, |db| {
                events::duplicate(db, id, organizer, &copy, now)
            })
        };
        self.db.write(change).await
    }

    async fn end_registrations(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let waiting = self.db.read(events::any_ending).await?;
        if !waiting {
            return Ok(0);
        }
        self.publishing(move |db| registrations::end_cancelled(db, now, limit))
            .await
    }

    async fn register(
        &self,
        command: Register,
        keyed: Keyed<Registered>,
    ) -> Result<Outcome<Registered>, RegisterError> {
        let now = command.now;
        self.publishing(move |db| with_key(db, &keyed, now, |db| registrations::register(db, command)))
            .await
    }

    async fn claim_seat(&self, question: ClaimSeat, command: Register) -> Result<SeatClaim, RegisterError> {
        self.publishing(move |db| registrations::claim(db, question, command))
            .await
    }

    async fn secure_seat(
        &self,
        question: SecureSeat,
        now: Timestamp,
    ) -> Result<Option<SecuredSeat>, StoreError> {
        self.publishing(move |db| secure::seat(db, &question, now)).await
    }

    async fn release_hold(&self, hold: ExtendedHold) -> Result<(), StoreError> {
        self.db.write(move |db| secure::release(db, &hold)).await
    }

    async fn cancel_registration(
        &self,
        id: RegistrationId,
        user: UserId,
        now: Timestamp,
        keyed: Keyed<Registered>,
    ) -> Result<Outcome<Registered>, CancelError> {
        self.publishing(move |db| with_key(db, &keyed, now, |db| registrations::cancel(db, id, user, now)))
            .await
    }

    async fn registrations(
        &self,
        user: UserId,
        filter: StatusFilter,
        page: Page,
        now: Timestamp,
    ) -> Result<(Vec<Registered>, Option<Cursor>), StoreError> {
        self.db
            .read(move |db| registrations::of_user(db, user, filter, page, now))
            .await
    }

    async fn registration(
        &self,
        id: RegistrationId,
        user: UserId,
        now: Timestamp,
    ) -> Result<Option<Registered>, StoreError> {
        self.db
            .read(move |db| registrations::of_user_by_id(db, id, user, now))
            .await
    }

    async fn paid_registrations(
        &self,
        after: Option<RegistrationId>,
        limit: usize,
    ) -> Result<Vec<(RegistrationId, PaymentId, bool)>, StoreError> {
        self.db
            .read(move |db| registrations::paid_registrations(db, after, limit))
            .await
    }

    async fn attendees(
        &self,
        event: EventId,
        to: Recipients,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<AttendeeFound>, StoreError> {
        self.db
            .read(move |db| attendees::page(db, event, to, after, limit))
            .await
    }

    async fn expire_holds(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        // A read is cheap; a commit every second in an idle system is not.
        let waiting = self
            .db
            .read(move |db| registrations::any_expired(db, now))
            .await?;
        if !waiting {
            return Ok(0);
        }
        self.publishing(move |db| registrations::expire(db, now, limit))
            .await
    }

    async fn consume(&self, batch: Vec<Incoming<Fact>>, now: Timestamp) -> Result<Vec<Receipt>, StoreError> {
        self.publishing(move |db| consume::all(db, &batch, now)).await
    }

    async fn index_events(&self, limit: usize) -> Result<usize, StoreError> {
        if !self.db.read(events::any_to_index).await? {
            return Ok(0);
        }
        self.db.write(move |db| events::index(db, limit)).await
    }

    async fn tidy(&self, now: Timestamp) -> Result<(), StoreError> {
        const AT_ONCE: usize = 1_000;
        loop {
            let dropped = self
                .db
                .write(move |db| {
                    Ok::<_, StoreError>(
                        idempotency::purge(db, now, AT_ONCE)?.max(inbox::purge(db, now, AT_ONCE)?),
                    )
                })
                .await?;
            if dropped < AT_ONCE {
                return Ok(());
            }
        }
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.db.ping().await
    }

    fn outbox(&self) -> Arc<dyn OutboxStore> {
        SqliteOutbox::shared(self.db.clone(), Service::Events)
    }

    fn audit(&self) -> Arc<dyn AuditStore> {
        SqliteAudit::shared(self.db.clone())
    }

    fn wake_signal(&self) -> WakeSignal {
        self.wake.clone()
    }
}

impl SqliteStore {
    /// A change that may store messages: wakes the relays after the commit.
    async fn publishing<T, E, F>(&self, change: F) -> Result<T, E>
    where
        F: FnOnce(&sqlite_store::Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let result = self.db.write(change).await;
        if result.is_ok() {
            self.wake.wake();
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use crate::store::contract::Fresh;

    use super::*;

    async fn fresh() -> Fresh {
        let dir = tempfile::tempdir().unwrap();
        let db = Sqlite::open(&dir.path().join("events.db"), MIGRATIONS).unwrap();
        Fresh {
            damager: store_test_kit::sqlite::damager(&db),
            store: Arc::new(SqliteStore::new(db)),
            finish: Box::new(move || Box::pin(async move { drop(dir) })),
        }
    }

    crate::store_contract!(fresh, 200);

    #[tokio::test]
    async fn events_of_an_earlier_release_are_indexed_anew() {
        let dir = tempfile::tempdir().unwrap();
        let db = Sqlite::open(&dir.path().join("events.db"), MIGRATIONS).unwrap();
        let store: Arc<dyn Store> = Arc::new(SqliteStore::new(db.clone()));
        crate::store::contract::indexed_anew(&store, async |id: EventId| {
            db.write(move |db| {
                db.execute("DELETE FROM event_words WHERE event_id = ?1", [id])?;
                db.execute(
                    "INSERT INTO event_words (event_id, word) VALUES (?1, 'i\u{307}stanbul')",
                    [id],
                )?;
                db.execute("UPDATE events SET words_version = NULL WHERE id = ?1", [id])?;
                Ok::<_, StoreError>(())
            })
            .await
            .unwrap();
        })
        .await;
    }
}
