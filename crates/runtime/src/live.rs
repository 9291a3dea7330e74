//! Publishing on people's own live channels what a service other than events has changed. The change leaves a message in the outbox of
//! its commit; when it is delivered, the state of that moment goes to the events service, which publishes it.

use std::collections::HashSet;

use async_trait::async_trait;
use common::{
    http::InternalClient,
    ids::UserId,
    outbox::{CloudEvent, Receipt},
    store::StoreError,
    wire::{OwnPublication, service},
};
use futures_util::{StreamExt, stream};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::relay::Subscriber;

/// Where the events service takes them.
pub const PATH: &str = "/internal/live/publish";
/// States loaded at a time.
const AT_ONCE: usize = 16;
/// Publications in one call: each is a kilobyte or two, and far below the limit of a body together.
const IN_ONE_CALL: usize = 16;

/// Why a change cannot be published.
#[derive(Debug)]
pub enum Unpublished {
    /// The message can never be understood.
    Rejected(String),
    /// Its state cannot be loaded now.
    Later(String),
}

impl From<StoreError> for Unpublished {
    fn from(error: StoreError) -> Self {
        Self::Later(error.to_string())
    }
}

/// What is published, and on whose channel.
pub struct Publication {
    user: UserId,
    data: Box<RawValue>,
}

impl Publication {
    /// For this user.
    ///
    /// # Errors
    /// When `data` is no JSON.
    pub fn new(user: UserId, data: &impl Serialize) -> Result<Self, Unpublished> {
        let data = to_raw_value(data).map_err(|error| Unpublished::Rejected(error.to_string()))?;
        Ok(Self { user, data })
    }
}

/// Loads the state that a change has led to.
#[async_trait]
pub trait States: Send + Sync {
    /// As it stands now; `None`: there is nothing to publish any more.
    ///
    /// # Errors
    /// Why it cannot be published.
    async fn of(&self, change: &CloudEvent) -> Result<Option<Publication>, Unpublished>;
}

/// Consumes a service's messages to [`service::LIVE`].
pub struct OwnChannels<S> {
    states: S,
    events: InternalClient,
}

impl<S: States> OwnChannels<S> {
    /// `events` is the events service.
    pub fn new(states: S, events: InternalClient) -> Self {
        Self { states, events }
    }

    async fn load(&self, change: &CloudEvent) -> Result<OwnPublication, Receipt> {
        match self.states.of(change).await {
            Ok(Some(Publication { user, data })) => Ok(OwnPublication {
                id: change.id,
                user_id: user,
                kind: change.kind.clone(),
                data,
                request_id: change.request_id.clone(),
            }),
            Ok(None) => Err(Receipt::accepted(change.id)),
            Err(Unpublished::Rejected(why)) => Err(Receipt::rejected(change.id, why)),
            Err(Unpublished::Later(why)) => Err(Receipt::retry(change.id, why)),
        }
    }
}

#[async_trait]
impl<S: States> Subscriber for OwnChannels<S> {
    fn name(&self) -> &str {
        service::LIVE
    }

    async fn deliver(&self, batch: &[&CloudEvent]) -> Result<Vec<Receipt>, String> {
        let mut receipts = Vec::with_capacity(batch.len());
        // What is published is the state of now: of several changes of one thing the last will do.
        let (mut seen, mut due) = (HashSet::new(), Vec::new());
        for change in batch.iter().rev() {
            match seen.insert((&change.kind, change.subject)) {
                true => due.push(self.load(change)),
                false => receipts.push(Receipt::accepted(change.id)),
            }
        }
        due.reverse();
        let loaded: Vec<_> = stream::iter(due).buffered(AT_ONCE).collect().await;
        let mut publications = Vec::with_capacity(loaded.len());
        for loaded in loaded {
            match loaded {
                Ok(publication) => publications.push(publication),
                Err(receipt) => receipts.push(receipt),
            }
        }
        for some in publications.chunks(IN_ONE_CALL) {
            let taken: Result<Vec<Receipt>, _> = self.events.post(PATH, &some).await;
            receipts.extend(taken.map_err(|error| error.to_string())?);
        }
        Ok(receipts)
    }
}
