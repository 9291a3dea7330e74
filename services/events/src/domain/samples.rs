//! An event and registrations for tests of the domain.

use chrono::{DateTime, TimeDelta};
use common::{
    clock::Timestamp,
    ids::{EventId, RegistrationId, UserId},
    money::Paise,
    time::EventTime,
};

use super::{
    event::{Closing, Event},
    registration::{Registration, State},
};

/// 2026-01-01.
pub const NOW: Timestamp = match DateTime::from_timestamp(1_767_225_600, 0) {
    Some(now) => now,
    None => DateTime::UNIX_EPOCH,
};

/// An event tomorrow, open until its start, with a fee in paise.
pub fn event(fee: i64) -> Event {
    let at = NOW + TimeDelta::days(1);
    Event {
        id: EventId::lenient("019309a2-0000-7000-8000-000000000002"),
        organizer: UserId::new(),
        name: "Rust for organisers".to_owned(),
        details: String::new(),
        time: EventTime {
            at,
            zone: chrono_tz::UTC,
        },
        address: String::new(),
        capacity: None,
        fee: Paise(fee),
        cancelled: false,
        closes: Closing::Default(Some(at)),
        seats_taken: 0,
        line: super::waitlist::Line::default(),
        version: 1,
        schedule_version: 1,
        created_at: NOW,
        format: common::wire::EventFormat::InPerson,
        ends_at: None,
        join_url: None,
        reminders: common::leads::Leads::default(),
        draft: false,
        opens_at: None,
        listing: Default::default(),
    }
}

/// A registration for it, made an hour ago, in this state.
pub fn registration(state: State) -> Registration {
    Registration {
        id: RegistrationId::new(),
        event_id: event(0).id,
        user_id: UserId::new(),
        amount: Paise(50_000),
        state,
        payment_id: None,
        paid: None,
        created_at: NOW - TimeDelta::hours(1),
    }
}
