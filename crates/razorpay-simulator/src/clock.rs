//! The simulator's time: the machine's, plus the seconds by which the controls have moved it on.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use chrono::{DateTime, Datelike};

/// Tells the time in unix milliseconds.
#[derive(Default)]
pub(crate) struct Clock {
    ahead_ms: AtomicI64,
}

impl Clock {
    pub(crate) fn now_ms(&self) -> i64 {
        // A clock before 1970 is a broken machine; zero keeps the simulator alive on it.
        let real = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_millis());
        i64::try_from(real).unwrap_or(i64::MAX / 2) + self.ahead_ms.load(Ordering::Relaxed)
    }

    pub(crate) fn ahead_ms(&self) -> i64 {
        self.ahead_ms.load(Ordering::Relaxed)
    }

    pub(crate) fn set_ahead_ms(&self, ahead: i64) {
        self.ahead_ms.store(ahead, Ordering::Relaxed);
    }
}

/// Year and month of a unix time in seconds.
pub(crate) fn year_and_month(seconds: i64) -> (i32, u32) {
    let date = DateTime::from_timestamp(seconds, 0).unwrap_or_default();
    (date.year(), date.month())
}
