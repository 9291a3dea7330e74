//! Who takes part in an event, page by page.

use serde::{Deserialize, Serialize};

use super::EventFacts;
use crate::ids::{EventId, RegistrationId, UserId};

/// Which of those who take part.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recipients {
    /// Whose registration is confirmed.
    #[default]
    Confirmed,
    /// Whose seat is held until they have paid.
    Pending,
    /// Who waits for a seat, or is offered one.
    Waitlist,
    /// All who have a registration: confirmed and pending.
    All,
}

impl Recipients {
    /// Every choice.
    pub const ALL: [Self; 4] = [Self::Confirmed, Self::Pending, Self::Waitlist, Self::All];

    /// The name in stores and answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Pending => "pending",
            Self::Waitlist => "waitlist",
            Self::All => "all",
        }
    }

    /// Whether those whose registration is confirmed are among them.
    pub fn has_confirmed(self) -> bool {
        matches!(self, Self::Confirmed | Self::All)
    }

    /// The choice of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|to| to.name() == name)
    }
}

/// `POST /internal/events/attendees` (events): a page of those who take part now.
#[derive(Debug, Serialize, Deserialize)]
pub struct AskAttendees {
    /// The event.
    pub event_id: EventId,
    /// Which of them.
    pub to: Recipients,
    /// Only those after this user, in the order of ids: the last one of the page before.
    pub after: Option<UserId>,
    /// How many at most, up to [`AskAttendees::AT_ONCE`].
    pub limit: usize,
}

impl AskAttendees {
    /// The most of one page.
    pub const AT_ONCE: usize = 500;
}

/// The answer; 404 `event_not_found` when there is no such event.
#[derive(Debug, Serialize, Deserialize)]
pub struct Attendees {
    /// The event as it is now.
    pub event: EventFacts,
    /// In the order of users' ids, each user once. None: there are no more.
    pub attendees: Vec<AttendeeFound>,
}

/// Somebody who takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttendeeFound {
    /// Who.
    pub user_id: UserId,
    /// Their live registration; for [`Recipients::Waitlist`] the id of their place in the line.
    pub registration_id: RegistrationId,
}
