//! The adapter for production.

mod consume;
mod ledger;
mod orders;
mod payments;
mod refunds;
mod schema;

use std::sync::Arc;

use async_trait::async_trait;
use common::audit::AuditStore;
use common::{
    clock::{Timestamp, from_millis},
    http::{Cursor, Page},
    idempotency::{Answer, Key, Refusal},
    ids::{OrderId, PaymentId, RefundId, UserId},
    outbox::{OutboxStore, Receipt},
    services::Service,
    store::StoreError,
    subscriber::Incoming,
    wire::RefundReason,
    workers::WakeSignal,
};
use futures_util::{FutureExt, future::BoxFuture};
use mongo_store::audit::MongoAudit;
use mongo_store::{Mongo, Tx, date, idempotency, inbox, outbox::MongoOutbox};
use mongodb::bson::doc;

pub use self::schema::COLLECTIONS;
use self::schema::{ORDERS, PARKED, PAYMENTS, REFUNDS, WEBHOOKS};
use super::{
    Applied, Captured, Fence, Opened, PARKED_KEPT_MILLIS, Parked, PaymentFilter, PaymentsOf, RefundNews,
    Statement, Store, Stuck, WEBHOOKS_KEPT_MILLIS,
};
use crate::domain::{
    fact::Fact,
    ledger::Line,
    order::Order,
    payment::{Payment, Report},
    refund::{Entry, Refund, RefundReport},
};

/// The payments service's MongoDB database.
pub struct MongoStore {
    db: Mongo,
    wake: WakeSignal,
}

impl MongoStore {
    /// The store in `db`, opened with [`COLLECTIONS`].
    pub fn new(db: Mongo) -> Self {
        Self {
            db,
            wake: WakeSignal::default(),
        }
    }

    /// A change that may store messages or refunds: wakes the workers after the commit.
    async fn publishing<C, T>(
        &self,
        context: C,
        change: for<'a> fn(&'a mut Tx, &'a C) -> BoxFuture<'a, Result<T, StoreError>>,
    ) -> Result<T, StoreError>
    where
        C: Send + Sync,
        T: Send,
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
    async fn claim_key(
        &self,
        key: Key,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Refusal>, StoreError> {
        self.db
            .write((key, now, until), |tx, (key, now, until)| {
                idempotency::claim(tx, key, *now, *until).boxed()
            })
            .await
    }

    async fn release_key(&self, key: Key) -> Result<(), StoreError> {
        self.db
            .write(key, |tx, key| idempotency::release(tx, key).boxed())
            .await
    }

    async fn forget_key(&self, key: Key) -> Result<(), StoreError> {
        self.db
            .write(key, |tx, key| idempotency::forget(tx, key).boxed())
            .await
    }

    async fn keep_answer(&self, key: Key, answer: Answer, now: Timestamp) -> Result<(), StoreError> {
        self.db
            .write((key, answer, now), |tx, (key, answer, now)| {
                idempotency::store(tx, key, answer, *now).boxed()
            })
            .await
    }

    async fn open_order(&self, order: Order, now: Timestamp, until: Timestamp) -> Result<Opened, StoreError> {
        self.db
            .write((order, now, until), |tx, (order, now, until)| {
                orders::open(tx, order, *now, *until).boxed()
            })
            .await
    }

    async fn set_razorpay_order(&self, id: OrderId, razorpay_id: String) -> Result<String, StoreError> {
        self.db
            .write((id, razorpay_id), |tx, (id, razorpay_id)| {
                orders::set_razorpay_id(tx, *id, razorpay_id).boxed()
            })
            .await
    }

    async fn close_order(
        &self,
        id: OrderId,
        fence: Fence,
        reconcile_at: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        orders::close(&mut self.db.read(), id, fence, reconcile_at).await
    }

    async fn due_orders(
        &self,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<(Order, Fence)>, StoreError> {
        let mut db = self.db.read();
        if db.find_one(ORDERS, orders::due_now(now)).await?.is_none()
            && db
                .find_one(ORDERS, orders::outlasted(now, until))
                .await?
                .is_none()
        {
            return Ok(Vec::new());
        }
        self.db
            .write((now, until, limit), |tx, (now, until, limit)| {
                orders::due(tx, *now, *until, *limit).boxed()
            })
            .await
    }

    async fn order_by_razorpay_id(&self, razorpay_id: String) -> Result<Option<Order>, StoreError> {
        orders::by_razorpay_id(&mut self.db.read(), &razorpay_id).await
    }

    async fn apply(&self, report: Report, now: Timestamp, answer: Captured) -> Result<Applied, StoreError> {
        self.publishing((report, now, answer), |tx, (report, now, answer)| {
            payments::apply(tx, report, *now, answer).boxed()
        })
        .await
    }

    async fn keep_steps(&self, id: PaymentId, steps: String) -> Result<(), StoreError> {
        payments::keep_steps(&mut self.db.read(), id, &steps).await
    }

    async fn steps(&self, id: PaymentId) -> Result<Option<String>, StoreError> {
        payments::steps(&mut self.db.read(), id).await
    }

    async fn let_go(
        &self,
        id: PaymentId,
        reason: RefundReason,
        now: Timestamp,
    ) -> Result<Option<Payment>, StoreError> {
        self.publishing((id, reason, now), |tx, (id, reason, now)| {
            payments::let_go(tx, *id, *reason, *now).boxed()
        })
        .await
    }

    async fn due_releases(&self, now: Timestamp, limit: usize) -> Result<Vec<Payment>, StoreError> {
        let mut db = self.db.read();
        if db.find_one(PAYMENTS, payments::to_follow(now)).await?.is_none() {
            return Ok(Vec::new());
        }
        self.db
            .write((now, limit), |tx, (now, limit)| {
                payments::due_releases(tx, *now, *limit).boxed()
            })
            .await
    }

    async fn take_webhook(
        &self,
        event_id: String,
        report: Option<Report>,
        refund: Option<RefundNews>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.publishing(
            (event_id, report, refund, now),
            |tx, (event_id, report, refund, now)| {
                consume::webhook(tx, event_id, report.as_ref(), refund.as_ref(), *now).boxed()
            },
        )
        .await
    }

    async fn consume(&self, batch: Vec<Incoming<Fact>>, now: Timestamp) -> Result<Vec<Receipt>, StoreError> {
        let mut receipts = Vec::with_capacity(batch.len());
        // One transaction per message: a large one would conflict more often, and the inbox drops repeats.
        for message in batch {
            let id = message.id;
            let consumed = self.publishing((message, now), |tx, (message, now)| {
                consume::message(tx, message, *now).boxed()
            });
            receipts.push(Receipt::unless_unreadable(id, consumed.await)?);
        }
        Ok(receipts)
    }

    async fn statement(&self, id: PaymentId, user: UserId) -> Result<Option<Statement>, StoreError> {
        payments::statement(&mut self.db.read(), id, user).await
    }

    async fn statements(
        &self,
        whose: PaymentsOf,
        which: PaymentFilter,
        page: Page,
    ) -> Result<(Vec<Statement>, Option<Cursor>), StoreError> {
        payments::statements(&mut self.db.read(), whose, &which, page).await
    }

    async fn due_refunds(
        &self,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<(Refund, Fence)>, StoreError> {
        let mut db = self.db.read();
        if db.find_one(REFUNDS, refunds::due_now(now)).await?.is_none()
            && db
                .find_one(REFUNDS, refunds::outlasted(now, until))
                .await?
                .is_none()
        {
            return Ok(Vec::new());
        }
        self.db
            .write((now, until, limit), |tx, (now, until, limit)| {
                refunds::due(tx, *now, *until, *limit).boxed()
            })
            .await
    }

    async fn note_refunds(&self, told: Vec<RefundReport>, now: Timestamp) -> Result<Vec<Entry>, StoreError> {
        let mut changed = Vec::new();
        for report in told {
            let noted = self.publishing((report, now), |tx, (report, now)| {
                ledger::note(tx, report, *now).boxed()
            });
            changed.extend(noted.await?);
        }
        Ok(changed)
    }

    async fn entries(&self, payment: PaymentId) -> Result<Vec<Entry>, StoreError> {
        ledger::of_payment(&mut self.db.read(), payment).await
    }

    async fn pending_entries(&self, before: Timestamp, limit: usize) -> Result<Vec<Entry>, StoreError> {
        ledger::pending(&mut self.db.read(), before, limit).await
    }

    async fn refund_done(&self, id: RefundId, fence: Fence, now: Timestamp) -> Result<(), StoreError> {
        self.publishing((id, fence, now), |tx, (id, fence, now)| {
            refunds::done(tx, *id, *fence, *now).boxed()
        })
        .await
    }

    async fn refund_waits(
        &self,
        id: RefundId,
        fence: Fence,
        again: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.publishing((id, fence, again, now), |tx, (id, fence, again, now)| {
            refunds::waits(tx, *id, *fence, *again, *now).boxed()
        })
        .await
    }

    async fn refund_retry(
        &self,
        id: RefundId,
        fence: Fence,
        again: Timestamp,
        refused: bool,
        why: String,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.publishing(
            (id, fence, again, refused, why, now),
            |tx, (id, fence, again, refused, why, now)| {
                refunds::retry(tx, *id, *fence, *again, *refused, why, *now).boxed()
            },
        )
        .await
    }

    async fn ledger(&self, after: Option<PaymentId>, limit: usize) -> Result<Vec<Line>, StoreError> {
        ledger::lines(&mut self.db.read(), after, limit).await
    }

    async fn refunds_seen(&self) -> Result<Option<Timestamp>, StoreError> {
        ledger::seen(&mut self.db.read()).await
    }

    async fn set_refunds_seen(&self, until: Timestamp) -> Result<(), StoreError> {
        ledger::set_seen(&mut self.db.read(), until).await
    }

    async fn park_webhook(&self, parked: Parked) -> Result<(), StoreError> {
        self.db
            .write(parked, |tx, parked| consume::park(tx, parked).boxed())
            .await
    }

    async fn parked_webhooks(&self) -> Result<Vec<Parked>, StoreError> {
        consume::parked(&mut self.db.read()).await
    }

    async fn stuck(&self, since: Timestamp) -> Result<Stuck, StoreError> {
        // Every existing value is after the epoch; with that condition the index is used.
        let open = doc! {"$exists": true, "$gt": date(from_millis(0))};
        let mut tx = self.db.read();
        let authorized = doc! {"status": "authorized", "created_at": {"$lte": date(since)}};
        let in_vain = doc! {"next_at": open, "attempts": {"$gt": 3_i64}};
        let parked = doc! {"received_at": {"$gt": date(from_millis(0))}};
        Ok(Stuck {
            payments: tx.count(PAYMENTS, authorized).await?,
            refunds: tx.count(REFUNDS, in_vain).await?,
            webhooks: tx.count(PARKED, parked).await?,
        })
    }

    async fn tidy(&self, now: Timestamp) -> Result<(), StoreError> {
        while payments::note_events(&mut self.db.read(), 500).await? > 0 {}
        const AT_ONCE: usize = 1_000;
        let oldest = date(from_millis(now.timestamp_millis() - WEBHOOKS_KEPT_MILLIS));
        let old = doc! {"received_at": {"$lte": oldest}};
        let by_age = doc! {"received_at": 1};
        while self
            .db
            .read()
            .delete_some(WEBHOOKS, old.clone(), by_age.clone(), AT_ONCE)
            .await?
            == AT_ONCE
        {}
        let oldest = date(from_millis(now.timestamp_millis() - PARKED_KEPT_MILLIS));
        let old = doc! {"received_at": {"$lte": oldest}};
        while self
            .db
            .read()
            .delete_some(PARKED, old.clone(), by_age.clone(), AT_ONCE)
            .await?
            == AT_ONCE
        {}
        while idempotency::purge(&self.db, now, AT_ONCE).await? == AT_ONCE {}
        while inbox::purge(&self.db, now, AT_ONCE).await? == AT_ONCE {}
        Ok(())
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.db.ping().await
    }

    fn outbox(&self) -> Arc<dyn OutboxStore> {
        MongoOutbox::shared(self.db.clone(), Service::Payments)
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
    use store_test_kit::mongo::{Watch, damager};
    use test_kit::mongo::fresh_uri;

    use super::*;
    use crate::store::contract::Fresh;

    async fn fresh() -> Fresh {
        let watch = Watch::default();
        let db = watch
            .open(&fresh_uri(), common::wire::service::PAYMENTS, COLLECTIONS)
            .await;
        Fresh {
            damager: damager(&db),
            store: Arc::new(MongoStore::new(db.clone())),
            finish: Box::new(move || Box::pin(async move { watch.assert_no_scan(&db).await })),
        }
    }

    crate::store_contract!(fresh, cases: 16);
}
