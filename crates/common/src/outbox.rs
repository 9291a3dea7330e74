//! Messages between services: CloudEvents 1.0 written to an outbox in the commit of the change they report,
//! delivered in batches by a relay, at least once and in order per subject, and consumed once through an inbox.

use async_trait::async_trait;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::{clock::Timestamp, context::request_id_text, ids::new_id, store::StoreError};

/// Where every subscriber takes messages.
pub const PATH: &str = "/internal/messages";
/// Messages in one delivery.
pub const BATCH: usize = 500;
/// The largest delivery a subscriber takes, in bytes. A message is at most some kilobytes.
pub const MAX_DELIVERY: usize = 8 * 1024 * 1024;
/// Dead letters in one listing.
pub const DEAD_LETTERS_AT_ONCE: usize = 10_000;

/// How long subscribers keep the ids of messages: longer than any relay goes on trying (two to three days) by a wide
/// margin.
pub const INBOX_KEPT_FOR_MILLIS: i64 = 8 * 24 * 3600 * 1000;

/// A message about to be stored.
pub struct NewMessage {
    /// The message's id, by which the subscriber recognizes repeats.
    pub id: Uuid,
    /// The service that is to consume it.
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

    /// Why a message is refused whose kind the service does not know.
    pub fn unknown_kind(&self) -> String {
        format!("this release does not know messages of the kind {}", self.kind)
    }
}

/// A subscriber's answer for one message.
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

    /// The receipt of a message that was consumed or met a row that cannot be read, which does not affect the others
    /// in its batch.
    ///
    /// # Errors
    /// A storage error.
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
    /// The reason from the subscriber.
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
