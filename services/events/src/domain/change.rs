//! What a change of the store has to say to the live room: messages in the outbox, so that none is lost between the
//! commit and the publication. They carry ids; what is published is what the store holds by then.

use common::{
    clock::Timestamp,
    ids::{EventId, RegistrationId, UserId},
    outbox::NewMessage,
};
use serde::{Deserialize, Serialize};

use super::{event::Event, registration::Registration};

/// The live room, as the destination of messages.
pub const LIVE: &str = "live";
/// A registration was made, confirmed or cancelled, or has expired.
pub const REGISTRATION_CHANGED: &str = "registration.changed";
/// An event was changed.
pub const EVENT_CHANGED: &str = "event.changed";
/// An event was cancelled.
pub const EVENT_CANCELLED: &str = "event.cancelled";

/// Which registration.
#[derive(Serialize, Deserialize)]
pub struct RegistrationChanged {
    /// The registration.
    pub registration_id: RegistrationId,
    /// Its event.
    pub event_id: EventId,
    /// Its user.
    pub user_id: UserId,
}

/// Which event.
#[derive(Serialize, Deserialize)]
pub struct EventChanged {
    /// The event.
    pub event_id: EventId,
}

/// A registration was made or has moved.
pub fn of_registration(registration: &Registration, now: Timestamp) -> NewMessage {
    let changed = RegistrationChanged {
        registration_id: registration.id,
        event_id: registration.event_id,
        user_id: registration.user_id,
    };
    changed.message(now)
}

impl RegistrationChanged {
    /// The message that says so.
    pub fn message(&self, now: Timestamp) -> NewMessage {
        NewMessage::new(LIVE, REGISTRATION_CHANGED, self.registration_id, now, self)
    }
}

/// An event was changed or cancelled.
pub fn of_event(event: &Event, now: Timestamp) -> NewMessage {
    let kind = if event.cancelled {
        EVENT_CANCELLED
    } else {
        EVENT_CHANGED
    };
    let changed = EventChanged { event_id: event.id };
    NewMessage::new(LIVE, kind, event.id, now, &changed)
}
