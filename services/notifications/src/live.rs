//! What is published live on a user's own channel: a message that was sent.

use std::sync::Arc;

use async_trait::async_trait;
use common::{outbox::CloudEvent, wire::kind};
use runtime::live::{Publication, States, Unpublished};
use serde::Serialize;

use crate::{app::Parts, handlers::my_notifications::Notification, store::messages::NotificationSent};

/// Loads messages.
pub struct Notifications(pub Arc<Parts>);

#[derive(Serialize)]
struct OfNotification {
    notification: Notification,
}

#[async_trait]
impl States for Notifications {
    async fn of(&self, change: &CloudEvent) -> Result<Option<Publication>, Unpublished> {
        if change.kind != kind::NOTIFICATION_SENT {
            return Err(Unpublished::Rejected(change.unknown_kind()));
        }
        let NotificationSent { message_id, user_id } = change.data().map_err(Unpublished::Rejected)?;
        let found = self.0.store.entry(message_id, user_id).await?;
        let Some(found) = found else { return Ok(None) };
        let notification = Notification::new(&self.0.writer, &found);
        Publication::new(user_id, &OfNotification { notification }).map(Some)
    }
}
