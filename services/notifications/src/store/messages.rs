//! The messages that are published, the same from every adapter.

use common::{
    clock::Timestamp,
    ids::{MessageId, UserId},
    outbox::NewMessage,
    wire::{kind, service},
};
use serde::{Deserialize, Serialize};

/// What [`sent`] reports.
#[derive(Serialize, Deserialize)]
pub struct NotificationSent {
    pub message_id: MessageId,
    /// Its reader.
    pub user_id: UserId,
}

/// A message went out: to be published live.
pub(super) fn sent(message_id: MessageId, user_id: UserId, now: Timestamp) -> NewMessage {
    let told = NotificationSent { message_id, user_id };
    NewMessage::new(service::LIVE, kind::NOTIFICATION_SENT, message_id, now, &told)
}
