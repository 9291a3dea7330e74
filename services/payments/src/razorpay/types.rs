//! Razorpay's entities, as far as we read them. Unknown fields are ignored: they may appear at any time.

use common::money::Paise;
use serde::Deserialize;

use crate::domain::payment::{Decline, Report, Status};

/// A page of entities.
#[derive(Debug, Deserialize)]
pub struct Collection<T> {
    /// The entities.
    pub items: Vec<T>,
}

/// An order.
#[derive(Debug, Deserialize)]
pub struct OrderEntity {
    /// `order_...`
    pub id: String,
    /// Ours.
    pub receipt: Option<String>,
}

/// A payment.
#[derive(Clone, Debug, Deserialize)]
pub struct PaymentEntity {
    /// `pay_...`
    pub id: String,
    /// What it pays; none for payments that were not made for an order.
    pub order_id: Option<String>,
    /// Paise.
    pub amount: Paise,
    /// ISO 4217.
    pub currency: String,
    /// `created`, `authorized`, `captured`, `refunded` or `failed`.
    pub status: String,
    /// How it is paid.
    #[serde(default)]
    pub method: Option<String>,
    /// Whether the money was ever taken; a refunded payment need not have been captured.
    #[serde(default)]
    pub captured: Option<bool>,
    #[serde(default)]
    error_reason: Option<String>,
    #[serde(default)]
    error_description: Option<String>,
}

impl PaymentEntity {
    /// What it tells, unless it is about something that is not ours.
    pub fn report(&self) -> Option<Report> {
        let status = Status::parse(&self.status)?;
        let decline = (status == Status::Failed).then(|| Decline {
            reason: self
                .error_reason
                .clone()
                .unwrap_or_else(|| "payment_failed".to_owned()),
            description: self
                .error_description
                .clone()
                .unwrap_or_else(|| "The payment failed.".to_owned()),
        });
        // An authorisation that ran out comes back as "refunded, never captured": no money moved.
        let status = match status {
            Status::Refunded if self.captured == Some(false) => Status::Failed,
            status => status,
        };
        (self.currency == "INR").then_some(())?;
        Some(Report {
            order: self.order_id.clone()?,
            payment: self.id.clone(),
            status,
            method: self.method.clone().unwrap_or_default(),
            amount: self.amount,
            decline,
        })
    }
}

/// The answer to starting a payment.
#[derive(Debug, Deserialize)]
pub struct PaymentCreated {
    /// `pay_...`
    pub razorpay_payment_id: String,
    /// What the payer may do next.
    #[serde(default)]
    pub next: Vec<NextStep>,
}

/// A step that the payer may take.
#[derive(Clone, Debug, Deserialize, serde::Serialize, utoipa::ToSchema)]
pub struct NextStep {
    /// `redirect`, `otp_submit`, `poll`, ...
    pub action: String,
    /// Where.
    #[serde(default)]
    #[schema(required = true)]
    pub url: Option<String>,
}

/// A refund.
#[derive(Debug, Deserialize)]
pub struct RefundEntity {
    /// `rfnd_...`
    pub id: String,
    /// `pending`, `processed` or `failed`.
    pub status: String,
}

/// The body of every error.
#[derive(Debug, Default, Deserialize)]
pub struct ErrorBody {
    /// What is wrong.
    #[serde(default)]
    pub error: ErrorDetail,
}

/// What is wrong.
#[derive(Debug, Default, Deserialize)]
pub struct ErrorDetail {
    /// For people.
    #[serde(default)]
    pub description: String,
    /// For programs.
    #[serde(default)]
    pub reason: String,
}

/// A webhook's envelope.
#[derive(Debug, Deserialize)]
pub struct WebhookEnvelope {
    /// `payment.captured`, ...
    pub event: String,
    /// The entities it is about.
    pub payload: WebhookPayload,
}

/// The entities a webhook is about.
#[derive(Debug, Deserialize)]
pub struct WebhookPayload {
    /// A payment.
    #[serde(default)]
    pub payment: Option<Wrapped<PaymentEntity>>,
    /// A refund.
    #[serde(default)]
    pub refund: Option<Wrapped<RefundEntity>>,
}

/// Razorpay's wrapping of an entity.
#[derive(Debug, Deserialize)]
pub struct Wrapped<T> {
    /// The entity.
    pub entity: T,
}
