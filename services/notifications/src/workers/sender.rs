//! Sends the messages of one channel.
//!
//! A message is marked as being sent, with a lease, before the provider is called, and as sent afterwards. A worker
//! that dies in between leaves its lease behind; when it has expired another worker sends the message again, under
//! the same id. Nothing else makes a message go out twice: a worker starts no call that might outlast its lease, and
//! one that is stopped finishes what is on its way and hands the rest back.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use chrono::TimeDelta;
use common::{
    ids::{UserId, new_id},
    store::StoreError,
    wire::UserCard,
    workers::{Next, Pace, backoff, rounds},
};
use futures_util::{StreamExt, stream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{POLL, attaching::Attaching};
use crate::{
    app::Parts,
    channels::{MailError, Mailer, Parcel},
    domain::{delivery, host::Host, message::Channel},
    store::{Claimed, DeliveryReport, Tried},
};

/// How long messages on their way may take once the process is to stop, which is given 9 s in all.
const DRAIN: Duration = Duration::from_secs(7);
/// Connections unused for this long are closed.
const IDLE: Duration = Duration::from_secs(30);
/// How much of an error is kept.
const WHY_CHARACTERS: usize = 300;

/// Sends the messages of one channel.
pub struct Sender {
    parts: Arc<Parts>,
    channel: Channel,
    mailer: Arc<dyn Mailer>,
    lease: Duration,
    owner: Uuid,
    attaching: Option<Attaching>,
}

/// What a round came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Round {
    /// Nothing is due.
    Idle,
    /// Messages went out, or will never.
    Worked,
    /// The provider is away.
    Unreachable,
}

impl Sender {
    /// A worker that holds messages for at most `lease`.
    pub fn new(parts: Arc<Parts>, channel: Channel, mailer: Arc<dyn Mailer>, lease: Duration) -> Self {
        Self {
            parts,
            channel,
            mailer,
            lease,
            owner: new_id(),
            attaching: None,
        }
    }

    /// With attachments.
    #[must_use]
    pub fn attaching(self, attaching: Attaching) -> Self {
        Self {
            attaching: Some(attaching),
            ..self
        }
    }

    /// Works until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let pace = Pace::every(POLL).woken_by(self.parts.queued(self.channel));
        let worker = format!("{} sender", self.channel.name());
        let stopped = stop.clone();
        rounds(&worker, pace, stopped, || async {
            match self.round(&stop).await {
                Ok(Round::Worked) => Ok(Next::Now),
                Ok(Round::Idle) => {
                    self.mailer.tidy(IDLE).await;
                    Ok(Next::Within(self.until_next().await))
                }
                Ok(Round::Unreachable) => Err(format!("{} cannot be reached", self.mailer.name())),
                Err(error) => Err(error.to_string()),
            }
        })
        .await;
        self.mailer.tidy(Duration::ZERO).await;
    }

    /// Sends one batch.
    ///
    /// # Errors
    /// A storage error.
    pub async fn round(&self, stop: &CancellationToken) -> Result<Round, StoreError> {
        let claimed = self.claim().await?;
        if claimed.is_empty() {
            return Ok(Round::Idle);
        }
        let (reports, reached) = self.deliver(claimed, stop).await;
        self.report(reports, stop).await?;
        Ok(if reached {
            Round::Worked
        } else {
            Round::Unreachable
        })
    }

    /// Takes messages whose turn has come.
    ///
    /// # Errors
    /// A storage error.
    pub async fn claim(&self) -> Result<Vec<Claimed>, StoreError> {
        let (store, now) = (&self.parts.store, self.parts.clock.now());
        // A look costs no commit.
        if store
            .next_message(self.channel)
            .await?
            .is_none_or(|next| next > now)
        {
            return Ok(Vec::new());
        }
        let lease = TimeDelta::from_std(self.lease).unwrap_or(TimeDelta::MAX);
        store
            .claim(
                self.channel,
                self.owner,
                now,
                now + lease,
                self.mailer.pace().batch,
            )
            .await
    }

    /// Calls the provider for each message, several at once. Gives what came of it, and whether the provider could
    /// be reached. A message without a report may or may not have gone out; its lease decides.
    pub async fn deliver(
        &self,
        mut claimed: Vec<Claimed>,
        stop: &CancellationToken,
    ) -> (Vec<DeliveryReport>, bool) {
        let pace = self.mailer.pace();
        // A call may start in the first tenth of the lease and take three quarters of it; the rest is for the report.
        let patience = pace.patience.min(self.lease.mul_f64(0.75));
        let last_start = Instant::now() + self.lease.mul_f64(0.1);
        let hosts = self.hosts(&claimed).await;
        for claim in &mut claimed {
            claim.message.details.host = organizer(claim).and_then(|id| hosts.get(&id).cloned());
        }
        let unreachable = AtomicBool::new(false);
        let total = claimed.len();
        let tries = stream::iter(claimed).map(|claim| {
            let unreachable = &unreachable;
            async move {
                let (id, fence) = (claim.message.id, claim.fence);
                let too_late = Instant::now() >= last_start;
                let result = if too_late || stop.is_cancelled() || unreachable.load(Ordering::Relaxed) {
                    Tried::Returned
                } else {
                    self.attempt(claim, patience, unreachable).await
                };
                DeliveryReport { id, fence, result }
            }
        });
        let mut tries = std::pin::pin!(tries.buffer_unordered(pace.at_once));
        let drained = async {
            stop.cancelled().await;
            tokio::time::sleep(DRAIN).await;
        };
        let mut drained = std::pin::pin!(drained);
        let mut reports = Vec::with_capacity(total);
        loop {
            tokio::select! {
                report = tries.next() => match report {
                    Some(report) => reports.push(report),
                    None => break,
                },
                () = &mut drained => {
                    tracing::warn!(channel = self.channel.name(), left = total - reports.len(), "messages were cut off");
                    break;
                }
            }
        }
        (reports, !unreachable.load(Ordering::Relaxed))
    }

    /// In whose names e-mails come, by the organizers of their events. Who cannot be looked up in time is left out: a letter in the
    /// product's name is better than one that waits.
    async fn hosts(&self, claimed: &[Claimed]) -> HashMap<UserId, Arc<Host>> {
        let organizers: HashSet<UserId> = match self.channel {
            Channel::Email => claimed.iter().filter_map(organizer).collect(),
            Channel::Sms => HashSet::new(),
        };
        if organizers.is_empty() {
            return HashMap::new();
        }
        let found = self.parts.directory.find(organizers);
        match tokio::time::timeout(self.lease.mul_f64(0.05), found).await {
            Ok(Ok(cards)) => {
                let host = |(id, card): (UserId, Arc<UserCard>)| (id, Arc::new(Host::of(&card)));
                cards.into_iter().map(host).collect()
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "organizers could not be looked up; letters go out without their names");
                HashMap::new()
            }
            Err(_) => {
                tracing::warn!("organizers were not looked up in time; letters go out without their names");
                HashMap::new()
            }
        }
    }

    /// One try, which ends within `patience`.
    async fn attempt(&self, mut claim: Claimed, patience: Duration, unreachable: &AtomicBool) -> Tried {
        let until = Instant::now() + patience;
        if claim.attempts == 1 {
            let lag = self.parts.clock.now() - claim.message.created_at;
            self.parts.lag.observe(lag.to_std().unwrap_or_default());
        }
        // No more than half of it, so that the letter can go out without the page.
        let brought = match &self.attaching {
            Some(attaching) => attaching.of(&claim, &self.parts.writer, patience / 2).await,
            None => Ok(Vec::new()),
        };
        let attachments = match brought {
            Ok(attachments) => attachments,
            Err(why) => return self.refused(&claim, MailError::Temporary(why), unreachable),
        };
        claim.message.details.pictured = attachments.iter().any(|one| one.inline);
        let message = &claim.message;
        let parcel = match self.parts.writer.write(message) {
            Ok(parcel) => Parcel {
                attachments,
                ..parcel
            },
            Err(error) => {
                tracing::error!(id = %message.id, kind = message.kind.name(), %error, "a message could not be rendered");
                return Tried::Dead {
                    why: kept(&error.to_string()),
                };
            }
        };
        let sent = tokio::time::timeout_at(until, self.mailer.send(parcel, claim.attempts)).await;
        match sent.unwrap_or_else(|_| Err(MailError::Temporary("no answer in time".to_owned()))) {
            Ok(provider_id) => {
                tracing::info!(
                    message_id = %message.id,
                    kind = message.kind.name(),
                    channel = self.channel.name(),
                    provider = self.mailer.name(),
                    answer = without_addresses(&provider_id),
                    attempts = claim.attempts,
                    user_id = %message.user_id,
                    about = %message.occurrence,
                    "message sent"
                );
                Tried::Sent {
                    provider: self.mailer.name(),
                    provider_id: kept(&provider_id),
                }
            }
            Err(error) => self.refused(&claim, error, unreachable),
        }
    }

    /// What comes of a try that failed.
    fn refused(&self, claim: &Claimed, error: MailError, unreachable: &AtomicBool) -> Tried {
        let (id, channel, attempts) = (claim.message.id, self.channel.name(), claim.attempts);
        let why = kept(&error.to_string());
        let logged = without_addresses(&why);
        match error {
            MailError::Permanent(_) => {
                tracing::warn!(%id, channel, attempts, why = logged, "a message was refused for good");
                return Tried::Failed { why };
            }
            MailError::Unreachable(_) => unreachable.store(true, Ordering::Relaxed),
            MailError::Temporary(_) => {}
        }
        if attempts >= delivery::MAX_ATTEMPTS {
            tracing::warn!(%id, channel, attempts, why = logged, "a message is given up");
        } else {
            tracing::debug!(%id, channel, attempts, why = logged, "a message did not go out; trying later");
        }
        let after = delivery::retry_after(attempts, rand::random_range(0.0..1.0));
        Tried::Retry {
            at: self.parts.clock.now() + TimeDelta::from_std(after).unwrap_or_default(),
            why,
        }
    }

    /// Notes what came of the tries. It must not give up easily: what it forgets to note goes out again.
    ///
    /// # Errors
    /// A storage error, when the process is to stop.
    pub async fn report(
        &self,
        reports: Vec<DeliveryReport>,
        stop: &CancellationToken,
    ) -> Result<(), StoreError> {
        let reports: Arc<[DeliveryReport]> = reports.into();
        let mut failures = 0;
        loop {
            match self
                .parts
                .store
                .report(reports.clone(), self.parts.clock.now())
                .await
            {
                Ok(held) => {
                    if self.channel == Channel::Sms {
                        // An e-mail may go in the place of what is lost.
                        self.parts.wake_senders();
                    }
                    let lost = reports.len() - held;
                    if lost > 0 {
                        tracing::warn!(
                            channel = self.channel.name(),
                            lost,
                            "the lease ran out before the report"
                        );
                    }
                    return Ok(());
                }
                Err(error) if stop.is_cancelled() && failures >= 3 => return Err(error),
                Err(error) => {
                    failures += 1;
                    tracing::warn!(channel = self.channel.name(), failures, %error, "what was sent could not be noted");
                    tokio::time::sleep(backoff(failures).min(Duration::from_secs(1))).await;
                }
            }
        }
    }

    async fn until_next(&self) -> Duration {
        match self.parts.store.next_message(self.channel).await {
            Ok(Some(next)) => (next - self.parts.clock.now())
                .max(TimeDelta::zero())
                .to_std()
                .unwrap_or(POLL)
                .min(POLL),
            Ok(None) | Err(_) => POLL,
        }
    }
}

/// Whose event a message is about.
fn organizer(claim: &Claimed) -> Option<UserId> {
    claim.message.facts.as_ref()?.organizer
}

fn kept(why: &str) -> String {
    crate::channels::mime::one_line(why)
        .chars()
        .take(WHY_CHARACTERS)
        .collect()
}

/// A provider's error without addresses, for the log: mail servers tend to repeat the recipient they refuse.
fn without_addresses(said: &str) -> String {
    let hidden = |word: &str| if word.contains('@') { "(address)" } else { word }.to_owned();
    kept(said).split(' ').map(hidden).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::without_addresses;

    #[test]
    fn the_log_names_nobody() {
        assert_eq!(
            without_addresses("permanent error (550): 5.1.1 <ravi@example.org>: Recipient\r\nunknown"),
            "permanent error (550): 5.1.1 (address) Recipient unknown"
        );
        assert_eq!(
            without_addresses("2.0.0 Ok: queued as 4F2A"),
            "2.0.0 Ok: queued as 4F2A"
        );
    }
}
