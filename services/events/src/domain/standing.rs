//! Who may say and see what beside an event: its organizer and those whose registration is confirmed, unless they were
//! banned or muted.

use std::time::Duration;

use chrono::TimeDelta;
use common::{
    clock::Timestamp,
    ids::{EventId, UserId},
};

use super::{
    event::Event,
    post::Kind,
    registration::{Registration, State},
    team::{Rank, Right},
};

/// What somebody is to an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// It is theirs, or they run it.
    Organizer,
    /// Their registration is confirmed.
    Attendee,
    /// Neither.
    Stranger,
}

impl Part {
    /// What somebody of this rank with this live registration is to an event.
    pub fn of(rank: Rank, event: &Event, live: Option<&Registration>) -> Self {
        match live.map(|registration| registration.state) {
            _ if rank.has(Right::Manage) => Self::Organizer,
            Some(State::Confirmed) if !event.cancelled => Self::Attendee,
            _ => Self::Stranger,
        }
    }

    /// As it is written in stores and answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Organizer => "organizer",
            Self::Attendee => "attendee",
            Self::Stranger => "stranger",
        }
    }

    /// The part of a name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Organizer, Self::Attendee, Self::Stranger]
            .into_iter()
            .find(|part| part.name() == name)
    }
}

/// What somebody may not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RestrictionKind {
    /// Write.
    Mute,
    /// Write and read.
    Ban,
}

impl RestrictionKind {
    /// As it is written in stores and answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mute => "mute",
            Self::Ban => "ban",
        }
    }

    /// The restriction of a name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Mute, Self::Ban]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}

/// Until when somebody may not do something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Restriction {
    /// What.
    pub kind: RestrictionKind,
    /// Until when; `None`: for good.
    pub until: Option<Timestamp>,
}

impl Restriction {
    fn holds(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// Who may write in the chat.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ChatMode {
    /// Everybody who reads it.
    #[default]
    Open,
    /// Likewise, but each only once in so many seconds.
    Slow(u32),
    /// The organizer.
    Closed,
}

impl ChatMode {
    /// As it is written in stores and answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Slow(_) => "slow",
            Self::Closed => "closed",
        }
    }

    /// Seconds between two messages of one user.
    pub fn slow_seconds(self) -> u32 {
        match self {
            Self::Slow(seconds) => seconds,
            Self::Open | Self::Closed => 0,
        }
    }

    /// The mode of a name.
    pub fn named(name: &str, slow_seconds: u32) -> Option<Self> {
        match name {
            "open" => Some(Self::Open),
            "slow" => Some(Self::Slow(slow_seconds)),
            "closed" => Some(Self::Closed),
            _ => None,
        }
    }
}

/// What somebody is beside an event, and what was decided about them there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Standing {
    /// The event.
    pub event: EventId,
    /// Who.
    pub user: UserId,
    /// What they are to it.
    pub part: Part,
    /// What they may do of running it.
    pub rank: Rank,
    /// What they may not.
    pub restriction: Option<Restriction>,
    /// When they last wrote in the chat while it was slow.
    pub said_at: Option<Timestamp>,
}

/// Why somebody may not do something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Denied {
    /// They neither organize the event nor have a confirmed registration.
    NotAttending,
    /// They were banned.
    Banned,
    /// They were muted.
    Muted,
    /// Only the organizer writes.
    ChatClosed,
    /// They wrote a moment ago; again after this time.
    TooSoon(Duration),
    /// Only the organizer may.
    OrganizerOnly,
    /// The organizer cannot be muted or banned.
    NotTheOrganizer,
}

impl Standing {
    /// Whether they may read what only participants may.
    ///
    /// # Errors
    /// Why not.
    pub fn may_read(&self, now: Timestamp) -> Result<(), Denied> {
        match self.part {
            Part::Organizer => Ok(()),
            Part::Stranger => Err(Denied::NotAttending),
            Part::Attendee if self.is(RestrictionKind::Ban, now) => Err(Denied::Banned),
            Part::Attendee => Ok(()),
        }
    }

    /// Whether they may follow how the event stands.
    ///
    /// # Errors
    /// Why not.
    pub fn may_work_at_the_desk(&self) -> Result<(), Denied> {
        match self.rank.has(Right::Door) {
            true => Ok(()),
            false => Err(Denied::OrganizerOnly),
        }
    }

    /// Whether they may write there.
    ///
    /// # Errors
    /// Why not.
    pub fn may_write(&self, now: Timestamp) -> Result<(), Denied> {
        self.may_read(now)?;
        match self.part {
            Part::Attendee if self.is(RestrictionKind::Mute, now) => Err(Denied::Muted),
            _ => Ok(()),
        }
    }

    /// Whether they may do what is the organizer's.
    ///
    /// # Errors
    /// Why not.
    pub fn may_organize(&self, now: Timestamp) -> Result<(), Denied> {
        self.may_read(now)?;
        match self.part {
            Part::Organizer => Ok(()),
            Part::Attendee | Part::Stranger => Err(Denied::OrganizerOnly),
        }
    }

    /// Whether they may make a new post of this kind.
    ///
    /// # Errors
    /// Why not.
    pub fn may_post(&self, kind: Kind, mode: ChatMode, now: Timestamp) -> Result<(), Denied> {
        match kind {
            Kind::Poll | Kind::Announcement => self.may_organize(now),
            Kind::Question => self.may_write(now),
            Kind::Chat => self.may_chat(mode, now),
        }
    }

    fn may_chat(&self, mode: ChatMode, now: Timestamp) -> Result<(), Denied> {
        self.may_write(now)?;
        match mode {
            _ if self.part == Part::Organizer => Ok(()),
            ChatMode::Open => Ok(()),
            ChatMode::Closed => Err(Denied::ChatClosed),
            ChatMode::Slow(seconds) => {
                let pause = TimeDelta::seconds(i64::from(seconds));
                // A time far ahead was written before the clock was set back; a little, by another machine.
                let last = self.said_at.filter(|last| *last <= now + pause);
                match last.map(|last| last + pause - now) {
                    Some(left) if left > TimeDelta::zero() => {
                        Err(Denied::TooSoon(left.to_std().unwrap_or_default()))
                    }
                    _ => Ok(()),
                }
            }
        }
    }

    /// Whether they can be muted or banned: anybody but the organizer, so that a registration made later is covered too.
    ///
    /// # Errors
    /// When they cannot.
    pub fn may_be_restricted(&self) -> Result<(), Denied> {
        match self.part {
            Part::Organizer => Err(Denied::NotTheOrganizer),
            Part::Attendee | Part::Stranger => Ok(()),
        }
    }

    fn is(&self, kind: RestrictionKind, now: Timestamp) -> bool {
        self.restriction
            .is_some_and(|one| one.kind == kind && one.holds(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::samples::NOW;

    fn standing(part: Part) -> Standing {
        Standing {
            event: EventId::new(),
            user: UserId::new(),
            part,
            rank: match part {
                Part::Organizer => Rank::Owner,
                Part::Attendee | Part::Stranger => Rank::Stranger,
            },
            restriction: None,
            said_at: None,
        }
    }

    fn restricted(kind: RestrictionKind, until: Option<Timestamp>) -> Standing {
        Standing {
            restriction: Some(Restriction { kind, until }),
            ..standing(Part::Attendee)
        }
    }

    #[test]
    fn a_part_gives_rights_and_a_restriction_takes_them() {
        let open = ChatMode::Open;
        for (who, read, write, organize) in [
            (standing(Part::Organizer), Ok(()), Ok(()), Ok(())),
            (
                standing(Part::Attendee),
                Ok(()),
                Ok(()),
                Err(Denied::OrganizerOnly),
            ),
            (
                standing(Part::Stranger),
                Err(Denied::NotAttending),
                Err(Denied::NotAttending),
                Err(Denied::NotAttending),
            ),
            (
                restricted(RestrictionKind::Mute, None),
                Ok(()),
                Err(Denied::Muted),
                Err(Denied::OrganizerOnly),
            ),
            (
                restricted(RestrictionKind::Ban, None),
                Err(Denied::Banned),
                Err(Denied::Banned),
                Err(Denied::Banned),
            ),
            (
                restricted(RestrictionKind::Ban, Some(NOW)),
                Ok(()),
                Ok(()),
                Err(Denied::OrganizerOnly),
            ),
        ] {
            assert_eq!(who.may_read(NOW), read, "{who:?}");
            for kind in [Kind::Chat, Kind::Question] {
                assert_eq!(who.may_post(kind, open, NOW), write, "{who:?}");
            }
            for kind in [Kind::Poll, Kind::Announcement] {
                assert_eq!(who.may_post(kind, open, NOW), organize, "{who:?}");
            }
        }
    }

    #[test]
    fn a_manager_takes_part_as_the_organizer_and_a_scanner_sees_the_desk_alone() {
        use crate::domain::{samples::event, team::TeamRole};
        let event = event(0);
        for (role, part, desk) in [
            (None, Part::Stranger, Err(Denied::OrganizerOnly)),
            (Some(TeamRole::Scanner), Part::Stranger, Ok(())),
            (Some(TeamRole::Manager), Part::Organizer, Ok(())),
        ] {
            let rank = Rank::of(UserId::new(), &event, role);
            assert_eq!(Part::of(rank, &event, None), part);
            let standing = Standing {
                rank,
                ..standing(part)
            };
            assert_eq!(standing.may_work_at_the_desk(), desk);
        }
    }

    #[test]
    fn a_slow_chat_takes_one_message_at_a_time() {
        let mut who = standing(Part::Attendee);
        let slow = ChatMode::Slow(30);
        assert_eq!(who.may_post(Kind::Chat, slow, NOW), Ok(()));
        who.said_at = Some(NOW - TimeDelta::seconds(29));
        let wait = Denied::TooSoon(Duration::from_secs(1));
        assert_eq!(who.may_post(Kind::Chat, slow, NOW), Err(wait));
        assert_eq!(who.may_post(Kind::Question, slow, NOW), Ok(()));
        who.said_at = Some(NOW - TimeDelta::seconds(30));
        assert_eq!(who.may_post(Kind::Chat, slow, NOW), Ok(()));
        who.said_at = Some(NOW + TimeDelta::hours(1));
        assert_eq!(who.may_post(Kind::Chat, slow, NOW), Ok(()));
        assert_eq!(
            who.may_post(Kind::Chat, ChatMode::Closed, NOW),
            Err(Denied::ChatClosed)
        );
        who.part = Part::Organizer;
        who.said_at = Some(NOW);
        for mode in [slow, ChatMode::Closed] {
            assert_eq!(who.may_post(Kind::Chat, mode, NOW), Ok(()));
        }
    }
}
