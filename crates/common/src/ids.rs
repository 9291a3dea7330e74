//! Identifiers: UUIDv7, one type per thing, so that one cannot be passed for another.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A new UUIDv7: ordered by time of creation, so that it also serves as the order of lists.
#[expect(clippy::disallowed_methods, reason = "the one place that makes ids")]
pub fn new_id() -> Uuid {
    Uuid::now_v7()
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A fresh id.
            #[expect(clippy::new_without_default, reason = "a default id would be a different one every time")]
            pub fn new() -> Self {
                Self(new_id())
            }

            /// Reads an id that came from outside. Text that is no UUID gives the nil id, which nothing ever has,
            /// so that an unknown id string is "not found" like any other unknown id.
            pub fn lenient(text: &str) -> Self {
                Self(Uuid::try_parse(text).unwrap_or_default())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Uuid {
                id.0
            }
        }
    )+};
}

ids! {
    /// An account.
    UserId,
    /// An event.
    EventId,
    /// One user's registration for one event.
    RegistrationId,
    /// A ticket, issued when a registration is confirmed.
    TicketId,
    /// Our order: what a registration owes, paid by at most one captured payment.
    OrderId,
    /// Our payment record; the provider's id stands beside it.
    PaymentId,
    /// Our refund record.
    RefundId,
    /// A message to one recipient over one channel.
    MessageId,
    /// A chat message, question, poll or announcement.
    PostId,
    /// What an organizer writes to those who take part.
    AnnouncementId,
    /// The words that an event has of its own for a kind of message, until they are others.
    WordingId,
    /// A stream of an event.
    StreamId,
    /// Somebody's playback of a stream.
    PlaybackId,
    /// Somebody's place in the line for a full event.
    WaitlistId,
}
