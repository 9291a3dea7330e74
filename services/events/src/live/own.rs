//! Publications on people's own channels that other services ask for.

use std::collections::HashSet;

use common::{
    context::on_behalf_of,
    outbox::Receipt,
    problem::ApiError,
    wire::{OwnPublication, kind},
};
use shared_state::Away;

use super::{Live, channel::Channel, hub::Versioned, publication::Entry};

/// What they may publish.
const KINDS: [&str; 2] = [kind::PAYMENT_CHANGED, kind::NOTIFICATION_SENT];

impl Live {
    /// Publishes each on its user's channel, if somebody reads it; gives what became of them.
    ///
    /// # Errors
    /// 503 when Redis is away. Those before it may be published; none is twice.
    pub async fn publish_own(&self, publications: &[OwnPublication]) -> Result<Vec<Receipt>, ApiError> {
        let published = self.try_publish_own(publications).await;
        published.map_err(|away| ApiError::unavailable("Nothing can be published right now.").because(away))
    }

    async fn try_publish_own(&self, publications: &[OwnPublication]) -> Result<Vec<Receipt>, Away> {
        let users: HashSet<_> = publications.iter().map(|one| one.user_id).collect();
        // Most people are not watching.
        let open = self
            .hub()
            .open(users.into_iter().map(Channel::Me).collect())
            .await?;
        let mut receipts = Vec::with_capacity(publications.len());
        for one in publications {
            let channel = Channel::Me(one.user_id);
            if !KINDS.contains(&one.kind.as_str()) {
                let why = format!("this release does not publish {:?}", one.kind);
                receipts.push(Receipt::rejected(one.id, why));
                continue;
            }
            if open.contains(&channel) {
                let entry = Entry::new(&one.kind, self.now(), &one.data);
                let publishing = self
                    .hub()
                    .publish(channel, &entry, Some(Versioned::once(one.id)), false);
                if on_behalf_of(one.request_id.as_deref(), publishing)
                    .await?
                    .is_some()
                {
                    tracing::debug!(%channel, kind = one.kind, "published");
                }
            }
            receipts.push(Receipt::accepted(one.id));
        }
        Ok(receipts)
    }
}
