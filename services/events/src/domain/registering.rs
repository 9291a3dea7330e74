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
    team::Rank,
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
    /// The event is a draft of somebody else, which is to say that there is none.
    NoSuchEvent,
    /// It is the user's own draft.
    NotPublished,
    /// The event is cancelled.
    EventCancelled,
    /// The user has a live registration.
    Already(Registration),
    /// Registration opens later.
    NotOpen {
        /// When.
        opens_at: Timestamp,
        /// How long that is from now.
        wait: Duration,
    },
    /// Registration has closed.
    Closed,
}

/// Whether there can be registrations for the event at all.
pub(super) fn takes_place(event: &Event, user: UserId) -> Result<(), RegisterRefusal> {
    if !event.is_seen_by(Rank::of(user, event, None)) {
        return Err(RegisterRefusal::NoSuchEvent);
    }
    match (event.cancelled, event.draft) {
        (true, _) => Err(RegisterRefusal::EventCancelled),
        (false, true) => Err(RegisterRefusal::NotPublished),
        (false, false) => Ok(()),
    }
}

/// Whether registration is open.
pub(super) fn takes_registrations(event: &Event, now: Timestamp) -> Result<(), RegisterRefusal> {
    if event.is_closed(now) {
        return Err(RegisterRefusal::Closed);
    }
    match event.opens_later(now) {
        Some(opens_at) => {
            let wait = (opens_at - now).to_std().unwrap_or_default();
            Err(RegisterRefusal::NotOpen { opens_at, wait })
        }
        None => Ok(()),
    }
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
/// Why it is refused. `Already` takes precedence over `Closed` and `NotOpen`.
pub fn on_register(
    event: &Event,
    live: Option<&Registration>,
    wanted: &Register,
) -> Result<Place, RegisterRefusal> {
    takes_place(event, wanted.user_id)?;
    let ran_out = match live {
        Some(live) if !live.state.at(wanted.now).is_expired() => {
            return Err(RegisterRefusal::Already(live.clone()));
        }
        live => live.map(|live| live.id),
    };
    takes_registrations(event, wanted.now)?;
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
    /// There can be no registration for the event.
    Refused(RegisterRefusal),
    /// The event is free: there is no seat to pay for.
    NothingDue,
    /// The user has this registration, paid or not.
    Has(&'a Registration),
    /// The user has none: take a hold, by the rules of registering.
    Register,
}

/// Decides on a claim of `user`; `live` as for [`on_register`].
pub fn on_claim<'a>(
    event: &Event,
    user: UserId,
    live: Option<&'a Registration>,
    now: Timestamp,
) -> OnClaim<'a> {
    if let Err(why) = takes_place(event, user) {
        return OnClaim::Refused(why);
    }
    let live = live.filter(|live| !live.state.at(now).is_expired());
    match live {
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
        let opens = |seconds| Event {
            opens_at: Some(NOW + TimeDelta::seconds(seconds)),
            ..event(0)
        };
        let (opens_later, opens_now) = (opens(1), opens(0));
        let draft = Event {
            draft: true,
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
            (&opens_later, Some(State::Confirmed), "already"),
            (&opens_later, Some(held_until(0)), "not open"),
            (&opens_later, None, "not open"),
            (&opens_now, None, "place"),
            (&draft, None, "none"),
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
                Err(RegisterRefusal::NotOpen { opens_at, wait }) => {
                    assert_eq!((Some(opens_at), wait.as_secs()), (event.opens_at, 1));
                    "not open"
                }
                Err(RegisterRefusal::NoSuchEvent) => "none",
                Err(RegisterRefusal::NotPublished) => unreachable!("not theirs"),
            };
            assert_eq!(came, expected);
        }
    }

    #[test]
    fn nobody_registers_for_a_draft() {
        let draft = Event {
            draft: true,
            ..event(0)
        };
        let own = Register {
            user_id: draft.organizer,
            ..wanted()
        };
        assert_eq!(
            on_register(&draft, None, &own),
            Err(RegisterRefusal::NotPublished)
        );
        let discarded = Event {
            cancelled: true,
            ..draft
        };
        assert_eq!(
            on_register(&discarded, None, &own),
            Err(RegisterRefusal::EventCancelled)
        );
        assert_eq!(
            on_register(&discarded, None, &wanted()),
            Err(RegisterRefusal::NoSuchEvent)
        );
    }

    fn not_open(event: &Event) -> RegisterRefusal {
        let opens_at = event.opens_at.unwrap();
        let wait = (opens_at - NOW).to_std().unwrap();
        RegisterRefusal::NotOpen { opens_at, wait }
    }

    proptest! {
        /// A claim takes a hold exactly when registering would be looked at, and otherwise says the same.
        #[test]
        fn a_claim_agrees_with_registering(
            fee in 0_i64..3, cancelled: bool, draft: bool, own: bool, opens in prop::option::of(-1_i64..2),
            held in prop::option::of(-2_i64..3),
        ) {
            let opens_at = opens.map(|opens| NOW + TimeDelta::seconds(opens));
            let event = Event { cancelled, draft, opens_at, ..event(fee) };
            let user_id = if own { event.organizer } else { UserId::new() };
            let live = held.map(|held| registration(held_until(held)));
            let registered = on_register(&event, live.as_ref(), &Register { user_id, ..wanted() });
            let is_early = opens_at.is_some_and(|opens| opens > NOW);
            match on_claim(&event, user_id, live.as_ref(), NOW) {
                OnClaim::Refused(why) => prop_assert_eq!(registered, Err(why)),
                OnClaim::Has(found) => prop_assert_eq!(registered, Err(RegisterRefusal::Already(found.clone()))),
                OnClaim::NothingDue => prop_assert!(fee == 0 && registered.is_ok() != is_early),
                OnClaim::Register => match registered {
                    Ok(place) => prop_assert!(!is_early && place.registration.amount == Paise(fee)),
                    Err(why) => prop_assert!(is_early && why == not_open(&event)),
                },
            }
        }
    }
}
