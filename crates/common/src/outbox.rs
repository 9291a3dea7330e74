//! Messages between services: CloudEvents 1.0 written to an outbox in the commit of the change they tell of,
//! delivered in batches by a relay, at least once and in order per subject, and consumed once through an inbox.

mod deliveries;
mod subscriber;

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    clock::{Clock, Timestamp},
    http::{client::InternalClient, context::request_id_text},
    ids::new_id,
    store::StoreError,
    wire::service,
    workers::{Next, Pace, backoff, rounds},
};

pub use self::{
    deliveries::Deliveries,
    subscriber::{Fact, Incoming, Subscriber, receipts, receive},
};

/// Where every subscriber takes messages.
pub const PATH: &str = "/internal/messages";
/// Messages in one delivery.
pub const BATCH: usize = 500;
/// The largest delivery a subscriber takes, in bytes. A message is at most some kilobytes.
pub const MAX_DELIVERY: usize = 8 * 1024 * 1024;
/// After a crash, messages wait this long for the next relay. Short, because losing the lease in the middle of a slow
/// delivery does no harm: the subscriber drops what it gets twice, and the fence refuses a late settlement.
const LEASE: chrono::TimeDelta = chrono::TimeDelta::seconds(4);
/// Between two deliveries under load: a batch of many costs little more than a batch of few.
const BREATH: Duration = Duration::from_millis(10);
/// The longest wait while a subscriber is away.
const LONGEST_BACKOFF: Duration = Duration::from_secs(5);
/// A wake can be lost with the request that caused it, or happen in another process; then this finds the message.
const POLL: Duration = Duration::from_millis(500);
/// Tries before a message that is not consumed becomes a dead letter: about two days of back-off.
const MAX_ATTEMPTS: u32 = 25;
/// Likewise for one that is rejected: about a quarter of an hour. A subscriber of an earlier release rejects what it does not know,
/// and while services are replaced one after the other it is about to be replaced.
const MAX_REJECTIONS: u32 = 12;
/// Dead letters in one listing.
pub const DEAD_LETTERS_AT_ONCE: usize = 10_000;

/// How long subscribers keep the ids of messages: longer than any relay goes on trying (two to three days) by a wide
/// margin.
pub const INBOX_KEPT_FOR_MILLIS: i64 = 8 * 24 * 3600 * 1000;

/// A message about to be stored.
pub struct NewMessage {
    /// Its id, by which the subscriber tells repeats.
    pub id: Uuid,
    /// The service that must hear of it.
    pub destination: &'static str,
    /// What happened, such as `registration.confirmed`.
    pub kind: &'static str,
    /// What it happened to; messages of one subject arrive in order.
    pub subject: Uuid,
    /// When.
    pub time: Timestamp,
    /// The facts, as JSON.
    pub data: String,
    /// The request that caused it, for the log.
    pub request_id: Option<String>,
}

impl NewMessage {
    /// A message with a new id.
    pub fn new(
        destination: &'static str,
        kind: &'static str,
        subject: impl Into<Uuid>,
        time: Timestamp,
        data: &impl Serialize,
    ) -> Self {
        // The data are our own wire structs; writing them to memory cannot fail.
        let data = serde_json::to_string(data).unwrap_or_default();
        Self {
            id: new_id(),
            destination,
            kind,
            subject: subject.into(),
            time,
            data,
            request_id: request_id_text(),
        }
    }
}

/// The outbox of a service as logs and figures name it.
pub(crate) fn table_of(service: &str) -> &'static str {
    match service {
        service::USERS => "users.outbox",
        service::EVENTS => "events.outbox",
        service::PAYMENTS => "payments.outbox",
        _ => "notifications.outbox",
    }
}

/// A CloudEvent on its way.
#[derive(Debug, Serialize, Deserialize)]
pub struct CloudEvent {
    specversion: String,
    /// Unique per message, the same on every delivery.
    pub id: Uuid,
    source: String,
    /// What happened.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it happened to.
    pub subject: Uuid,
    /// When.
    pub time: Timestamp,
    datacontenttype: String,
    /// The request that caused it. An extension attribute, so its name has no underscore.
    #[serde(rename = "requestid", default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    data: Box<RawValue>,
}

impl CloudEvent {
    /// The event `kind` about `subject`, from `service`.
    ///
    /// # Errors
    /// When `data` is not JSON.
    pub fn new(
        service: &str,
        id: Uuid,
        kind: String,
        subject: Uuid,
        time: Timestamp,
        data: String,
    ) -> Result<Self, serde_json::Error> {
        Ok(Self {
            specversion: "1.0".to_owned(),
            id,
            source: format!("/{service}"),
            kind,
            subject,
            time,
            datacontenttype: "application/json".to_owned(),
            request_id: None,
            data: RawValue::from_string(data)?,
        })
    }

    /// The event with the request that caused it.
    #[must_use]
    pub fn caused_by(mut self, request_id: Option<String>) -> Self {
        self.request_id = request_id;
        self
    }

    /// Reads the facts. Fields that `T` does not have are left out.
    ///
    /// # Errors
    /// Why they do not have the form that `T` expects.
    pub fn data<T: DeserializeOwned>(&self) -> Result<T, String> {
        serde_json::from_str(self.data.get())
            .map_err(|error| format!("this release does not understand the data: {error}"))
    }

    /// What is to be said of a message of a kind that is none of those that a service knows.
    pub fn unknown_kind(&self) -> String {
        format!("this release does not know messages of the kind {}", self.kind)
    }
}

/// What a subscriber says of one message.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Receipt {
    /// The message.
    pub id: Uuid,
    /// What became of it.
    pub status: ReceiptStatus,
    /// What came of it, or why it was not taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What became of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReceiptStatus {
    /// It has had its effect, now or before.
    Accepted,
    /// It could not be handled now; send it again.
    Retry,
    /// It can never be handled.
    Rejected,
}

impl Receipt {
    /// Taken, with what came of it.
    pub fn with_effect(id: Uuid, effect: &str) -> Self {
        Self {
            detail: Some(effect.to_owned()),
            ..Self::accepted(id)
        }
    }

    /// Taken.
    pub fn accepted(id: Uuid) -> Self {
        Self {
            id,
            status: ReceiptStatus::Accepted,
            detail: None,
        }
    }

    /// Not taken now.
    pub fn retry(id: Uuid, why: impl ToString) -> Self {
        Self {
            id,
            status: ReceiptStatus::Retry,
            detail: Some(why.to_string()),
        }
    }

    /// Never to be taken.
    pub fn rejected(id: Uuid, why: impl ToString) -> Self {
        Self {
            id,
            status: ReceiptStatus::Rejected,
            detail: Some(why.to_string()),
        }
    }

    /// The receipt of a message that was consumed or met a row that cannot be read, which is no trouble of the others
    /// in its batch.
    ///
    /// # Errors
    /// The store's own trouble.
    pub fn unless_unreadable(id: Uuid, taken: Result<Self, StoreError>) -> Result<Self, StoreError> {
        match taken {
            Err(error @ StoreError::Corrupt(_)) => Ok(Self::retry(id, error)),
            taken => taken,
        }
    }
}

/// A message that was not taken.
pub struct Failure {
    /// Its place in the outbox.
    pub seq: i64,
    /// When to try again; `None` makes it a dead letter.
    pub retry_at: Option<Timestamp>,
    /// What the subscriber said.
    pub why: String,
}

/// A message waiting in an outbox.
pub struct Waiting {
    /// Its place; messages go out in this order.
    pub seq: i64,
    /// Deliveries that failed so far.
    pub attempts: u32,
    /// The message.
    pub event: CloudEvent,
}

/// A message that was given up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeadLetter {
    /// Its id; nil: it could not be read.
    pub id: Uuid,
    /// The service that should have consumed it.
    pub destination: String,
    /// What happened.
    pub kind: String,
    /// What it happened to.
    pub subject: Uuid,
    /// When.
    pub time: Timestamp,
    /// Deliveries that failed.
    pub attempts: u32,
    /// Why the last one did.
    pub why: String,
}

/// How an outbox stands.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct OutboxStats {
    /// Messages not yet delivered.
    pub pending: u64,
    /// Messages that were given up.
    pub dead: u64,
    /// Age of the oldest undelivered one, in milliseconds.
    pub oldest_millis: u64,
}

/// The relay's view of a service's store.
#[async_trait]
pub trait OutboxStore: Send + Sync {
    /// Messages for `destination` whose time has come, oldest first; a message waits while an earlier one of its
    /// subject does.
    async fn due(&self, destination: &str, now: Timestamp, limit: usize) -> Result<Vec<Waiting>, StoreError>;
    /// Takes or renews the lease on delivering to `destination`; gives its fence unless another relay holds it.
    async fn lease(
        &self,
        destination: &str,
        owner: Uuid,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<i64>, StoreError>;
    /// Notes what became of messages; nothing happens, and `false` is given, when the lease has passed on.
    async fn settle(
        &self,
        destination: &str,
        owner: Uuid,
        fence: i64,
        delivered: Vec<i64>,
        failed: Vec<Failure>,
    ) -> Result<bool, StoreError>;
    /// Whether the message at this place has yet to be delivered.
    async fn is_pending(&self, seq: i64) -> Result<bool, StoreError>;
    /// Hands the lease back.
    async fn release(&self, destination: &str, owner: Uuid) -> Result<(), StoreError>;
    /// How the outbox stands.
    async fn stats(&self, now: Timestamp) -> Result<OutboxStats, StoreError>;
    /// Messages that were given up, by their time; at most [`DEAD_LETTERS_AT_ONCE`].
    async fn dead_letters(&self) -> Result<Vec<DeadLetter>, StoreError>;
    /// Puts dead letters back at the end of the outbox, as new. Gives how many there were of `ids`.
    async fn redrive(&self, ids: Vec<Uuid>) -> Result<usize, StoreError>;
    /// Deletes dead letters. Gives how many there were of `ids`.
    async fn drop_dead_letters(&self, ids: Vec<Uuid>) -> Result<usize, StoreError>;
}

/// Wakes the relays and workers that wait for a store's changes, after each commit that may have given them something to
/// do. Cheap to clone.
#[derive(Clone, Default)]
pub struct WakeSignal(Arc<RwLock<Vec<Arc<Notify>>>>);

impl WakeSignal {
    /// A listener of one relay or worker, which is notified of each wake from now on; one that comes while nobody waits
    /// is kept.
    pub fn listen(&self) -> Arc<Notify> {
        let listener = Arc::<Notify>::default();
        self.0.write().push(Arc::clone(&listener));
        listener
    }

    /// Wakes all listeners.
    pub fn wake(&self) {
        self.0.read().iter().for_each(|listener| listener.notify_one());
    }
}

/// Delivers one service's messages to one subscriber.
pub struct Relay {
    /// The outbox.
    pub store: Arc<dyn OutboxStore>,
    /// The subscriber.
    pub client: InternalClient,
    /// Notified when a message has been stored.
    pub wake: Arc<Notify>,
    /// For those who wait for messages to be delivered.
    pub deliveries: Deliveries,
    /// The time.
    pub clock: Clock,
}

impl Relay {
    /// Works until `stop`, then hands its lease back.
    pub async fn run(self, stop: CancellationToken) {
        let owner = new_id();
        let destination = self.client.audience();
        let held = Mutex::new(None);
        let pace = Pace::every(POLL)
            .woken_by(Arc::clone(&self.wake))
            .at_most(LONGEST_BACKOFF);
        rounds(&format!("relay to {destination}"), pace, stop, || async {
            let sent = self.round(owner, &held).await?;
            if sent.is_some_and(|sent| sent < BATCH) {
                tokio::time::sleep(BREATH).await;
            }
            Ok::<_, String>(Next::after(sent.unwrap_or(0)))
        })
        .await;
        if held.into_inner().is_some() && self.store.release(destination, owner).await.is_err() {
            tracing::debug!(destination, "the relay's lease will run out by itself");
        }
    }

    /// Delivers one batch and gives its size; `None` when there was nothing to do.
    async fn round(&self, owner: Uuid, held: &Mutex<Option<Held>>) -> Result<Option<usize>, String> {
        let destination = self.client.audience();
        let now = self.clock.now();
        let waiting = self
            .store
            .due(destination, now, BATCH)
            .await
            .map_err(|e| e.to_string())?;
        if waiting.is_empty() {
            return Ok(None);
        }
        let last = *held.lock();
        let fence = match last {
            Some(Held { fence, until }) if until - now > LEASE / 2 => fence,
            _ => {
                let until = now + LEASE;
                let fence = self
                    .store
                    .lease(destination, owner, now, until)
                    .await
                    .map_err(|e| e.to_string())?;
                *held.lock() = fence.map(|fence| Held { fence, until });
                match fence {
                    Some(fence) => fence,
                    None => return Ok(None),
                }
            }
        };
        let batch: Vec<&CloudEvent> = waiting.iter().map(|message| &message.event).collect();
        let receipts: Vec<Receipt> = self.client.post(PATH, &batch).await.map_err(|e| e.to_string())?;
        let sent = waiting.len();
        let Judged {
            delivered,
            failed,
            effects,
        } = judge(waiting, receipts, now);
        for failure in failed.iter().filter(|failure| failure.retry_at.is_none()) {
            tracing::error!(
                destination,
                seq = failure.seq,
                why = failure.why,
                "a message became a dead letter"
            );
        }
        self.deliveries.came_to(effects).await;
        if !self
            .store
            .settle(destination, owner, fence, delivered, failed)
            .await
            .map_err(|e| e.to_string())?
        {
            *held.lock() = None; // another relay took over while this one was slow; the inbox drops what it repeats
        }
        self.deliveries.settled().await;
        Ok(Some(sent))
    }
}

/// A lease on delivering to a destination.
#[derive(Clone, Copy)]
struct Held {
    fence: i64,
    until: Timestamp,
}

/// What a delivery came to.
#[derive(Default)]
struct Judged {
    delivered: Vec<i64>,
    failed: Vec<Failure>,
    /// What came of those that were delivered, where the subscriber says.
    effects: Vec<(i64, String)>,
}

fn judge(waiting: Vec<Waiting>, receipts: Vec<Receipt>, now: Timestamp) -> Judged {
    let mut receipts: HashMap<Uuid, Receipt> = receipts
        .into_iter()
        .map(|receipt| (receipt.id, receipt))
        .collect();
    let mut judged = Judged::default();
    for message in waiting {
        let receipt = receipts
            .remove(&message.event.id)
            .unwrap_or_else(|| Receipt::retry(message.event.id, "the subscriber did not mention it"));
        let attempts = message.attempts + 1;
        let most = match receipt.status {
            ReceiptStatus::Rejected => MAX_REJECTIONS,
            ReceiptStatus::Accepted | ReceiptStatus::Retry => MAX_ATTEMPTS,
        };
        let retry_at = (attempts < most).then(|| now + backoff(attempts).max(Duration::from_millis(500)));
        match receipt.status {
            ReceiptStatus::Accepted => {
                judged.delivered.push(message.seq);
                judged
                    .effects
                    .extend(receipt.detail.map(|effect| (message.seq, effect)));
            }
            _ => judged.failed.push(Failure {
                seq: message.seq,
                retry_at,
                why: receipt.detail.unwrap_or_default(),
            }),
        }
    }
    judged
}
