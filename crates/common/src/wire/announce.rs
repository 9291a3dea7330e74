//! An announcement of an organizer, on its way to those who follow the event live.

use serde::{Deserialize, Serialize};

use crate::ids::{AnnouncementId, EventId, UserId};

/// The longest text of what is said on live channels, in characters.
pub const LIVE_TEXT: usize = 2_000;

/// `POST /internal/events/announce` (events): publishes an announcement live, once, however often it is asked. 404 when there is no
/// such event, 403 when who made it may not announce there any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announce {
    /// The announcement, here and live.
    pub announcement_id: AnnouncementId,
    /// Beside which event.
    pub event_id: EventId,
    /// Who made it.
    pub user_id: UserId,
    /// What it says, in up to [`LIVE_TEXT`] characters.
    pub text: String,
}

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announced {
    /// Whether it was not published before.
    pub is_new: bool,
}
