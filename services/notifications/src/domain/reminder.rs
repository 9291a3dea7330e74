//! Reminders: when they are due, and what is done with one whose time has come.

use chrono::TimeDelta;
use common::{clock::Timestamp, wire::EventFacts};

use super::message::Kind;

/// How long before the start each reminder is sent.
pub const LEADS: [(Kind, TimeDelta); 2] = [
    (Kind::Reminder24h, TimeDelta::hours(24)),
    (Kind::Reminder3h, TimeDelta::hours(3)),
];

/// A reminder to come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Planned {
    /// Which reminder.
    pub kind: Kind,
    /// When it is due.
    pub due_at: Timestamp,
}

/// The reminders of an attendee, as of `now`: those whose time is still to come.
pub fn plan(facts: &EventFacts, now: Timestamp) -> impl Iterator<Item = Planned> {
    let (starts_at, cancelled) = (facts.starts_at, facts.cancelled);
    LEADS
        .into_iter()
        .map(move |(kind, lead)| Planned {
            kind,
            due_at: starts_at - lead,
        })
        .filter(move |planned| !cancelled && planned.due_at > now)
}

/// What to do with a reminder whose time has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Send it, but not after this.
    Send {
        /// When it stops being of use.
        not_after: Timestamp,
    },
    /// The event has moved; this is its new time.
    Move {
        /// When it is due.
        due_at: Timestamp,
    },
    /// It is not needed any more.
    Drop,
    /// It comes too late to be of use, after a long downtime.
    TooLate,
}

/// Decides on a reminder that was due at `due_at` for version `schedule_version` of the schedule.
pub fn judge(
    kind: Kind,
    due_at: Timestamp,
    schedule_version: i64,
    facts: &EventFacts,
    now: Timestamp,
) -> Verdict {
    let Some((_, lead)) = LEADS.into_iter().find(|(k, _)| *k == kind) else {
        return Verdict::Drop;
    };
    if facts.cancelled {
        return Verdict::Drop;
    }
    if schedule_version < facts.schedule_version {
        let due_at = facts.starts_at - lead;
        return if due_at > now {
            Verdict::Move { due_at }
        } else {
            Verdict::Drop
        };
    }
    // Half of the lead: 12 hours late "tomorrow" has become "today", and 1.5 hours late is still time to get there.
    let not_after = due_at + lead / 2;
    if now < not_after && now < facts.starts_at {
        Verdict::Send { not_after }
    } else {
        Verdict::TooLate
    }
}

/// Hours until the start, rounded to the nearest, at least 1.
pub fn hours_left(facts: &EventFacts, now: Timestamp) -> i64 {
    ((facts.starts_at - now + TimeDelta::minutes(30)).num_hours()).max(1)
}

#[cfg(test)]
mod tests {
    use chrono_tz::Tz;
    use common::{clock::from_millis, ids::EventId};

    use super::*;

    const START: i64 = 1_900_000_000_000;
    const HOUR: i64 = 3_600_000;

    fn facts() -> EventFacts {
        EventFacts {
            event_id: EventId::new(),
            name: "Rust evening".into(),
            address: "Online".into(),
            starts_at: from_millis(START),
            zone: Tz::Asia__Kolkata,
            version: 1,
            schedule_version: 1,
            cancelled: false,
            format: common::wire::EventFormat::InPerson,
            ends_at: None,
            join_url: None,
        }
    }

    fn planned(hours_before: i64) -> Vec<Kind> {
        plan(&facts(), from_millis(START - hours_before * HOUR))
            .map(|planned| planned.kind)
            .collect()
    }

    #[test]
    fn none_for_one_who_registers_after_the_due_time() {
        assert_eq!(planned(25), [Kind::Reminder24h, Kind::Reminder3h]);
        assert_eq!(planned(24), [Kind::Reminder3h]);
        assert_eq!(planned(3), []);
        assert_eq!(planned(-1), []);
    }

    #[test]
    fn none_for_a_cancelled_event() {
        let facts = EventFacts {
            cancelled: true,
            ..facts()
        };
        assert_eq!(plan(&facts, from_millis(0)).count(), 0);
        assert_eq!(
            judge(Kind::Reminder3h, facts.starts_at, 1, &facts, from_millis(0)),
            Verdict::Drop
        );
    }

    #[test]
    fn late_ones_are_sent_for_half_of_the_lead() {
        let facts = facts();
        for (kind, lead, lateness, sent) in [
            (Kind::Reminder24h, 24, 0, true),
            (Kind::Reminder24h, 24, 12 * HOUR - 1, true),
            (Kind::Reminder24h, 24, 12 * HOUR, false),
            (Kind::Reminder3h, 3, 3 * HOUR / 2 - 1, true),
            (Kind::Reminder3h, 3, 3 * HOUR / 2, false),
            (Kind::Reminder3h, 3, 4 * HOUR, false),
        ] {
            let due = from_millis(START - lead * HOUR);
            let verdict = judge(kind, due, 1, &facts, due + TimeDelta::milliseconds(lateness));
            assert_eq!(
                matches!(verdict, Verdict::Send { .. }),
                sent,
                "{kind:?} {lateness}"
            );
            assert_eq!(verdict == Verdict::TooLate, !sent, "{kind:?} {lateness}");
        }
    }

    #[test]
    fn a_reminder_of_an_older_schedule_moves_or_is_dropped() {
        let facts = EventFacts {
            schedule_version: 2,
            ..facts()
        };
        let due = from_millis(START - 24 * HOUR);
        let at = |hours_before: i64| from_millis(START - hours_before * HOUR);
        assert_eq!(
            judge(Kind::Reminder24h, due, 1, &facts, at(30)),
            Verdict::Move { due_at: due }
        );
        assert_eq!(judge(Kind::Reminder24h, due, 1, &facts, at(24)), Verdict::Drop);
    }

    #[test]
    fn hours_are_rounded() {
        let at = |millis: i64| hours_left(&facts(), from_millis(START - millis));
        assert_eq!(at(24 * HOUR), 24);
        assert_eq!(at(24 * HOUR - 1), 24);
        assert_eq!(at(17 * HOUR + HOUR / 2), 18);
        assert_eq!(at(1000), 1);
    }
}
