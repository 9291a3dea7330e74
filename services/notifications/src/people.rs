//! Who the recipients are, asked of the users service and remembered for a few seconds.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use common::{
    cache::Cache,
    http::{CallError, InternalClient},
    ids::UserId,
    wire::{FoundUsers, LookupUsers, UserCard},
};

const PATH: &str = "/internal/users/lookup";
/// The most that one look-up takes.
const AT_ONCE: usize = 500;
/// How long a changed name or address may go unnoticed.
const TTL: Duration = Duration::from_secs(5);
const REMEMBERED: u64 = 20_000;

/// Looks users up. Cheap to clone.
#[derive(Clone)]
pub struct People {
    client: InternalClient,
    /// `None`: there is no such user.
    cache: Cache<UserId, Option<Arc<UserCard>>>,
}

impl People {
    /// Asks through `client`.
    pub fn new(client: InternalClient) -> Self {
        Self {
            client,
            cache: Cache::new(REMEMBERED, TTL),
        }
    }

    /// The users with these ids. Those that do not exist are missing from the answer.
    ///
    /// # Errors
    /// When the users service cannot be asked.
    pub async fn find(
        &self,
        ids: impl IntoIterator<Item = UserId>,
    ) -> Result<HashMap<UserId, Arc<UserCard>>, CallError> {
        let (mut found, mut unknown) = (HashMap::new(), Vec::new());
        for id in ids.into_iter().collect::<HashSet<_>>() {
            match self.cache.get(&id).await {
                Some(Some(card)) => drop(found.insert(id, card)),
                Some(None) => {}
                None => unknown.push(id),
            }
        }
        for ids in unknown.chunks(AT_ONCE) {
            let answer: FoundUsers = self
                .client
                .post(
                    PATH,
                    &LookupUsers {
                        user_ids: ids.to_vec(),
                    },
                )
                .await?;
            let mut cards: HashMap<_, _> = answer
                .users
                .into_iter()
                .map(|card| (card.user_id, Arc::new(card)))
                .collect();
            for id in ids {
                let card = cards.remove(id);
                self.cache.put(*id, card.clone()).await;
                found.extend(card.map(|card| (*id, card)));
            }
        }
        Ok(found)
    }
}
