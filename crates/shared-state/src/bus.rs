//! The bus: hints to every process that something has happened. They may get lost and come late; a subscriber must
//! be right without them, only later.

use std::{
    collections::HashMap,
    fmt::{self, Display},
    sync::Arc,
};

use parking_lot::Mutex;
use tokio::sync::broadcast;

/// Messages kept for a subscriber that is slow. One that is slower receives a gap.
const KEPT: usize = 256;

/// What a message is about: a name, and a key where each thing has a topic of its own. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Topic(Arc<str>);

impl Topic {
    /// The topic of a name.
    pub fn named(name: &'static str) -> Self {
        Self(name.into())
    }

    /// The topic of one thing among many: `event:019309a2-...`.
    pub fn keyed(name: &'static str, key: impl Display) -> Self {
        Self(format!("{name}:{key}").into())
    }

    /// The topic as it is written in channels.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The topic that [`Topic::as_str`] has written.
    pub(super) fn read(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
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

/// Hands what is received to the subscribers of this process. A topic is here as long as it has a subscriber.
#[derive(Default)]
pub(super) struct Hub(Mutex<HashMap<Topic, broadcast::Sender<Heard>>>);

impl Hub {
    pub fn publish(&self, topic: &Topic, message: &str) {
        let mut topics = self.0.lock();
        let Some(sender) = topics.get(topic) else { return };
        if sender.send(Heard::Message(message.into())).is_err() {
            topics.remove(topic);
        }
    }

    pub fn gap(&self) {
        self.0.lock().retain(|_, sender| sender.send(Heard::Gap).is_ok());
    }

    pub fn subscribe(&self, topic: &Topic) -> Subscription {
        let mut topics = self.0.lock();
        if !topics.contains_key(topic) {
            // Others may have lost their last subscriber and never been published to since.
            topics.retain(|_, sender| sender.receiver_count() > 0);
        }
        let sender = topics
            .entry(topic.clone())
            .or_insert_with(|| broadcast::Sender::new(KEPT));
        Subscription(sender.subscribe())
    }
}

/// Receives what is published on a topic.
pub struct Subscription(broadcast::Receiver<Heard>);

impl Subscription {
    /// The next thing to receive. May be dropped and asked again without missing any.
    pub async fn next(&mut self) -> Heard {
        match self.0.recv().await {
            Ok(heard) => heard,
            Err(broadcast::error::RecvError::Lagged(_)) => Heard::Gap,
            // The process is ending.
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn topics_with_keys_are_apart_and_gone_with_their_subscribers() {
        let hub = Hub::default();
        let (one, other) = (Topic::keyed("event", 1), Topic::keyed("event", 2));
        let mut bus = hub.subscribe(&one);
        drop(hub.subscribe(&other));
        hub.publish(&other, "to nobody");
        hub.publish(&one, "first");
        hub.gap();
        assert_eq!(bus.next().await, Heard::Message("first".into()));
        assert_eq!(bus.next().await, Heard::Gap);
        assert_eq!(hub.0.lock().len(), 1);
        drop(bus);
        let _third = hub.subscribe(&Topic::named("sessions"));
        assert_eq!(hub.0.lock().len(), 1);
        assert_eq!(Topic::read(one.as_str()), one);
    }
}
