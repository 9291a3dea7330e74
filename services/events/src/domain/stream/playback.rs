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

/// What somebody has watched of an event, on all their devices.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attendance {
    /// When they first came to one of its streams.
    pub entered_at: Timestamp,
    /// When they were last seen at one.
    pub last_seen_at: Timestamp,
    /// Milliseconds of sittings that are over. A sitting is a time in which one playback begins before the others are seen last.
    over: i64,
    /// When the present sitting began.
    sitting_since: Timestamp,
    /// What its playbacks add up to, milliseconds.
    sitting: i64,
}

impl Attendance {
    /// By somebody's playbacks of an event, in the order in which they began. `None`: there are none.
    pub fn of<'a>(playbacks: impl IntoIterator<Item = &'a Playback>) -> Option<Self> {
        let mut all = playbacks.into_iter();
        let mut attendance = Self::begun(all.next()?);
        for playback in all {
            attendance.add(playback);
        }
        Some(attendance)
    }

    fn begun(playback: &Playback) -> Self {
        Self {
            entered_at: playback.started_at,
            last_seen_at: playback.seen_at,
            over: 0,
            sitting_since: playback.started_at,
            sitting: playback.watched_millis,
        }
    }

    fn add(&mut self, playback: &Playback) {
        if playback.started_at > self.last_seen_at {
            (self.over, self.sitting) = (self.watched_millis(), 0);
            self.sitting_since = playback.started_at;
        }
        self.sitting += playback.watched_millis;
        self.entered_at = self.entered_at.min(playback.started_at);
        self.last_seen_at = self.last_seen_at.max(playback.seen_at);
    }

    /// How long they watched, milliseconds. Devices that play at the same time count once: a sitting is never longer than it took.
    pub fn watched_millis(&self) -> i64 {
        let took = (self.last_seen_at - self.sitting_since).num_milliseconds();
        self.over + self.sitting.min(took.max(0))
    }
}
