//! The other end of an outbox: a service consumes what it is sent.

use std::collections::HashSet;

use async_trait::async_trait;
use axum::{Json, body::Body, http::StatusCode};
use uuid::Uuid;

use crate::outbox::{CloudEvent, MAX_DELIVERY, Receipt, ReceiptStatus};
use crate::{
    context::{Carried, traces},
    extract::body_bytes,
    problem::ApiError,
    store::StoreError,
};

/// What a service consumes: the kinds of messages that it understands.
pub trait Fact: Sized {
    /// Reads a message.
    ///
    /// # Errors
    /// Why this release does not understand it: [`CloudEvent::data`]'s, or that of [`CloudEvent::unknown_kind`].
    fn read(event: &CloudEvent) -> Result<Self, String>;
}

/// A message that is understood.
#[derive(Clone, Debug)]
pub struct Incoming<F> {
    /// The message's id, by which repeats are noticed.
    pub id: Uuid,
    /// The request that caused it.
    pub request_id: Option<String>,
    /// The fact it carries.
    pub fact: F,
}

impl<F: Fact> Incoming<F> {
    /// Reads a message.
    ///
    /// # Errors
    /// Why this release does not understand it.
    pub fn read(event: &CloudEvent) -> Result<Self, String> {
        Ok(Self {
            id: event.id,
            request_id: event.request_id.clone(),
            fact: F::read(event)?,
        })
    }
}

/// A service as the relays of others see it.
#[async_trait]
pub trait Subscriber: Send + Sync + 'static {
    /// What it understands.
    type Fact: Fact + Send;

    /// Consumes messages in order. Every message's effect and its id are one commit, so that a repeat has none.
    async fn consume(&self, batch: Vec<Incoming<Self::Fact>>) -> Vec<Receipt>;

    /// Consumes what is understood of a batch. The rest waits and is sent again, for this service may be replaced by a
    /// newer release any moment.
    async fn receive(&self, batch: Vec<CloudEvent>) -> Vec<Receipt> {
        let (understood, mut receipts) = separate(&batch);
        if !understood.is_empty() {
            receipts.extend(self.consume(understood).await);
        }
        receipts
    }
}

/// The messages of a batch that are understood, and receipts for the others. What comes after one of these about the same
/// subject waits with it, so that the order stays.
fn separate<F: Fact>(batch: &[CloudEvent]) -> (Vec<Incoming<F>>, Vec<Receipt>) {
    let (mut understood, mut receipts) = (Vec::with_capacity(batch.len()), Vec::new());
    let mut waiting = HashSet::new();
    for event in batch {
        if waiting.contains(&event.subject) {
            receipts.push(Receipt::retry(
                event.id,
                "an earlier message about the same subject waits",
            ));
            continue;
        }
        match Incoming::read(event) {
            Ok(incoming) => understood.push(incoming),
            Err(why) => {
                waiting.insert(event.subject);
                receipts.push(Receipt::retry(event.id, why));
            }
        }
    }
    (understood, receipts)
}

/// The receipts of a batch that a store consumed in whole; all are to be sent again when it could not.
pub fn receipts(ids: Vec<Uuid>, consumed: Result<Vec<Receipt>, StoreError>) -> Vec<Receipt> {
    consumed.unwrap_or_else(|error| ids.into_iter().map(|id| Receipt::retry(id, &error)).collect())
}

/// The handler of [`super::PATH`].
///
/// # Errors
/// When the body is no batch of CloudEvents.
pub async fn receive(subscriber: &impl Subscriber, body: Body) -> Result<Json<Vec<Receipt>>, ApiError> {
    let bytes = body_bytes(body, MAX_DELIVERY).await?;
    let batch: Vec<CloudEvent> = serde_json::from_slice(&bytes).map_err(|error| {
        ApiError::new(
            StatusCode::BAD_REQUEST,
            "not_cloudevents",
            "Not a batch of CloudEvents.",
        )
        .because(error)
    })?;
    let sent: Vec<_> = batch
        .iter()
        .map(|event| {
            (
                event.id,
                event.kind.clone(),
                event.subject,
                event.request_id.clone(),
            )
        })
        .collect();
    let receipts = subscriber.receive(batch).await;
    for (message_id, kind, subject, request_id) in sent {
        let Some(receipt) = receipts.iter().find(|receipt| receipt.id == message_id) else {
            continue;
        };
        let effect = receipt.detail.as_deref();
        let log = || match receipt.status {
            ReceiptStatus::Accepted => {
                tracing::info!(%message_id, kind, %subject, request_id, effect, "message consumed")
            }
            ReceiptStatus::Retry => {
                tracing::warn!(%message_id, kind, %subject, request_id, why = effect, "message not consumed; it will be sent again");
            }
            ReceiptStatus::Rejected => {
                tracing::error!(%message_id, kind, %subject, request_id, why = effect, "message rejected");
            }
        };
        Carried::causing(request_id.as_deref()).enter(|| traces::consumed(&kind, message_id, log));
    }
    Ok(Json(receipts))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::from_millis, ids::new_id};

    struct Count(i64);

    impl Fact for Count {
        fn read(event: &CloudEvent) -> Result<Self, String> {
            match event.kind.as_str() {
                "counted" => event.data().map(Self),
                _ => Err(event.unknown_kind()),
            }
        }
    }

    fn event(kind: &str, subject: Uuid, data: &str) -> CloudEvent {
        CloudEvent::new(
            "events",
            new_id(),
            kind.into(),
            subject,
            from_millis(0),
            data.into(),
        )
        .unwrap()
    }

    #[test]
    fn what_a_newer_release_says_waits_with_all_that_follows_about_it() {
        let (one, other, third) = (new_id(), new_id(), new_id());
        let batch = [
            event("counted", one, "1"),
            event("counted twice", one, "2"),
            event("counted", other, "3"),
            event("counted", one, "4"),
            event("counted", third, r#""many""#),
            event("counted", third, "5"),
        ];
        let (understood, receipts) = separate::<Count>(&batch);
        let counts: Vec<i64> = understood.iter().map(|incoming| incoming.fact.0).collect();
        assert_eq!(counts, [1, 3]);
        let waits: Vec<_> = receipts
            .iter()
            .map(|receipt| (receipt.id, receipt.status))
            .collect();
        let later = [1, 3, 4, 5].map(|at: usize| (batch[at].id, ReceiptStatus::Retry));
        assert_eq!(waits, later);
        let why = |at: usize| receipts[at].detail.clone().unwrap();
        assert_eq!(
            why(0),
            "this release does not know messages of the kind counted twice"
        );
        assert!(
            why(2).starts_with("this release does not understand the data: "),
            "{}",
            why(2)
        );
    }
}
