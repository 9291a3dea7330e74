//! The test kit: a whole system as real processes, people who use it, and a mail server.
//!
//! Tests know the system only through its doors: HTTP, SMTP, signals and files. Every system has its own ports and its
//! own data directory.

#![expect(clippy::unwrap_used, reason = "a test kit fails loudly")]

pub mod bucket;
pub mod compose;
pub mod containers;
pub mod live;
pub mod mongodb;
pub mod people;
pub mod ports;
pub mod process;
pub mod razorpay;
pub mod secrets;
pub mod smtp;
pub mod streaming;
pub mod system;
pub mod tickets;

use std::time::{Duration, Instant};

pub use people::{Answer, Person};
pub use razorpay::Razorpay;
pub use system::{Options, System, Topology};

/// Asks again until the answer is `Some`; fails after `patience`.
pub async fn eventually<T>(what: &str, patience: Duration, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(value) = ask().await {
            return value;
        }
        assert!(Instant::now() < deadline, "not within {patience:?}: {what}");
        // Not a wait for something to have happened: the pace of asking whether it has.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Long enough for a loaded machine, short enough to end.
pub const PATIENCE: Duration = Duration::from_secs(30);
