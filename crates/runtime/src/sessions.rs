//! How each process keeps its list of ended sessions ([`common::sessions`]) up to date.

use std::time::Duration;

use common::{
    clock::{Clock, Timestamp, from_millis},
    health::HealthStatus,
    http::{CallError, InternalClient},
    sessions::{AT_ONCE, Ended, PATH},
    wire::{EndedSession, EndedSessions, ListEndedSessions},
};
use shared_state::{
    Shared,
    bus::{Heard, Subscription, Topic},
};
use tokio_util::sync::CancellationToken;

/// How often the users service is polled.
const PACE: Duration = Duration::from_secs(5);
/// How often before it has answered at all, and after it has not answered.
const FIRST_PACE: Duration = Duration::from_millis(250);
const LATER_PACE: Duration = Duration::from_secs(1);
/// How long a start waits for the first answer.
const FIRST: Duration = Duration::from_secs(2);
/// How far back each poll reaches again: sessions that end at the same time are stored in any order, and clocks
/// differ.
const OVERLAP: chrono::TimeDelta = chrono::TimeDelta::seconds(120);

/// Where the users service publishes ended sessions.
pub fn topic() -> Topic {
    Topic::named("sessions")
}

/// Notifies every process that a session has ended, after that is durable. For the users service.
pub async fn ended(shared: &Shared, list: &Ended, session: EndedSession) {
    list.add(session.session_id, session.until);
    // Our own wire struct; writing it to memory cannot fail.
    let message = serde_json::to_string(&session).unwrap_or_default();
    shared.publish(&topic(), &message).await;
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
    /// Polls once, before the process serves requests, and returns the work that goes on until `stop`. When all
    /// processes start together the users service may not be there yet; until it has answered the process is not ready.
    pub async fn start(self, stop: CancellationToken) -> impl Future<Output = ()> + Send + 'static {
        let bus = self.shared.subscribe(&topic());
        self.list.asked();
        let first = tokio::time::timeout(FIRST, self.ask(from_millis(0))).await;
        let since = first.ok().and_then(Result::ok);
        self.run(bus, since, stop)
    }

    async fn run(self, mut bus: Subscription, since: Option<Timestamp>, stop: CancellationToken) {
        let mut failures = u32::from(since.is_none());
        let mut since = since.unwrap_or(from_millis(0));
        loop {
            let pace = match failures {
                0 => PACE,
                _ if !self.list.is_answered() && self.list.status() == HealthStatus::Down => FIRST_PACE,
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
                        let known = self.list.is_answered();
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
                since: ask_from(since, self.clock.now()),
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
        self.list.answered();
        Ok(newest)
    }
}

/// From when on to ask, when the newest one known ended at `newest`. The clock may have been put back since then: what ends
/// now ends before it.
fn ask_from(newest: Timestamp, now: Timestamp) -> Timestamp {
    newest.min(now) - OVERLAP
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_put_back_hides_no_ended_session() {
        let at = |seconds: i64| from_millis(seconds * 1000);
        assert_eq!(ask_from(at(7_200), at(7_201)), at(7_080));
        assert_eq!(ask_from(at(7_200), at(3_600)), at(3_480));
    }
}
