//! The store of the payments service, in the terms of its domain. Every method is one atomic decision.

#[cfg(test)]
pub mod contract;
pub(crate) mod messages;
#[cfg(feature = "mongodb")]
pub mod mongo;
pub mod sqlite;

use std::sync::Arc;

use async_trait::async_trait;
use chrono::TimeDelta;
use common::{
    audit::AuditStore,
    clock::Timestamp,
    http::{Cursor, Page},
    idempotency::{Answer, Key, Refusal},
    ids::{EventId, OrderId, PaymentId, RefundId, UserId},
    money::Paise,
    outbox::{OutboxStore, Receipt},
    settings::Settings,
    store::StoreError,
    subscriber::Incoming,
    wire::{RefundReason, service},
    workers::{WakeSignal, backoff},
};

use crate::domain::{
    fact::Fact,
    ledger::Line,
    order::Order,
    payment::{Payment, Report, Status},
    refund::{Entry, Refund, RefundReport},
};

/// The tables as the log and figures name them.
mod table {
    pub const ORDERS: &str = "payments.orders";
    pub const PAYMENTS: &str = "payments.payments";
    pub const REFUNDS: &str = "payments.refunds";
    pub const ENTRIES: &str = "payments.refund_entries";
}

/// When an unreadable order or refund is tried again, in case it has been repaired: money depends on it.
const UNREADABLE_AGAIN: TimeDelta = TimeDelta::days(1);

/// The due time of an order after a webhook that only Razorpay's order can explain: the reconciler looks at it at once,
/// even if another payment pays it first. No other due time has this value.
const ASKED: Timestamp = Timestamp::UNIX_EPOCH;

/// How often Razorpay is asked whether a payment that this service released is released there.
const FOLLOW_EVERY: TimeDelta = TimeDelta::hours(1);

/// After this Razorpay has released an uncaptured payment, whether or not that was reported: it does so after 5 days at
/// most.
const FOLLOW_FOR: TimeDelta = TimeDelta::days(6);

/// Serializes a value that is stored as JSON.
fn json(value: &impl serde::Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Corrupt(error.to_string()))
}

/// When a payment that this service released is due to be followed again, if at all.
fn follow_again(payment: &Payment, now: Timestamp) -> Option<Timestamp> {
    (now - payment.created_at < FOLLOW_FOR).then(|| now + FOLLOW_EVERY)
}

/// When a refund that failed at the payer's bank is made again, after so many attempts: seconds at first, a quarter of
/// an hour in the end.
fn failed_again(now: Timestamp, attempts: u32) -> Timestamp {
    now + backoff((attempts + 2).min(12))
}

/// The id of the mark for [`Store::refunds_seen`].
const REFUNDS_SEEN: &str = "refunds";

/// How long ids of webhooks are kept: Razorpay retries a webhook for 24 h, and on request for 15 days.
const WEBHOOKS_KEPT_MILLIS: i64 = 16 * 24 * 3600 * 1000;

/// How long a parked webhook is kept for a replay. The reconciler finds its money long before that.
const PARKED_KEPT_MILLIS: i64 = 90 * 24 * 3600 * 1000;

/// Proves a worker's lease of an order or refund. A later lease has a higher one.
pub type Fence = i64;

/// The result of opening an order.
#[derive(Debug, PartialEq, Eq)]
pub enum Opened {
    /// The order is leased to the caller.
    Ready {
        /// The order.
        order: Order,
        /// Proves the lease.
        fence: Fence,
        /// Whether it was just created, so that it cannot exist at Razorpay yet.
        fresh: bool,
    },
    /// It is paid.
    Paid(PaymentId),
    /// It is leased to another worker.
    Busy,
}

/// The result of a report.
#[derive(Debug, PartialEq, Eq)]
pub enum Applied {
    /// The order is not ours.
    Unknown,
    /// The captured amount is not the order's. Nothing is stored before [`Report::order_is`] has the state of the order
    /// at Razorpay.
    Ask,
    /// The payment after the report.
    Known {
        /// The order.
        order: Box<Order>,
        /// The payment.
        payment: Box<Payment>,
        /// The message to events about this payment, if it is still to be delivered.
        message: Option<i64>,
    },
}

impl Applied {
    /// When the reconciler is to look at the order after a webhook: when money waits to be captured or released, unless
    /// the payer's own request is about to do so, or when only Razorpay's order can explain the amount ([`ASKED`]).
    fn look_at(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Known { payment, .. } => (payment.status == Status::Authorized).then_some(now),
            Self::Ask => Some(ASKED),
            Self::Unknown => None,
        }
    }
}

/// A payment with its order and refund, as the payer sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The payment.
    pub payment: Payment,
    /// The order it pays.
    pub order: Order,
    /// The refund, if the payment or a part of it is or was to be refunded.
    pub refund: Option<RefundState>,
    /// The amount refunded.
    pub refunded: Paise,
}

impl Statement {
    /// The statement of a payment that has just paid its order, for the answer that is stored under the request's key.
    /// `None` for any other payment of the order: it is refunded.
    fn just_paid(payment: &Payment, order: &Order) -> Option<Self> {
        let pays = payment.status == Status::Captured && order.paid_by == Some(payment.id);
        pays.then(|| Self {
            payment: payment.clone(),
            order: order.clone(),
            refund: None,
            refunded: Paise::ZERO,
        })
    }
}

/// Whose payments are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaymentsOf {
    /// Those of this payer.
    Payer(UserId),
    /// Those for this event.
    Event(EventId),
}

/// A filter of payments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PaymentFilter {
    /// Only with this status.
    pub status: Option<Status>,
    /// Only for this event.
    pub event: Option<EventId>,
    /// Created at this time or later.
    pub from: Option<Timestamp>,
    /// Created before this time.
    pub to: Option<Timestamp>,
}

/// Why a payment or a part of it is refunded, and the progress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundState {
    /// The reason.
    pub reason: RefundReason,
    /// How much is refunded in all; never zero.
    pub amount: Paise,
    /// Whether so much is refunded.
    pub done: bool,
    /// Razorpay's error when it refuses the refund.
    pub refused: Option<String>,
}

impl RefundState {
    /// The state for a payment with this [`Refund`](crate::domain::refund::Refund), if there is one. Of money that is
    /// kept on purpose there is no refund, unless others have made it.
    fn of(payment: &Payment, duty: Option<Self>) -> Option<Self> {
        let by_others = || {
            (payment.status == Status::Refunded).then_some(Self {
                reason: RefundReason::Organizer,
                amount: payment.amount,
                done: true,
                refused: None,
            })
        };
        duty.filter(|duty| duty.amount > Paise::ZERO).or_else(by_others)
    }
}

/// The content of a webhook about a refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefundNews {
    /// All that the ledger needs.
    Report(RefundReport),
    /// Only the refund's id: its payment is due to be looked at.
    Id(String),
}

/// A webhook that Razorpay signed and that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parked {
    /// Razorpay's id of the event.
    pub id: String,
    /// `payment.captured`, ... as far as it can be read.
    pub event: String,
    /// The raw body.
    pub body: Vec<u8>,
    /// Why it is not understood.
    pub why: String,
    /// When it was received.
    pub received_at: Timestamp,
}

/// Counts of what an operator should look at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stuck {
    /// Payments authorized long ago and neither captured nor released.
    pub payments: u64,
    /// Open refunds with more than three attempts.
    pub refunds: u64,
    /// Webhooks that could not be understood.
    pub webhooks: u64,
}

/// The answer to a captured payment, to be stored in the commit that captures it.
pub type Captured = (Option<Key>, fn(&Statement) -> Answer);

/// For a report without an answer to store.
const NO_ANSWER: Captured = (None, |_| Answer {
    status: 200,
    body: Vec::new(),
});

/// The payments service's store.
#[async_trait]
pub trait Store: Send + Sync {
    /// Claims an idempotency key until `until`; `Some` when the request must not be carried out.
    async fn claim_key(
        &self,
        key: Key,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Refusal>, StoreError>;
    /// Releases a claimed key.
    async fn release_key(&self, key: Key) -> Result<(), StoreError>;
    /// Deletes a key with its answer: its payment is refunded.
    async fn forget_key(&self, key: Key) -> Result<(), StoreError>;
    /// Stores the answer to a request whose effect is stored already.
    async fn keep_answer(&self, key: Key, answer: Answer, now: Timestamp) -> Result<(), StoreError>;

    /// Leases the order of a registration until `until`; it is created if there is none. If the worker dies, the
    /// reconciler takes over then.
    async fn open_order(&self, order: Order, now: Timestamp, until: Timestamp) -> Result<Opened, StoreError>;
    /// Stores Razorpay's id of an order, unless one is stored already; returns the stored one.
    async fn set_razorpay_order(&self, id: OrderId, razorpay_id: String) -> Result<String, StoreError>;
    /// Ends the lease of an order; the reconciler looks at it at `reconcile_at`, or never.
    async fn close_order(
        &self,
        id: OrderId,
        fence: Fence,
        reconcile_at: Option<Timestamp>,
    ) -> Result<(), StoreError>;
    /// Leases open orders that are due.
    async fn due_orders(
        &self,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<(Order, Fence)>, StoreError>;
    /// The order with this id at Razorpay.
    async fn order_by_razorpay_id(&self, razorpay_id: String) -> Result<Option<Order>, StoreError>;

    /// Records a report of a payment; reports from every source go through here. The first capture of an order pays it
    /// and is published to events; a further one is refunded. The answer is stored when the payment is captured.
    async fn apply(&self, report: Report, now: Timestamp, answer: Captured) -> Result<Applied, StoreError>;
    /// Stores the payer's next steps, as JSON, for a repeated request while the payment waits.
    async fn keep_steps(&self, id: PaymentId, steps: String) -> Result<(), StoreError>;
    /// The steps that were stored for a payment.
    async fn steps(&self, id: PaymentId) -> Result<Option<String>, StoreError>;
    /// Releases a payment, whose money is not to be captured, and notifies its payer; returns the payment afterwards.
    /// One that is not authorized stays as it is.
    async fn let_go(
        &self,
        id: PaymentId,
        reason: RefundReason,
        now: Timestamp,
    ) -> Result<Option<Payment>, StoreError>;
    /// Payments released by this service whose release Razorpay has not reported yet, each at most once an hour.
    async fn due_releases(&self, now: Timestamp, limit: usize) -> Result<Vec<Payment>, StoreError>;
    /// Records a webhook once: its id, report and refund are one commit. `false`: recorded before.
    async fn take_webhook(
        &self,
        event_id: String,
        report: Option<Report>,
        refund: Option<RefundNews>,
        now: Timestamp,
    ) -> Result<bool, StoreError>;
    /// Consumes messages, each once: payments to be refunded, all or a part. Of several requests for a payment the one
    /// for most counts.
    async fn consume(&self, batch: Vec<Incoming<Fact>>, now: Timestamp) -> Result<Vec<Receipt>, StoreError>;

    /// A payment of this payer.
    async fn statement(&self, id: PaymentId, user: UserId) -> Result<Option<Statement>, StoreError>;
    /// Payments, newest first.
    async fn statements(
        &self,
        whose: PaymentsOf,
        which: PaymentFilter,
        page: Page,
    ) -> Result<(Vec<Statement>, Option<Cursor>), StoreError>;

    /// Leases refunds that are due.
    async fn due_refunds(
        &self,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<(Refund, Fence)>, StoreError>;
    /// Records reports of refunds in the ledger, including those made at the dashboard, with all effects
    /// ([`on_entry`](crate::domain::refund::on_entry)); returns the entries that changed. Refunds of payments that are
    /// not ours, or were never captured, are ignored.
    async fn note_refunds(&self, told: Vec<RefundReport>, now: Timestamp) -> Result<Vec<Entry>, StoreError>;
    /// The ledger of a payment, oldest first.
    async fn entries(&self, payment: PaymentId) -> Result<Vec<Entry>, StoreError>;
    /// Pending refunds at Razorpay without an open [`Refund`] that have not been looked at since `before`.
    async fn pending_entries(&self, before: Timestamp, limit: usize) -> Result<Vec<Entry>, StoreError>;
    /// Ends the lease of a refund that is done.
    async fn refund_done(&self, id: RefundId, fence: Fence, now: Timestamp) -> Result<(), StoreError>;
    /// Ends the lease of a refund that Razorpay has accepted. It is due again at `again`, unless it is done.
    async fn refund_waits(
        &self,
        id: RefundId,
        fence: Fence,
        again: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError>;
    /// Ends the lease of a refund after a failed attempt; it is due again at `again`. `refused`: Razorpay refused it,
    /// and would refuse a retry.
    async fn refund_retry(
        &self,
        id: RefundId,
        fence: Fence,
        again: Timestamp,
        refused: bool,
        why: String,
        now: Timestamp,
    ) -> Result<(), StoreError>;
    /// A page of all payments with their refunds, in the order of their ids, for the check of the ledger.
    async fn ledger(&self, after: Option<PaymentId>, limit: usize) -> Result<Vec<Line>, StoreError>;
    /// The time up to which the sweep has read all refunds at Razorpay.
    async fn refunds_seen(&self) -> Result<Option<Timestamp>, StoreError>;
    /// Stores that time.
    async fn set_refunds_seen(&self, until: Timestamp) -> Result<(), StoreError>;

    /// Parks a webhook that cannot be understood; once, however often it is received.
    async fn park_webhook(&self, parked: Parked) -> Result<(), StoreError>;
    /// The parked webhooks, oldest first, at most 1,000. [`Store::take_webhook`] with its id removes one.
    async fn parked_webhooks(&self) -> Result<Vec<Parked>, StoreError>;
    /// Counts of what an operator should look at; authorized payments count when they were created before `since`.
    async fn stuck(&self, since: Timestamp) -> Result<Stuck, StoreError>;
    /// Deletes data past its retention.
    async fn tidy(&self, now: Timestamp) -> Result<(), StoreError>;
    /// Checks that changes can be made.
    async fn ping(&self) -> Result<(), StoreError>;
    /// The outbox.
    fn outbox(&self) -> Arc<dyn OutboxStore>;
    /// The audit trail.
    fn audit(&self) -> Arc<dyn AuditStore>;
    /// The wake signal, sent after a commit that may have stored messages or refunds.
    fn wake_signal(&self) -> WakeSignal;
}

/// Opens the store that the settings name.
///
/// # Errors
/// One sentence for the person who started the program.
pub async fn open(settings: &Settings) -> Result<Arc<dyn Store>, String> {
    #[cfg(feature = "mongodb")]
    if let Some(uri) = &settings.mongodb_uri {
        let db = mongo_store::open(uri, service::PAYMENTS, mongo::COLLECTIONS).await?;
        return Ok(Arc::new(mongo::MongoStore::new(db)));
    }
    #[cfg(not(feature = "mongodb"))]
    settings.refuse_mongodb()?;
    let db = sqlite_store::open(settings, service::PAYMENTS, sqlite::MIGRATIONS)?;
    Ok(Arc::new(sqlite::SqliteStore::new(db)))
}
