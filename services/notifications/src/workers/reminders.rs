//! Writes the reminders whose time has come.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use common::{
    clock::Timestamp,
    store::StoreError,
    workers::{Next, Pace, rounds},
};
use tokio_util::sync::CancellationToken;

use super::{CHUNK, POLL};
use crate::{
    app::Parts,
    domain::reminder::{Verdict, judge},
    store::{DecidedReminder, Decision, DueReminder},
};

/// Writes reminders.
pub struct Reminders {
    /// What it works with.
    pub parts: Arc<Parts>,
}

/// Why a round failed.
#[derive(Debug, thiserror::Error)]
pub enum RoundError {
    /// A storage error.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The recipients could not be looked up.
    #[error(transparent)]
    Directory(#[from] common::http::CallError),
}

impl Reminders {
    /// Works until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        rounds("reminders", Pace::every(POLL), stop, || async {
            Ok::<_, RoundError>(match self.round().await? {
                0 => Next::Within(self.until_next().await),
                _ => Next::Now,
            })
        })
        .await;
    }

    /// Handles up to 500 due reminders; gives how many were due.
    ///
    /// Two workers may look at the same ones. The store carries out each decision once.
    ///
    /// # Errors
    /// Nothing was done to the reminders that could not be handled, and they stay due.
    pub async fn round(&self) -> Result<usize, RoundError> {
        let parts = &self.parts;
        let now = parts.clock.now();
        let due = parts.store.due_reminders(now, CHUNK).await?;
        if due.is_empty() {
            return Ok(0);
        }
        let judged: Vec<_> = due
            .iter()
            .map(|reminder| {
                let DueReminder {
                    kind,
                    due_at,
                    schedule_version,
                    facts,
                    ..
                } = reminder;
                (reminder, judge(*kind, *due_at, *schedule_version, facts, now))
            })
            .collect();
        let to_send = judged
            .iter()
            .filter(|(_, verdict)| matches!(verdict, Verdict::Send { .. }));
        let cards = parts
            .directory
            .find(to_send.map(|(reminder, _)| reminder.user_id))
            .await?;
        let decided = judged
            .into_iter()
            .map(|(reminder, verdict)| DecidedReminder {
                registration_id: reminder.registration_id,
                kind: reminder.kind,
                schedule_version: reminder.schedule_version,
                decision: match verdict {
                    Verdict::Send { not_after } => match cards.get(&reminder.user_id) {
                        Some(card) => self.send(reminder, card, now, not_after),
                        None => Decision::Drop,
                    },
                    Verdict::Move { due_at } => Decision::Move {
                        due_at,
                        schedule_version: reminder.facts.schedule_version,
                    },
                    Verdict::Drop => Decision::Drop,
                    Verdict::TooLate => {
                        let (registration, kind) = (reminder.registration_id, reminder.kind.name());
                        tracing::warn!(%registration, kind, "a reminder came too late and is skipped");
                        Decision::SkipLate
                    }
                },
            })
            .collect();
        parts.store.decide(decided, now).await?;
        parts.wake_senders();
        Ok(due.len())
    }

    fn send(
        &self,
        reminder: &DueReminder,
        card: &common::wire::UserCard,
        now: Timestamp,
        not_after: Timestamp,
    ) -> Decision {
        let DueReminder {
            registration_id,
            kind,
            facts,
            ..
        } = reminder;
        let letters = self
            .parts
            .reach
            .reminder(*kind, *registration_id, facts, card, now, not_after);
        Decision::Send {
            event_version: facts.version,
            letters,
        }
    }

    /// Until the next one is due, at most [`POLL`]: a sooner one may be planned meanwhile.
    async fn until_next(&self) -> Duration {
        match self.parts.store.next_reminder().await {
            Ok(Some(next)) => (next - self.parts.clock.now())
                .max(TimeDelta::zero())
                .to_std()
                .unwrap_or(POLL)
                .min(POLL),
            Ok(None) | Err(_) => POLL,
        }
    }
}
