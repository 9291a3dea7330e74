//! No more calls in a second than a provider takes.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Spaces calls evenly.
pub struct Throttle {
    step: Duration,
    next: Mutex<Option<Instant>>,
}

impl Throttle {
    /// At most so many in a second.
    pub fn new(per_second: u32) -> Self {
        Self {
            step: Duration::from_secs(1) / per_second.max(1),
            next: Mutex::new(None),
        }
    }

    /// Waits for the next turn.
    pub async fn turn(&self) {
        let at = self.slot(Instant::now());
        tokio::time::sleep_until(at).await;
    }

    /// When a call may be made by one who asks now.
    fn slot(&self, now: Instant) -> Instant {
        let mut next = self.next.lock();
        let at = next.map_or(now, |next| next.max(now));
        *next = Some(at + self.step);
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_spaced() {
        let throttle = Throttle::new(10);
        let start = Instant::now();
        let ms = |n: u64| start + Duration::from_millis(n);
        for n in 0..10 {
            assert_eq!(throttle.slot(start), ms(100 * n));
        }
        assert_eq!(throttle.slot(ms(950)), ms(1000));
        // A pause gives no credit for a burst.
        assert_eq!(throttle.slot(ms(60_000)), ms(60_000));
        assert_eq!(throttle.slot(ms(60_000)), ms(60_100));
    }
}
