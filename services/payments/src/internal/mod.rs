//! The endpoints for other services.

use async_trait::async_trait;
use axum::{Json, body::Body, extract::State};
use common::{
    extract::CallingService,
    outbox::Receipt,
    problem::ApiError,
    subscriber::{self, Incoming, Subscriber},
};

use crate::{app::App, domain::fact::Fact};

#[async_trait]
impl Subscriber for App {
    type Fact = Fact;

    async fn consume(&self, batch: Vec<Incoming<Fact>>) -> Vec<Receipt> {
        let ids = batch.iter().map(|event| event.id).collect();
        subscriber::receipts(ids, self.store.consume(batch, self.clock.now()).await)
    }
}

/// `POST /internal/messages`
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
