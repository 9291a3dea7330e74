//! The payer's side of a payment: who starts it, and who takes the payer's step.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use common::{ids::UserId, settings::Settings};
use runtime::user_directory::UserDirectory;

use crate::{
    domain::{
        method::{Instrument, Method},
        order::Order,
    },
    razorpay::{Payer, Razorpay, RazorpayError, types::PaymentCreated},
};

/// How long the payer's request waits for the outcome of a step that is taken for the payer. After longer waits payers
/// press the button again.
const PATIENCE: Duration = Duration::from_secs(6);

/// How payments of an order are started.
#[async_trait]
pub trait PayerSide: Send + Sync {
    /// Whether a request may name the means of payment.
    fn takes_instruments(&self) -> bool;

    /// How long to wait for the outcome of a payment started by the service.
    fn patience(&self) -> Duration;

    /// Starts a payment of `order`, which is `order_id` at Razorpay. `None`: the payer starts it.
    ///
    /// # Errors
    /// When it was not started, or that is unknown.
    async fn start(
        &self,
        order: &Order,
        order_id: &str,
        method: Method,
        instrument: &Instrument,
    ) -> Result<Option<PaymentCreated>, RazorpayError>;
}

/// The side that the settings select: Razorpay Checkout when there are keys, otherwise the simulator's.
pub fn of(settings: &Settings, razorpay: &Razorpay, directory: &UserDirectory) -> Arc<dyn PayerSide> {
    if settings.razorpay.keys.is_some() {
        return Arc::new(HostedCheckout);
    }
    Arc::new(SimulatedPayer {
        razorpay: razorpay.clone(),
        directory: directory.clone(),
        step_by_itself: settings.simulator_auto_complete,
    })
}

/// The payer pays in the browser, with Razorpay Checkout.
pub struct HostedCheckout;

#[async_trait]
impl PayerSide for HostedCheckout {
    fn takes_instruments(&self) -> bool {
        false
    }

    fn patience(&self) -> Duration {
        Duration::ZERO
    }

    async fn start(
        &self,
        _order: &Order,
        _order_id: &str,
        _method: Method,
        _instrument: &Instrument,
    ) -> Result<Option<PaymentCreated>, RazorpayError> {
        Ok(None)
    }
}

/// The service starts the payment, which without a special contract is possible with the simulator only.
pub struct SimulatedPayer {
    razorpay: Razorpay,
    directory: UserDirectory,
    /// Whether the simulator takes the payer's step by itself.
    step_by_itself: bool,
}

impl SimulatedPayer {
    /// The payer's contact details for Razorpay, which requires an e-mail address and a phone number; where there are
    /// none, Razorpay's own placeholders are used.
    async fn contact(&self, user: UserId) -> Payer {
        let found = self.directory.find([user]).await;
        let card = found.ok().and_then(|mut found| found.remove(&user));
        Payer {
            email: card
                .as_ref()
                .map_or_else(|| "void@razorpay.com".to_owned(), |card| card.email.clone()),
            contact: card
                .and_then(|card| card.phone.clone())
                .unwrap_or_else(|| "+919999999999".to_owned()),
        }
    }
}

#[async_trait]
impl PayerSide for SimulatedPayer {
    fn takes_instruments(&self) -> bool {
        true
    }

    fn patience(&self) -> Duration {
        // A payer who has to take the step needs its URL at once.
        if self.step_by_itself {
            PATIENCE
        } else {
            Duration::ZERO
        }
    }

    async fn start(
        &self,
        order: &Order,
        order_id: &str,
        method: Method,
        instrument: &Instrument,
    ) -> Result<Option<PaymentCreated>, RazorpayError> {
        let payer = self.contact(order.user_id).await;
        let started = self
            .razorpay
            .start_payment(order, order_id, method, instrument, &payer);
        started.await.map(Some)
    }
}
