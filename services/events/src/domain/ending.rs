//! How a registration ends: cancelled by its attendee, with its event, or because its payment was refunded.

use common::{clock::Timestamp, ids::PaymentId, money::Paise, wire::EndReason};

use super::{
    event::Event,
    registration::{Registration, State},
};

/// How much of what was paid goes back when a registration ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refund {
    /// All of it.
    Full,
    /// Nothing.
    None,
    /// So much of it.
    Part(Paise),
}

impl Refund {
    /// How much that is of what was paid.
    pub fn of(self, paid: Paise) -> Paise {
        match self {
            Self::Full => paid,
            Self::None => Paise::ZERO,
            Self::Part(part) => part.min(paid),
        }
    }
}

/// How a registration ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Why.
    pub reason: EndReason,
    /// How much goes back.
    pub refund: Refund,
    /// What the organizer says to it.
    pub words: Option<String>,
}

impl Ending {
    /// For this reason; everything goes back.
    pub fn with_everything_back(reason: EndReason) -> Self {
        Self {
            reason,
            refund: Refund::Full,
            words: None,
        }
    }
}

/// Why a registration cannot be cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelRefusal {
    /// It has ended already, in this state.
    Ended(State),
    /// The event has started.
    EventStarted,
    /// More is to go back than was paid, which is this much.
    RefundExceedsPayment(Paise),
}

/// Decides whether the attendee may cancel a registration.
///
/// # Errors
/// Why it cannot be cancelled.
pub fn on_cancel(registration: &Registration, event: &Event, now: Timestamp) -> Result<(), CancelRefusal> {
    match registration.state.at(now) {
        _ if event.cancelled => return Err(CancelRefusal::Ended(State::Cancelled)),
        state @ (State::Expired { .. } | State::Cancelled) => return Err(CancelRefusal::Ended(state)),
        State::PendingPayment { .. } | State::Confirmed => {}
    }
    // A registration that was made for a past event (a record, an import) may be cancelled at any time.
    if registration.created_at < event.time.at && event.time.at <= now {
        return Err(CancelRefusal::EventStarted);
    }
    Ok(())
}

/// Decides whether the organizer may cancel a registration: at any time, and with any part of the money.
///
/// # Errors
/// Why it cannot be cancelled.
pub fn on_organizer_cancel(
    registration: &Registration,
    event: &Event,
    refund: Refund,
    now: Timestamp,
) -> Result<(), CancelRefusal> {
    match registration.state.at(now) {
        _ if event.cancelled => return Err(CancelRefusal::Ended(State::Cancelled)),
        state @ (State::Expired { .. } | State::Cancelled) => return Err(CancelRefusal::Ended(state)),
        State::PendingPayment { .. } | State::Confirmed => {}
    }
    match refund {
        Refund::Part(part) if part > registration.amount_paid() => {
            Err(CancelRefusal::RefundExceedsPayment(registration.amount_paid()))
        }
        _ => Ok(()),
    }
}

/// The registration that ends because `payment` was refunded in full: the one it was made for, or the user's later one
/// that it paid instead. None when it confirms neither of them (any more).
pub fn on_reversal(
    ordered: Registration,
    live: Option<Registration>,
    payment: PaymentId,
) -> Option<Registration> {
    [Some(ordered), live]
        .into_iter()
        .flatten()
        .find(|one| one.state == State::Confirmed && one.payment_id == Some(payment))
}

impl Registration {
    /// The registration as of `now`. One of a cancelled event has ended, even if the worker has not processed it yet.
    #[must_use]
    pub fn as_of(mut self, event_cancelled: bool, now: Timestamp) -> Self {
        self.state = match self.state.at(now) {
            State::PendingPayment { .. } | State::Confirmed if event_cancelled => State::Cancelled,
            state => state,
        };
        self
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::domain::samples::{NOW, event, registration};

    fn held_until(seconds: i64) -> State {
        State::PendingPayment {
            hold_expires_at: NOW + TimeDelta::seconds(seconds),
        }
    }

    fn ran_out() -> State {
        held_until(0).at(NOW)
    }

    #[test]
    fn what_is_live_may_be_cancelled_until_the_event_begins() {
        let mut past = event(0);
        past.time.at = NOW;
        let called_off = Event {
            cancelled: true,
            ..event(0)
        };
        let imported = Registration {
            created_at: past.time.at,
            ..registration(State::Confirmed)
        };
        for (registration, event, expected) in [
            (registration(State::Confirmed), &event(0), Ok(())),
            (registration(held_until(1)), &event(0), Ok(())),
            (
                registration(held_until(0)),
                &event(0),
                Err(CancelRefusal::Ended(ran_out())),
            ),
            (
                registration(State::Cancelled),
                &event(0),
                Err(CancelRefusal::Ended(State::Cancelled)),
            ),
            (
                registration(State::Confirmed),
                &called_off,
                Err(CancelRefusal::Ended(State::Cancelled)),
            ),
            (
                registration(State::Confirmed),
                &past,
                Err(CancelRefusal::EventStarted),
            ),
            (imported, &past, Ok(())),
        ] {
            assert_eq!(on_cancel(&registration, event, NOW), expected, "{registration:?}");
        }
    }

    #[test]
    fn money_that_went_back_ends_what_it_confirmed() {
        let (payment, other) = (PaymentId::new(), PaymentId::new());
        let paid = |state, by| Registration {
            payment_id: Some(by),
            ..registration(state)
        };
        let (confirmed, ended) = (paid(State::Confirmed, payment), paid(State::Cancelled, payment));
        let others = paid(State::Confirmed, other);
        for (ordered, live, ends) in [
            (&confirmed, None, Some(&confirmed)),
            (&ended, None, None),
            (&ended, Some(&confirmed), Some(&confirmed)),
            (&ended, Some(&others), None),
            (&others, None, None),
        ] {
            assert_eq!(
                on_reversal(ordered.clone(), live.cloned(), payment).as_ref(),
                ends
            );
        }
    }

    #[test]
    fn a_registration_is_shown_as_it_stands() {
        for (state, cancelled, shown) in [
            (State::Confirmed, false, State::Confirmed),
            (State::Confirmed, true, State::Cancelled),
            (held_until(1), false, held_until(1)),
            (held_until(1), true, State::Cancelled),
            (held_until(0), false, ran_out()),
            (held_until(0), true, ran_out()),
            (State::Cancelled, true, State::Cancelled),
        ] {
            assert_eq!(registration(state).as_of(cancelled, NOW).state, shown);
        }
    }
}
