//! Announcements of organizers: who may make how many, how they stand, and whom they reach. In the code they are
//! broadcasts, since announcements are there the changes of events on their way to attendees.

use chrono::TimeDelta;
use common::{
    clock::Timestamp,
    ids::{AnnouncementId, EventId, UserId},
    wire::{LIVE_TEXT, Recipients},
};

use super::message::Channel;

/// The most announcements of one organizer within a day.
pub const A_DAY: usize = 20;
/// The most announcements of one event to one user within a day; from the next one on they are left out.
pub const TO_ONE_A_DAY: usize = 10;
/// How far ahead one may be planned.
pub const AHEAD: TimeDelta = TimeDelta::days(365);
/// Both caps count over this time.
pub const DAY: TimeDelta = TimeDelta::hours(24);

/// What the organizer has written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Words {
    /// One line.
    pub subject: String,
    /// Paragraphs.
    pub text: String,
}

impl Words {
    /// As they are said live: in one text, of which the letter has the rest where it is long.
    pub fn live(&self) -> String {
        let all = format!("{}\n\n{}", self.subject, self.text);
        if all.chars().count() <= LIVE_TEXT {
            return all;
        }
        let kept: String = all.chars().take(LIVE_TEXT - 1).collect();
        format!("{}…", kept.trim_end())
    }
}

/// How far it has got.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Its time is to come.
    Scheduled,
    /// Letters are being written.
    Sending,
    /// All letters are written.
    Sent,
    /// It was withdrawn, or its event was cancelled.
    Cancelled,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Scheduled, Self::Sending, Self::Sent, Self::Cancelled];

    /// The name in stores and answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// The ways it takes, without repeats, in the order of [`Channel`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Channels {
    /// By e-mail.
    pub email: bool,
    /// By text message, to those who have given a number.
    pub sms: bool,
}

impl Default for Channels {
    fn default() -> Self {
        Self {
            email: true,
            sms: false,
        }
    }
}

impl Channels {
    /// Those of these names: one at least, each once.
    pub fn parse<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut channels = Self {
            email: false,
            sms: false,
        };
        for name in names {
            let is_one = match Channel::parse(name)? {
                Channel::Email => &mut channels.email,
                Channel::Sms => &mut channels.sms,
            };
            if std::mem::replace(is_one, true) {
                return None;
            }
        }
        (channels.email || channels.sms).then_some(channels)
    }

    /// Whether this is one of them.
    pub fn has(self, channel: Channel) -> bool {
        match channel {
            Channel::Email => self.email,
            Channel::Sms => self.sms,
        }
    }

    /// Their names.
    pub fn names(self) -> Vec<&'static str> {
        let all = [Channel::Email, Channel::Sms];
        all.into_iter()
            .filter(|channel| self.has(*channel))
            .map(Channel::name)
            .collect()
    }

    /// The text for stores: names with commas between.
    pub fn to_store(self) -> String {
        self.names().join(",")
    }

    /// Reads [`Channels::to_store`].
    pub fn from_store(text: &str) -> Option<Self> {
        Self::parse(text.split(','))
    }
}

/// An announcement.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Broadcast {
    /// The id.
    pub id: AnnouncementId,
    /// The event it is about.
    pub event_id: EventId,
    /// Who made it.
    pub organizer: UserId,
    /// What it says.
    pub words: Words,
    /// To whom.
    pub to: Recipients,
    /// Which way.
    pub channels: Channels,
    /// How far it has got.
    pub state: State,
    /// When letters are written; never before it was made.
    pub send_at: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
    /// To how many it has been written.
    pub recipients: u64,
    /// How many were left out: of a deleted account, without a number, over the daily limit, or no longer taking part.
    pub skipped: u64,
}

/// What became of its letters.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Counts {
    /// To be sent.
    pub queued: u64,
    /// A provider took them.
    pub sent: u64,
    /// Given up.
    pub failed: u64,
}

impl Counts {
    /// Adds `letters` that stand so. Those that were not needed any more count nowhere.
    pub fn add(&mut self, status: &str, letters: u64) {
        match status {
            "queued" | "sending" => self.queued += letters,
            "sent" | "delivered" => self.sent += letters,
            "failed" | "dead" => self.failed += letters,
            _ => {}
        }
    }
}

impl Broadcast {
    /// How it stands for its organizer: it is sent when no letter waits any more.
    pub fn status(&self, counts: Counts) -> State {
        match self.state {
            State::Sent if counts.queued > 0 => State::Sending,
            state => state,
        }
    }
}

/// Whether one more may be made, after those made at `earlier`, in their order.
///
/// # Errors
/// When one may be made again.
pub fn may_announce(earlier: &[Timestamp], now: Timestamp) -> Result<(), Timestamp> {
    let recent: Vec<Timestamp> = earlier.iter().copied().filter(|at| *at > now - DAY).collect();
    match recent.len().checked_sub(A_DAY) {
        None => Ok(()),
        Some(over) => Err(recent[over] + DAY),
    }
}

/// Whether somebody is written to who has got so many announcements of this event within a day.
pub fn reaches(got: usize) -> bool {
    got < TO_ONE_A_DAY
}

/// What stands for an announcement in the unique key of its letters: with the registration it lets nobody be written to
/// twice. 62 random bits of its id, so that two announcements to one registration never have the same.
pub fn mark(id: AnnouncementId) -> i64 {
    const BITS: u128 = (1 << 62) - 1;
    i64::try_from(id.0.as_u128() & BITS).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use common::clock::from_millis;

    use super::*;

    #[test]
    fn so_many_a_day() {
        let now = from_millis(1_900_000_000_000);
        let hours = |hours: i64| now - TimeDelta::hours(hours);
        let nineteen: Vec<_> = (1..=19).rev().map(hours).collect();
        assert_eq!(may_announce(&nineteen, now), Ok(()));
        let twenty: Vec<_> = (1..=20).rev().map(hours).collect();
        assert_eq!(may_announce(&twenty, now), Err(hours(20) + DAY));
        let older: Vec<_> = (20..=60).rev().map(hours).collect();
        assert_eq!(may_announce(&older, now), Ok(()));
        let many: Vec<_> = (0..30).map(|_| hours(1)).collect();
        assert_eq!(may_announce(&many, now), Err(hours(1) + DAY));
        assert_eq!(may_announce(&[], now), Ok(()));
        assert!(reaches(9) && !reaches(10));
    }

    #[test]
    fn a_long_one_is_shortened_live() {
        let live = |text: &str| {
            let subject = "बदलाव".to_owned();
            let text = text.to_owned();
            Words { subject, text }.live()
        };
        assert_eq!(live("Come early.\n\nBye."), "बदलाव\n\nCome early.\n\nBye.");
        let longest = "é".repeat(LIVE_TEXT - 7);
        assert_eq!(live(&longest), format!("बदलाव\n\n{longest}"));
        let longer = live(&format!("{longest}é"));
        assert_eq!(longer.chars().count(), LIVE_TEXT);
        assert!(longer.ends_with("é…"), "{longer}");
        assert!(live(&"a ".repeat(LIVE_TEXT)).ends_with("a…"));
    }

    #[test]
    fn channels_read_back() {
        for (text, names) in [
            ("email", vec!["email"]),
            ("sms", vec!["sms"]),
            ("sms,email", vec!["email", "sms"]),
        ] {
            let channels = Channels::from_store(text).unwrap();
            assert_eq!(channels.names(), names);
            assert_eq!(Channels::from_store(&channels.to_store()), Some(channels));
        }
        for wrong in ["", "fax", "email,email", "email,"] {
            assert_eq!(Channels::from_store(wrong), None, "{wrong:?}");
        }
        for state in State::ALL {
            assert_eq!(State::parse(state.name()), Some(state));
        }
    }

    #[test]
    fn letters_are_counted_by_what_became_of_them() {
        let mut counts = Counts::default();
        let statuses = [
            "queued",
            "sending",
            "sent",
            "delivered",
            "failed",
            "dead",
            "dropped",
            "skipped",
        ];
        for status in statuses {
            counts.add(status, 2);
        }
        assert_eq!((counts.queued, counts.sent, counts.failed), (4, 4, 4));
    }

    #[test]
    fn announcements_have_marks_of_their_own() {
        let marks: std::collections::HashSet<i64> = (0..1000).map(|_| mark(AnnouncementId::new())).collect();
        assert_eq!(marks.len(), 1000);
        assert!(marks.iter().all(|mark| *mark >= 0));
        let id = AnnouncementId::new();
        assert_eq!(mark(id), mark(id));
    }
}
