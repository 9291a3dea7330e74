//! Who watches: players are seen by the playlists they ask for and by their heartbeats. What was seen is written down every few
//! seconds, all at once.

use std::collections::{HashMap, HashSet};

use chrono::TimeDelta;
use common::{
    clock::Timestamp,
    ids::{EventId, PlaybackId, StreamId, UserId},
    store::StoreError,
};
use parking_lot::Mutex;

use super::Streams;
use crate::domain::stream::{Playback, SEEN_FOR};

/// What was not seen for so long begins again.
pub const PLAYBACK_LIFE: TimeDelta = TimeDelta::minutes(5);
/// Written down at a time.
const AT_ONCE: usize = 500;

/// Those who watch through this process.
#[derive(Default)]
pub struct Viewers {
    known: Mutex<HashMap<PlaybackId, Known>>,
    /// How many watched an event when that was last published.
    counts: Mutex<HashMap<EventId, u64>>,
}

/// A playback that this process has seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Known {
    /// The stream.
    pub stream: StreamId,
    /// Its event.
    pub event: EventId,
    /// Who watches.
    pub user: UserId,
    seen_at: Timestamp,
    unsaved: bool,
}

impl Known {
    /// Whether it is still good at `now`.
    pub fn is_good(&self, now: Timestamp) -> bool {
        now - self.seen_at < PLAYBACK_LIFE
    }
}

impl From<&Playback> for Known {
    fn from(playback: &Playback) -> Self {
        Self {
            stream: playback.stream,
            event: playback.event,
            user: playback.user,
            seen_at: playback.seen_at,
            unsaved: false,
        }
    }
}

impl Viewers {
    /// Notes a playback that has just begun, so that it need not be loaded.
    pub fn begun(&self, playback: &Playback) {
        self.known.lock().insert(playback.id, playback.into());
    }

    /// It has been seen.
    pub fn seen(&self, id: PlaybackId, known: Known, now: Timestamp) {
        let seen = Known {
            seen_at: now,
            unsaved: true,
            ..known
        };
        self.known.lock().insert(id, seen);
    }

    fn get(&self, id: PlaybackId) -> Option<Known> {
        self.known.lock().get(&id).copied()
    }

    /// What is to be written down, and the events that it is about. What is old is forgotten.
    fn unsaved(&self, now: Timestamp) -> (Vec<(PlaybackId, Timestamp)>, HashSet<EventId>) {
        let mut known = self.known.lock();
        known.retain(|_, one| one.unsaved || one.is_good(now));
        let events = known.values().map(|one| one.event).collect();
        let unsaved = known.iter_mut().filter(|(_, one)| one.unsaved);
        let unsaved = unsaved.map(|(id, one)| {
            one.unsaved = false;
            (*id, one.seen_at)
        });
        (unsaved.collect(), events)
    }

    fn unsaved_again(&self, seen: &[(PlaybackId, Timestamp)]) {
        let mut known = self.known.lock();
        for (id, _) in seen {
            if let Some(one) = known.get_mut(id) {
                one.unsaved = true;
            }
        }
    }
}

impl Streams {
    /// The playback of an id; `None`: there is none.
    ///
    /// # Errors
    /// A storage error.
    pub(super) async fn known_playback(&self, id: PlaybackId) -> Result<Option<Known>, StoreError> {
        if let Some(known) = self.0.viewers.get(id)
            && known.is_good(self.now())
        {
            return Ok(Some(known));
        }
        Ok(self.store().playback(id).await?.as_ref().map(Known::from))
    }

    /// Writes down who was seen, and publishes how many watch.
    ///
    /// # Errors
    /// A storage error. It is written down the next time.
    pub async fn save_viewers(&self) -> Result<(), StoreError> {
        let now = self.now();
        let (seen, mut events) = self.0.viewers.unsaved(now);
        for some in seen.chunks(AT_ONCE) {
            if let Err(error) = self.store().playbacks_seen(some.to_vec()).await {
                self.0.viewers.unsaved_again(&seen);
                return Err(error);
            }
        }
        events.extend(self.0.viewers.counts.lock().keys());
        for event in events {
            let count = self.store().viewers(event, now - SEEN_FOR).await?;
            let before = self.0.viewers.counts.lock().get(&event).copied().unwrap_or(0);
            if count == before {
                continue;
            }
            if let Err(away) = self.0.live.publish_viewers(event, count).await {
                tracing::debug!(%event, %away, "the number of viewers is published later");
                continue;
            }
            let mut counts = self.0.viewers.counts.lock();
            match count {
                0 => counts.remove(&event),
                _ => counts.insert(event, count),
            };
        }
        Ok(())
    }
}
