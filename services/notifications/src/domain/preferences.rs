//! What people want to be told, and how.

use std::{borrow::Cow, collections::BTreeMap};

use super::message::{Channel, Letter};
use chrono::{NaiveTime, TimeDelta};
use chrono_tz::Tz;
use common::{clock::Timestamp, time::EventTime};
use serde::{Deserialize, Serialize};

/// The kinds of messages that people choose about, by the names of their templates, and whether they may be switched off
/// by e-mail: what belongs to a contract may not, or nobody would know of it.
pub const KINDS: [(&str, bool); 10] = [
    ("announcement", true),
    ("event_cancelled", false),
    ("event_updated", true),
    ("hold_expired", true),
    ("payment_failed", true),
    ("payment_refunded", false),
    ("registration_cancelled", false),
    ("reminder", true),
    ("ticket", false),
    ("waitlist_offer", true),
];

/// Whether e-mails of a kind may be switched off.
pub fn is_optional(kind: &str) -> bool {
    KINDS.iter().any(|(name, optional)| *name == kind && *optional)
}

/// The channels that a kind may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Ways {
    /// By e-mail.
    pub email: bool,
    /// As a text message too, with a telephone.
    pub sms: bool,
}

impl Default for Ways {
    fn default() -> Self {
        Self {
            email: true,
            sms: true,
        }
    }
}

/// When no text messages come, by the clock of their reader. From a later to an earlier time is over midnight.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct QuietHours {
    /// From then on.
    pub from: NaiveTime,
    /// Until then.
    pub to: NaiveTime,
    /// The zone of the clock, for one whose account names none.
    pub zone: Tz,
}

/// What a person has chosen. What is not in it is as it is by default: everything, at any time.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Preferences {
    /// By the names of [`KINDS`].
    #[serde(default)]
    pub kinds: BTreeMap<String, Ways>,
    /// When text messages wait.
    #[serde(default)]
    pub quiet: Option<QuietHours>,
}

impl Preferences {
    /// The channels of a kind.
    pub fn ways(&self, kind: &str) -> Ways {
        self.kinds.get(kind).copied().unwrap_or_default()
    }
}

impl QuietHours {
    /// When the quiet time is over in which `at` lies; `None`: it lies in none.
    fn end(self, at: Timestamp, zone: Tz) -> Option<Timestamp> {
        let local = at.with_timezone(&zone).naive_local();
        let (time, day) = (local.time(), local.date());
        let over_midnight = self.from > self.to;
        let ends_on = match over_midnight {
            false if self.from <= time && time < self.to => day,
            true if time < self.to => day,
            true if time >= self.from => day.succ_opt()?,
            _ => return None,
        };
        let text = format!("{}T{}", ends_on, self.to.format("%H:%M:%S"));
        EventTime::parse(&text, zone).ok().map(|end| end.at)
    }
}

/// The letter as its reader wants it, a text message not before the end of their quiet hours; `None`: they do not want it.
/// An e-mail that may not be switched off goes out. A text message that would come too late is left out.
pub fn chosen<'a>(
    letter: &'a Letter,
    preferences: Option<&Preferences>,
    now: Timestamp,
) -> Option<Cow<'a, Letter>> {
    let Some(preferences) = preferences else {
        return Some(Cow::Borrowed(letter));
    };
    let kind = letter.kind.template();
    let ways = preferences.ways(kind);
    match letter.channel {
        Channel::Email => (ways.email || !is_optional(kind)).then_some(Cow::Borrowed(letter)),
        Channel::Sms if !ways.sms => None,
        Channel::Sms => match preferences.quiet {
            Some(quiet) => after(quiet, letter, now),
            None => Some(Cow::Borrowed(letter)),
        },
    }
}

/// A text message when it is not quiet any more.
fn after(quiet: QuietHours, letter: &Letter, now: Timestamp) -> Option<Cow<'_, Letter>> {
    let zone = letter.details.timezone.as_deref();
    let zone = zone.and_then(|name| name.parse().ok()).unwrap_or(quiet.zone);
    let due = letter.not_before.unwrap_or(now).max(now);
    let Some(end) = quiet.end(due, zone) else {
        return Some(Cow::Borrowed(letter));
    };
    let in_time = letter.not_after.is_none_or(|last| end + LEEWAY <= last);
    in_time.then(|| {
        Cow::Owned(Letter {
            not_before: Some(end),
            ..letter.clone()
        })
    })
}

/// A text message that comes this close before it stops being of use is none.
const LEEWAY: TimeDelta = TimeDelta::minutes(1);

#[cfg(test)]
mod tests {
    use chrono_tz::{America::New_York, Asia::Kolkata};
    use common::ids::{MessageId, UserId};
    use uuid::Uuid;

    use super::*;
    use crate::domain::message::{Details, Kind};

    fn letter(kind: Kind, channel: Channel) -> Letter {
        Letter {
            id: MessageId::new(),
            user_id: UserId::lenient("019309a2-0000-7000-8000-000000000001"),
            event_id: None,
            occurrence: Uuid::nil(),
            kind,
            channel,
            schedule_version: 0,
            address: "x".into(),
            name: None,
            details: Details::default(),
            not_after: None,
            not_before: None,
        }
    }

    fn at(text: &str) -> Timestamp {
        EventTime::parse(text, Tz::UTC).unwrap().at
    }

    fn quiet(from: &str, to: &str, zone: Tz) -> QuietHours {
        let time = |text| NaiveTime::parse_from_str(text, "%H:%M").unwrap();
        QuietHours {
            from: time(from),
            to: time(to),
            zone,
        }
    }

    fn sent(kind: Kind, channels: &[Channel], ways: Option<(bool, bool)>) -> Vec<Channel> {
        let letters: Vec<Letter> = channels.iter().map(|channel| letter(kind, *channel)).collect();
        let mut preferences = Preferences::default();
        if let Some((email, sms)) = ways {
            let ways = Ways { email, sms };
            preferences.kinds.insert(kind.template().to_owned(), ways);
        }
        let now = at("2030-01-01T12:00:00Z");
        let chosen = letters
            .iter()
            .filter_map(|letter| chosen(letter, Some(&preferences), now));
        chosen.map(|letter| letter.channel).collect()
    }

    #[test]
    fn people_get_what_they_want_and_what_they_must() {
        use Channel::{Email, Sms};
        let both = [Email, Sms];
        for (kind, channels, ways, expected) in [
            (Kind::EventUpdated, &both[..], None, &both[..]),
            (Kind::EventUpdated, &both, Some((true, false)), &[Email]),
            (Kind::EventUpdated, &both, Some((false, true)), &[Sms]),
            (Kind::EventUpdated, &both, Some((false, false)), &[]),
            // Without a telephone either.
            (Kind::EventUpdated, &[Email], Some((false, true)), &[]),
            (Kind::Ticket, &both, Some((false, false)), &[Email]),
            (Kind::Ticket, &both, Some((false, true)), &both),
            (Kind::PasswordReset, &[Email], Some((false, false)), &[Email]),
        ] {
            assert_eq!(
                sent(kind, channels, ways),
                expected,
                "{kind:?} {channels:?} {ways:?}"
            );
        }
    }

    #[test]
    fn text_messages_wait_for_the_morning_of_their_reader() {
        let night = ("22:00", "07:00");
        for ((from, to), now, zone, end) in [
            // 23:30 and 06:59 in Kolkata; 07:00 is morning.
            (
                night,
                "2030-01-01T18:00:00Z",
                Kolkata,
                Some("2030-01-02T01:30:00Z"),
            ),
            (
                night,
                "2030-01-02T01:29:00Z",
                Kolkata,
                Some("2030-01-02T01:30:00Z"),
            ),
            (night, "2030-01-02T01:30:00Z", Kolkata, None),
            (night, "2030-01-01T16:29:00Z", Kolkata, None),
            (
                ("13:00", "15:00"),
                "2030-01-01T08:00:00Z",
                Kolkata,
                Some("2030-01-01T09:30:00Z"),
            ),
            (("13:00", "15:00"), "2030-01-01T09:30:00Z", Kolkata, None),
            // The night in which New York's clocks go forward, and the one in which 01:30 comes twice.
            (
                ("22:00", "02:30"),
                "2030-03-10T06:00:00Z",
                New_York,
                Some("2030-03-10T07:30:00Z"),
            ),
            (
                ("22:00", "01:30"),
                "2030-11-03T04:00:00Z",
                New_York,
                Some("2030-11-03T05:30:00Z"),
            ),
        ] {
            let letters = [
                letter(Kind::Ticket, Channel::Sms),
                letter(Kind::Ticket, Channel::Email),
            ];
            let preferences = Preferences {
                quiet: Some(quiet(from, to, zone)),
                ..Preferences::default()
            };
            let [sms, email] = letters.each_ref().map(|letter| {
                let chosen = chosen(letter, Some(&preferences), at(now));
                chosen.unwrap().not_before
            });
            assert_eq!(sms, end.map(at), "{from} {to} {now} {zone}");
            assert_eq!(email, None, "e-mail wakes nobody");
        }
    }

    #[test]
    fn what_would_come_too_late_is_no_text_message() {
        let preferences = Preferences {
            quiet: Some(quiet("22:00", "07:00", Tz::UTC)),
            ..Preferences::default()
        };
        let mut reminder = letter(Kind::HOURS_BEFORE, Channel::Sms);
        let now = at("2030-01-01T23:00:00Z");
        for (not_after, goes) in [("2030-01-02T06:59:00Z", false), ("2030-01-02T08:00:00Z", true)] {
            reminder.not_after = Some(at(not_after));
            let chosen = chosen(&reminder, Some(&preferences), now);
            assert_eq!(chosen.is_some(), goes, "{not_after}");
        }
    }
}
