//! What is published live on a payer's own channel: a payment as it stands after it or its refund has moved.

use std::sync::Arc;

use async_trait::async_trait;
use common::{outbox::CloudEvent, wire::kind};
use runtime::live::{Publication, States, Unpublished};
use serde::Serialize;

use crate::{
    store::{Store, messages::PaymentChanged},
    views::PaymentView,
};

/// Loads payments.
pub struct Payments(pub Arc<dyn Store>);

#[derive(Serialize)]
struct OfPayment {
    payment: PaymentView,
}

#[async_trait]
impl States for Payments {
    async fn of(&self, change: &CloudEvent) -> Result<Option<Publication>, Unpublished> {
        if change.kind != kind::PAYMENT_CHANGED {
            return Err(Unpublished::Rejected(change.unknown_kind()));
        }
        let changed: PaymentChanged = change.data().map_err(Unpublished::Rejected)?;
        let found = self.0.statement(changed.payment_id, changed.user_id).await?;
        let Some(found) = found else { return Ok(None) };
        let payment = PaymentView::from(&found);
        Publication::new(changed.user_id, &OfPayment { payment }).map(Some)
    }
}
