//! The messages that payments and users publish.

use common::{
    outbox::CloudEvent,
    subscriber,
    wire::{AccountDeleted, PaymentCaptured, PaymentReversed, kind},
};

/// A message that events consumes.
#[derive(Clone, Debug)]
pub enum Fact {
    /// Money was captured for a registration.
    Captured(PaymentCaptured),
    /// A captured payment was refunded in full.
    Reversed(PaymentReversed),
    /// An account was deleted.
    AccountDeleted(AccountDeleted),
}

impl subscriber::Fact for Fact {
    fn read(event: &CloudEvent) -> Result<Self, String> {
        match event.kind.as_str() {
            kind::PAYMENT_CAPTURED => event.data().map(Self::Captured),
            kind::PAYMENT_REVERSED => event.data().map(Self::Reversed),
            kind::ACCOUNT_DELETED => event.data().map(Self::AccountDeleted),
            _ => Err(event.unknown_kind()),
        }
    }
}
