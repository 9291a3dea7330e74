//! The bus: hints to every process that something has happened. They may get lost and come late; subscribers must be
//! right without them, only later.

use std::sync::Arc;

use tokio::sync::broadcast;

/// Messages kept for a subscriber that is slow. One that is slower receives a gap.
const KEPT: usize = 1024;

/// What is published.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Topic {
    /// A session has ended ([`common::sessions`]).
    Sessions,
    /// A request waits for a message of the payments service to be delivered, or it has been ([`common::outbox`]).
    Payments,
}

const TOPICS: [Topic; 2] = [Topic::Sessions, Topic::Payments];

impl Topic {
    /// The topic's name in channels.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sessions => "sessions",
            Self::Payments => "payments",
        }
    }

    /// The topic of a name.
    pub(super) fn of(name: &str) -> Option<Self> {
        TOPICS.into_iter().find(|topic| topic.name() == name)
    }
}

/// What a subscriber receives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Heard {
    /// A message.
    Message(Arc<str>),
    /// Messages may have been missed: the connection is new, or the subscriber was slow.
    Gap,
}

/// Hands what is received to the subscribers of this process.
pub(super) struct Hub(broadcast::Sender<(Option<Topic>, Heard)>);

impl Default for Hub {
    fn default() -> Self {
        Self(broadcast::Sender::new(KEPT))
    }
}

impl Hub {
    pub fn publish(&self, topic: Topic, message: &str) {
        // It fails without subscribers only.
        let _ = self.0.send((Some(topic), Heard::Message(message.into())));
    }

    pub fn gap(&self) {
        let _ = self.0.send((None, Heard::Gap));
    }

    pub fn subscribe(&self, topic: Topic) -> Subscription {
        Subscription {
            receiver: self.0.subscribe(),
            topic,
        }
    }
}

/// Receives what is published on a topic.
pub struct Subscription {
    receiver: broadcast::Receiver<(Option<Topic>, Heard)>,
    topic: Topic,
}

impl Subscription {
    /// The next message or gap. May be dropped and called again without missing any.
    pub async fn next(&mut self) -> Heard {
        loop {
            match self.receiver.recv().await {
                Ok((topic, heard)) if topic.is_none_or(|topic| topic == self.topic) => return heard,
                Ok(_) => {}
                Err(broadcast::error::RecvError::Lagged(_)) => return Heard::Gap,
                // The process is ending.
                Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}
