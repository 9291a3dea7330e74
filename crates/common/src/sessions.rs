//! Sessions that have ended before their tokens ran out, so that the tokens are refused everywhere.
//!
//! The users service keeps them in its store, which is the one that counts. Every process has the list in its memory,
//! where checking a token costs nothing and does not depend on Redis. It receives new ones from the bus, at once, and
//! by polling the users service every few seconds, for what the bus has lost.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::RwLock;
use tokio::time::Instant;
use uuid::Uuid;

use crate::{clock::Timestamp, health::HealthStatus};

/// Where the users service lists them.
pub const PATH: &str = "/internal/users/ended_sessions";
/// The most in one answer.
pub const AT_ONCE: usize = 1000;
/// For so long a process that has no list is not ready. A users service that is away for longer must not take the others
/// with it: they serve what they can, degraded, and accept tokens of ended sessions that they cannot know of.
const UNREADY: Duration = Duration::from_secs(10);
/// A list is stale when its users service has not answered for this long.
const STALE: Duration = Duration::from_secs(15);

/// The ended sessions that this process knows of. Cheap to clone.
#[derive(Clone, Default)]
pub struct Ended(Arc<Known>);

#[derive(Default)]
struct Known {
    sessions: RwLock<HashMap<Uuid, Timestamp>>,
    source: RwLock<ListState>,
}

/// When the users service was asked first and when it last answered, by the monotonic clock.
#[derive(Clone, Copy, Default)]
enum ListState {
    /// It is not asked: the list is what was added to it.
    #[default]
    None,
    Silent(Instant),
    Answered(Instant),
}

impl ListState {
    fn status(self, now: Instant) -> HealthStatus {
        match self {
            Self::None => HealthStatus::Up,
            Self::Silent(since) if now - since < UNREADY => HealthStatus::Down,
            Self::Answered(at) if now - at < STALE => HealthStatus::Up,
            Self::Silent(_) | Self::Answered(_) => HealthStatus::Degraded,
        }
    }
}

impl Ended {
    /// Whether the list can be relied on: up when it is complete, down for the first seconds without one, degraded when
    /// there is none after that, or it has grown old.
    pub fn status(&self) -> HealthStatus {
        self.0.source.read().status(Instant::now())
    }

    /// Whether a session has ended.
    pub fn contains(&self, session: Uuid) -> bool {
        let ended = self.0.sessions.read();
        !ended.is_empty() && ended.contains_key(&session)
    }

    /// Notes that a session has ended, until the last of its tokens has run out by itself.
    pub fn add(&self, session: Uuid, until: Timestamp) {
        let mut sessions = self.0.sessions.write();
        let known = sessions.entry(session).or_insert(until);
        // Ended twice, by who knew less of its tokens.
        *known = until.max(*known);
    }

    /// The users service is about to be asked for the first time; until it has answered the process is not ready.
    pub fn asked(&self) {
        *self.0.source.write() = ListState::Silent(Instant::now());
    }

    /// The users service has answered, and what it said has been added.
    pub fn answered(&self) {
        *self.0.source.write() = ListState::Answered(Instant::now());
    }

    /// Whether it has ever answered.
    pub fn is_answered(&self) -> bool {
        matches!(*self.0.source.read(), ListState::Answered(_))
    }

    /// Forgets sessions whose tokens have run out by themselves.
    pub fn tidy(&self, now: Timestamp) {
        self.0.sessions.write().retain(|_, until| *until >= now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_relied_on_by_its_age() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        for (source, seconds, status) in [
            (ListState::None, 1000, HealthStatus::Up),
            (ListState::Silent(start), 0, HealthStatus::Down),
            (ListState::Silent(start), 9, HealthStatus::Down),
            (ListState::Silent(start), 10, HealthStatus::Degraded),
            (ListState::Answered(start), 0, HealthStatus::Up),
            (ListState::Answered(start), 14, HealthStatus::Up),
            (ListState::Answered(start), 15, HealthStatus::Degraded),
        ] {
            assert_eq!(source.status(after(seconds)), status, "{seconds}");
        }
    }
}
