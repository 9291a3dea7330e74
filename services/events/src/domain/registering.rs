//! The decisions on registering, and on claiming a seat that is to be paid.

use std::time::Duration;

use common::{
    clock::Timestamp,
    ids::{EventId, RegistrationId, UserId},
    money::Paise,
};

use super::{
    event::Event,
    registration::{Registration, State, Ticket},
};

/// The command to register.
#[derive(Clone, Debug)]
pub struct Register {
    /// The id that the registration will have.
    pub id: RegistrationId,
    /// The event.
    pub event_id: EventId,
    /// The attendee.
    pub user_id: UserId,
    /// The ticket, used if it is confirmed at once.
    pub ticket: Ticket,
    /// Now.
    pub now: Timestamp,
    /// How long a hold lasts.
    pub hold: Duration,
    /// The id of the request: decisions are made in groups, and each message carries the id of its own request.
    pub request_id: Option<String>,
}

/// Why a registration is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegisterRefusal {
    /// The event is cancelled.
    EventCancelled,
    /// The user has a live registration.
    Already(Registration),
    /// Registration has closed.
    Closed,
}

/// An accepted registration, provided that a seat can be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The registration: confirmed when the event is free, else a hold.
    pub registration: Registration,
    /// The user's own earlier hold, which has expired. It ends without a message, because the user is registering
    /// again, and frees its seat.
    pub ran_out: Option<RegistrationId>,
}

/// Decides on a registration. `live` is the pending or confirmed registration that the same user has for the event.
///
/// # Errors
/// Why it is refused. `Already` takes precedence over `Closed`.
pub fn on_register(
    event: &Event,
    live: Option<&Registration>,
    wanted: &Register,
) -> Result<Place, RegisterRefusal> {
    if event.cancelled {
        return Err(RegisterRefusal::EventCancelled);
    }
    let ran_out = match live {
        Some(live) if !live.state.at(wanted.now).is_expired() => {
            return Err(RegisterRefusal::Already(live.clone()));
        }
        live => live.map(|live| live.id),
    };
    if !event.is_open(wanted.now) {
        return Err(RegisterRefusal::Closed);
    }
    let state = match event.fee {
        Paise::ZERO => State::Confirmed,
        _ => State::PendingPayment {
            hold_expires_at: wanted.now + wanted.hold,
        },
    };
    Ok(Place {
        registration: Registration {
            id: wanted.id,
            event_id: event.id,
            user_id: wanted.user_id,
            amount: event.fee,
            state,
            payment_id: None,
            paid: None,
            created_at: wanted.now,
        },
        ran_out,
    })
}

/// The decision on a payer's claim to a seat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OnClaim<'a> {
    /// The event is cancelled.
    EventCancelled,
    /// The event is free: there is no seat to pay for.
    NothingDue,
    /// The user has this registration, paid or not.
    Has(&'a Registration),
    /// The user has none: take a hold, by the rules of registering.
    Register,
}

/// Decides on a claim; `live` as for [`on_register`].
pub fn on_claim<'a>(event: &Event, live: Option<&'a Registration>, now: Timestamp) -> OnClaim<'a> {
    let live = live.filter(|live| !live.state.at(now).is_expired());
    match live {
        _ if event.cancelled => OnClaim::EventCancelled,
        Some(live) => OnClaim::Has(live),
        None if event.fee == Paise::ZERO => OnClaim::NothingDue,
        None => OnClaim::Register,
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use proptest::prelude::*;

    use super::*;
    use crate::domain::samples::{NOW, event, registration};

    fn wanted() -> Register {
        Register {
            id: RegistrationId::new(),
            event_id: event(0).id,
            user_id: UserId::new(),
            ticket: Ticket::issue().unwrap(),
            now: NOW,
            hold: Duration::from_secs(600),
            request_id: None,
        }
    }

    fn held_until(seconds: i64) -> State {
        State::PendingPayment {
            hold_expires_at: NOW + TimeDelta::seconds(seconds),
        }
    }

    #[test]
    fn a_place_is_confirmed_or_held() {
        for (fee, state) in [(0, State::Confirmed), (50_000, held_until(600))] {
            let place = on_register(&event(fee), None, &wanted()).unwrap();
            assert_eq!(place.registration.state, state);
            assert_eq!(place.registration.amount, Paise(fee));
            assert_eq!(place.ran_out, None);
        }
    }

    #[test]
    fn who_is_registered_learns_that_first() {
        let closed = Event {
            closes: crate::domain::event::Closing::At(NOW),
            ..event(0)
        };
        let cancelled = Event {
            cancelled: true,
            ..event(0)
        };
        for (event, live, expected) in [
            (&event(0), Some(State::Confirmed), "already"),
            (&event(0), Some(held_until(1)), "already"),
            (&event(0), Some(held_until(0)), "place"),
            (&event(0), None, "place"),
            (&closed, Some(State::Confirmed), "already"),
            (&closed, Some(held_until(0)), "closed"),
            (&closed, None, "closed"),
            (&cancelled, Some(State::Confirmed), "cancelled"),
            (&cancelled, None, "cancelled"),
        ] {
            let live = live.map(registration);
            let came = match on_register(event, live.as_ref(), &wanted()) {
                Ok(place) => {
                    assert_eq!(place.ran_out, live.map(|live| live.id));
                    "place"
                }
                Err(RegisterRefusal::Already(found)) => {
                    assert_eq!(Some(found), live);
                    "already"
                }
                Err(RegisterRefusal::Closed) => "closed",
                Err(RegisterRefusal::EventCancelled) => "cancelled",
            };
            assert_eq!(came, expected);
        }
    }

    proptest! {
        /// A claim takes a hold exactly when registering would, and otherwise returns the existing registration.
        #[test]
        fn a_claim_agrees_with_registering(fee in 0_i64..3, cancelled: bool, held in prop::option::of(-2_i64..3)) {
            let event = Event { cancelled, ..event(fee) };
            let live = held.map(|held| registration(held_until(held)));
            let registered = on_register(&event, live.as_ref(), &wanted());
            match on_claim(&event, live.as_ref(), NOW) {
                OnClaim::EventCancelled => prop_assert_eq!(registered, Err(RegisterRefusal::EventCancelled)),
                OnClaim::Has(found) => prop_assert_eq!(registered, Err(RegisterRefusal::Already(found.clone()))),
                OnClaim::NothingDue => prop_assert_eq!(registered.unwrap().registration.state, State::Confirmed),
                OnClaim::Register => prop_assert_eq!(registered.unwrap().registration.amount, Paise(fee)),
            }
        }
    }
}
