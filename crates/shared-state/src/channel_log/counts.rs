//! Counts that the processes add to, until one takes them: `organise:live:{CHANNEL}:counts`.

use std::time::Duration;

use redis::cmd;

use super::{ChannelLog, name};
use crate::Away;

/// What nobody takes is gone after this time.
const KEPT_FOR: Duration = Duration::from_secs(60);

/// KEYS: counts. ARGV: what is counted, by how much, ms to keep it.
const ADD: &str = "
redis.call('HINCRBY', KEYS[1], ARGV[1], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])";

/// KEYS: counts.
const TAKE: &str = "
local counts = redis.call('HGETALL', KEYS[1])
redis.call('DEL', KEYS[1])
return counts";

impl ChannelLog {
    /// Counts something.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn add_count(&self, channel: &str, what: &str, by: u64) -> Result<(), Away> {
        let mut script = cmd("EVAL");
        script.arg(ADD).arg(1).arg(name(channel, "counts"));
        script.arg(what).arg(by).arg(KEPT_FOR.as_millis() as u64);
        self.redis.ask(&script).await
    }

    /// Takes the counts; they begin again.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn take_counts(&self, channel: &str) -> Result<Vec<(String, u64)>, Away> {
        let mut script = cmd("EVAL");
        script.arg(TAKE).arg(1).arg(name(channel, "counts"));
        let counts: Vec<String> = self.redis.ask(&script).await?;
        let pairs = counts.chunks_exact(2);
        Ok(pairs
            .filter_map(|pair| Some((pair[0].clone(), pair[1].parse().ok()?)))
            .collect())
    }
}
