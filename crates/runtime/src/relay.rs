//! The relay: delivers what waits in an outbox, in batches, in order per subject, at least once.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use common::{
    clock::{Clock, Timestamp},
    http::InternalClient,
    ids::new_id,
    metrics::{Gauge, Histogram},
    outbox::{BATCH, CloudEvent, Failure, OutboxStore, PATH, Receipt, ReceiptStatus, Waiting},
    workers::{Next, Pace, backoff, rounds},
};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::deliveries::Deliveries;

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

/// What messages are delivered to.
#[async_trait]
pub trait Subscriber: Send + Sync {
    /// Its name, which is the messages' destination.
    fn name(&self) -> &str;
    /// Has messages consumed, each once or more often; gives what became of each.
    ///
    /// # Errors
    /// When it cannot be reached. All of them are delivered again.
    async fn deliver(&self, batch: &[&CloudEvent]) -> Result<Vec<Receipt>, String>;
}

/// Another service.
#[async_trait]
impl Subscriber for InternalClient {
    fn name(&self) -> &str {
        self.audience()
    }

    async fn deliver(&self, batch: &[&CloudEvent]) -> Result<Vec<Receipt>, String> {
        self.post(PATH, &batch).await.map_err(|error| error.to_string())
    }
}

/// Delivers one service's messages to one subscriber.
pub struct Relay {
    /// The outbox.
    pub store: Arc<dyn OutboxStore>,
    /// The subscriber.
    pub subscriber: Arc<dyn Subscriber>,
    /// Notified when a message has been stored.
    pub wake: Arc<Notify>,
    /// For requests that wait for messages to be delivered.
    pub deliveries: Deliveries,
    /// The time.
    pub clock: Clock,
    /// The figures of the outbox.
    pub figures: Arc<OutboxFigures>,
}

/// Figures of an outbox that its relays measure.
#[derive(Default)]
pub struct OutboxFigures {
    /// From the commit of a message to its delivery.
    lag: Histogram,
}

impl Relay {
    /// Works until `stop`, then hands its lease back.
    pub async fn run(self, stop: CancellationToken) {
        let owner = new_id();
        let destination = self.subscriber.name();
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
        let destination = self.subscriber.name();
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
        let receipts = self.subscriber.deliver(&batch).await?;
        let sent = waiting.len();
        let Judged {
            delivered,
            stored_at,
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
        let delivered_at = self.clock.now();
        for stored_at in stored_at {
            let lag = (delivered_at - stored_at).to_std().unwrap_or_default();
            self.figures.lag.observe(lag);
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
    /// When those that were delivered were stored.
    stored_at: Vec<Timestamp>,
    failed: Vec<Failure>,
    /// The effects of those that were delivered, where the subscriber reports them.
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
                judged.stored_at.push(message.event.time);
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

/// How a service's outbox stands.
pub struct OutboxGauge {
    /// The outbox.
    pub store: Arc<dyn OutboxStore>,
    /// The time.
    pub clock: Clock,
    /// What the relays measure.
    pub figures: Arc<OutboxFigures>,
}

#[async_trait]
impl Gauge for OutboxGauge {
    async fn read(&self) -> Vec<(&'static str, &'static str, f64)> {
        let Ok(stats) = self.store.stats(self.clock.now()).await else {
            return Vec::new();
        };
        vec![
            (
                "outbox_pending",
                "Messages not yet delivered.",
                stats.pending as f64,
            ),
            ("outbox_dead", "Messages that were given up.", stats.dead as f64),
            (
                "outbox_oldest_seconds",
                "Age of the oldest undelivered message.",
                stats.oldest_millis as f64 / 1000.0,
            ),
        ]
    }

    fn histograms(&self) -> Vec<(&'static str, &'static str, &Histogram)> {
        vec![(
            "outbox_lag_seconds",
            "From the commit of a message to its delivery.",
            &self.figures.lag,
        )]
    }
}
