//! The one source of "now", so that tests can move time.

use std::sync::Arc;

use chrono::{DateTime, SubsecRound, Utc};
use parking_lot::Mutex;

/// A point in time, UTC, in whole milliseconds: the precision every store keeps.
pub type Timestamp = DateTime<Utc>;

/// Reads the current time. Cheap to clone.
#[derive(Clone)]
pub struct Clock(TimeSource);

#[derive(Clone)]
enum TimeSource {
    System,
    Fixed(Arc<Mutex<Timestamp>>),
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(TimeSource::System)
    }

    /// A clock that stands still until [`Clock::set`] moves it.
    pub fn fixed(at: Timestamp) -> Self {
        Self(TimeSource::Fixed(Arc::new(Mutex::new(at))))
    }

    /// The current time, cut to milliseconds so that what is answered now equals what is stored.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            #[expect(clippy::disallowed_methods, reason = "this is the Clock")]
            TimeSource::System => Utc::now().trunc_subsecs(3),
            TimeSource::Fixed(at) => *at.lock(),
        }
    }

    /// Moves a fixed clock; the system clock cannot be moved and ignores it.
    pub fn set(&self, to: Timestamp) {
        if let TimeSource::Fixed(at) = &self.0 {
            *at.lock() = to;
        }
    }
}

/// Milliseconds since the epoch to a timestamp. Stores keep times in this form; a value outside chrono's range
/// (which no code of ours writes) becomes the epoch.
pub fn from_millis(millis: i64) -> Timestamp {
    DateTime::from_timestamp_millis(millis).unwrap_or_default()
}

/// The latest end that a lease from `now` until `until` can meet in a row written by a clock that agrees with ours: twice
/// its length from now. A later one was written before the clock was set back, and has expired.
///
/// Two processes whose clocks differ by less than a lease's length never take each other's leases for such; and fences
/// make it harmless if they do.
pub fn latest_end(now: Timestamp, until: Timestamp) -> Timestamp {
    until + (until - now)
}
