//! A store that fails on demand.

use std::sync::Arc;

use async_trait::async_trait;
use common::{
    audit::AuditStore,
    clock::Timestamp,
    http::{Cursor, Page},
    idempotency::{Answer, Key, Refusal},
    ids::{OrderId, PaymentId, RefundId, UserId},
    outbox::{OutboxStore, Receipt},
    store::StoreError,
    subscriber::Incoming,
    wire::RefundReason,
    workers::WakeSignal,
};
use parking_lot::Mutex;

use crate::{
    domain::{
        fact::Fact,
        ledger::Line,
        order::Order,
        payment::{Payment, Report},
        refund::{Entry, Refund, RefundReport},
    },
    store::{
        Applied, Captured, Fence, Opened, Parked, PaymentFilter, PaymentsOf, RefundNews, Statement, Store,
        Stuck,
    },
};

/// When a call fails.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum When {
    /// Before it has any effect.
    Before,
    /// Once it has had its effect: its answer is lost.
    After,
}

/// How the store fails.
#[derive(Clone, Debug)]
pub enum Trouble {
    /// Every call, before it has any effect.
    All(StoreError),
    /// Calls that change something, before they have any effect.
    Changes(StoreError),
    /// The call of this number from now on, and no other.
    Once(usize, When),
    /// Every call of this name.
    Each(&'static str, When),
}

/// A store in front of another.
pub struct FailingStore {
    inner: Arc<dyn Store>,
    trouble: Mutex<Option<Trouble>>,
    calls: Mutex<Vec<&'static str>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Reads,
    Changes,
}

impl FailingStore {
    pub fn new(inner: Arc<dyn Store>) -> Self {
        Self {
            inner,
            trouble: Mutex::default(),
            calls: Mutex::default(),
        }
    }

    /// Fails from now on, and counts calls from now on.
    pub fn fails(&self, trouble: Trouble) {
        *self.trouble.lock() = Some(trouble);
        self.calls.lock().clear();
    }

    pub fn works(&self) {
        *self.trouble.lock() = None;
    }

    /// The calls since [`FailingStore::fails`].
    pub fn calls(&self) -> Vec<&'static str> {
        self.calls.lock().clone()
    }

    /// Counts a call and returns its failure, if it has one.
    fn meets(&self, kind: Kind, name: &'static str) -> Option<(When, StoreError)> {
        let number = {
            let mut calls = self.calls.lock();
            calls.push(name);
            calls.len()
        };
        let away = || StoreError::Unavailable("something about the inside".to_owned());
        match &*self.trouble.lock() {
            Some(Trouble::All(error)) => Some((When::Before, error.clone())),
            Some(Trouble::Changes(error)) if kind == Kind::Changes => Some((When::Before, error.clone())),
            Some(Trouble::Once(once, when)) if *once == number => Some((*when, away())),
            Some(Trouble::Each(each, when)) if *each == name => Some((*when, away())),
            _ => None,
        }
    }
}

/// Passes on each call of the store.
macro_rules! pass_on {
    ($($kind:ident $name:ident($($arg:ident: $of:ty),*) -> $answer:ty;)+) => {
        #[async_trait]
        impl Store for FailingStore {
            $(async fn $name(&self, $($arg: $of),*) -> Result<$answer, StoreError> {
                let trouble = self.meets(Kind::$kind, stringify!($name));
                if let Some((When::Before, error)) = trouble {
                    return Err(error);
                }
                let answer = self.inner.$name($($arg),*).await;
                match trouble {
                    Some((When::After, error)) => Err(error),
                    _ => answer,
                }
            })+

            fn outbox(&self) -> Arc<dyn OutboxStore> {
                self.inner.outbox()
            }

            fn audit(&self) -> Arc<dyn AuditStore> {
                self.inner.audit()
            }

            fn wake_signal(&self) -> WakeSignal {
                self.inner.wake_signal()
            }
        }
    };
}

pass_on! {
    Changes claim_key(key: Key, now: Timestamp, until: Timestamp) -> Option<Refusal>;
    Changes release_key(key: Key) -> ();
    Changes forget_key(key: Key) -> ();
    Changes keep_answer(key: Key, answer: Answer, now: Timestamp) -> ();
    Changes open_order(order: Order, now: Timestamp, until: Timestamp) -> Opened;
    Changes set_razorpay_order(id: OrderId, razorpay_id: String) -> String;
    Changes close_order(id: OrderId, fence: Fence, reconcile_at: Option<Timestamp>) -> ();
    Changes due_orders(now: Timestamp, until: Timestamp, limit: usize) -> Vec<(Order, Fence)>;
    Reads order_by_razorpay_id(razorpay_id: String) -> Option<Order>;
    Changes apply(report: Report, now: Timestamp, answer: Captured) -> Applied;
    Changes keep_steps(id: PaymentId, steps: String) -> ();
    Reads steps(id: PaymentId) -> Option<String>;
    Changes let_go(id: PaymentId, reason: RefundReason, now: Timestamp) -> Option<Payment>;
    Changes due_releases(now: Timestamp, limit: usize) -> Vec<Payment>;
    Changes take_webhook(
        event_id: String, report: Option<Report>, refund: Option<RefundNews>, now: Timestamp
    ) -> bool;
    Changes consume(batch: Vec<Incoming<Fact>>, now: Timestamp) -> Vec<Receipt>;
    Reads statement(id: PaymentId, user: UserId) -> Option<Statement>;
    Reads statements(whose: PaymentsOf, which: PaymentFilter, page: Page) -> (Vec<Statement>, Option<Cursor>);
    Changes due_refunds(now: Timestamp, until: Timestamp, limit: usize) -> Vec<(Refund, Fence)>;
    Changes note_refunds(told: Vec<RefundReport>, now: Timestamp) -> Vec<Entry>;
    Reads entries(payment: PaymentId) -> Vec<Entry>;
    Reads pending_entries(before: Timestamp, limit: usize) -> Vec<Entry>;
    Changes refund_done(id: RefundId, fence: Fence, now: Timestamp) -> ();
    Changes refund_waits(id: RefundId, fence: Fence, again: Timestamp, now: Timestamp) -> ();
    Changes refund_retry(id: RefundId, fence: Fence, again: Timestamp, refused: bool, why: String, now: Timestamp) -> ();
    Reads ledger(after: Option<PaymentId>, limit: usize) -> Vec<Line>;
    Reads refunds_seen() -> Option<Timestamp>;
    Changes set_refunds_seen(until: Timestamp) -> ();
    Changes park_webhook(parked: Parked) -> ();
    Reads parked_webhooks() -> Vec<Parked>;
    Reads stuck(since: Timestamp) -> Stuck;
    Changes tidy(now: Timestamp) -> ();
    Changes ping() -> ();
}
