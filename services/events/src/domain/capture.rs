//! The effect of captured money: it confirms a registration or is refunded. docs/payments.md has the table.

use chrono::TimeDelta;
use common::{
    clock::Timestamp,
    ids::PaymentId,
    money::Paise,
    wire::{ExtendedHold, RefundReason, SecuredSeat},
};

use super::registration::{Registration, State};

/// The shortest hold during a capture: several times what the calls for it may take.
const CAPTURE_TIME: TimeDelta = TimeDelta::seconds(60);

impl Registration {
    /// The extended hold, when the present one does not leave enough time for a capture at `now`. An expired hold is
    /// always extended, even if it ends later by a clock that was set back: its seat has just been taken again.
    pub fn extended_hold(&self, now: Timestamp) -> Option<ExtendedHold> {
        let until = now + CAPTURE_TIME;
        let before = match self.state {
            State::PendingPayment { hold_expires_at } if hold_expires_at < until => hold_expires_at,
            State::Expired { held_until } => held_until.map_or(now, |held| held.min(now)),
            State::PendingPayment { .. } | State::Confirmed | State::Cancelled => return None,
        };
        Some(ExtendedHold {
            registration_id: self.id,
            before,
            until,
        })
    }
}

/// The decision on a captured payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnCapture<'a> {
    /// It has confirmed a registration already: nothing to do.
    Known,
    /// It confirms this registration, whose seat is still held.
    Confirm(&'a Registration),
    /// It confirms this registration if a seat can be taken again.
    Retake(&'a Registration),
    /// It is refunded.
    Refund(RefundReason),
}

impl OnCapture<'_> {
    /// Whether it depends on a seat that has to be taken.
    pub fn needs_seat(self) -> bool {
        matches!(self, Self::Retake(_))
    }

    /// The decision once it is known whether the seat that it [needs](Self::needs_seat) was taken.
    #[must_use]
    pub fn with_seat(self, taken: bool) -> Self {
        match self {
            Self::Retake(registration) if taken => Self::Confirm(registration),
            Self::Retake(_) => Self::Refund(RefundReason::NoSeat),
            decided => decided,
        }
    }

    /// The answer to payments, which asks before a capture at `now` whether the money would confirm a registration. The
    /// seat is held until the capture is done.
    pub fn secured(self, now: Timestamp) -> SecuredSeat {
        match self {
            Self::Known => SecuredSeat {
                refused: None,
                extended: None,
            },
            Self::Confirm(registration) | Self::Retake(registration) => SecuredSeat {
                refused: None,
                extended: registration.extended_hold(now),
            },
            Self::Refund(reason) => SecuredSeat {
                refused: Some(reason),
                extended: None,
            },
        }
    }
}

/// Decides on a captured payment. `ordered` is the registration it was made for. `live` is the user's pending or
/// confirmed registration for the same event, if there is one: the same, or a later one when the hold had expired and
/// the user registered again. docs/payments.md has the table.
pub fn on_capture<'a>(
    ordered: &'a Registration,
    live: Option<&'a Registration>,
    payment: PaymentId,
    amount: Paise,
    event_cancelled: bool,
) -> OnCapture<'a> {
    let confirmed_by_it =
        |one: &Registration| one.state == State::Confirmed && one.payment_id == Some(payment);
    if confirmed_by_it(ordered) || live.is_some_and(confirmed_by_it) {
        return OnCapture::Known;
    }
    if event_cancelled {
        return OnCapture::Refund(RefundReason::EventCancelled);
    }
    let pays_for = match ordered.state {
        // Payments refunds a cancelled registration once it consumes the message about its end: the money may not pay
        // for another one.
        State::Confirmed | State::Cancelled => ordered,
        State::PendingPayment { .. } | State::Expired { .. } => live.unwrap_or(ordered),
    };
    match pays_for.state {
        State::Confirmed => OnCapture::Refund(RefundReason::Duplicate),
        State::Cancelled => OnCapture::Refund(RefundReason::Attendee),
        // An order is made for the amount due, so this money was for another price.
        _ if amount != pays_for.amount => OnCapture::Refund(RefundReason::WrongAmount),
        State::Expired { .. } => OnCapture::Retake(pays_for),
        State::PendingPayment { .. } => OnCapture::Confirm(pays_for),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::samples::{NOW, registration};

    fn held_until(seconds: i64) -> State {
        State::PendingPayment {
            hold_expires_at: NOW + TimeDelta::seconds(seconds),
        }
    }

    fn states() -> impl Strategy<Value = State> {
        prop_oneof![
            (-120_i64..120).prop_map(held_until),
            Just(State::Confirmed),
            Just(State::Cancelled),
            prop::option::of(-120_i64..120).prop_map(|held| State::Expired {
                held_until: held.map(|held| NOW + TimeDelta::seconds(held)),
            }),
        ]
    }

    proptest! {
        /// The answer before a capture agrees with the decision after it, unless something changes in between.
        #[test]
        fn what_is_secured_is_what_comes(
            state in states(), paid_by in 0..3_u8, amount in 49_999_i64..50_002, cancelled: bool, taken: bool,
        ) {
            let payment = PaymentId::new();
            let ordered = Registration {
                payment_id: match paid_by { 0 => None, 1 => Some(payment), _ => Some(PaymentId::new()) },
                ..registration(state)
            };
            let decided = on_capture(&ordered, None, payment, Paise(amount), cancelled);
            let settled = decided.with_seat(taken);
            prop_assert!(!settled.needs_seat());
            let secured = settled.secured(NOW);
            match settled {
                OnCapture::Refund(reason) => {
                    prop_assert_eq!(secured.refused, Some(reason));
                    prop_assert_eq!(secured.extended, None);
                }
                OnCapture::Known => prop_assert_eq!(secured.refused, None),
                OnCapture::Confirm(registration) | OnCapture::Retake(registration) => {
                    prop_assert!(!cancelled && amount == registration.amount.0);
                    prop_assert_eq!(secured.refused, None);
                    // The hold now lasts for the capture, whether by extension or as it is.
                    let until = secured.extended.map(|hold| hold.until).or(registration.held_until());
                    prop_assert!(until.is_some_and(|until| until >= NOW + CAPTURE_TIME));
                }
            }
        }
    }
}
