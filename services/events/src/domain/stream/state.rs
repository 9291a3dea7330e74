//! Where a stream stands: the table of transitions.

use serde::{Deserialize, Serialize};

/// Where a stream stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = StreamState)]
pub enum State {
    /// It is in the timetable.
    Scheduled,
    /// It has a key, and nothing was received with it.
    Ready,
    /// It is on.
    Live,
    /// Nothing comes, but it may come back.
    Interrupted,
    /// It is over.
    Ended,
    /// It is over, and can be watched again.
    Replay,
    /// It is deleted; its recording is being.
    Deleted,
}

/// What moves a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    /// There is a key to publish with.
    KeyIssued,
    /// A segment was received whole, or an appointment's time has come.
    Received,
    /// Nothing was received for too long, or the publisher was cut off.
    Silent,
    /// The organizer ended it, the publisher did not come back, or its time is over.
    Ended {
        /// Whether there is something to watch again.
        replay: bool,
    },
    /// It has other times.
    Rescheduled,
    /// The organizer deleted it.
    Deleted,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Scheduled,
        Self::Ready,
        Self::Live,
        Self::Interrupted,
        Self::Ended,
        Self::Replay,
        Self::Deleted,
    ];

    /// The state that follows; `None`: the signal changes nothing.
    pub fn after(self, signal: Signal) -> Option<Self> {
        use State::{Deleted, Ended, Interrupted, Live, Ready, Replay, Scheduled};
        match (self, signal) {
            (Deleted, _) => None,
            (_, Signal::Deleted) => Some(Deleted),
            // A new key opens again what is over: the show goes on after all.
            (Scheduled | Ended | Replay, Signal::KeyIssued) => Some(Ready),
            (Ready | Live | Interrupted, Signal::KeyIssued) => None,
            (Live | Ended, Signal::Rescheduled) => Some(Scheduled),
            (Scheduled | Ready | Interrupted | Replay, Signal::Rescheduled) => None,
            (Scheduled | Ready | Interrupted, Signal::Received) => Some(Live),
            (Live | Ended | Replay, Signal::Received) => None,
            (Live, Signal::Silent) => Some(Interrupted),
            (Scheduled | Ready | Interrupted | Ended | Replay, Signal::Silent) => None,
            (Scheduled | Ready | Live | Interrupted, Signal::Ended { replay: true }) => Some(Replay),
            (Scheduled | Ready | Live | Interrupted, Signal::Ended { replay: false }) => Some(Ended),
            // Its recording is past its retention.
            (Replay, Signal::Ended { replay: false }) => Some(Ended),
            (Ended | Replay, Signal::Ended { .. }) => None,
        }
    }

    /// Whether an encoder may publish.
    pub fn takes_media(self) -> bool {
        matches!(self, Self::Ready | Self::Live | Self::Interrupted)
    }

    /// As it is written in stores and answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Ready => "ready",
            Self::Live => "live",
            Self::Interrupted => "interrupted",
            Self::Ended => "ended",
            Self::Replay => "replay",
            Self::Deleted => "deleted",
        }
    }

    /// The state of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}
