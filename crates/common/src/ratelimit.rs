//! Rate limits: the generic cell rate algorithm (GCRA), one number per key.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

/// Keys kept before those that have recovered are dropped.
const KEYS: usize = 100_000;

/// Lets `burst` through at once and then one every `period / burst`. Cheap to clone.
#[derive(Clone)]
pub struct RateLimit<K>(Option<Arc<Inner<K>>>);

struct Inner<K> {
    burst: f64,
    period: Duration,
    /// When the key will have recovered in full.
    recovered: Mutex<HashMap<K, Instant>>,
}

impl<K: Hash + Eq + Clone> RateLimit<K> {
    /// `burst` per `period`.
    pub fn new(burst: u32, period: Duration) -> Self {
        Self(Some(Arc::new(Inner {
            burst: f64::from(burst.max(1)),
            period,
            recovered: Mutex::default(),
        })))
    }

    /// No limit, for load tests.
    pub fn off() -> Self {
        Self(None)
    }

    /// Counts one more for `key`.
    ///
    /// # Errors
    /// How long to wait, when it is one too many; that one does not count.
    pub fn take(&self, key: &K) -> Result<(), Duration> {
        self.check(key, Instant::now(), true)
    }

    /// Asks without counting.
    ///
    /// # Errors
    /// How long to wait, when the next would be one too many.
    pub fn peek(&self, key: &K) -> Result<(), Duration> {
        self.check(key, Instant::now(), false)
    }

    /// Forgives a key.
    pub fn clear(&self, key: &K) {
        if let Some(inner) = &self.0 {
            inner.recovered.lock().remove(key);
        }
    }

    fn check(&self, key: &K, now: Instant, count: bool) -> Result<(), Duration> {
        let Some(inner) = &self.0 else { return Ok(()) };
        let one = inner.period.div_f64(inner.burst);
        let mut recovered = inner.recovered.lock();
        if recovered.len() >= KEYS {
            recovered.retain(|_, at| *at > now);
        }
        let at = recovered.get(key).copied().unwrap_or(now).max(now) + one;
        if at > now + inner.period + Duration::from_micros(1) {
            return Err(at - now - inner.period);
        }
        if count {
            recovered.insert(key.clone(), at);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_a_trickle() {
        let limit = RateLimit::new(3, Duration::from_secs(3));
        let start = Instant::now();
        for _ in 0..3 {
            assert!(limit.check(&1, start, true).is_ok());
        }
        let wait = limit.check(&1, start, true).unwrap_err();
        assert!(wait <= Duration::from_secs(1), "{wait:?}");
        assert!(limit.check(&2, start, true).is_ok(), "keys do not share");
        assert!(limit.check(&1, start + wait, true).is_ok());
        assert!(limit.check(&1, start + wait, true).is_err());
    }
}
