//! Messages: one to one recipient over one channel, and its content.

use std::sync::Arc;

use common::{
    clock::Timestamp,
    ids::{AnnouncementId, EventId, MessageId, PaymentId, TicketId, UserId, WordingId},
    money::Paise,
    wire::{EventFacts, RefundReason, TeamRole},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

pub use super::kind::Kind;

use super::{broadcast::Words, host::Host, wording::OwnWords};

/// An enum whose values have fixed names, in stores and answers alike.
macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal $(| $earlier:literal)?,)+ }) => {
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, ToSchema)]
        $(#[$doc])*
        pub enum $name {
            $($(#[$variant_doc])* #[schema(rename = $text)] $variant,)+
        }

        impl $name {
            /// Every value there is.
            #[cfg(test)]
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The name in stores and answers.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }

            /// The value of that name.
            pub fn parse(text: &str) -> Option<Self> {
                match text {
                    $($text $(| $earlier)? => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

named! {
    /// The way a message takes.
    Channel {
        /// To the account's address.
        Email = "email",
        /// To the account's telephone, when it has one.
        Sms = "sms",
    }
}

named! {
    /// What became of a message.
    #[schema(as = MessageStatus)]
    Status {
        /// Its turn will come, for the first time or again.
        Queued = "queued",
        /// A worker has it.
        Sending = "sending",
        /// The provider took it.
        Sent = "sent",
        /// The provider reports that it has arrived.
        Delivered = "delivered",
        /// The provider refused it for good, or reports that it has not arrived.
        Failed = "failed",
        /// Given up: no try succeeded, or it cannot be read or rendered. An operator may have it sent again.
        Dead = "dead",
        /// Not worth sending any more: the registration ended, the event moved, or the time is over. Earlier releases
        /// stored it as `dropped`.
        Skipped = "skipped" | "dropped",
    }
}

/// The content of a message beyond the facts of its event. Kept as JSON, hence the stable names.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Details {
    /// The ticket's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ticket_id: Option<TicketId>,
    /// What is shown at the door.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ticket_code: Option<String>,
    /// What was paid, is paid back, or was to be paid. Zero: nothing was paid. Not there: the letter was written by a
    /// release that did not know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<Paise>,
    /// The payment that is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment_id: Option<PaymentId>,
    /// Why money goes back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<RefundReason>,
    /// Why a payment did not work out, in the provider's words for the payer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decline: Option<String>,
    /// Until when a seat was held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_until: Option<Timestamp>,
    /// Whether the event takes registrations still, if it has seats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open: Option<bool>,
    /// The recipient's IANA zone, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// The language the recipient reads, as a BCP 47 tag, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// The event's name, where its facts are not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_name: Option<String>,
    /// Whole hours until the start when the reminder was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hours: Option<i64>,
    /// The event as the recipient was last notified of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<EventFacts>,
    /// The organizer's announcement that it brings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub announcement: Option<AnnouncementId>,
    /// What that says. Kept once, with the announcement, and read with the message.
    #[serde(skip)]
    pub words: Option<Arc<Words>>,
    /// The event's own words that it was written with; `None`: the standard ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wording: Option<WordingId>,
    /// What those say. Kept once, and read with the message; `None` where they are gone.
    #[serde(skip)]
    pub own: Option<Arc<OwnWords>>,
    /// In whose name it comes. Looked up when it is sent, and kept nowhere; `None`: in the product's.
    #[serde(skip)]
    pub host: Option<Arc<Host>>,
    /// That the organizer has cancelled the registration; what they say to it may be empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancelled_with: Option<String>,
    /// Whether the picture of the ticket's QR code is in the letter. Known when it is sent.
    #[serde(skip)]
    pub pictured: bool,
    /// Of a text message that no e-mail goes beside: where an e-mail goes in its place, should it not arrive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instead: Option<String>,
    /// As what the recipient is invited to the event's team.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<TeamRole>,
    /// Who invites them, where they have a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inviter: Option<String>,
    /// What brings the recipient's token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<Token>,
}

/// A token in a letter about an account, or in an invitation. The token itself is derived when the letter is rendered.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Token {
    /// What it is derived from.
    pub id: Uuid,
    /// Until when it is good.
    pub expires_at: Timestamp,
    /// Until when its code is.
    pub code_until: Timestamp,
    /// The address that the account is to have, when that is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_email: Option<String>,
    /// Whether the account was just taken back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restored: bool,
}

/// A message about to be stored.
#[derive(Clone, Debug)]
pub struct Letter {
    /// The message's id, also in its `Message-ID`, the same on every try.
    pub id: MessageId,
    /// The recipient.
    pub user_id: UserId,
    /// The event it is about, if any.
    pub event_id: Option<EventId>,
    /// The registration it is about, or the payment or token. With kind, channel and schedule version it makes the message
    /// unique. It stands for user and event: an attendee who cancels and registers again is notified again.
    pub occurrence: Uuid,
    /// What it is about.
    pub kind: Kind,
    /// The way it takes.
    pub channel: Channel,
    /// The schedule a reminder belongs to, or the version of the event an update announces; else 0.
    pub schedule_version: i64,
    /// E-mail address, or telephone number in E.164.
    pub address: String,
    /// What to call the reader.
    pub name: Option<String>,
    /// The content beyond the event's facts.
    pub details: Details,
    /// After this it is not sent any more.
    pub not_after: Option<Timestamp>,
    /// Not to be sent before this; `None`: at once.
    pub not_before: Option<Timestamp>,
}

/// A stored message with all that its text is made of.
#[derive(Clone, PartialEq, Debug)]
pub struct Message {
    /// UUIDv7; the order of lists.
    pub id: MessageId,
    /// The recipient.
    pub user_id: UserId,
    /// The event it is about, if any.
    pub event_id: Option<EventId>,
    /// The registration it is about, or the payment or token.
    pub occurrence: Uuid,
    /// What it is about.
    pub kind: Kind,
    /// The way it takes.
    pub channel: Channel,
    /// E-mail address, or telephone number in E.164.
    pub address: String,
    /// What to call the reader.
    pub name: Option<String>,
    /// The content beyond the event's facts.
    pub details: Details,
    /// The event as it was when the message was stored, so that every try has the same text.
    pub facts: Option<EventFacts>,
    /// What became of it.
    pub status: Status,
    /// When it was stored.
    pub created_at: Timestamp,
    /// When the provider took it.
    pub sent_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for channel in Channel::ALL {
            assert_eq!(Channel::parse(channel.name()), Some(*channel));
        }
        for status in Status::ALL {
            assert_eq!(Status::parse(status.name()), Some(*status));
        }
    }
}
