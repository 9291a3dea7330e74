//! Channels: what is published where. Who may read one is part of what it is: `event:{id}` is public, and nobody can name the
//! `me` of somebody else.

use std::fmt;

use common::ids::{EventId, UserId};

/// The longest name that is looked at.
const LONGEST: usize = 255;

/// A channel.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Channel {
    /// `event:{id}`: the event and its seats. Anyone may read it.
    Event(EventId),
    /// `me`: the caller's registrations, payments and messages.
    Me(UserId),
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
    /// [`ChannelRefusal::Unknown`], or [`ChannelRefusal::SignedInOnly`] for `me`.
    pub fn read(name: &str, user: Option<UserId>) -> Result<Self, ChannelRefusal> {
        if name == "me" {
            return user.map(Self::Me).ok_or(ChannelRefusal::SignedInOnly);
        }
        let rest = name.strip_prefix("event:").filter(|_| name.len() <= LONGEST);
        let id = rest.ok_or(ChannelRefusal::Unknown)?;
        let event = EventId::lenient(id);
        // One channel has one name: no other way to write a UUID.
        if event.to_string() != id {
            return Err(ChannelRefusal::Unknown);
        }
        Ok(Self::Event(event))
    }

    /// The event it belongs to.
    pub fn event(self) -> Option<EventId> {
        match self {
            Self::Event(event) => Some(event),
            Self::Me(_) => None,
        }
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
        for channel in [Channel::Event(event), Channel::Me(user)] {
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
        assert_eq!(Channel::read("me", None), Err(ChannelRefusal::SignedInOnly));
    }
}
