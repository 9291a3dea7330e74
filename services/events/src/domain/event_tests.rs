use chrono::TimeDelta;
use chrono_tz::Asia::Kolkata;
use common::clock::from_millis;
use proptest::prelude::*;

use super::*;

fn event(start: Timestamp, now: Timestamp) -> Event {
    let time = EventTime {
        at: start,
        zone: Kolkata,
    };
    let draft = EventDraft {
        name: "n".into(),
        details: "d".into(),
        time,
        address: "a".into(),
        capacity: Some(10),
        fee: Paise(0),
        closes_at: None,
        format: EventFormat::InPerson,
        ends_at: None,
        join_url: None,
        draft: false,
        opens_at: None,
        listing: Listing::default(),
    };
    draft.into_event(EventId::new(), UserId::new(), now)
}

#[test]
fn registration_closes_at_the_start_unless_the_event_was_past() {
    let now = from_millis(1_000_000_000_000);
    let future = event(now + TimeDelta::hours(1), now);
    assert!(future.is_open(now) && !future.is_open(now + TimeDelta::hours(1)));
    assert!(event(now - TimeDelta::hours(1), now).is_open(now + TimeDelta::days(999)));
}

#[test]
fn a_new_start_is_a_new_schedule_and_moves_the_default_closing() {
    let now = from_millis(1_000_000_000_000);
    let event = event(now + TimeDelta::hours(1), now);
    let patch = Patch {
        time: Some("2030-01-01T10:00:00+05:30".into()),
        ..Patch::default()
    };
    let moved = event.patched(&patch, now).unwrap();
    assert_eq!((moved.version, moved.schedule_version), (2, 2));
    assert_eq!(moved.closes.at(), Some(moved.time.at));
    let renamed = event
        .patched(
            &Patch {
                name: Some("x".into()),
                ..Patch::default()
            },
            now,
        )
        .unwrap();
    assert_eq!((renamed.version, renamed.schedule_version), (2, 1));
}

#[test]
fn other_reminders_are_a_new_schedule_that_others_hear_of() {
    let now = from_millis(1_000_000_000_000);
    let event = event(now + TimeDelta::hours(1), now);
    let patch = |hours: &[i64]| Patch {
        reminders: Some(Leads::new(hours).unwrap()),
        ..Patch::default()
    };
    let changed = event.patched(&patch(&[48]), now).unwrap();
    assert_eq!((changed.version, changed.schedule_version), (2, 2));
    assert!(event.differs_for_others(&changed));
    assert_eq!(changed.closes, event.closes);
    let same = event.patched(&patch(&[3, 24]), now).unwrap();
    assert_eq!(same.schedule_version, 1);
    assert!(!event.differs_for_others(&same));
    let cancelled = Event {
        cancelled: true,
        ..event
    };
    assert_eq!(cancelled.patched(&patch(&[48]), now), Err(PatchError::Cancelled));
}

#[test]
fn a_started_event_stays_closed() {
    let now = from_millis(1_900_000_000_000);
    let hours = |hours| now + TimeDelta::hours(hours);
    let set = |event: &Event, start: i64, closes: Option<Option<i64>>, at: i64| {
        let text = |hour: i64| hours(hour).to_rfc3339();
        let patch = Patch {
            time: Some(text(start)),
            closes_at: closes.map(|closes| closes.map(text)),
            ..Patch::default()
        };
        event
            .patched(&patch, hours(at))
            .map(|event| event.is_open(hours(at)))
    };
    let upcoming = event(hours(1), now);
    let past = event(hours(-1), now);
    // (event, new start, closing named, at this hour, open afterwards)
    for (event, start, closes, at, open) in [
        (&upcoming, 1, None, 2, false),          // no change
        (&upcoming, -5, None, 2, false),         // another past second
        (&upcoming, 2, None, 2, false),          // the current second
        (&upcoming, 3, None, 2, true),           // postponed
        (&upcoming, -5, Some(None), 2, false),   // back to the default: in the future when created
        (&upcoming, -5, Some(Some(9)), 2, true), // the organizer sets a closing
        (&past, -5, None, 2, true),              // a record stays open
        (&past, 9, None, 2, true),               // and closes at its start once that is in the future
        (&past, -5, Some(None), 2, true),
        (&past, -5, Some(Some(1)), 2, false),
    ] {
        assert_eq!(set(event, start, closes, at), Ok(open), "{start} {closes:?} {at}");
    }
}

#[test]
fn a_named_closing_does_not_slip_behind_an_earlier_start() {
    let now = from_millis(1_900_000_000_000);
    let hours = |hours| now + TimeDelta::hours(hours);
    let patched = |closes: i64, start: i64, named: Option<Option<i64>>, at: i64| {
        let event = Event {
            closes: Closing::At(hours(closes)),
            ..event(hours(10), now)
        };
        let text = |hour: i64| hours(hour).to_rfc3339();
        let patch = Patch {
            time: Some(text(start)),
            closes_at: named.map(|named| named.map(text)),
            ..Patch::default()
        };
        event.patched(&patch, hours(at)).map(|event| event.closes.at())
    };
    assert!(matches!(
        patched(9, 5, None, 0),
        Err(PatchError::Time("registration_closes_at", _))
    ));
    assert_eq!(patched(9, 5, Some(None), 0), Ok(Some(hours(5))));
    assert_eq!(patched(9, 5, Some(Some(5)), 0), Ok(Some(hours(5))));
    assert_eq!(
        patched(9, 5, Some(Some(7)), 0),
        Ok(Some(hours(7))),
        "its organizer says so"
    );
    assert_eq!(
        patched(9, 9, None, 0),
        Ok(Some(hours(9))),
        "at the start is not after it"
    );
    assert_eq!(
        patched(12, 5, None, 0),
        Ok(Some(hours(12))),
        "sales went on after the start before"
    );
    assert_eq!(patched(9, 20, None, 0), Ok(Some(hours(9))), "a later start");
    assert_eq!(patched(2, 1, None, 3), Ok(Some(hours(2))), "closed long ago");
}

#[test]
fn naming_the_same_zone_moves_nothing() {
    let now = from_millis(1_900_000_000_000);
    // The second 01:30 of 7 November 2027 in New York.
    let start = EventTime::parse("2027-11-07T01:30:00-05:00", chrono_tz::America::New_York).unwrap();
    for (event, zone) in [
        (
            Event {
                time: start,
                ..event(start.at, now)
            },
            chrono_tz::America::New_York,
        ),
        (
            Event {
                time: start,
                ..event(start.at, now)
            },
            chrono_tz::US::Eastern,
        ),
        (event(start.at, now), chrono_tz::Asia::Calcutta),
    ] {
        let patch = Patch {
            details: Some("x".into()),
            zone: Some(zone),
            ..Patch::default()
        };
        let patched = event.patched(&patch, now).unwrap();
        assert_eq!(patched.time.rfc3339(), event.time.rfc3339(), "{zone}");
        assert_eq!(patched.schedule_version, event.schedule_version, "{zone}");
    }
}

#[test]
fn a_new_zone_keeps_the_wall_clock() {
    let now = from_millis(1_000_000_000_000);
    let event = event(now + TimeDelta::hours(1), now);
    let patch = Patch {
        zone: Some(Tz::UTC),
        ..Patch::default()
    };
    let moved = event.patched(&patch, now).unwrap();
    assert_eq!(moved.time.rfc3339()[..23], event.time.rfc3339()[..23]);
    assert_ne!(moved.time.at, event.time.at);
}

#[test]
fn capacity_does_not_fall_below_those_who_are_in() {
    let now = from_millis(1_000_000_000_000);
    let event = Event {
        seats_taken: 5,
        ..event(now, now)
    };
    let patch = |seats| Patch {
        capacity: Some(Some(seats)),
        ..Patch::default()
    };
    assert_eq!(
        event.patched(&patch(4), now),
        Err(PatchError::CapacityBelowRegistrations(5))
    );
    assert!(event.patched(&patch(5), now).is_ok());
}

#[test]
fn the_end_moves_with_the_start() {
    let now = from_millis(1_900_000_000_000);
    let hours = |hours| now + TimeDelta::hours(hours);
    let event = Event {
        ends_at: Some(hours(12)),
        ..event(hours(10), now)
    };
    let text = |hour: i64| hours(hour).to_rfc3339();
    let ends = |patch: Patch| event.patched(&patch, now).map(|event| event.ends_at);
    let start = |hour: i64| Patch {
        time: Some(text(hour)),
        ..Patch::default()
    };
    assert_eq!(ends(start(20)), Ok(Some(hours(22))));
    assert_eq!(
        ends(Patch {
            ends_at: Some(None),
            ..start(20)
        }),
        Ok(None)
    );
    assert_eq!(
        ends(Patch {
            ends_at: Some(Some(text(21))),
            ..start(20)
        }),
        Ok(Some(hours(21)))
    );
    for end in [9, 10] {
        let ends_at = Some(Some(text(end)));
        assert!(
            matches!(
                ends(Patch {
                    ends_at,
                    ..Patch::default()
                }),
                Err(PatchError::Time("ends_at", _))
            ),
            "{end}"
        );
    }
    let last = Patch {
        time: Some("9999-12-30T23:30:00Z".into()),
        ..Patch::default()
    };
    assert!(matches!(ends(last), Err(PatchError::Time("ends_at", _))));
}

#[test]
fn only_what_is_online_has_no_address() {
    let now = from_millis(1_900_000_000_000);
    let online = Event {
        address: String::new(),
        format: EventFormat::Online,
        ..event(now, now)
    };
    let to = |format, address: Option<&str>| {
        let patch = Patch {
            format: Some(format),
            address: address.map(str::to_owned),
            ..Patch::default()
        };
        online.patched(&patch, now).map(|event| event.format)
    };
    for format in [EventFormat::InPerson, EventFormat::Hybrid] {
        assert_eq!(to(format, None), Err(PatchError::NoAddress));
        assert_eq!(to(format, Some("Hall 7")), Ok(format));
    }
    assert_eq!(to(EventFormat::Online, None), Ok(EventFormat::Online));
}

#[test]
fn attendees_see_a_change_of_where_they_join() {
    let now = from_millis(1_900_000_000_000);
    let event = event(now, now);
    let differs = |patch: Patch| event.differs_for_others(&event.patched(&patch, now).unwrap());
    assert!(!differs(Patch {
        details: Some("x".into()),
        ..Patch::default()
    }));
    assert!(differs(Patch {
        format: Some(EventFormat::Hybrid),
        ..Patch::default()
    }));
    assert!(differs(Patch {
        join_url: Some(Some("https://x.example/".into())),
        ..Patch::default()
    }));
    assert!(differs(Patch {
        ends_at: Some(Some("2031-01-01T00:00:00Z".into())),
        ..Patch::default()
    }));
}

#[test]
fn the_opening_moves_with_the_start_until_it_has_come() {
    let now = from_millis(1_900_000_000_000);
    let hours = |hours| now + TimeDelta::hours(hours);
    let text = |hour: i64| hours(hour).to_rfc3339();
    let opening = |opens: i64| Event {
        opens_at: Some(hours(opens)),
        ..event(hours(10), now)
    };
    let start = |hour: i64| Patch {
        time: Some(text(hour)),
        ..Patch::default()
    };
    let opens = |event: &Event, patch: &Patch, at: i64| {
        let patched = event.patched(patch, hours(at));
        patched.map(|event| event.opens_at)
    };
    assert_eq!(opens(&opening(5), &start(20), 0), Ok(Some(hours(15))));
    assert_eq!(
        opens(&opening(5), &start(20), 5),
        Ok(Some(hours(5))),
        "it has opened"
    );
    let draft = Event {
        draft: true,
        ..opening(5)
    };
    assert_eq!(
        opens(&draft, &start(20), 5),
        Ok(Some(hours(15))),
        "nobody saw it open"
    );
    let set = |opens: Option<i64>| Patch {
        opens_at: Some(opens.map(text)),
        ..Patch::default()
    };
    assert_eq!(opens(&opening(5), &set(None), 0), Ok(None));
    assert_eq!(
        opens(&opening(5), &set(Some(7)), 6),
        Ok(Some(hours(7))),
        "nobody is registered"
    );
    let begun = Event {
        seats_taken: 1,
        ..opening(5)
    };
    assert_eq!(
        opens(&begun, &set(Some(7)), 6),
        Err(PatchError::RegistrationBegan)
    );
    assert_eq!(opens(&begun, &set(Some(6)), 6), Ok(Some(hours(6))), "that is now");
    assert_eq!(opens(&begun, &start(20), 6), Ok(Some(hours(5))));
    let renamed = Patch {
        name: Some("Another".to_owned()),
        ..Patch::default()
    };
    assert_eq!(
        opens(&begun, &renamed, 4),
        Ok(Some(hours(5))),
        "the clock was put back"
    );
}

#[test]
fn registration_opens_before_it_closes() {
    let now = from_millis(1_900_000_000_000);
    let hours = |hours| now + TimeDelta::hours(hours);
    let text = |hour: i64| hours(hour).to_rfc3339();
    let event = Event {
        opens_at: Some(hours(5)),
        closes: Closing::At(hours(8)),
        ..event(hours(10), now)
    };
    let wrong = |patch: Patch| match event.patched(&patch, now) {
        Err(PatchError::Time(field, _)) => Some(field),
        _ => None,
    };
    for (opens, closes, field) in [
        (Some(8), None, Some("registration_opens_at")),
        (Some(7), None, None),
        (None, Some(5), Some("registration_closes_at")),
        (None, Some(6), None),
        (Some(9), Some(9), Some("registration_opens_at")),
        (Some(8), Some(9), None),
    ] {
        let patch = Patch {
            opens_at: opens.map(|hour| Some(text(hour))),
            closes_at: closes.map(|hour| Some(text(hour))),
            ..Patch::default()
        };
        assert_eq!(wrong(patch), field, "{opens:?} {closes:?}");
    }
    let later = Patch {
        time: Some(text(14)),
        ..Patch::default()
    };
    assert_eq!(
        wrong(later),
        Some("registration_opens_at"),
        "a set closing does not move"
    );
    for (at, open) in [(4, false), (5, true), (7, true), (8, false)] {
        assert_eq!(event.is_open(hours(at)), open, "{at}");
    }
    assert!(event.is_to_come(now), "it takes place, though it is not open");
}

proptest! {
    /// Whatever is changed, and in which order: registration opens before it closes, and is not yet to open for those who
    /// are registered.
    #[test]
    fn no_change_shuts_out_who_is_in(
        opens in prop::option::of(-9_i64..0), seats in 0_u32..2,
        changes in prop::collection::vec(
            (
                0_i64..5, prop::option::of(-20_i64..20), prop::option::of(prop::option::of(-20_i64..20)),
                prop::option::of(prop::option::of(-20_i64..20)),
            ),
            1..8,
        ),
    ) {
        let now = from_millis(1_900_000_000_000);
        let hours = |hours| now + TimeDelta::hours(hours);
        let text = |hour: i64| hours(hour).to_rfc3339();
        let mut event = Event {
            opens_at: opens.map(hours),
            seats_taken: seats,
            ..event(hours(10), now)
        };
        let mut at = 0;
        for (later, start, opens, closes) in changes {
            at += later;
            let patch = Patch {
                time: start.map(text),
                opens_at: opens.map(|hour| hour.map(text)),
                closes_at: closes.map(|hour| hour.map(text)),
                ..Patch::default()
            };
            if let Ok(changed) = event.patched(&patch, hours(at)) {
                event = changed;
            }
            prop_assert!(opens_before(event.opens_at, event.closes).is_ok(), "{event:?}");
            prop_assert!(seats == 0 || event.opens_later(hours(at)).is_none(), "{event:?}");
        }
    }
}
