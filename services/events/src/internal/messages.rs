//! `POST /internal/messages`: consumes messages from payments and users.

use async_trait::async_trait;
use axum::{Json, body::Body, extract::State};
use common::{
    extract::CallingService,
    outbox::Receipt,
    problem::ApiError,
    subscriber::{self, Incoming, Subscriber},
};

use crate::{accounts, app::App, domain::fact::Fact};

#[async_trait]
impl Subscriber for App {
    type Fact = Fact;

    async fn consume(&self, batch: Vec<Incoming<Fact>>) -> Vec<Receipt> {
        let (mut receipts, mut rest) = (Vec::new(), Vec::with_capacity(batch.len()));
        for message in batch {
            // What takes many commits comes before its message is noted as consumed.
            let closed = match &message.fact {
                Fact::AccountDeleted(deleted) => accounts::close_for_good(self, deleted.user_id).await,
                Fact::Captured(_) | Fact::Reversed(_) => Ok(()),
            };
            match closed {
                Ok(()) => rest.push(message),
                Err(error) => {
                    tracing::warn!(message_id = %message.id, %error, "an account could not be closed");
                    receipts.push(Receipt::retry(
                        message.id,
                        "the events service could not store it",
                    ));
                }
            }
        }
        let ids = rest.iter().map(|event| event.id).collect();
        receipts.extend(subscriber::receipts(
            ids,
            self.store.consume(rest, self.clock.now()).await,
        ));
        receipts
    }
}

/// Consumes a batch.
///
/// # Errors
/// When the body is no batch of messages.
pub async fn messages(
    _: CallingService,
    State(app): State<App>,
    body: Body,
) -> Result<Json<Vec<Receipt>>, ApiError> {
    subscriber::receive(&app, body).await
}
