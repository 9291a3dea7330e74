//! Look-ups of users at the users service, through the shared cache.

use std::sync::Arc;

use async_trait::async_trait;
use std::collections::HashMap;

use common::{
    clock::Clock,
    http::{CallError, InternalClient},
    ids::UserId,
    metrics::Gauge,
    wire::{FoundUsers, LookupUsers, UserCard},
};
use shared_state::{
    Shared,
    cache::{Loader, ReadThrough, invalidate},
};

/// Where the users service answers.
pub const PATH: &str = "/internal/users/lookup";
/// The most that one look-up takes.
pub const AT_ONCE: usize = 500;
/// The beginning of the keys, with the version of [`UserCard`]'s form.
const NAME: &str = "user:1";

/// Looks users up. Cheap to clone.
#[derive(Clone)]
pub struct UserDirectory(ReadThrough<UserId, Arc<UserCard>, Users>);

impl UserDirectory {
    /// Requests through `client` what is not in `shared`.
    pub fn new(client: InternalClient, shared: Shared, clock: Clock) -> Self {
        Self(ReadThrough::new(shared, clock, NAME, Users(client)))
    }

    /// The users with these ids. Those that do not exist are missing from the answer. A change shows within a minute,
    /// and at once as a rule.
    ///
    /// # Errors
    /// When the users service does not answer.
    pub async fn find(
        &self,
        ids: impl IntoIterator<Item = UserId>,
    ) -> Result<HashMap<UserId, Arc<UserCard>>, CallError> {
        self.0.find(ids).await
    }

    /// Likewise, for whoever goes through very many users: those who were not in the cache are not put there.
    ///
    /// # Errors
    /// When the users service does not answer.
    pub async fn find_in_passing(
        &self,
        ids: impl IntoIterator<Item = UserId>,
    ) -> Result<HashMap<UserId, Arc<UserCard>>, CallError> {
        self.0.find_in_passing(ids).await
    }

    /// The figures of the look-ups.
    pub fn gauge(&self) -> Box<dyn Gauge> {
        self.0.gauge()
    }
}

/// Notifies every process that a user has changed, after the change is durable. For the users service.
pub async fn changed(shared: &Shared, user: UserId) {
    invalidate(shared, NAME, user).await;
}

struct Users(InternalClient);

#[async_trait]
impl Loader<UserId, Arc<UserCard>> for Users {
    type Error = CallError;

    async fn load(&self, ids: Vec<UserId>) -> Result<Vec<(UserId, Arc<UserCard>)>, CallError> {
        let mut found = Vec::with_capacity(ids.len());
        for ids in ids.chunks(AT_ONCE) {
            let question = LookupUsers {
                user_ids: ids.to_vec(),
            };
            let answer: FoundUsers = self.0.post(PATH, &question).await?;
            found.extend(
                answer
                    .users
                    .into_iter()
                    .map(|card| (card.user_id, Arc::new(card))),
            );
        }
        Ok(found)
    }
}
