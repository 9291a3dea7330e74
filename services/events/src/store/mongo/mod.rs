//! The adapter for production.

mod attendees;
mod calendars;
mod consume;
mod counts;
mod desk;
mod documents;
mod events;
mod groups;
mod posts;
mod register;
mod registrations;
mod schema;
mod secure;
mod streams;
mod waitlist;

use std::sync::Arc;

use async_trait::async_trait;
use common::audit::AuditStore;
use common::{
    clock::Timestamp,
    context::{on_behalf_of, request_id_text},
    http::{Cursor, Page},
    idempotency::{Answer, Keyed, Outcome},
    ids::{EventId, PaymentId, RegistrationId, UserId},
    outbox::{OutboxStore, Receipt},
    services::Service,
    store::StoreError,
    subscriber::Incoming,
    wire::{AttendeeFound, ClaimSeat, ExtendedHold, Recipients, SeatClaim, SecureSeat, SecuredSeat},
    workers::WakeSignal,
};
use futures_util::{FutureExt, future::BoxFuture};
use mongo_store::audit::MongoAudit;
use mongo_store::{
    Mongo, Tx,
    idempotency::{self, keyed as with_key},
    inbox,
    outbox::MongoOutbox,
};

use self::groups::Groups;
pub use self::{counts::count_id, schema::COLLECTIONS, streams::segment_id};
use super::{
    CancelError, ChangeError, EventPage, Own, Register, RegisterError, Registered, Search, StatusFilter,
    Store,
};
use crate::domain::{
    event::{Event, Patch},
    fact::Fact,
    publishing::Duplicate,
    registering::{OnClaim, on_claim},
};

/// Tries of a claim while concurrent calls of the same user register and cancel.
const CLAIMS: usize = 5;

/// The events service's MongoDB database.
pub struct MongoStore {
    db: Mongo,
    wake: WakeSignal,
    groups: Groups,
}

impl MongoStore {
    /// The store in `db`, opened with [`COLLECTIONS`].
    pub fn new(db: Mongo) -> Self {
        let wake = WakeSignal::default();
        Self {
            groups: Groups::new(db.clone(), wake.clone()),
            db,
            wake,
        }
    }

    /// A change that may store messages: wakes the relays after the commit.
    async fn publishing<C, T, E>(
        &self,
        context: C,
        change: for<'a> fn(&'a mut Tx, &'a C) -> BoxFuture<'a, Result<T, E>>,
    ) -> Result<T, E>
    where
        C: Send + Sync,
        T: Send,
        E: From<StoreError> + Send,
    {
        let result = self.db.write(context, change).await;
        if result.is_ok() {
            self.wake.wake();
        }
        result
    }
}

#[async_trait]
impl Store for MongoStore {
    async fn create_event(&self, event: Event, keyed: Keyed<Event>) -> Result<Outcome<Event>, StoreError> {
        self.db
            .write((event, keyed), |tx, (event, keyed)| {
                with_key(tx, keyed, event.created_at, async |tx| {
                    events::insert(tx, event).await?;
                    Ok(event.clone())
                })
                .boxed()
            })
            .await
    }

    async fn event(&self, id: EventId) -> Result<Option<Event>, StoreError> {
        events::find(&mut self.db.read(), id).await
    }

    async fn organizer_events(
        &self,
        organizer: UserId,
        which: Own,
        page: Page,
    ) -> Result<EventPage, StoreError> {
        events::of_organizer(&mut self.db.read(), organizer, which, page).await
    }

    fn changes(&self) -> Option<u64> {
        None
    }

    async fn search_events(&self, search: Search, page: Page) -> Result<EventPage, StoreError> {
        events::search(&mut self.db.read(), &search, page).await
    }

    async fn update_event(
        &self,
        id: EventId,
        organizer: UserId,
        patch: Patch,
        now: Timestamp,
        keyed: Keyed<Event>,
    ) -> Result<Outcome<Event>, ChangeError> {
        self.publishing(
            (id, organizer, patch, now, keyed),
            |tx, (id, organizer, patch, now, keyed)| {
                with_key(tx, keyed, *now, async |tx| {
                    events::update(tx, *id, *organizer, patch, *now).await
                })
                .boxed()
            },
        )
        .await
    }

    async fn cancel_event(
        &self,
        id: EventId,
        organizer: UserId,
        now: Timestamp,
        keyed: Keyed<Event>,
    ) -> Result<Outcome<Event>, ChangeError> {
        self.publishing((id, organizer, now, keyed), |tx, (id, organizer, now, keyed)| {
            with_key(tx, keyed, *now, async |tx| {
                events::cancel(tx, *id, *organizer, *now).await
            })
            .boxed()
        })
        .await
    }

    async fn publish_event(
        &self,
        id: EventId,
        organizer: UserId,
        now: Timestamp,
        keyed: Keyed<Event>,
    ) -> Result<Outcome<Event>, ChangeError> {
        self.publishing((id, organizer, now, keyed), |tx, (id, organizer, now, keyed)| {
            with_key(tx, keyed, *now, async |tx| {
                events::publish(tx, *id, *organizer, *now).await
            })
            .boxed()
        })
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
        self.db
            .write(
                (id, organizer, copy, now, keyed),
                |tx, (id, organizer, copy, now, keyed)| {
                    with_key(tx, keyed, *now, async |tx| {
                        events::duplicate(tx, *id, *organizer, copy, *now).await
                    })
                    .boxed()
                },
            )
            .await
    }

    async fn end_registrations(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        if events::ending(&mut self.db.read()).await?.is_none() {
            return Ok(0);
        }
        self.publishing((now, limit), |tx, (now, limit)| {
            registrations::end_cancelled(tx, *now, *limit).boxed()
        })
        .await
    }

    async fn register(
        &self,
        command: Register,
        keyed: Keyed<Registered>,
    ) -> Result<Outcome<Registered>, RegisterError> {
        self.groups.register((command, keyed)).await
    }

    async fn claim_seat(&self, question: ClaimSeat, command: Register) -> Result<SeatClaim, RegisterError> {
        // No decision depends on this read: the hold is taken by the group's transaction, which reads again.
        for _ in 0..CLAIMS {
            let mut tx = self.db.read();
            let event = events::find(&mut tx, question.event_id)
                .await?
                .ok_or(RegisterError::NoSuchEvent)?;
            let live = registrations::find_live(&mut tx, question.event_id, question.user_id).await?;
            match on_claim(&event, question.user_id, live.as_ref(), command.now) {
                OnClaim::Refused(why) => return Err(why.into()),
                OnClaim::NothingDue => return Err(RegisterError::NothingDue),
                OnClaim::Has(live) => return Ok(live.claimed(&event.name)),
                OnClaim::Register => {}
            }
            let unkeyed = Keyed::none(|_| Answer {
                status: 200,
                body: Vec::new(),
            });
            match self.groups.register((command.clone(), unkeyed)).await {
                Ok(Outcome::Done(registered)) => return Ok(registered.registration.claimed(&event.name)),
                Ok(Outcome::Refused(_)) | Err(RegisterError::Already(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Overloaded.into())
    }

    async fn secure_seat(
        &self,
        question: SecureSeat,
        now: Timestamp,
    ) -> Result<Option<SecuredSeat>, StoreError> {
        self.publishing((question, now), |tx, (question, now)| {
            secure::seat(tx, question, *now).boxed()
        })
        .await
    }

    async fn release_hold(&self, hold: ExtendedHold) -> Result<(), StoreError> {
        secure::release(&mut self.db.read(), &hold).await
    }

    async fn cancel_registration(
        &self,
        id: RegistrationId,
        user: UserId,
        now: Timestamp,
        keyed: Keyed<Registered>,
    ) -> Result<Outcome<Registered>, CancelError> {
        self.publishing((id, user, now, keyed), |tx, (id, user, now, keyed)| {
            with_key(tx, keyed, *now, async |tx| {
                registrations::cancel(tx, *id, *user, *now).await
            })
            .boxed()
        })
        .await
    }

    async fn registrations(
        &self,
        user: UserId,
        filter: StatusFilter,
        page: Page,
        now: Timestamp,
    ) -> Result<(Vec<Registered>, Option<Cursor>), StoreError> {
        registrations::of_user(&mut self.db.read(), user, filter, page, now).await
    }

    async fn registration(
        &self,
        id: RegistrationId,
        user: UserId,
        now: Timestamp,
    ) -> Result<Option<Registered>, StoreError> {
        registrations::of_user_by_id(&mut self.db.read(), id, user, now).await
    }

    async fn paid_registrations(
        &self,
        after: Option<RegistrationId>,
        limit: usize,
    ) -> Result<Vec<(RegistrationId, PaymentId, bool)>, StoreError> {
        registrations::paid_registrations(&mut self.db.read(), after, limit).await
    }

    async fn attendees(
        &self,
        event: EventId,
        to: Recipients,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<AttendeeFound>, StoreError> {
        attendees::page(&mut self.db.read(), event, to, after, limit).await
    }

    async fn expire_holds(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        if !registrations::any_expired(&mut self.db.read(), now).await? {
            return Ok(0);
        }
        self.publishing((now, limit), |tx, (now, limit)| {
            registrations::expire(tx, *now, *limit).boxed()
        })
        .await
    }

    async fn consume(&self, batch: Vec<Incoming<Fact>>, now: Timestamp) -> Result<Vec<Receipt>, StoreError> {
        let mut receipts = Vec::with_capacity(batch.len());
        // One transaction per message: a large one would conflict more often, and the inbox drops repeats.
        for message in batch {
            let id = message.id;
            let request_id = message.request_id.clone().or_else(request_id_text);
            let consumed = self.publishing((message, now), |tx, (message, now)| {
                consume::one(tx, message, *now).boxed()
            });
            let consumed = on_behalf_of(request_id.as_deref(), consumed).await;
            receipts.push(Receipt::unless_unreadable(id, consumed)?);
        }
        Ok(receipts)
    }

    async fn index_events(&self, limit: usize) -> Result<usize, StoreError> {
        let found = events::to_index(&mut self.db.read(), limit).await?;
        for event in &found {
            let event = event.clone();
            self.db
                .write(event, |tx, event| events::index(tx, event).boxed())
                .await?;
        }
        Ok(found.len())
    }

    async fn tidy(&self, now: Timestamp) -> Result<(), StoreError> {
        const AT_ONCE: usize = 1_000;
        while idempotency::purge(&self.db, now, AT_ONCE).await? == AT_ONCE {}
        while inbox::purge(&self.db, now, AT_ONCE).await? == AT_ONCE {}
        Ok(())
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.db.ping().await
    }

    fn outbox(&self) -> Arc<dyn OutboxStore> {
        MongoOutbox::shared(self.db.clone(), Service::Events)
    }

    fn audit(&self) -> Arc<dyn AuditStore> {
        MongoAudit::shared(self.db.clone())
    }

    fn wake_signal(&self) -> WakeSignal {
        self.wake.clone()
    }
}

#[cfg(test)]
mod tests {
    use mongodb::bson::doc;
    use store_test_kit::mongo::{Watch, damager};
    use test_kit::mongo::fresh_uri;

    use super::*;
    use crate::store::contract::Fresh;

    async fn fresh() -> Fresh {
        let watch = Watch::default();
        let db = watch
            .open(&fresh_uri(), common::wire::service::EVENTS, COLLECTIONS)
            .await;
        Fresh {
            damager: damager(&db),
            store: Arc::new(MongoStore::new(db.clone())),
            finish: Box::new(move || Box::pin(async move { watch.assert_no_scan(&db).await })),
        }
    }

    crate::store_contract!(fresh, 15);

    #[tokio::test]
    async fn events_of_an_earlier_release_are_indexed_anew() {
        let watch = Watch::default();
        let db = watch
            .open(&fresh_uri(), common::wire::service::EVENTS, COLLECTIONS)
            .await;
        let store: Arc<dyn Store> = Arc::new(MongoStore::new(db.clone()));
        crate::store::contract::indexed_anew(&store, async |id: EventId| {
            let old = doc! {"$set": {"words": ["i\u{307}stanbul"]}, "$unset": {"words_version": ""}};
            db.write((id, old), |tx, (id, old)| {
                tx.update(schema::EVENTS, doc! {"_id": mongo_store::uuid(*id)}, old.clone())
                    .boxed()
            })
            .await
            .unwrap();
        })
        .await;
        watch.assert_no_scan(&db).await;
    }
}
