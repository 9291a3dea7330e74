//! Reminders: when they are due, how they follow their event, and what is done with one whose time has come.
//!
//! A reminder is due a whole number of hours before the start, as time passes: in a night in which the clocks are put
//! forward or back, its wall-clock time differs from the start's by an hour more or less.

use chrono::TimeDelta;
use common::{clock::Timestamp, leads::Lead, wire::EventFacts};

use super::message::Kind;

/// The latest that one is sent after its time, however long its lead is.
const LATEST: TimeDelta = TimeDelta::hours(12);

/// A reminder to come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Planned {
    /// Which reminder.
    pub kind: Kind,
    /// When it is due.
    pub due_at: Timestamp,
}

fn due(facts: &EventFacts, lead: Lead) -> Timestamp {
    facts.starts_at - lead.span()
}

/// The reminders of an attendee, as of `now`: those whose time is still to come.
pub fn plan(facts: &EventFacts, now: Timestamp) -> impl Iterator<Item = Planned> + '_ {
    let leads = facts.reminders.iter().filter(|_| !facts.cancelled);
    leads
        .map(|lead| Planned {
            kind: Kind::Reminder(lead),
            due_at: due(facts, lead),
        })
        .filter(move |planned| planned.due_at > now)
}

/// How a stored reminder stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// Its time is to come, or it has not been looked at since.
    Pending,
    /// It was written, or was too late.
    Settled,
    /// It was not needed any more.
    Dropped,
}

impl Standing {
    /// The standing that a store keeps under this name.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "pending" => Some(Self::Pending),
            "done" | "skipped_late" => Some(Self::Settled),
            "dropped" => Some(Self::Dropped),
            _ => None,
        }
    }
}

/// A reminder as it is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Known {
    /// Which reminder.
    pub kind: Kind,
    /// When it is due, or was.
    pub due_at: Timestamp,
    /// The schedule it belongs to.
    pub schedule_version: i64,
    /// How it stands.
    pub standing: Standing,
}

/// How the reminders of a registration follow their event to another schedule. Pending ones of older schedules that are
/// not named here are dropped.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Following {
    /// To be pending, those that were sent for another start included, which are due once more for the new one.
    pub planned: Vec<Planned>,
    /// Pending and to stay so: they are of the new schedule, too.
    pub kept: Vec<Kind>,
    /// To be deleted: the event has them no more, and nothing ever came of them.
    pub deleted: Vec<Kind>,
    /// Their letters that were not sent yet are withdrawn.
    pub void: Vec<Kind>,
}

/// Decides how stored reminders follow an event that takes place. One that is due at the same time as before stays what
/// it is: what was sent for that time is not sent again, whichever other reminders the event was given.
pub fn follow(known: &[Known], facts: &EventFacts, now: Timestamp) -> Following {
    let mut following = Following::default();
    let older = known
        .iter()
        .filter(|known| known.schedule_version < facts.schedule_version);
    for Known {
        kind,
        due_at,
        standing,
        ..
    } in older
    {
        let next = time_of(*kind, facts);
        if next == Some(*due_at) {
            match standing {
                Standing::Pending => following.kept.push(*kind),
                Standing::Dropped if *due_at > now => following.planned.push(Planned {
                    kind: *kind,
                    due_at: *due_at,
                }),
                Standing::Dropped | Standing::Settled => {}
            }
            continue;
        }
        following.void.push(*kind);
        match next {
            Some(due_at) if due_at > now => following.planned.push(Planned { kind: *kind, due_at }),
            None if *standing == Standing::Pending && *due_at > now => following.deleted.push(*kind),
            Some(_) | None => {}
        }
    }
    let is_new = |planned: &Planned| known.iter().all(|known| known.kind != planned.kind);
    following.planned.extend(plan(facts, now).filter(is_new));
    following
}

/// When a reminder of this kind is due, if the event has it.
fn time_of(kind: Kind, facts: &EventFacts) -> Option<Timestamp> {
    let Kind::Reminder(lead) = kind else { return None };
    facts.reminders.contains(lead).then(|| due(facts, lead))
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
    let (Kind::Reminder(lead), Some(planned)) = (kind, time_of(kind, facts)) else {
        return Verdict::Drop;
    };
    if facts.cancelled {
        return Verdict::Drop;
    }
    if schedule_version < facts.schedule_version && planned != due_at {
        return if planned > now {
            Verdict::Move { due_at: planned }
        } else {
            Verdict::Drop
        };
    }
    // Half of the lead: 12 hours late "tomorrow" has become "today", and 1.5 hours late is still time to get there.
    let not_after = due_at + (lead.span() / 2).min(LATEST);
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
    use common::{clock::from_millis, ids::EventId, leads::Leads, time::EventTime};
    use proptest::prelude::*;

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
            reminders: Leads::default(),
            organizer: None,
        }
    }

    /// The next schedule, with these reminders.
    fn with(hours: &[i64]) -> EventFacts {
        EventFacts {
            version: 2,
            schedule_version: 2,
            reminders: leads(hours),
            ..facts()
        }
    }

    fn leads(hours: &[i64]) -> Leads {
        Leads::new(hours).unwrap()
    }

    fn kind(hours: i64) -> Kind {
        Kind::Reminder(Lead::new(hours).unwrap())
    }

    fn before(hours: i64) -> Timestamp {
        from_millis(START - hours * HOUR)
    }

    fn known(hours: i64, standing: Standing) -> Known {
        Known {
            kind: kind(hours),
            due_at: before(hours),
            schedule_version: 1,
            standing,
        }
    }

    fn planned(hours: i64) -> Planned {
        Planned {
            kind: kind(hours),
            due_at: before(hours),
        }
    }

    fn plan_at(facts: &EventFacts, hours_before: i64) -> Vec<Kind> {
        plan(facts, before(hours_before))
            .map(|planned| planned.kind)
            .collect()
    }

    #[test]
    fn none_for_one_who_registers_after_the_due_time() {
        assert_eq!(plan_at(&facts(), 25), [kind(24), kind(3)]);
        assert_eq!(plan_at(&facts(), 24), [kind(3)]);
        assert_eq!(plan_at(&facts(), 3), []);
        assert_eq!(plan_at(&facts(), -1), []);
        let own = with(&[1, 720, 48]);
        assert_eq!(plan_at(&own, 1000), [kind(720), kind(48), kind(1)]);
        assert_eq!(plan_at(&own, 720), [kind(48), kind(1)]);
        assert_eq!(plan_at(&own, 3), [kind(1)]);
    }

    #[test]
    fn none_for_a_cancelled_event() {
        let facts = EventFacts {
            cancelled: true,
            ..facts()
        };
        assert_eq!(plan(&facts, from_millis(0)).count(), 0);
        assert_eq!(
            judge(kind(3), facts.starts_at, 1, &facts, from_millis(0)),
            Verdict::Drop
        );
    }

    #[test]
    fn late_ones_are_sent_for_half_of_the_lead_and_twelve_hours_at_most() {
        for (lead, lateness, sent) in [
            (24, 0, true),
            (24, 12 * HOUR - 1, true),
            (24, 12 * HOUR, false),
            (3, 3 * HOUR / 2 - 1, true),
            (3, 3 * HOUR / 2, false),
            (3, 4 * HOUR, false),
            (720, 12 * HOUR - 1, true),
            (720, 12 * HOUR, false),
            (1, HOUR / 2 - 1, true),
            (1, HOUR / 2, false),
        ] {
            let (due, facts) = (before(lead), with(&[lead]));
            let verdict = judge(
                kind(lead),
                due,
                2,
                &facts,
                due + TimeDelta::milliseconds(lateness),
            );
            assert_eq!(matches!(verdict, Verdict::Send { .. }), sent, "{lead} {lateness}");
            assert_eq!(verdict == Verdict::TooLate, !sent, "{lead} {lateness}");
        }
    }

    #[test]
    fn a_reminder_of_an_older_schedule_moves_or_is_dropped() {
        let facts = EventFacts {
            schedule_version: 2,
            ..facts()
        };
        let earlier = before(48);
        assert_eq!(
            judge(kind(24), earlier, 1, &facts, before(30)),
            Verdict::Move { due_at: before(24) }
        );
        assert_eq!(judge(kind(24), earlier, 1, &facts, before(24)), Verdict::Drop);
        assert_eq!(
            judge(kind(48), earlier, 1, &facts, earlier),
            Verdict::Drop,
            "not of the event any more"
        );
        assert_eq!(judge(Kind::Ticket, earlier, 1, &facts, earlier), Verdict::Drop);
        // Only the other reminders are others now: it is sent as it would have been.
        let verdict = judge(kind(24), before(24), 1, &facts, before(24));
        assert_eq!(
            verdict,
            Verdict::Send {
                not_after: before(12)
            }
        );
    }

    #[test]
    fn reminders_that_are_added_are_planned_and_those_removed_are_not_sent() {
        let known = [known(24, Standing::Pending), known(3, Standing::Pending)];
        let followed = follow(&known, &with(&[72, 24, 1]), before(100));
        assert_eq!(followed.planned, [planned(72), planned(1)]);
        assert_eq!(followed.kept, [kind(24)]);
        assert_eq!(followed.deleted, [kind(3)]);
        assert_eq!(followed.void, [kind(3)]);
        // Past the time of those that are added.
        let followed = follow(&known, &with(&[72, 24, 1]), before(50));
        assert_eq!(followed.planned, [planned(1)]);
    }

    #[test]
    fn what_was_sent_for_a_start_is_not_sent_for_it_again() {
        let known = [known(24, Standing::Settled), known(3, Standing::Pending)];
        let followed = follow(&known, &with(&[24, 6, 3]), before(20));
        assert_eq!((followed.planned, followed.void), (vec![planned(6)], vec![]));
        // Its letter may be waiting for a mail server: that is withdrawn with the reminder.
        let without = follow(&known, &with(&[3]), before(20));
        assert_eq!((without.planned, without.void), (vec![], vec![kind(24)]));
        // It is due for another start.
        let moved = EventFacts {
            starts_at: from_millis(START + 100 * HOUR),
            ..with(&[24])
        };
        let followed = follow(&known, &moved, before(20));
        let due_at = from_millis(START + 76 * HOUR);
        assert_eq!(
            followed.planned,
            [Planned {
                kind: kind(24),
                due_at
            }]
        );
        assert_eq!(followed.void, [kind(24), kind(3)]);
    }

    #[test]
    fn one_that_waits_to_be_written_late_is_kept() {
        let known = [known(24, Standing::Pending)];
        assert_eq!(follow(&known, &with(&[24, 3]), before(20)).kept, [kind(24)]);
        // One that was removed with its time past is dropped, so that it is seen that it was not sent.
        let without = follow(&known, &with(&[3]), before(20));
        assert_eq!((without.kept, without.deleted), (vec![], vec![]));
    }

    #[test]
    fn one_that_comes_back_is_planned_if_it_lies_ahead() {
        let known = [known(24, Standing::Dropped)];
        assert_eq!(follow(&known, &with(&[24]), before(30)).planned, [planned(24)]);
        assert_eq!(follow(&known, &with(&[24]), before(24)).planned, []);
    }

    #[test]
    fn what_is_of_the_schedule_already_stays() {
        let current = Known {
            schedule_version: 2,
            ..known(24, Standing::Pending)
        };
        assert_eq!(follow(&[current], &with(&[24]), before(30)), Following::default());
    }

    /// A day before is 24 hours before, also over a night in which the clocks change.
    #[test]
    fn the_clocks_change_in_the_night_before() {
        for (start, wall) in [
            // Berlin, forward in the night to 29 March: the day before has 23 hours.
            ("2026-03-29T10:00:00", "2026-03-28T09:00:00.000+01:00"),
            // Back in the night to 25 October: 25 hours.
            ("2026-10-25T10:00:00", "2026-10-24T11:00:00.000+02:00"),
            // It starts in the hour that occurs twice: the first one counts.
            ("2026-10-25T02:30:00", "2026-10-24T02:30:00.000+02:00"),
            // It starts in the hour that there is not.
            ("2026-03-29T02:30:00", "2026-03-28T02:30:00.000+01:00"),
        ] {
            let zone = Tz::Europe__Berlin;
            let facts = EventFacts {
                starts_at: EventTime::parse(start, zone).unwrap().at,
                zone,
                reminders: leads(&[24]),
                ..facts()
            };
            let due: Vec<_> = plan(&facts, from_millis(0)).collect();
            assert_eq!(due.len(), 1);
            assert_eq!(facts.starts_at - due[0].due_at, TimeDelta::hours(24));
            let at = due[0].due_at;
            assert_eq!(EventTime { at, zone }.rfc3339(), wall, "{start}");
        }
    }

    #[test]
    fn hours_are_rounded() {
        let at = |millis: i64| hours_left(&facts(), from_millis(START - millis));
        assert_eq!(at(24 * HOUR), 24);
        assert_eq!(at(24 * HOUR - 1), 24);
        assert_eq!(at(17 * HOUR + HOUR / 2), 18);
        assert_eq!(at(1000), 1);
    }

    fn some_leads() -> impl Strategy<Value = Leads> {
        proptest::collection::hash_set(1..=720_i64, 1..=5)
            .prop_map(|hours| leads(&hours.into_iter().collect::<Vec<_>>()))
    }

    proptest! {
        /// However often the reminders are others, and whenever: each is sent once at most for one start, and every one
        /// of the last ones whose time came while it was among them is sent.
        #[test]
        fn each_is_sent_once_for_a_start(changes in proptest::collection::vec((0..800_i64, some_leads()), 1..8)) {
            let mut changes = changes;
            changes.sort_by_key(|(hours_before, _)| -hours_before);
            let (mut rows, mut sent): (Vec<Known>, Vec<Kind>) = Default::default();
            let mut facts = EventFacts { reminders: changes[0].1, ..facts() };
            let step = |from: Option<i64>, to: i64, rows: &mut Vec<Known>, sent: &mut Vec<Kind>, facts: &EventFacts| {
                for row in rows.iter_mut() {
                    let came = row.due_at <= before(to) && from.is_none_or(|from| row.due_at > before(from));
                    if row.standing == Standing::Pending && came {
                        let verdict = judge(row.kind, row.due_at, row.schedule_version, facts, row.due_at);
                        prop_assert!(matches!(verdict, Verdict::Send { .. }), "{verdict:?}");
                        row.standing = Standing::Settled;
                        sent.push(row.kind);
                    }
                }
                Ok(())
            };
            let mut last = None;
            for (version, (hours_before, leads)) in changes.iter().enumerate() {
                step(last, *hours_before, &mut rows, &mut sent, &facts)?;
                last = Some(*hours_before);
                facts.reminders = *leads;
                facts.schedule_version = version as i64 + 2;
                let following = follow(&rows, &facts, before(*hours_before));
                rows.retain(|row| !following.deleted.contains(&row.kind));
                for row in rows.iter_mut().filter(|row| row.schedule_version < facts.schedule_version) {
                    if following.kept.contains(&row.kind) {
                        row.schedule_version = facts.schedule_version;
                    } else if row.standing == Standing::Pending {
                        row.standing = Standing::Dropped;
                    }
                }
                for Planned { kind, due_at } in following.planned {
                    rows.retain(|row| row.kind != kind);
                    rows.push(Known {
                        kind,
                        due_at,
                        schedule_version: facts.schedule_version,
                        standing: Standing::Pending,
                    });
                }
            }
            step(last, 0, &mut rows, &mut sent, &facts)?;
            let mut once = sent.clone();
            once.sort_by_key(|kind| kind.name());
            once.dedup();
            prop_assert_eq!(once.len(), sent.len());
            let ahead = facts.reminders.iter().filter(|lead| i64::from(lead.hours()) < last.unwrap_or(0));
            for lead in ahead {
                prop_assert!(sent.contains(&Kind::Reminder(lead)), "{lead:?}");
            }
        }
    }
}
