//! The messages of the events service, and the refunds that they require.

use common::{
    ids::{PaymentId, RegistrationId},
    money::Paise,
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

/// What a message has refunded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendsBack {
    /// The payment.
    pub of: RefundOf,
    /// Why.
    pub reason: RefundReason,
    /// How much in all, zero when the money is kept; `None`: all of it.
    pub part: Option<Paise>,
}

impl Fact {
    /// What is to be refunded; `None` when it has been refunded already.
    pub fn sends_back(&self) -> Option<SendsBack> {
        match self {
            Self::Refused(refused) => Some(SendsBack {
                of: RefundOf::Payment(refused.payment_id),
                reason: refused.reason,
                part: None,
            }),
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
                Some(SendsBack {
                    of,
                    reason,
                    part: ended.refund,
                })
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
        let fact = |reason: &str, payment: Option<PaymentId>, refund: Option<i64>| {
            let event = serde_json::json!({
                "event_id": registration, "name": "e", "address": "a", "starts_at": "2031-01-31T13:14:06Z", "zone": "UTC",
                "version": 1, "schedule_version": 1, "cancelled": false,
            });
            let data = serde_json::json!({
                "registration_id": registration, "user_id": registration, "event": event, "was_confirmed": true,
                "reason": reason, "payment_id": payment, "refund": refund,
            });
            Fact::Ended(serde_json::from_value(data).unwrap())
        };
        let (of_it, of_order) = (RefundOf::Payment(payment), RefundOf::Registration(registration));
        let (attendee, organizer) = (RefundReason::Attendee, RefundReason::Organizer);
        for (reason, known, refund, expected) in [
            ("attendee", Some(payment), None, Some((of_it, attendee))),
            ("attendee", None, None, Some((of_order, attendee))),
            (
                "event_cancelled",
                Some(payment),
                None,
                Some((of_it, RefundReason::EventCancelled)),
            ),
            ("organizer", Some(payment), None, Some((of_it, organizer))),
            ("organizer", Some(payment), Some(20_000), Some((of_it, organizer))),
            ("organizer", Some(payment), Some(0), Some((of_it, organizer))),
            ("organizer", None, Some(20_000), Some((of_order, organizer))),
            ("refunded", Some(payment), None, None),
            ("refunded", None, None, None),
        ] {
            let expected = expected.map(|(of, reason)| SendsBack {
                of,
                reason,
                part: refund.map(Paise),
            });
            assert_eq!(
                fact(reason, known, refund).sends_back(),
                expected,
                "{reason} {refund:?}"
            );
        }
    }
}
