//! What a change of an event means for its attendees.

use common::{clock::Timestamp, wire::EventFacts};

/// What follows from a newer version of an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Consequence {
    /// Reminders are to be moved or dropped.
    pub reminders: bool,
    /// Attendees are to be notified of what is different.
    pub notify: bool,
}

impl Consequence {
    /// Whether there is one.
    pub fn any(self) -> bool {
        self.reminders || self.notify
    }
}

/// Compares two versions of an event. A cancellation is notified with each registration that it ends, not here.
pub fn compare(before: &EventFacts, after: &EventFacts, now: Timestamp) -> Consequence {
    // What people would see: the local time and its offset. Asia/Calcutta and Asia/Kolkata, or Berlin and Paris, show
    // the same.
    let different = before.time().rfc3339() != after.time().rfc3339()
        || before.address != after.address
        || before.name != after.name
        || before.format != after.format
        || before.join_url != after.join_url
        // An end that is named for the first time changes nobody's plans.
        || before.ends_at.is_some_and(|ends_at| after.ends_at != Some(ends_at));
    // Corrections of an event that is over are not notified.
    let over = before.starts_at <= now && after.starts_at <= now;
    Consequence {
        reminders: after.schedule_version > before.schedule_version || after.cancelled != before.cancelled,
        notify: different && !after.cancelled && !over,
    }
}

#[cfg(test)]
mod tests {
    use chrono_tz::Tz;
    use common::{clock::from_millis, ids::EventId};

    use super::*;

    #[test]
    fn only_what_matters_is_told() {
        let before = EventFacts {
            event_id: EventId::new(),
            name: "Rust evening".into(),
            address: "Online".into(),
            starts_at: from_millis(1000),
            zone: Tz::Asia__Kolkata,
            version: 1,
            schedule_version: 1,
            cancelled: false,
            format: common::wire::EventFormat::InPerson,
            ends_at: None,
            join_url: None,
            reminders: common::leads::Leads::default(),
            organizer: None,
        };
        let now = from_millis(0);
        let after = EventFacts {
            version: 2,
            ..before.clone()
        };
        assert_eq!(
            compare(&before, &after, now),
            Consequence {
                reminders: false,
                notify: false
            }
        );

        let moved = EventFacts {
            starts_at: from_millis(2000),
            schedule_version: 2,
            ..after.clone()
        };
        assert_eq!(
            compare(&before, &moved, now),
            Consequence {
                reminders: true,
                notify: true
            }
        );
        assert_eq!(
            compare(&before, &moved, from_millis(3000)),
            Consequence {
                reminders: true,
                notify: false
            }
        );
        assert!(compare(&before, &moved, from_millis(1500)).notify);

        for other in [
            EventFacts {
                address: "Hall 2".into(),
                ..after.clone()
            },
            EventFacts {
                name: "Rust night".into(),
                ..after.clone()
            },
            EventFacts {
                zone: Tz::UTC,
                ..after.clone()
            },
            EventFacts {
                format: common::wire::EventFormat::Online,
                ..after.clone()
            },
            EventFacts {
                join_url: Some("https://meet.example.org/rust".into()),
                ..after.clone()
            },
        ] {
            assert_eq!(
                compare(&before, &other, now),
                Consequence {
                    reminders: false,
                    notify: true
                }
            );
        }
        let ends_at = |seconds: i64| EventFacts {
            ends_at: Some(from_millis(seconds * 1000)),
            ..after.clone()
        };
        assert!(!compare(&before, &ends_at(5), now).any());
        assert!(compare(&ends_at(5), &ends_at(6), now).notify);
        let alias = EventFacts {
            zone: Tz::Asia__Calcutta,
            ..after.clone()
        };
        assert!(!compare(&before, &alias, now).any());
        let cancelled = EventFacts {
            cancelled: true,
            address: "none".into(),
            ..after
        };
        assert_eq!(
            compare(&before, &cancelled, now),
            Consequence {
                reminders: true,
                notify: false
            }
        );
    }
}
