//! Background workers. Each one's `round` does one bounded piece of work, so that tests need no waiting.

pub mod announcements;
pub mod attaching;
pub mod broadcasts;
pub mod housekeeping;
pub mod reminders;
pub mod sender;

use std::time::Duration;

/// How long a worker that has nothing to do may sleep. It bounds how late a reminder is written, and costs one look
/// at an index per second.
const POLL: Duration = Duration::from_secs(1);
/// Rows handled in one commit.
const CHUNK: usize = 500;
