//! Look-ups of API keys at the users service. What they found is remembered in this process alone, for a minute at most: the
//! shared cache is no place for what lets somebody in.

use async_trait::async_trait;
use common::{
    api_keys::{AT_ONCE, ApiKey, KeyHash, PATH},
    clock::Clock,
    http::{CallError, InternalClient},
    wire::{ApiKeyCard, FoundApiKeys, LookupApiKeys},
};
use shared_state::{
    Shared,
    cache::{Loader, ReadThrough},
};

/// Looks API keys up. Cheap to clone.
#[derive(Clone)]
pub struct ApiKeys(ReadThrough<KeyHash, ApiKeyCard, Users>);

impl ApiKeys {
    /// Asks the users service through `users`.
    pub fn new(users: InternalClient, clock: Clock) -> Self {
        let memory = Shared::in_process();
        Self(ReadThrough::of_what_is_revoked(
            memory,
            clock,
            "api_key:1",
            Users(users),
        ))
    }

    /// What a key is good for, if there is one.
    ///
    /// # Errors
    /// When the users service does not answer.
    pub async fn find(&self, key: &ApiKey) -> Result<Option<ApiKeyCard>, CallError> {
        let hash = key.hash();
        let mut found = self.0.find([hash]).await?;
        Ok(found.remove(&hash))
    }
}

struct Users(InternalClient);

#[async_trait]
impl Loader<KeyHash, ApiKeyCard> for Users {
    type Error = CallError;

    async fn load(&self, hashes: Vec<KeyHash>) -> Result<Vec<(KeyHash, ApiKeyCard)>, CallError> {
        let mut found = Vec::with_capacity(hashes.len());
        for hashes in hashes.chunks(AT_ONCE) {
            let question = LookupApiKeys {
                hashes: hashes.to_vec(),
            };
            let answer: FoundApiKeys = self.0.post(PATH, &question).await?;
            found.extend(answer.api_keys.into_iter().map(|card| (card.hash, card)));
        }
        Ok(found)
    }
}
