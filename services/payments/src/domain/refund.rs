//! A refund: a captured payment going back whole. There is at most one per payment.

use common::{
    ids::{PaymentId, RefundId},
    money::Paise,
    wire::RefundReason,
};

/// A refund to be made or awaited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    /// Its id.
    pub id: RefundId,
    /// Which payment goes back.
    pub payment_id: PaymentId,
    /// The payment's id at Razorpay.
    pub razorpay_payment_id: String,
    /// How much.
    pub amount: Paise,
    /// Why.
    pub reason: RefundReason,
    /// Its id at Razorpay, once it was asked for.
    pub razorpay_id: Option<String>,
    /// Tries that Razorpay refused for good; each further one is a new request with a new key.
    pub generation: i64,
    /// Tries so far, for the back-off.
    pub attempts: u32,
}

impl Refund {
    /// Razorpay's `X-Refund-Idempotency`: at least 10 characters of `[A-Za-z0-9_-]`.
    pub fn key(&self) -> String {
        format!("{}-{}", self.id, self.generation)
    }
}

/// Reads the name.
pub fn parse_reason(text: &str) -> Option<RefundReason> {
    [
        RefundReason::NoSeat,
        RefundReason::Attendee,
        RefundReason::EventCancelled,
        RefundReason::Duplicate,
        RefundReason::WrongAmount,
    ]
    .into_iter()
    .find(|reason| reason.name() == text)
}
