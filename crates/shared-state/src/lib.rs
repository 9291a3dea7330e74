//! What the processes of the system share beside their stores: Redis, or the memory of this process when `REDIS_URL`
//! is not set.
//!
//! Nothing here is the only copy of anything that lasts, and everything is short-lived: cached look-ups, counts of attempts,
//! values for one use, and the bus, which carries hints that may get lost. With Redis away, slow or frozen, each call
//! ends within [`redis::PATIENCE`] and returns [`Away`]; after a few in a row none is tried for a while. Every caller
//! has another way: the source of what is cached, this process's own counts, or polling instead of notifications; but values
//! for one use are kept nowhere else, so a sign-in with Google has to be begun again.

mod breaker;
pub mod bus;
pub mod cache;
pub mod channel_log;
#[cfg(test)]
mod contract;
mod gcra;
mod memory;
pub mod ratelimit;
mod redis;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use secrecy::SecretString;
use tokio::sync::mpsc;
use uuid::Uuid;

pub use self::gcra::Limit;
use self::{
    bus::{Hub, Subscription, Topic},
    channel_log::{ChannelLog, Received},
    gcra::Counts,
    memory::Memory,
    redis::Redis,
};
use common::{health::HealthStatus, ids::new_id, metrics::Gauge};

/// Before every key and channel, so that a Redis can serve others too. One installation, one Redis (or database).
const PREFIX: &str = "organise:";

/// Redis cannot be reached right now.
#[derive(Debug, thiserror::Error)]
#[error("Redis is away")]
pub struct Away;

/// The shared state. Cheap to clone.
#[derive(Clone)]
pub struct Shared(Arc<Inner>);

struct Inner {
    /// Distinguishes this process's messages from those of others.
    process: Uuid,
    hub: Arc<Hub>,
    counts: Counts,
    kept: Kept,
}

enum Kept {
    Memory(Memory),
    Redis(Arc<Redis>),
}

impl Shared {
    /// In this process's memory.
    pub fn in_process() -> Self {
        Self::new(new_id(), Arc::default(), Kept::Memory(Memory::new()))
    }

    /// In Redis: one URL, or several nodes of a cluster separated by commas. Connects when it is first needed, and
    /// again whenever it must. Has to be called within a runtime.
    ///
    /// # Errors
    /// One sentence for the person who started the program, without the URL, which may hold a password.
    pub fn redis(urls: &SecretString) -> Result<Self, String> {
        let (process, hub) = (new_id(), Arc::default());
        let redis = Redis::open(urls, process, Arc::clone(&hub))?;
        Ok(Self::new(process, hub, Kept::Redis(Arc::new(redis))))
    }

    fn new(process: Uuid, hub: Arc<Hub>, kept: Kept) -> Self {
        Self(Arc::new(Inner {
            process,
            hub,
            counts: Counts::default(),
            kept,
        }))
    }

    /// The logs of channels, and what is received of those that are followed; `None`: there are no other processes to share
    /// them with.
    pub fn channel_log(&self) -> Option<(ChannelLog, mpsc::Receiver<Received>)> {
        match &self.0.kept {
            Kept::Memory(_) => None,
            Kept::Redis(redis) => Some(ChannelLog::new(Arc::clone(redis), self.0.process)),
        }
    }

    /// Whether other processes see it too.
    pub fn is_in_process(&self) -> bool {
        matches!(self.0.kept, Kept::Memory(_))
    }

    /// The cached values of these keys, in their order; `None` for what is not cached.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn cached(&self, keys: &[String]) -> Result<Vec<Option<Bytes>>, Away> {
        match &self.0.kept {
            Kept::Memory(memory) => Ok(memory.cached(keys).await),
            Kept::Redis(redis) => redis.cached(keys).await,
        }
    }

    /// Caches values, which must not be empty, each for its time, except where there is one already or where the key
    /// has just been invalidated.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn cache(&self, entries: Vec<(String, Bytes, Duration)>) -> Result<(), Away> {
        match &self.0.kept {
            Kept::Memory(memory) => {
                memory.cache(entries).await;
                Ok(())
            }
            Kept::Redis(redis) => redis.cache(entries).await,
        }
    }

    /// Drops what is cached under a key, and keeps out what others read before now but store later, for `quiet`.
    ///
    /// # Errors
    /// When Redis is away: then the old value lives until its time is over.
    pub async fn invalidate(&self, key: String, quiet: Duration) -> Result<(), Away> {
        match &self.0.kept {
            Kept::Memory(memory) => {
                memory.invalidate(key, quiet).await;
                Ok(())
            }
            Kept::Redis(redis) => redis.invalidate(key, quiet).await,
        }
    }

    /// Keeps a value, such as the state of a sign-in under way, to be [taken](Self::take) once within its time.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn keep_once(&self, key: String, value: Bytes, life: Duration) -> Result<(), Away> {
        match &self.0.kept {
            Kept::Memory(memory) => {
                memory.keep_once(key, value, life).await;
                Ok(())
            }
            Kept::Redis(redis) => redis.keep_once(key, value, life).await,
        }
    }

    /// Takes a kept value: of several concurrent callers, one gets it.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn take(&self, key: &str) -> Result<Option<Bytes>, Away> {
        match &self.0.kept {
            Kept::Memory(memory) => Ok(memory.take(key).await),
            Kept::Redis(redis) => redis.take(key).await,
        }
    }

    /// Counts one more for `key`, or only checks. This process's own count decides first, so that limits hold with
    /// Redis away and after it has lost everything; then that of all processes. Gives how long the key takes to recover in full.
    ///
    /// # Errors
    /// How long to wait, when it is one too many; that one does not count for the others.
    pub(crate) async fn attempt(&self, key: &str, limit: Limit, count: bool) -> Result<Duration, Duration> {
        let here = self.0.counts.attempt(key, limit, count)?;
        match &self.0.kept {
            Kept::Memory(_) => Ok(here),
            Kept::Redis(redis) => redis.attempt(key, limit, count).await.unwrap_or(Ok(here)),
        }
    }

    /// Checks this process's own count. For where nothing can be waited for.
    pub(crate) fn attempt_here(&self, key: &str, limit: Limit) -> Result<(), Duration> {
        self.0.counts.attempt(key, limit, false).map(drop)
    }

    /// Counts one more for `key`: here at once, for the others soon. For where nothing can be waited for.
    pub(crate) fn note(&self, key: &str, limit: Limit) {
        // One too many is refused at the next attempt; there is nothing to do about it here.
        let _ = self.0.counts.attempt(key, limit, true);
        self.soon(key, move |shared, key| async move {
            if let Kept::Redis(redis) = &shared.0.kept {
                let _ = redis.attempt(&key, limit, true).await;
            }
        });
    }

    /// Resets `key`: here at once, for the others soon.
    pub(crate) fn forgive(&self, key: &str) {
        self.0.counts.forgive(key);
        self.soon(key, |shared, key| async move {
            if let Kept::Redis(redis) = &shared.0.kept {
                let _ = redis.forgive(&key).await;
            }
        });
    }

    fn soon<F>(&self, key: &str, work: impl FnOnce(Self, String) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        if let Kept::Redis(redis) = &self.0.kept {
            redis.runtime().spawn(work(self.clone(), key.to_owned()));
        }
    }

    /// Publishes to all processes, this one included. At most once each, and not for sure: a subscriber that was not
    /// connected receives [`bus::Heard::Gap`] instead.
    pub async fn publish(&self, topic: &Topic, message: &str) {
        self.0.hub.publish(topic, message);
        if let Kept::Redis(redis) = &self.0.kept
            && redis.publish(self.0.process, topic, message).await.is_err()
        {
            tracing::debug!(?topic, "a message could not be given to the other processes");
        }
    }

    /// What is published from now on.
    pub fn subscribe(&self, topic: &Topic) -> Subscription {
        self.0.hub.subscribe(topic)
    }

    /// How it is: never down, because everything works without it; `None` when there is nothing to be away.
    pub async fn status(&self) -> Option<HealthStatus> {
        match &self.0.kept {
            Kept::Memory(_) => None,
            Kept::Redis(redis) => Some(match redis.ping().await {
                Ok(()) => HealthStatus::Up,
                Err(Away) => HealthStatus::Degraded,
            }),
        }
    }

    /// Redis's figures, when it is used.
    pub fn gauge(&self) -> Option<Box<dyn Gauge>> {
        match &self.0.kept {
            Kept::Memory(_) => None,
            Kept::Redis(redis) => Some(redis.gauge()),
        }
    }
}
