//! The messages of the events service, and the refunds that they require.

use common::{
    ids::{PaymentId, RegistrationId},
    outbox::CloudEvent,
    subscriber,
    wire::{EndReason, PaymentRefused, RefundReason, RegistrationEnded, kind},
};

/// A message that payments consumes.
#[derive(Clone, Debug)]
pub enum Fact {
    /// A captured payment does not confirm a registration.
    Refused(PaymentRefused),
    /// A registration was cancelled, or has ended otherwise.
    Ended(RegistrationEnded),
}

/// The payment to be refunded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefundOf {
    /// This one.
    Payment(PaymentId),
    /// The captured payment of this registration's order, if there is one: the events service has not consumed the
    /// capture yet, and will refuse it for the same reason.
    Registration(RegistrationId),
}

impl Fact {
    /// The payment to be refunded, and why; `None` when it has been refunded already.
    pub fn sends_back(&self) -> Option<(RefundOf, RefundReason)> {
        match self {
            Self::Refused(refused) => Some((RefundOf::Payment(refused.payment_id), refused.reason)),
            Self::Ended(ended) => {
                let reason = match ended.reason {
                    EndReason::Attendee => RefundReason::Attendee,
                    EndReason::EventCancelled => RefundReason::EventCancelled,
                    EndReason::Organizer => RefundReason::Organizer,
                    EndReason::Refunded => return None,
                };
                let of = match ended.payment_id {
                    Some(payment) => RefundOf::Payment(payment),
                    None => RefundOf::Registration(ended.registration_id),
                };
                Some((of, reason))
            }
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_goes_back_unless_it_is_back() {
        let (registration, payment) = (RegistrationId::new(), PaymentId::new());
        let fact = |reason: &str, payment: Option<PaymentId>| {
            let event = serde_json::json!({
                "event_id": registration, "name": "e", "address": "a", "starts_at": "2031-01-31T13:14:06Z", "zone": "UTC",
                "version": 1, "schedule_version": 1, "cancelled": false,
            });
            let data = serde_json::json!({
                "registration_id": registration, "user_id": registration, "event": event, "was_confirmed": true,
                "reason": reason, "payment_id": payment,
            });
            Fact::Ended(serde_json::from_value(data).unwrap())
        };
        let attendee = RefundReason::Attendee;
        for (reason, known, expected) in [
            (
                "attendee",
                Some(payment),
                Some((RefundOf::Payment(payment), attendee)),
            ),
            (
                "attendee",
                None,
                Some((RefundOf::Registration(registration), attendee)),
            ),
            (
                "event_cancelled",
                Some(payment),
                Some((RefundOf::Payment(payment), RefundReason::EventCancelled)),
            ),
            ("refunded", Some(payment), None),
            ("refunded", None, None),
        ] {
            assert_eq!(fact(reason, known).sends_back(), expected, "{reason}");
        }
    }
}
