//! What the payments service keeps, in its own terms. Every method is one atomic decision.

#[cfg(test)]
pub mod contract;
mod messages;
#[cfg(feature = "mongodb")]
pub mod mongo;
pub mod sqlite;

use std::sync::Arc;

use async_trait::async_trait;
use chrono::TimeDelta;
use common::{
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

/// When an order or refund that cannot be read is looked at again, in case somebody has mended it: money hangs on it.
const UNREADABLE_AGAIN: TimeDelta = TimeDelta::days(1);

/// When an order is looked at of which a webhook told what only Razorpay can explain: at once, by the reconciler, and also
/// if another payment pays it first. No other look is at this time.
const ASKED: Timestamp = Timestamp::UNIX_EPOCH;

/// How often Razorpay is asked whether money that we let go is free.
const FOLLOW_EVERY: TimeDelta = TimeDelta::hours(1);

/// After this Razorpay has freed what was not captured, whether or not anybody told us: it does so after 5 days at most.
const FOLLOW_FOR: TimeDelta = TimeDelta::days(6);

/// What is kept as JSON.
fn json(value: &impl serde::Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Corrupt(error.to_string()))
}

/// When a payment that was let go is looked at after now, if it is.
fn follow_again(payment: &Payment, now: Timestamp) -> Option<Timestamp> {
    (now - payment.created_at < FOLLOW_FOR).then(|| now + FOLLOW_EVERY)
}

/// When a refund that failed at the payer's bank is made anew, after so many tries: seconds at first, a quarter of an hour
/// in the end.
fn failed_again(now: Timestamp, attempts: u32) -> Timestamp {
    now + backoff((attempts + 2).min(12))
}

/// The mark of what [`Store::refunds_seen`] gives.
const REFUNDS_SEEN: &str = "refunds";

/// Razorpay sends a webhook again for 24 h, and on request for 15 days.
const WEBHOOKS_KEPT_MILLIS: i64 = 16 * 24 * 3600 * 1000;

/// How long a webhook that cannot be understood waits for somebody to replay it. Its money is found by the reconciler
/// long before.
const PARKED_KEPT_MILLIS: i64 = 90 * 24 * 3600 * 1000;

/// A worker's right to work on an order or refund. Whoever took over later has a higher one.
pub type Fence = i64;

/// What became of a claim to work on an order.
#[derive(Debug, PartialEq, Eq)]
pub enum Opened {
    /// Go ahead.
    Ready {
        /// The order.
        order: Order,
        /// The right to work on it.
        fence: Fence,
        /// It was made just now, so Razorpay cannot know it yet.
        fresh: bool,
    },
    /// It is paid.
    Paid(PaymentId),
    /// Somebody works on it right now.
    Busy,
}

/// What a report came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Applied {
    /// The order is none of ours.
    Unknown,
    /// Money was captured that is not the order's amount. Nothing is noted before [`Report::order_is`] says what
    /// Razorpay makes of it.
    Ask,
    /// The payment as it stands now.
    Known {
        /// Its order.
        order: Box<Order>,
        /// The payment.
        payment: Box<Payment>,
        /// The message to events about this payment that has yet to be delivered.
        message: Option<i64>,
    },
}

impl Applied {
    /// When the reconciler is to look at the order after a webhook: money waits to be captured or let go, unless the
    /// payer's own request is about to, or only Razorpay can explain it ([`ASKED`]).
    fn look_at(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Known { payment, .. } => (payment.status == Status::Authorized).then_some(now),
            Self::Ask => Some(ASKED),
            Self::Unknown => None,
        }
    }
}

/// A payment as its payer sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The payment.
    pub payment: Payment,
    /// What it pays.
    pub order: Order,
    /// Its way back, when all of it is on one.
    pub refund: Option<RefundState>,
    /// How much is back.
    pub refunded: Paise,
}

impl Statement {
    /// The statement of a payment that has just paid its order, which is what is kept under the request's key. Of money
    /// beside the order's one payment nothing is kept: it goes back.
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
    /// Those that somebody has made.
    Payer(UserId),
    /// Those for an event.
    Event(EventId),
}

/// Which of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PaymentFilter {
    /// Only with this status.
    pub status: Option<Status>,
    /// Only for this event.
    pub event: Option<EventId>,
    /// Made then or later.
    pub from: Option<Timestamp>,
    /// Made before then.
    pub to: Option<Timestamp>,
}

/// Why all of a payment goes back, and how far that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundState {
    /// Why.
    pub reason: RefundReason,
    /// Whether all is back.
    pub done: bool,
    /// What Razorpay says when it refuses to send it back.
    pub refused: Option<String>,
}

impl RefundState {
    /// Of a payment with this duty of ours, if there is one: its reason, whether it is through, and what Razorpay says
    /// against it.
    fn of(payment: &Payment, owed: Option<(RefundReason, bool, Option<String>)>) -> Option<Self> {
        let by_others =
            || (payment.status == Status::Refunded).then_some((RefundReason::Organizer, true, None));
        owed.or_else(by_others).map(|(reason, done, refused)| Self {
            reason,
            done,
            refused,
        })
    }
}

/// What a webhook tells of a refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefundNews {
    /// Everything that the ledger needs.
    Report(RefundReport),
    /// Only which one it is about: its payment is looked at.
    Id(String),
}

/// A webhook that Razorpay signed and that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parked {
    /// Razorpay's id of the event.
    pub id: String,
    /// `payment.captured`, ... as far as that can be read.
    pub event: String,
    /// The body as it came.
    pub body: Vec<u8>,
    /// What is not understood.
    pub why: String,
    /// When it came.
    pub received_at: Timestamp,
}

/// What a person should look at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stuck {
    /// Payments authorized long ago and neither captured nor released.
    pub payments: u64,
    /// Refunds tried in vain more than three times.
    pub refunds: u64,
    /// Webhooks that could not be understood.
    pub webhooks: u64,
}

/// The answer to a captured payment, to be stored in the commit that captures it.
pub type Captured = (Option<Key>, fn(&Statement) -> Answer);

/// A report on which no answer depends: there is none to keep.
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
    /// Gives a claimed key back.
    async fn release_key(&self, key: Key) -> Result<(), StoreError>;
    /// Forgets a key with its answer: the money for it goes back.
    async fn forget_key(&self, key: Key) -> Result<(), StoreError>;
    /// Keeps the answer to a request whose effect is stored already.
    async fn keep_answer(&self, key: Key, answer: Answer, now: Timestamp) -> Result<(), StoreError>;

    /// The order of this registration, made if there is none, with the right to work on it until `until`. Should the
    /// worker die, the reconciler takes over then.
    async fn open_order(&self, order: Order, now: Timestamp, until: Timestamp) -> Result<Opened, StoreError>;
    /// Notes Razorpay's id of an order, unless one was noted before; gives the one that counts.
    async fn set_razorpay_order(&self, id: OrderId, razorpay_id: String) -> Result<String, StoreError>;
    /// Ends the work on an order; the reconciler looks at it at `reconcile_at`, or never.
    async fn close_order(
        &self,
        id: OrderId,
        fence: Fence,
        reconcile_at: Option<Timestamp>,
    ) -> Result<(), StoreError>;
    /// Open orders whose time has come, with the right to work on them.
    async fn due_orders(
        &self,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<(Order, Fence)>, StoreError>;
    /// The order with this id at Razorpay.
    async fn order_by_razorpay_id(&self, razorpay_id: String) -> Result<Option<Order>, StoreError>;

    /// Records what somebody says of a payment: the one way in which payments change. The first capture of an order
    /// pays it and tells events; a further one is sent back. The answer is kept when the payment is captured.
    async fn apply(&self, report: Report, now: Timestamp, answer: Captured) -> Result<Applied, StoreError>;
    /// Keeps the steps that the payer may take, as JSON, for who asks again while the payment waits.
    async fn keep_steps(&self, id: PaymentId, steps: String) -> Result<(), StoreError>;
    /// The steps that were kept for a payment.
    async fn steps(&self, id: PaymentId) -> Result<Option<String>, StoreError>;
    /// Notes that a payment's money is not to be captured, and tells its payer; gives the payment as it stands then.
    /// One that is not authorized stays as it is.
    async fn let_go(
        &self,
        id: PaymentId,
        reason: RefundReason,
        now: Timestamp,
    ) -> Result<Option<Payment>, StoreError>;
    /// Payments that were let go and of which we have not heard that the bank has freed their money, each at most once
    /// an hour.
    async fn due_releases(&self, now: Timestamp, limit: usize) -> Result<Vec<Payment>, StoreError>;
    /// Records a webhook once: the report and refund it brings, and its id, are one commit. `false`: known already.
    async fn take_webhook(
        &self,
        event_id: String,
        report: Option<Report>,
        refund: Option<RefundNews>,
        now: Timestamp,
    ) -> Result<bool, StoreError>;
    /// Takes messages in, each once: money to be sent back.
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

    /// Refunds whose time has come, with the right to work on them.
    async fn due_refunds(
        &self,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<(Refund, Fence)>, StoreError>;
    /// Takes what Razorpay says of refunds into the ledger, whoever asked for them, with all that follows from it
    /// ([`on_entry`](crate::domain::refund::on_entry)); gives the entries that changed. Refunds of payments that are not ours, or were never captured, are left out.
    async fn note_refunds(&self, told: Vec<RefundReport>, now: Timestamp) -> Result<Vec<Entry>, StoreError>;
    /// The ledger of a payment, oldest first.
    async fn entries(&self, payment: PaymentId) -> Result<Vec<Entry>, StoreError>;
    /// Refunds at Razorpay that are pending although we owe nothing, and have not been looked at since `before`.
    async fn pending_entries(&self, before: Timestamp, limit: usize) -> Result<Vec<Entry>, StoreError>;
    /// Ends a look at a refund that is through.
    async fn refund_done(&self, id: RefundId, fence: Fence) -> Result<(), StoreError>;
    /// Ends a look at a refund that Razorpay has taken on. The next is at `again`, unless it is through.
    async fn refund_waits(&self, id: RefundId, fence: Fence, again: Timestamp) -> Result<(), StoreError>;
    /// A try came to nothing; look again at `again`. `refused`: Razorpay says no, and would say it again.
    async fn refund_retry(
        &self,
        id: RefundId,
        fence: Fence,
        again: Timestamp,
        refused: bool,
        why: String,
    ) -> Result<(), StoreError>;
    /// A page of all payments with their refunds, in the order of their ids, for the check of the ledger.
    async fn ledger(&self, after: Option<PaymentId>, limit: usize) -> Result<Vec<Line>, StoreError>;
    /// Until when all refunds at Razorpay have been looked at.
    async fn refunds_seen(&self) -> Result<Option<Timestamp>, StoreError>;
    /// Notes that.
    async fn set_refunds_seen(&self, until: Timestamp) -> Result<(), StoreError>;

    /// Keeps a webhook that cannot be understood, once however often it comes.
    async fn park_webhook(&self, parked: Parked) -> Result<(), StoreError>;
    /// The parked webhooks, oldest first, at most 1,000. Taking one in under its id ends its being parked.
    async fn parked_webhooks(&self) -> Result<Vec<Parked>, StoreError>;
    /// What a person should look at; payments count when they were authorized before `since`.
    async fn stuck(&self, since: Timestamp) -> Result<Stuck, StoreError>;
    /// Drops what has been kept long enough.
    async fn tidy(&self, now: Timestamp) -> Result<(), StoreError>;
    /// Whether changes can be made.
    async fn ping(&self) -> Result<(), StoreError>;
    /// The messages to others.
    fn outbox(&self) -> Arc<dyn OutboxStore>;
    /// Rung after a commit that may have stored messages or made refunds.
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
