//! What events tells.

use common::{
    outbox::CloudEvent,
    subscriber,
    wire::{PaymentRefused, RegistrationEnded, kind},
};

/// A message that payments understands.
#[derive(Clone, Debug)]
pub enum Fact {
    /// Captured money buys nothing.
    Refused(PaymentRefused),
    /// A registration was cancelled, or has ended otherwise.
    Ended(RegistrationEnded),
}

impl subscriber::Fact for Fact {
    fn read(event: &CloudEvent) -> Result<Self, String> {
        match event.kind.as_str() {
            kind::PAYMENT_REFUSED => event.data().map(Self::Refused),
            kind::REGISTRATION_ENDED => event.data().map(Self::Ended),
            _ => Err(event.unknown_kind()),
        }
    }
}
