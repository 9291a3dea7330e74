//! An order: the amount that a registration owes, paid by at most one captured payment.

use common::{
    clock::Timestamp,
    ids::{EventId, OrderId, PaymentId, RegistrationId, UserId},
    money::Paise,
};

/// An order. There is one per registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The id; also the order's receipt at Razorpay, by which it is found there after a crash.
    pub id: OrderId,
    /// The registration it pays for.
    pub registration_id: RegistrationId,
    /// The registration's event.
    pub event_id: EventId,
    /// The event's name, for statements and letters.
    pub event_name: String,
    /// The payer.
    pub user_id: UserId,
    /// The amount due.
    pub amount: Paise,
    /// Razorpay's id, once it has one.
    pub razorpay_id: Option<String>,
    /// The payment that paid it, once one has.
    pub paid_by: Option<PaymentId>,
    /// When it was created.
    pub created_at: Timestamp,
}

impl Order {
    /// Its receipt at Razorpay, which takes at most 40 characters.
    pub fn receipt(&self) -> String {
        self.id.0.simple().to_string()
    }
}
