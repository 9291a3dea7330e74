//! The embedded adapter.

mod consume;
mod ledger;
mod orders;
mod payments;
mod refunds;

use std::sync::Arc;

use async_trait::async_trait;
use common::audit::AuditStore;
use common::{
    clock::{Timestamp, latest_end},
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
use sqlite_store::audit::{self, SqliteAudit};
use sqlite_store::{Connection, Row, params};
use sqlite_store::{
    Sqlite, idempotency, inbox, lease,
    outbox::{self, SqliteOutbox},
    receipt,
};

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

/// The schema, script by script, in order.
pub const MIGRATIONS: &[&str] = &[
    include_str!("schema.sql"),
    outbox::SCHEMA,
    inbox::SCHEMA,
    lease::SCHEMA,
    idempotency::SCHEMA,
    // Authorized and not captured: few at any time, and counted for every read of the metrics.
    "CREATE INDEX payments_authorized ON payments (created_at) WHERE status = 'authorized';",
    outbox::REQUEST_IDS,
    // Webhooks signed by Razorpay and not understood; kept for a replay.
    "CREATE TABLE parked_webhooks (
        id          TEXT    NOT NULL PRIMARY KEY,
        event       TEXT    NOT NULL,
        body        BLOB    NOT NULL,
        why         TEXT    NOT NULL,
        received_at INTEGER NOT NULL
     ) WITHOUT ROWID;",
    include_str!("released.sql"),
    include_str!("ledger.sql"),
    // The payer's next steps in a waiting payment, as JSON.
    "ALTER TABLE payments ADD COLUMN steps TEXT;",
    // Razorpay's other details of a payment and the timeline, as JSON.
    "ALTER TABLE payments ADD COLUMN detail TEXT;",
    // For the lists of organizers.
    "ALTER TABLE payments ADD COLUMN event_id BLOB;
     UPDATE payments SET event_id = (SELECT event_id FROM orders WHERE orders.id = order_id);
     CREATE INDEX payments_by_event ON payments (event_id, id);",
    audit::SCHEMA,
];

/// The payments service's SQLite file.
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

    /// A change that may store messages or refunds: wakes the workers after the commit.
    async fn publishing<T, F>(&self, change: F) -> Result<T, StoreError>
    where
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
        T: Send + 'static,
    {
        let result = self.db.write(change).await;
        if result.is_ok() {
            self.wake.wake();
        }
        result
    }

    /// Whether anything is due; a commit in every round of an idle worker would wear the disk.
    async fn any_due(&self, sql: &'static str, now: Timestamp, until: Timestamp) -> Result<bool, StoreError> {
        let times = [now, latest_end(now, until)].map(|at| at.timestamp_millis());
        self.db
            .read(move |db| Ok(db.prepare_cached(sql)?.exists(times)?))
            .await
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn claim_key(
        &self,
        key: Key,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Refusal>, StoreError> {
        self.db
            .write(move |db| idempotency::claim(db, &key, now, until))
            .await
    }

    async fn release_key(&self, key: Key) -> Result<(), StoreError> {
        self.db.write(move |db| idempotency::release(db, &key)).await
    }

    async fn forget_key(&self, key: Key) -> Result<(), StoreError> {
        self.db.write(move |db| idempotency::forget(db, &key)).await
    }

    async fn keep_answer(&self, key: Key, answer: Answer, now: Timestamp) -> Result<(), StoreError> {
        self.db
            .write(move |db| idempotency::store(db, &key, &answer, now))
            .await
    }

    async fn open_order(&self, order: Order, now: Timestamp, until: Timestamp) -> Result<Opened, StoreError> {
        self.db
            .write(move |db| orders::open(db, &order, now, until))
            .await
    }

    async fn set_razorpay_order(&self, id: OrderId, razorpay_id: String) -> Result<String, StoreError> {
        self.db
            .write(move |db| orders::set_razorpay_id(db, id, &razorpay_id))
            .await
    }

    async fn close_order(
        &self,
        id: OrderId,
        fence: Fence,
        reconcile_at: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        self.db
            .write(move |db| orders::close(db, id, fence, reconcile_at))
            .await
    }

    async fn due_orders(
        &self,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<(Order, Fence)>, StoreError> {
        if !self.any_due(orders::ANY_DUE, now, until).await? {
            return Ok(Vec::new());
        }
        self.db.write(move |db| orders::due(db, now, until, limit)).await
    }

    async fn order_by_razorpay_id(&self, razorpay_id: String) -> Result<Option<Order>, StoreError> {
        self.db
            .read(move |db| orders::by_razorpay_id(db, &razorpay_id))
            .await
    }

    async fn apply(&self, report: Report, now: Timestamp, answer: Captured) -> Result<Applied, StoreError> {
        self.publishing(move |db| payments::apply(db, &report, now, answer))
            .await
    }

    async fn keep_steps(&self, id: PaymentId, steps: String) -> Result<(), StoreError> {
        self.db
            .write(move |db| payments::keep_steps(db, id, &steps))
            .await
    }

    async fn steps(&self, id: PaymentId) -> Result<Option<String>, StoreError> {
        self.db.read(move |db| payments::steps(db, id)).await
    }

    async fn let_go(
        &self,
        id: PaymentId,
        reason: RefundReason,
        now: Timestamp,
    ) -> Result<Option<Payment>, StoreError> {
        self.publishing(move |db| payments::let_go(db, id, reason, now))
            .await
    }

    async fn due_releases(&self, now: Timestamp, limit: usize) -> Result<Vec<Payment>, StoreError> {
        if !self.db.read(move |db| payments::any_to_follow(db, now)).await? {
            return Ok(Vec::new());
        }
        self.db
            .write(move |db| payments::due_releases(db, now, limit))
            .await
    }

    async fn take_webhook(
        &self,
        event_id: String,
        report: Option<Report>,
        refund: Option<RefundNews>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.publishing(move |db| consume::webhook(db, &event_id, report.as_ref(), refund.as_ref(), now))
            .await
    }

    async fn consume(&self, batch: Vec<Incoming<Fact>>, now: Timestamp) -> Result<Vec<Receipt>, StoreError> {
        self.publishing(move |db| {
            batch
                .iter()
                .map(|message| receipt(db, message.id, |db| consume::message(db, message, now)))
                .collect()
        })
        .await
    }

    async fn statement(&self, id: PaymentId, user: UserId) -> Result<Option<Statement>, StoreError> {
        self.db.read(move |db| payments::statement(db, id, user)).await
    }

    async fn statements(
        &self,
        whose: PaymentsOf,
        which: PaymentFilter,
        page: Page,
    ) -> Result<(Vec<Statement>, Option<Cursor>), StoreError> {
        self.db
            .read(move |db| payments::statements(db, whose, &which, page))
            .await
    }

    async fn due_refunds(
        &self,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<(Refund, Fence)>, StoreError> {
        if !self.any_due(refunds::ANY_DUE, now, until).await? {
            return Ok(Vec::new());
        }
        self.db.write(move |db| refunds::due(db, now, until, limit)).await
    }

    async fn note_refunds(&self, told: Vec<RefundReport>, now: Timestamp) -> Result<Vec<Entry>, StoreError> {
        if told.is_empty() {
            return Ok(Vec::new());
        }
        self.publishing(move |db| {
            let changed = told.iter().map(|report| ledger::note(db, report, now));
            Ok(changed
                .collect::<Result<Vec<_>, _>>()?
                .into_iter()
                .flatten()
                .collect())
        })
        .await
    }

    async fn entries(&self, payment: PaymentId) -> Result<Vec<Entry>, StoreError> {
        self.db.read(move |db| ledger::of_payment(db, payment)).await
    }

    async fn pending_entries(&self, before: Timestamp, limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.db.read(move |db| ledger::pending(db, before, limit)).await
    }

    async fn refund_done(&self, id: RefundId, fence: Fence, now: Timestamp) -> Result<(), StoreError> {
        self.publishing(move |db| refunds::done(db, id, fence, now)).await
    }

    async fn refund_waits(
        &self,
        id: RefundId,
        fence: Fence,
        again: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.publishing(move |db| refunds::waits(db, id, fence, again, now))
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
        self.publishing(move |db| refunds::retry(db, id, fence, again, refused, &why, now))
            .await
    }

    async fn ledger(&self, after: Option<PaymentId>, limit: usize) -> Result<Vec<Line>, StoreError> {
        self.db.read(move |db| ledger::lines(db, after, limit)).await
    }

    async fn refunds_seen(&self) -> Result<Option<Timestamp>, StoreError> {
        self.db.read(ledger::seen).await
    }

    async fn set_refunds_seen(&self, until: Timestamp) -> Result<(), StoreError> {
        self.db.write(move |db| ledger::set_seen(db, until)).await
    }

    async fn park_webhook(&self, parked: Parked) -> Result<(), StoreError> {
        self.db.write(move |db| consume::park(db, &parked)).await
    }

    async fn parked_webhooks(&self) -> Result<Vec<Parked>, StoreError> {
        self.db.read(consume::parked).await
    }

    async fn stuck(&self, since: Timestamp) -> Result<Stuck, StoreError> {
        const STUCK: &str = "SELECT
            (SELECT count(*) FROM payments WHERE status = 'authorized' AND created_at <= ?1),
            (SELECT count(*) FROM refunds WHERE next_at IS NOT NULL AND attempts > 3),
            (SELECT count(*) FROM parked_webhooks)";
        self.db
            .read(move |db| {
                let mut count = db.prepare_cached(STUCK)?;
                let number =
                    |row: &Row<'_>, at| row.get(at).map(|number: i64| u64::try_from(number).unwrap_or(0));
                Ok(count.one([since.timestamp_millis()], |row| {
                    Ok(Stuck {
                        payments: number(row, 0)?,
                        refunds: number(row, 1)?,
                        webhooks: number(row, 2)?,
                    })
                })?)
            })
            .await
    }

    async fn tidy(&self, now: Timestamp) -> Result<(), StoreError> {
        const AT_ONCE: usize = 1_000;
        loop {
            let dropped = self
                .db
                .write(move |db| {
                    let webhooks = db
                        .prepare_cached(
                            "DELETE FROM webhook_events WHERE id IN
                             (SELECT id FROM webhook_events WHERE received_at <= ?1 LIMIT ?2)",
                        )?
                        .execute(params![
                            now.timestamp_millis() - WEBHOOKS_KEPT_MILLIS,
                            AT_ONCE as i64
                        ])?;
                    db.prepare_cached("DELETE FROM parked_webhooks WHERE received_at <= ?1")?
                        .execute([now.timestamp_millis() - PARKED_KEPT_MILLIS])?;
                    let rest = idempotency::purge(db, now, AT_ONCE)?.max(inbox::purge(db, now, AT_ONCE)?);
                    Ok::<_, StoreError>(webhooks.max(rest))
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
        SqliteOutbox::shared(self.db.clone(), Service::Payments)
    }

    fn audit(&self) -> Arc<dyn AuditStore> {
        SqliteAudit::shared(self.db.clone())
    }

    fn wake_signal(&self) -> WakeSignal {
        self.wake.clone()
    }
}

#[cfg(test)]
mod tests {
    use crate::store::contract::Fresh;

    use super::*;

    async fn fresh() -> Fresh {
        let dir = tempfile::tempdir().unwrap();
        let db = Sqlite::open(&dir.path().join("payments.db"), MIGRATIONS).unwrap();
        Fresh {
            damager: store_test_kit::sqlite::damager(&db),
            store: Arc::new(SqliteStore::new(db)),
            finish: Box::new(move || Box::pin(async move { drop(dir) })),
        }
    }

    crate::store_contract!(fresh, cases: 200);

    #[tokio::test]
    async fn payments_of_an_earlier_release_are_kept() {
        // Before payments could be released and refunds had a ledger.
        const BEFORE: usize = 8;
        const ROWS: &str = "
            INSERT INTO orders (id, registration_id, event_id, event_name, user_id, amount, razorpay_id, paid_by, created_at)
                VALUES (randomblob(16), randomblob(16), randomblob(16), 'Rust', x'00000000000000000000000000000001', 500,
                    'order_1', x'000000000000000000000000000000a1', 1);
            INSERT INTO payments (id, order_id, user_id, razorpay_id, method, amount, status, created_at, captured_at)
                SELECT x'000000000000000000000000000000a1', id, user_id, 'pay_1', 'upi', 500, 'captured', 2, 3 FROM orders;
            INSERT INTO payments (id, order_id, user_id, razorpay_id, method, amount, status, created_at, captured_at)
                SELECT x'000000000000000000000000000000a2', id, user_id, 'pay_2', 'upi', 500, 'refunded', 4, 5 FROM orders;
            INSERT INTO refunds (id, payment_id, amount, reason, razorpay_id, created_at)
                VALUES (randomblob(16), x'000000000000000000000000000000a2', 500, 'duplicate', 'rfnd_1', 6);";
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("payments.db");
        let before = Sqlite::open(&file, &MIGRATIONS[..BEFORE]).unwrap();
        let insert = before.write(|db| Ok::<_, StoreError>(db.execute_batch(ROWS)?));
        insert.await.unwrap();
        drop(before);
        let store = SqliteStore::new(Sqlite::open(&file, MIGRATIONS).unwrap());
        let lines = store.ledger(None, 10).await.unwrap();
        let known: Vec<_> = lines
            .iter()
            .map(|line| {
                (
                    line.payment.status.name(),
                    line.pays,
                    line.owed,
                    line.entries.len(),
                )
            })
            .collect();
        assert_eq!(
            known,
            [("captured", true, false, 0), ("refunded", false, false, 1)]
        );
        assert!(lines[1].balance().is_back());
        let (user, page) = (
            UserId::from(uuid::Uuid::from_u128(1)),
            Page {
                limit: 10,
                after: None,
            },
        );
        let (found, _) = store
            .statements(PaymentsOf::Payer(user), PaymentFilter::default(), page)
            .await
            .unwrap();
        let (event, user) = (
            found[0].order.event_id,
            PaymentsOf::Event(found[0].order.event_id),
        );
        assert_eq!(found.len(), 2, "{event}");
        assert_eq!(
            store
                .statements(user, PaymentFilter::default(), page)
                .await
                .unwrap()
                .0,
            found
        );
        assert_eq!(found[0].refund.as_ref().map(|going| going.done), Some(true));
        assert_eq!(found[0].refunded.0, 500);
    }
}
