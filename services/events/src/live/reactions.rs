//! Reactions: counted here or in Redis, and published once a second.

use std::collections::HashMap;

use common::ids::EventId;
use parking_lot::Mutex;
use shared_state::{Away, channel_log::ChannelLog};

use super::{
    Live,
    channel::{Channel, Topic},
    publication::Entry,
};

/// So many different ones are published at once, those that came most often.
const KINDS: usize = 50;

/// Reactions that were not published yet.
pub enum Reactions {
    /// Of this process.
    Here(Mutex<HashMap<EventId, HashMap<String, u64>>>),
    /// Of all processes.
    InRedis(ChannelLog),
}

impl Reactions {
    /// None yet, or those in Redis.
    pub fn new(log: Option<ChannelLog>) -> Self {
        log.map_or_else(|| Self::Here(Mutex::default()), Self::InRedis)
    }

    /// Counts one.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn count(&self, event: EventId, emoji: &str) -> Result<(), Away> {
        match self {
            Self::Here(counts) => {
                let mut counts = counts.lock();
                *counts
                    .entry(event)
                    .or_default()
                    .entry(emoji.to_owned())
                    .or_default() += 1;
                Ok(())
            }
            Self::InRedis(log) => log.add_count(&channel(event).to_string(), emoji, 1).await,
        }
    }

    /// Takes those of an event.
    async fn take(&self, event: EventId) -> Result<Vec<(String, u64)>, Away> {
        match self {
            Self::Here(counts) => Ok(counts
                .lock()
                .remove(&event)
                .unwrap_or_default()
                .into_iter()
                .collect()),
            Self::InRedis(log) => log.take_counts(&channel(event).to_string()).await,
        }
    }
}

fn channel(event: EventId) -> Channel {
    Channel::Topic(event, Topic::Reactions)
}

/// Publishes the reactions since the last time. They are of no use later, so what cannot be published is lost.
///
/// # Errors
/// When Redis is away.
pub async fn publish(live: &Live, event: EventId) -> Result<(), Away> {
    let mut counts = live.reactions().take(event).await?;
    if counts.is_empty() {
        return Ok(());
    }
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts.truncate(KINDS);
    let counts: serde_json::Map<String, serde_json::Value> = counts
        .into_iter()
        .map(|(emoji, count)| (emoji, count.into()))
        .collect();
    let entry = Entry::new("reactions", live.now(), &counts);
    live.hub().publish(channel(event), &entry, None, false).await?;
    Ok(())
}
