//! How often a message is tried, and what a worker may take.

use std::time::Duration;

use common::clock::Timestamp;

use super::message::Status;

/// Tries before a message is given up.
pub const MAX_ATTEMPTS: u32 = 25;
/// The wait after the first failed try; each later one is twice as long, up to [`LONGEST`]. The waits come to two days,
/// which outlasts what mail servers and providers usually suffer from, and a weekend.
const FIRST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(12_700);

/// The wait after the `attempts`-th failed try. `jitter` lies between 0 and 1 and spreads the wait by a fifth either
/// way, so that what failed together does not come back together.
pub fn retry_after(attempts: u32, jitter: f64) -> Duration {
    let wait = FIRST
        .saturating_mul(2u32.saturating_pow(attempts.saturating_sub(1)))
        .min(LONGEST);
    wait.mul_f64(0.8 + 0.4 * jitter.clamp(0.0, 1.0))
}

/// What a worker does with a message whose turn has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    /// Send it.
    Take,
    /// Its time is over, or it was withdrawn while a worker that died had it.
    Drop(&'static str),
    /// Too many tries.
    GiveUp(&'static str),
}

/// Decides whether a message may be sent at `now`.
pub fn turn(attempts: u32, withdrawn: bool, not_after: Option<Timestamp>, now: Timestamp) -> Turn {
    if withdrawn {
        Turn::Drop("withdrawn")
    } else if not_after.is_some_and(|end| end <= now) {
        Turn::Drop("too late")
    } else if attempts >= MAX_ATTEMPTS {
        Turn::GiveUp("every try was cut short")
    } else {
        Turn::Take
    }
}

/// What becomes of a message whose try failed for now and that may be tried again at `at`.
pub fn after_failure(attempts: u32, withdrawn: bool, not_after: Option<Timestamp>, at: Timestamp) -> Status {
    if withdrawn {
        Status::Skipped
    } else if attempts >= MAX_ATTEMPTS {
        Status::Dead
    } else if not_after.is_some_and(|end| end <= at) {
        Status::Failed
    } else {
        Status::Queued
    }
}

/// What a provider reports of a message that it took.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It has arrived.
    Delivered,
    /// It has not, and will not.
    Failed(String),
}

/// What becomes of a message that a provider reports on; `None`: nothing new. A report may come before the worker has noted
/// that it was sent, more than once, and late; it moves a message forward only.
pub fn after_report(status: Status, outcome: &Outcome) -> Option<Status> {
    match (status, outcome) {
        (
            Status::Queued | Status::Sending | Status::Sent | Status::Failed | Status::Dead,
            Outcome::Delivered,
        ) => Some(Status::Delivered),
        (Status::Sending | Status::Sent, Outcome::Failed(_)) => Some(Status::Failed),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use common::clock::from_millis;

    use super::*;

    #[test]
    fn all_tries_take_two_days() {
        let total: Duration = (1..MAX_ATTEMPTS).map(|attempts| retry_after(attempts, 0.5)).sum();
        assert_eq!(total.as_secs(), 172_875);
        assert_eq!(retry_after(1, 0.0), Duration::from_secs(4));
        assert_eq!(retry_after(1, 1.0), Duration::from_secs(6));
        assert!(retry_after(u32::MAX, 1.0) <= LONGEST.mul_f64(1.2));
    }

    #[test]
    fn nothing_is_sent_after_its_time() {
        let end = Some(from_millis(10));
        assert_eq!(turn(0, false, end, from_millis(9)), Turn::Take);
        assert!(matches!(turn(0, false, end, from_millis(10)), Turn::Drop(_)));
        assert!(matches!(turn(0, true, None, from_millis(0)), Turn::Drop(_)));
        assert!(matches!(
            turn(MAX_ATTEMPTS, false, None, from_millis(0)),
            Turn::GiveUp(_)
        ));
        assert_eq!(after_failure(1, false, end, from_millis(9)), Status::Queued);
        assert_eq!(after_failure(1, false, end, from_millis(10)), Status::Failed);
        assert_eq!(
            after_failure(MAX_ATTEMPTS, false, None, from_millis(0)),
            Status::Dead
        );
        assert_eq!(after_failure(1, true, None, from_millis(0)), Status::Skipped);
    }

    #[test]
    fn reports_move_forward_only() {
        let failed = Outcome::Failed("unreachable".into());
        for status in Status::ALL {
            let arrived = after_report(*status, &Outcome::Delivered);
            let over = matches!(status, Status::Delivered | Status::Skipped);
            assert_eq!(arrived, (!over).then_some(Status::Delivered), "{status:?}");
            let lost = after_report(*status, &failed);
            let open = matches!(status, Status::Sending | Status::Sent);
            assert_eq!(lost, open.then_some(Status::Failed), "{status:?}");
        }
    }
}
