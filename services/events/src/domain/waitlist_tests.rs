use chrono::TimeDelta;
use common::money::Paise;
use proptest::prelude::*;

use super::*;
use crate::domain::{
    event::Closing,
    registering::RegisterRefusal,
    registration,
    samples::{NOW, event, registration},
};

fn join() -> Join {
    Join {
        id: WaitlistId::new(),
        event_id: event(0).id,
        user_id: UserId::new(),
        now: NOW,
    }
}

fn entry(state: State) -> Entry {
    Entry {
        id: WaitlistId::new(),
        event_id: event(0).id,
        user_id: UserId::new(),
        place: 3,
        state,
        joined_at: NOW - TimeDelta::hours(1),
    }
}

fn offered(seconds: i64) -> State {
    State::Offered {
        until: NOW + TimeDelta::seconds(seconds),
    }
}

/// An event with so many seats, taken, and waiting people.
fn with(capacity: Option<u32>, seats_taken: u32, waiting: u32) -> Event {
    Event {
        capacity,
        seats_taken,
        line: Line {
            waiting,
            offered: 0,
            last_place: 7,
        },
        ..event(0)
    }
}

#[test]
fn a_full_event_has_a_line() {
    let full = with(Some(5), 5, 0);
    let joined = on_join(&full, None, None, &join()).unwrap();
    assert_eq!((joined.entry.place, joined.entry.state), (8, State::Waiting));
    // Free seats that people wait for are none.
    assert!(on_join(&with(Some(5), 4, 1), None, None, &join()).is_ok());
    for event in [with(None, 5, 0), with(Some(5), 4, 0), with(Some(5), 0, 4)] {
        let refused = on_join(&event, None, None, &join());
        assert_eq!(refused, Err(JoinRefusal::SeatsAvailable), "{event:?}");
    }
}

#[test]
fn who_has_a_place_learns_that_first() {
    let (full, over) = (with(Some(5), 5, 0), NOW - TimeDelta::seconds(1));
    let closed = Event {
        closes: Closing::At(NOW),
        ..full.clone()
    };
    let cancelled = Event {
        cancelled: true,
        ..full.clone()
    };
    let held = |until| registration::State::PendingPayment {
        hold_expires_at: until,
    };
    let live = registration(held(NOW + TimeDelta::seconds(1)));
    let gone = registration(held(over));
    let refused = |event: &Event, live: Option<&Registration>, open: Option<&Entry>| {
        on_join(event, live, open, &join()).unwrap_err()
    };
    assert_eq!(
        refused(&cancelled, Some(&live), None),
        JoinRefusal::Cannot(RegisterRefusal::EventCancelled)
    );
    assert_eq!(
        refused(&closed, Some(&live), None),
        JoinRefusal::Cannot(RegisterRefusal::Already(live.clone()))
    );
    for state in [State::Waiting, offered(1)] {
        let open = entry(state);
        assert_eq!(
            refused(&closed, None, Some(&open)),
            JoinRefusal::Listed(open.clone())
        );
    }
    assert_eq!(
        refused(&closed, None, None),
        JoinRefusal::Cannot(RegisterRefusal::Closed)
    );
    // What has run out is free, and comes to an end where others wait for it.
    let ran_out = entry(offered(0));
    assert_eq!(
        refused(&full, Some(&gone), Some(&ran_out)),
        JoinRefusal::SeatsAvailable
    );
    let joined = on_join(&with(Some(5), 5, 2), Some(&gone), Some(&ran_out), &join()).unwrap();
    assert_eq!((joined.hold, joined.offer), (Some(gone), Some(ran_out)));
}

#[test]
fn an_offer_lasts_as_long_as_it_can_be_taken() {
    let hour = Duration::from_secs(3600);
    let mut event = event(0);
    for (closes, seconds) in [
        (Closing::Default(None), 3600),
        (Closing::At(NOW + TimeDelta::hours(2)), 3600),
        (Closing::At(NOW + TimeDelta::seconds(60)), 60),
    ] {
        event.closes = closes;
        assert_eq!(offer(&event, hour, NOW), offered(seconds));
    }
}

#[test]
fn names_read_back() {
    let until = NOW;
    for state in [
        State::Waiting,
        offered(0),
        State::Expired { until },
        State::Registered,
        State::Left,
        State::Closed,
    ] {
        assert_eq!(State::parse(state.name(), state.until()), Some(state));
    }
    for name in ["offered", "expired", "", "queued"] {
        assert_eq!(State::parse(name, None), None);
    }
}

fn states() -> impl Strategy<Value = State> {
    prop_oneof![
        Just(State::Waiting),
        (-9_i64..9).prop_map(offered),
        (-9_i64..9).prop_map(|held| State::Expired {
            until: NOW + TimeDelta::seconds(held)
        }),
        Just(State::Registered),
        Just(State::Left),
        Just(State::Closed),
    ]
}

proptest! {
    /// No more is offered than is free or than people wait, and nothing that could be offered is not.
    #[test]
    fn what_is_free_is_offered(capacity in prop::option::of(0_u32..9), taken in 0_u32..9, waiting in 0_u32..9, freed in 0_usize..3) {
        prop_assume!(capacity.is_none_or(|capacity| taken <= capacity) && freed <= taken as usize);
        let event = with(capacity, taken, waiting);
        let offers = seats_to_offer(&event, freed);
        prop_assert!(offers <= waiting as usize);
        if let Some(capacity) = capacity {
            let free = (capacity - taken) as usize + freed;
            prop_assert!(offers == free || offers == waiting as usize && offers <= free);
        }
        // Who is not in line gets what is left over, and joins when that is nothing.
        let left = event.seats_left();
        prop_assert_eq!(on_join(&event, None, None, &join()).is_ok(), left == Some(0));
    }

    /// A way through states adds up to the difference of its ends.
    #[test]
    fn counts_add_up(first in states(), between in states(), last in states()) {
        let mut way = Delta::of(Some(first), between);
        way += Delta::of(Some(between), last);
        prop_assert_eq!(way, Delta::of(Some(first), last));
        let mut whole = Delta::of(None, first);
        whole += Delta::of(Some(first), State::Left);
        prop_assert_eq!(whole, Delta::default());
        prop_assert_eq!(Delta::of(None, last).seats, Delta::of(None, last).offered);
    }

    /// Nobody is registered and in line at once, and an offer that ran out is not said to have been taken.
    #[test]
    fn who_registers_leaves_the_line(state in states()) {
        let entry = entry(state);
        prop_assert!(!entry.once_registered(NOW).is_open());
        prop_assert!(!once_over(&entry, NOW).is_open());
        let lapsed = matches!(state.at(NOW), State::Expired { .. });
        prop_assert_eq!(matches!(entry.once_registered(NOW), State::Expired { .. }), lapsed);
    }
}

#[test]
fn a_price_changes_nothing() {
    let paid = Event {
        fee: Paise(50_000),
        ..with(Some(1), 1, 0)
    };
    assert!(on_join(&paid, None, None, &join()).is_ok());
}
