//! Channels: what is published where. Who may read one is part of what it is: `event:{id}` is public, nobody can name the `me`
//! of somebody else, and the topics of an event are for those who take part.

use std::fmt;

use common::ids::{EventId, UserId};

use crate::domain::post::Kind;

/// The longest name that is looked at.
const LONGEST: usize = 255;

/// A channel.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Channel {
    /// `event:{id}`: the event and its seats. Anyone may read it.
    Event(EventId),
    /// `event:{id}:{topic}`: for those who take part.
    Topic(EventId, Topic),
    /// `me`: the caller's registrations, payments and messages.
    Me(UserId),
    /// Whose rights beside an event have changed. For the processes that serve its readers; clients cannot name it.
    Access(EventId),
}

/// What is talked about on a channel of an event.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Topic {
    /// What the organizer lets all know.
    Announcements,
    /// The chat.
    Chat,
    /// Questions to the organizer.
    Questions,
    /// Polls.
    Polls,
    /// Applause and the like.
    Reactions,
    /// What is streamed, and how many watch.
    Stage,
    /// How the event stands. For its organizer.
    Desk,
}

impl Topic {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Announcements,
        Self::Chat,
        Self::Questions,
        Self::Polls,
        Self::Reactions,
        Self::Stage,
        Self::Desk,
    ];

    /// As it stands in the channel's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Announcements => "announcements",
            Self::Chat => "chat",
            Self::Questions => "questions",
            Self::Polls => "polls",
            Self::Reactions => "reactions",
            Self::Stage => "stage",
            Self::Desk => "desk",
        }
    }
}

impl From<Kind> for Topic {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Chat => Self::Chat,
            Kind::Question => Self::Questions,
            Kind::Poll => Self::Polls,
            Kind::Announcement => Self::Announcements,
        }
    }
}

/// Why a channel is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChannelRefusal {
    /// There is no channel of that name, or its event is not known.
    Unknown,
    /// It needs a signed-in user.
    SignedInOnly,
}

impl Channel {
    /// The channel of a name, as `user` says it.
    ///
    /// # Errors
    /// [`ChannelRefusal::Unknown`], or [`ChannelRefusal::SignedInOnly`] for all but `event:{id}`.
    pub fn read(name: &str, user: Option<UserId>) -> Result<Self, ChannelRefusal> {
        if name == "me" {
            return user.map(Self::Me).ok_or(ChannelRefusal::SignedInOnly);
        }
        let rest = name.strip_prefix("event:").filter(|_| name.len() <= LONGEST);
        let rest = rest.ok_or(ChannelRefusal::Unknown)?;
        let (id, topic) = match rest.split_once(':') {
            Some((id, topic)) => (id, Some(topic)),
            None => (rest, None),
        };
        let event = EventId::lenient(id);
        // One channel has one name: no other way to write a UUID.
        if event.to_string() != id {
            return Err(ChannelRefusal::Unknown);
        }
        let Some(topic) = topic else {
            return Ok(Self::Event(event));
        };
        let topic = Topic::ALL.into_iter().find(|known| known.name() == topic);
        match (topic, user) {
            (None, _) => Err(ChannelRefusal::Unknown),
            (Some(_), None) => Err(ChannelRefusal::SignedInOnly),
            (Some(topic), Some(_)) => Ok(Self::Topic(event, topic)),
        }
    }

    /// The event it belongs to.
    pub fn event(self) -> Option<EventId> {
        match self {
            Self::Event(event) | Self::Topic(event, _) | Self::Access(event) => Some(event),
            Self::Me(_) => None,
        }
    }

    /// Whether what is published is of no use later: it has no offset, and nobody is given what they missed.
    pub fn is_ephemeral(self) -> bool {
        matches!(self, Self::Topic(_, Topic::Reactions))
    }

    /// The name that its readers know it by.
    pub fn public_name(self) -> String {
        match self {
            Self::Me(_) => "me".to_owned(),
            _ => self.to_string(),
        }
    }
}

/// The channel's own name, which no other has.
impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event(event) => write!(f, "event:{event}"),
            Self::Topic(event, topic) => write!(f, "event:{event}:{}", topic.name()),
            Self::Access(event) => write!(f, "event:{event}:access"),
            Self::Me(user) => write!(f, "me:{user}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_has_one_name() {
        let (event, user) = (EventId::new(), UserId::new());
        let topics = Topic::ALL.map(|topic| Channel::Topic(event, topic));
        for channel in topics
            .into_iter()
            .chain([Channel::Event(event), Channel::Me(user)])
        {
            assert_eq!(Channel::read(&channel.public_name(), Some(user)), Ok(channel));
        }
        for name in [
            "",
            "event",
            "event:",
            "event::",
            "event:42",
            &format!("event:{event}:"),
            &format!("event:{event}:x"),
            &format!("event:{event}:access"),
            &format!("event:{event}:chat:"),
            &format!("event:{event}:Chat"),
            "event::chat",
            &format!("event:{}", event.to_string().to_uppercase()),
            &format!("event:{}", event.0.simple()),
            &format!(" event:{event}"),
            &format!("event:{event}{}", " ".repeat(300)),
            &format!("me:{user}"),
            "event:٤٢",
        ] {
            assert_eq!(
                Channel::read(name, Some(user)),
                Err(ChannelRefusal::Unknown),
                "{name}"
            );
        }
        for name in ["me", &format!("event:{event}:chat")] {
            assert_eq!(Channel::read(name, None), Err(ChannelRefusal::SignedInOnly));
        }
    }
}
