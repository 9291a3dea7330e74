//! Payments as the public API shows them.

use common::{
    ids::{EventId, PaymentId, RegistrationId, UserId},
    money::Rupees,
    time::utc,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::store::Statement;

/// A payment.
#[derive(Serialize, ToSchema)]
pub struct PaymentView {
    /// Its id.
    #[schema(value_type = String, format = Uuid)]
    pub payment_id: PaymentId,
    /// What it pays for.
    #[schema(value_type = String, format = Uuid)]
    pub registration_id: RegistrationId,
    /// The registration's event.
    #[schema(value_type = String, format = Uuid)]
    pub event_id: EventId,
    /// The event's name.
    pub event_name: String,
    /// Who pays.
    #[schema(value_type = String, format = Uuid)]
    pub user_id: UserId,
    /// Rupees.
    #[schema(value_type = f64, example = 500)]
    pub amount: Rupees,
    /// ISO 4217.
    #[schema(example = "INR")]
    pub currency: &'static str,
    /// `created`, `failed`, `authorized`, `captured` or `refunded`.
    #[schema(example = "captured")]
    pub status: &'static str,
    /// `upi`, `card`, `netbanking` or `wallet`.
    #[schema(example = "upi")]
    pub payment_method: String,
    /// Razorpay's order.
    #[schema(example = "order_DBJOWzybf0sJbb")]
    pub razorpay_order_id: Option<String>,
    /// Razorpay's payment.
    #[schema(example = "pay_DaaS6LOUAASb7Y")]
    pub razorpay_payment_id: String,
    /// Why it failed, if it did.
    pub failure: Option<FailureView>,
    /// Its way back, if it is on one.
    pub refund: Option<RefundView>,
    /// When it was made, UTC.
    pub created_at: String,
    /// When the money was taken, UTC.
    pub captured_at: Option<String>,
}

/// Why a payment failed.
#[derive(Serialize, ToSchema)]
pub struct FailureView {
    /// For programs.
    #[schema(example = "insufficient_fund")]
    pub code: String,
    /// For people.
    pub description: String,
}

/// A refund.
#[derive(Serialize, ToSchema)]
pub struct RefundView {
    /// `pending` or `processed`.
    #[schema(example = "processed")]
    pub status: &'static str,
    /// `attendee`, `event_cancelled`, `no_seat` or `duplicate`.
    #[schema(example = "attendee")]
    pub reason: &'static str,
}

impl From<&Statement> for PaymentView {
    fn from(statement: &Statement) -> Self {
        let (payment, order) = (&statement.payment, &statement.order);
        Self {
            payment_id: payment.id,
            registration_id: order.registration_id,
            event_id: order.event_id,
            event_name: order.event_name.clone(),
            user_id: order.user_id,
            amount: payment.amount.into(),
            currency: "INR",
            status: payment.status.name(),
            payment_method: payment.method.clone(),
            razorpay_order_id: order.razorpay_id.clone(),
            razorpay_payment_id: payment.razorpay_id.clone(),
            failure: payment.decline.as_ref().map(|decline| FailureView {
                code: decline.reason.clone(),
                description: decline.description.clone(),
            }),
            refund: statement.refund.map(|(reason, done)| RefundView {
                status: if done { "processed" } else { "pending" },
                reason: reason.name(),
            }),
            created_at: utc(payment.created_at),
            captured_at: payment.captured_at.map(utc),
        }
    }
}

/// A payment that has just been made.
#[derive(Serialize, ToSchema)]
pub struct PaymentAnswer {
    /// What happened.
    #[schema(example = "Payment processed successfully.")]
    pub message: &'static str,
    /// The payment.
    #[serde(flatten)]
    pub payment: PaymentView,
}
