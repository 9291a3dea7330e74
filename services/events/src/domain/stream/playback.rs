//! Watching: one playback session per person and device.

use std::time::Duration;

use chrono::TimeDelta;
use common::{
    clock::Timestamp,
    ids::{EventId, PlaybackId, StreamId, UserId},
};

/// How often a player says that it still plays.
pub const HEARTBEAT: Duration = Duration::from_secs(20);
/// A playback that has not been seen for so long plays no more: two heartbeats and a little.
pub const SEEN_FOR: TimeDelta = TimeDelta::seconds(45);
/// Devices on which one registration may be watched at a time.
pub const DEVICES: usize = 3;

/// Somebody's playback of a stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Playback {
    /// The id.
    pub id: PlaybackId,
    /// The stream.
    pub stream: StreamId,
    /// Its event.
    pub event: EventId,
    /// Who watches.
    pub user: UserId,
    /// Since when.
    pub started_at: Timestamp,
    /// When a playlist or a heartbeat was last asked for.
    pub seen_at: Timestamp,
    /// How long it has been watched, milliseconds.
    pub watched_millis: i64,
}

/// As many devices as may play at a time do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooManyDevices;

/// Begins a playback beside those that the user has of the event, if there are not too many. The organizer's are not counted.
///
/// # Errors
/// When there are.
pub fn begin(
    new: Playback,
    others: &[Playback],
    organizer: bool,
    now: Timestamp,
) -> Result<Playback, TooManyDevices> {
    let playing = others.iter().filter(|other| other.plays(now)).count();
    match organizer || playing < DEVICES {
        true => Ok(new),
        false => Err(TooManyDevices),
    }
}

impl Playback {
    /// Whether it has been seen lately.
    pub fn plays(&self, now: Timestamp) -> bool {
        // What was seen far ahead was written before the clock was set back.
        self.seen_at > now - SEEN_FOR && self.seen_at <= now + SEEN_FOR
    }

    /// It has been seen: the time since then counts as watched, unless it was away.
    pub fn seen(&mut self, now: Timestamp) {
        let since = now - self.seen_at;
        if since > TimeDelta::zero() && since <= SEEN_FOR {
            self.watched_millis += since.num_milliseconds();
        }
        self.seen_at = now;
    }
}
