//! Sessions that have ended before their tokens ran out, so that the tokens are refused everywhere.
//!
//! The users service keeps them in its store, which is the one that counts. Every process has the list in its memory,
//! where checking a token costs nothing and does not depend on Redis. It learns of new ones from the bus, at once, and
//! by asking the users service every few seconds, for what the bus has lost.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::RwLock;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    clock::{Clock, Timestamp, from_millis},
    http::{CallError, InternalClient, health::Status},
    shared::{
        Shared,
        bus::{Heard, Subscription, Topic},
    },
    wire::{EndedSession, EndedSessions, ListEndedSessions},
};

/// Where the users service lists them.
pub const PATH: &str = "/internal/users/ended_sessions";
/// The most in one answer.
pub const AT_ONCE: usize = 1000;
/// How often the users service is asked.
const PACE: Duration = Duration::from_secs(5);
/// How often before it has answered at all, and after it has not answered.
const FIRST_PACE: Duration = Duration::from_millis(250);
const LATER_PACE: Duration = Duration::from_secs(1);
/// How long a start waits for the first answer.
const FIRST: Duration = Duration::from_secs(2);
/// For so long a process that has no list is not ready. A users service that is away for longer must not take the others
/// with it: they serve what they can, degraded, and accept tokens of ended sessions that they cannot know of.
const UNREADY: Duration = Duration::from_secs(10);
/// A list is stale when its users service has not answered for this long.
const STALE: Duration = Duration::from_secs(15);
/// How far back each question reaches again: sessions that end at the same time are stored in any order, and clocks
/// differ.
const OVERLAP: chrono::TimeDelta = chrono::TimeDelta::seconds(120);

/// The ended sessions that this process knows of. Cheap to clone.
#[derive(Clone, Default)]
pub struct Ended(Arc<Known>);

#[derive(Default)]
struct Known {
    sessions: RwLock<HashMap<Uuid, Timestamp>>,
    source: RwLock<Source>,
}

/// When the users service was asked first and when it last answered, by a clock that nobody puts back.
#[derive(Clone, Copy, Default)]
enum Source {
    /// Nobody asks: the list is what was added to it.
    #[default]
    None,
    Silent(Instant),
    Answered(Instant),
}

impl Source {
    fn status(self, now: Instant) -> Status {
        match self {
            Self::None => Status::Up,
            Self::Silent(since) if now - since < UNREADY => Status::Down,
            Self::Answered(at) if now - at < STALE => Status::Up,
            Self::Silent(_) | Self::Answered(_) => Status::Degraded,
        }
    }
}

impl Ended {
    /// Whether the list can be relied on: up when it is complete, down for the first seconds without one, degraded when
    /// there is none after that, or it has grown old.
    pub fn status(&self) -> Status {
        self.0.source.read().status(Instant::now())
    }

    /// Whether a session has ended.
    pub fn contains(&self, session: Uuid) -> bool {
        let ended = self.0.sessions.read();
        !ended.is_empty() && ended.contains_key(&session)
    }

    /// Notes that a session has ended, until the last of its tokens has run out by itself.
    pub fn add(&self, session: Uuid, until: Timestamp) {
        self.0.sessions.write().insert(session, until);
    }

    fn tidy(&self, now: Timestamp) {
        self.0.sessions.write().retain(|_, until| *until >= now);
    }
}

/// Tells every process that a session has ended, after that is durable. For the users service.
pub async fn ended(shared: &Shared, list: &Ended, session: EndedSession) {
    list.add(session.session_id, session.until);
    // Our own wire struct; writing it to memory cannot fail.
    let message = serde_json::to_string(&session).unwrap_or_default();
    shared.publish(Topic::Sessions, &message).await;
}

/// Keeps a process's list up to date.
pub struct Follower {
    /// The list.
    pub list: Ended,
    /// The bus.
    pub shared: Shared,
    /// The users service.
    pub users: InternalClient,
    /// The time.
    pub clock: Clock,
}

impl Follower {
    /// Asks once, before the process serves anybody, and gives the work that goes on until `stop`. When all processes
    /// start together the users service may not be there yet; until it has answered the process is not ready.
    pub async fn start(self, stop: CancellationToken) -> impl Future<Output = ()> + Send + 'static {
        let bus = self.shared.subscribe(Topic::Sessions);
        *self.list.0.source.write() = Source::Silent(Instant::now());
        let first = tokio::time::timeout(FIRST, self.ask(from_millis(0))).await;
        let since = first.ok().and_then(Result::ok);
        self.run(bus, since, stop)
    }

    fn answered(&self) -> bool {
        matches!(*self.list.0.source.read(), Source::Answered(_))
    }

    async fn run(self, mut bus: Subscription, since: Option<Timestamp>, stop: CancellationToken) {
        let mut failures = u32::from(since.is_none());
        let mut since = since.unwrap_or(from_millis(0));
        loop {
            let pace = match failures {
                0 => PACE,
                _ if !self.answered() && self.list.status() == Status::Down => FIRST_PACE,
                _ => LATER_PACE,
            };
            let pause = tokio::time::sleep(pace.mul_f64(rand::random_range(0.8..1.0)));
            tokio::pin!(pause);
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = &mut pause => break,
                    heard = bus.next() => match heard {
                        Heard::Message(message) => self.hear(&message),
                        Heard::Gap => break,
                    },
                }
            }
            match self.ask(since).await {
                Ok(newest) => {
                    failures = 0;
                    since = newest;
                }
                Err(error) => {
                    failures += 1;
                    // Four times a second is more than a log needs.
                    if failures.is_power_of_two() {
                        let known = self.answered();
                        tracing::warn!(
                            %error,
                            failures,
                            known,
                            "ended sessions could not be asked for; tokens of some may be accepted"
                        );
                    }
                }
            }
            self.list.tidy(self.clock.now());
        }
    }

    fn hear(&self, message: &str) {
        match serde_json::from_str::<EndedSession>(message) {
            Ok(session) => self.list.add(session.session_id, session.until),
            Err(error) => tracing::debug!(%error, "an unreadable message on the bus"),
        }
    }

    /// Asks for those that ended since then, and gives the time of the newest.
    async fn ask(&self, since: Timestamp) -> Result<Timestamp, CallError> {
        let (mut newest, mut after) = (since, None);
        loop {
            let question = ListEndedSessions {
                since: since - OVERLAP,
                after,
            };
            let answer: EndedSessions = self.users.post(PATH, &question).await?;
            let Some(last) = answer.sessions.last() else {
                break;
            };
            newest = last.ended_at;
            after = Some((last.ended_at, last.session_id));
            let whole = answer.sessions.len() < AT_ONCE;
            for session in answer.sessions {
                self.list.add(session.session_id, session.until);
            }
            if whole {
                break;
            }
        }
        *self.list.0.source.write() = Source::Answered(Instant::now());
        Ok(newest)
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
            (Source::None, 1000, Status::Up),
            (Source::Silent(start), 0, Status::Down),
            (Source::Silent(start), 9, Status::Down),
            (Source::Silent(start), 10, Status::Degraded),
            (Source::Answered(start), 0, Status::Up),
            (Source::Answered(start), 14, Status::Up),
            (Source::Answered(start), 15, Status::Degraded),
        ] {
            assert_eq!(source.status(after(seconds)), status, "{seconds}");
        }
    }
}
