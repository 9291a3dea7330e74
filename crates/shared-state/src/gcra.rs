//! Counts of attempts by the generic cell rate algorithm (GCRA): one number per key. The same rule in memory and, as
//! a script, in Redis.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

/// Keys kept before those that have recovered are dropped. When few have, the next look comes at twice as many, so that it
/// costs little per attempt.
const KEYS: usize = 100_000;

/// `burst` at once, and then one every `period / burst`.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// At once; 1 at least.
    pub burst: u32,
    /// How long a key takes to recover in full.
    pub period: Duration,
}

impl Limit {
    /// How long a key takes to recover by one.
    pub fn one(self) -> Duration {
        self.period / self.burst.max(1)
    }

    /// How many are left of a key that takes so long to recover in full.
    pub fn left(self, full: Duration) -> u32 {
        let one = self.one().as_nanos().max(1);
        let left = self.period.saturating_sub(full).as_nanos() / one;
        u32::try_from(left).unwrap_or(u32::MAX).min(self.burst)
    }
}

/// KEYS\[1\]: the count. ARGV: microseconds of one, of the period, and `1` to count. Answers the microseconds to wait, or, as a
/// negative number, those after which the key has recovered in full. Redis's clock counts, so that those of the processes may differ.
pub const SCRIPT: &str = "
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local at = math.max(tonumber(redis.call('GET', KEYS[1])) or 0, now) + ARGV[1]
local wait = at - now - ARGV[2]
if wait > 1 then return math.ceil(wait) end
if ARGV[3] == '1' then
  redis.call('SET', KEYS[1], string.format('%.0f', at), 'PX', math.ceil((at - now) / 1000))
  return now - at
end
return now - at + ARGV[1]";

/// This process's counts.
pub struct Counts(Mutex<Kept>);

struct Kept {
    /// When each key will have recovered in full.
    recovered: HashMap<String, Instant>,
    /// At so many keys those that have recovered are dropped.
    full: usize,
}

impl Default for Counts {
    fn default() -> Self {
        Self(Mutex::new(Kept {
            recovered: HashMap::new(),
            full: KEYS,
        }))
    }
}

impl Counts {
    /// How long the key takes to recover in full.
    ///
    /// # Errors
    /// How long to wait, when it is one too many; that one does not count.
    pub fn attempt(&self, key: &str, limit: Limit, count: bool) -> Result<Duration, Duration> {
        self.attempt_at(key, limit, count, Instant::now())
    }

    pub fn forgive(&self, key: &str) {
        self.0.lock().recovered.remove(key);
    }

    fn attempt_at(&self, key: &str, limit: Limit, count: bool, now: Instant) -> Result<Duration, Duration> {
        let mut kept = self.0.lock();
        if kept.recovered.len() >= kept.full {
            kept.recovered.retain(|_, at| *at > now);
            kept.full = (kept.recovered.len() * 2).max(KEYS);
        }
        let recovered = &mut kept.recovered;
        let at = recovered.get(key).copied().unwrap_or(now).max(now) + limit.one();
        if at > now + limit.period + Duration::from_micros(1) {
            return Err(at - now - limit.period);
        }
        if count {
            recovered.insert(key.to_owned(), at);
            Ok(at - now)
        } else {
            Ok(at - now - limit.one())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_a_trickle() {
        let counts = Counts::default();
        let limit = Limit {
            burst: 3,
            period: Duration::from_secs(3),
        };
        let start = Instant::now();
        let attempt = |key, after| counts.attempt_at(key, limit, true, start + after);
        for _ in 0..3 {
            assert!(attempt("a", Duration::ZERO).is_ok());
        }
        let wait = attempt("a", Duration::ZERO).unwrap_err();
        assert!(wait <= Duration::from_secs(1), "{wait:?}");
        assert!(attempt("b", Duration::ZERO).is_ok(), "keys do not share");
        assert!(attempt("a", wait).is_ok());
        assert!(attempt("a", wait).is_err());
    }
}
