//! What happens by itself. Each worker's `round` does one bounded piece of work, so that tests need no waiting.

pub mod announcements;
pub mod housekeeping;
pub mod reminders;
pub mod sender;

use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How long a worker that has nothing to do may sleep. It bounds how late a reminder is written, and costs one look
/// at an index per second.
const POLL: Duration = Duration::from_secs(1);
/// The longest wait after failures in a row.
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);
/// Rows handled in one commit.
const CHUNK: usize = 500;

/// Waits for `pause`, a wake or the stop. `false`: stop.
async fn wait(pause: Duration, wake: Option<&Notify>, stop: &CancellationToken) -> bool {
    if stop.is_cancelled() {
        return false;
    }
    if pause.is_zero() {
        return true;
    }
    let woken = async {
        match wake {
            Some(wake) => wake.notified().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = stop.cancelled() => false,
        () = woken => true,
        () = tokio::time::sleep(pause) => true,
    }
}

/// The wait after the `failures`-th failure in a row.
fn backoff(failures: u32) -> Duration {
    common::outbox::backoff(failures).min(LONGEST_BACKOFF)
}
