//! What a change of the store has to say to the live room: messages in the outbox, so that none is lost between the
//! commit and the publication. They carry ids; what is published is what the store holds by then.

use common::{
    clock::Timestamp,
    ids::{EventId, PostId, RegistrationId, StreamId, UserId, WaitlistId},
    outbox::NewMessage,
};
use serde::{Deserialize, Serialize};

use super::{
    event::Event,
    post::{Kind, Post},
    registration::Registration,
    stream::Stream,
    waitlist::Entry,
};

/// The live room, as the destination of messages.
pub const LIVE: &str = common::wire::service::LIVE;
/// A registration was made, confirmed or cancelled, or has expired.
pub const REGISTRATION_CHANGED: &str = "registration.changed";
/// An event was changed.
pub const EVENT_CHANGED: &str = "event.changed";
/// An event was cancelled.
pub const EVENT_CANCELLED: &str = "event.cancelled";

/// A chat message, question, poll or announcement was made or changed.
pub const POST_CHANGED: &str = "post.changed";
/// A question or poll was voted for.
pub const POST_VOTED: &str = "post.voted";
/// Who may write in the chat was changed.
pub const CHAT_MODE_CHANGED: &str = "chat.mode";
/// What somebody may read or write was changed.
pub const ACCESS_CHANGED: &str = "access.changed";

/// A stream of an event has moved, or was changed.
pub const STREAM_CHANGED: &str = "stream.changed";

/// An entry of a waitlist has moved.
pub const WAITLIST_CHANGED: &str = "waitlist.changed";

/// Which registration.
#[derive(Serialize, Deserialize)]
pub struct RegistrationChanged {
    /// The registration.
    pub registration_id: RegistrationId,
    /// Its event.
    pub event_id: EventId,
    /// Its user.
    pub user_id: UserId,
    /// Whether it was confirmed, and is not any more; `None`: told by an earlier release.
    #[serde(default)]
    pub revokes: Option<bool>,
}

/// Which event.
#[derive(Serialize, Deserialize)]
pub struct EventChanged {
    /// The event.
    pub event_id: EventId,
}

/// Which post.
#[derive(Serialize, Deserialize)]
pub struct PostChanged {
    /// The post.
    pub post_id: PostId,
    /// Its event.
    pub event_id: EventId,
    /// What it is.
    pub kind: Kind,
}

/// Which stream.
#[derive(Serialize, Deserialize)]
pub struct StreamChanged {
    /// The stream.
    pub stream_id: StreamId,
    /// Its event.
    pub event_id: EventId,
}

/// Which entry of a waitlist.
#[derive(Serialize, Deserialize)]
pub struct WaitlistChanged {
    /// The entry.
    pub waitlist_id: WaitlistId,
    /// Its event.
    pub event_id: EventId,
    /// Its user.
    pub user_id: UserId,
}

/// Whose rights.
#[derive(Serialize, Deserialize)]
pub struct AccessChanged {
    /// Beside which event.
    pub event_id: EventId,
    /// The user.
    pub user_id: UserId,
}

/// A registration was made or has moved. `revokes`: it was confirmed, and is not any more.
pub fn of_registration(registration: &Registration, revokes: bool, now: Timestamp) -> NewMessage {
    let changed = RegistrationChanged {
        registration_id: registration.id,
        event_id: registration.event_id,
        user_id: registration.user_id,
        revokes: Some(revokes),
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

/// A post was made or changed.
pub fn of_post(post: &Post, now: Timestamp) -> NewMessage {
    NewMessage::new(LIVE, POST_CHANGED, post.id, now, &which(post))
}

/// A post was voted for.
pub fn of_votes(post: &Post, now: Timestamp) -> NewMessage {
    NewMessage::new(LIVE, POST_VOTED, post.id, now, &which(post))
}

fn which(post: &Post) -> PostChanged {
    PostChanged {
        post_id: post.id,
        event_id: post.event,
        kind: post.kind,
    }
}

/// A stream has moved, or was changed.
pub fn of_stream(stream: &Stream, now: Timestamp) -> NewMessage {
    let changed = StreamChanged {
        stream_id: stream.id,
        event_id: stream.event,
    };
    NewMessage::new(LIVE, STREAM_CHANGED, stream.id, now, &changed)
}

/// An entry of a waitlist has moved.
pub fn of_entry(entry: &Entry, now: Timestamp) -> NewMessage {
    let changed = WaitlistChanged {
        waitlist_id: entry.id,
        event_id: entry.event_id,
        user_id: entry.user_id,
    };
    NewMessage::new(LIVE, WAITLIST_CHANGED, entry.id, now, &changed)
}

/// Who may write in an event's chat was changed.
pub fn of_chat_mode(event_id: EventId, now: Timestamp) -> NewMessage {
    NewMessage::new(LIVE, CHAT_MODE_CHANGED, event_id, now, &EventChanged { event_id })
}

/// Somebody was banned or muted, or is no longer.
pub fn of_access(event_id: EventId, user_id: UserId, now: Timestamp) -> NewMessage {
    let changed = AccessChanged { event_id, user_id };
    NewMessage::new(LIVE, ACCESS_CHANGED, user_id, now, &changed)
}
