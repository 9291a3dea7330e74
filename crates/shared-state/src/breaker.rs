//! A circuit breaker: after failures in a row calls fail at once instead of waiting for another failure.

use std::{
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// Failures in a row after which it opens.
const STRIKES: u32 = 3;
/// While it is open one call in this time is let through, to see.
const REST: Duration = Duration::from_secs(1);

/// Lets calls through, or not.
pub struct Breaker {
    born: Instant,
    strikes: AtomicU32,
    /// Milliseconds after `born` at which the next call is let through; 0: closed.
    open_until: AtomicU64,
}

impl Breaker {
    pub fn new() -> Self {
        Self {
            born: Instant::now(),
            strikes: AtomicU32::new(0),
            open_until: AtomicU64::new(0),
        }
    }

    /// Whether a call may be made.
    pub fn admits(&self) -> bool {
        let (until, now) = (self.open_until.load(Ordering::Acquire), self.now());
        until == 0
            || (now >= until
                && self
                    .open_until
                    .compare_exchange(until, now + rest(), Ordering::AcqRel, Ordering::Relaxed)
                    .is_ok())
    }

    /// A call went well; returns whether the breaker was open.
    pub fn succeeded(&self) -> bool {
        self.strikes.store(0, Ordering::Relaxed);
        self.open_until.load(Ordering::Relaxed) != 0 && self.open_until.swap(0, Ordering::AcqRel) != 0
    }

    /// A call failed; returns whether that opened the breaker.
    pub fn failed(&self) -> bool {
        if self.strikes.fetch_add(1, Ordering::AcqRel) + 1 < STRIKES {
            return false;
        }
        self.open_until.swap(self.now() + rest(), Ordering::AcqRel) == 0
    }

    /// Whether calls are kept off.
    pub fn is_open(&self) -> bool {
        self.open_until.load(Ordering::Relaxed) != 0
    }

    fn now(&self) -> u64 {
        // Never 0, which stands for closed.
        self.born.elapsed().as_millis() as u64 + 1
    }
}

fn rest() -> u64 {
    REST.as_millis() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_three_and_closes_after_one() {
        let breaker = Breaker::new();
        for opened in [false, false, true] {
            assert!(breaker.admits());
            assert_eq!(breaker.failed(), opened);
        }
        assert!(!breaker.admits() && breaker.is_open());
        assert!(!breaker.failed(), "it was open already");
        assert!(breaker.succeeded());
        assert!(breaker.admits() && !breaker.is_open());
        assert!(
            !breaker.failed() && !breaker.failed(),
            "it counts from the start again"
        );
        assert!(!breaker.succeeded());
    }
}
