//! Consumes the messages of the store's changes: publishes what has changed to those whom it concerns.
//!
//! A message may come twice and late. What is published is the state that the store holds at that moment, so the last
//! publication is always right, and one too many does no harm.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use common::{
    context::on_behalf_of,
    ids::EventId,
    outbox::{CloudEvent, Receipt},
    store::StoreError,
};
use futures_util::{StreamExt, stream};
use runtime::relay::Subscriber;
use serde::Serialize;
use shared_state::Away;
use uuid::Uuid;

use super::{Live, channel::Channel, publication::Entry};
use crate::{
    domain::change::{
        EVENT_CANCELLED, EVENT_CHANGED, EventChanged, LIVE, REGISTRATION_CHANGED, RegistrationChanged,
    },
    views::{EventView, RegistrationView},
};

/// Publications under way: a batch is to be done long before the relay's lease runs out.
const AT_ONCE: usize = 32;

/// Consumes messages for the live room.
pub struct Publisher(pub Live);

#[derive(Serialize)]
struct OfEvent {
    event: EventView,
}

#[derive(Serialize)]
struct OfRegistration {
    registration: RegistrationView,
}

#[async_trait]
impl Subscriber for Publisher {
    fn name(&self) -> &str {
        LIVE
    }

    async fn deliver(&self, batch: &[&CloudEvent]) -> Result<Vec<Receipt>, String> {
        let read: Vec<_> = batch.iter().map(|event| Change::read(event)).collect();
        let changes = || read.iter().flatten();
        let channels: HashSet<Channel> = changes().map(Change::channel).collect();
        // Most people are not watching, and what nobody reads needs not be loaded.
        let open = self
            .0
            .hub()
            .open(channels.into_iter().collect())
            .await
            .map_err(text)?;
        let (mut seen, mut due) = (HashSet::new(), Vec::new());
        // What is published is the state of now: of several messages about one thing the last will do.
        for (event, change) in batch.iter().zip(&read).rev() {
            if let Ok(change) = change
                && open.contains(&change.channel())
                && seen.insert(event.subject)
            {
                due.push(self.published(event, change));
            }
        }
        let published: HashMap<Uuid, Result<(), Fault>> =
            stream::iter(due).buffer_unordered(AT_ONCE).collect().await;
        if published
            .values()
            .any(|published| matches!(published, Err(Fault::Away)))
        {
            // None of them can be had: all are delivered again soon, and none is the worse for it.
            return Err(Away.to_string());
        }
        let events: HashSet<EventId> = changes().map(Change::event).collect();
        for event in events {
            self.0.counters().mark(event).await.map_err(text)?;
        }
        let receipts =
            batch
                .iter()
                .zip(&read)
                .map(|(event, change)| match (change, published.get(&event.subject)) {
                    (Err(why), _) => Receipt::rejected(event.id, why),
                    (Ok(_), Some(Err(Fault::Store(why)))) => Receipt::retry(event.id, why),
                    _ => Receipt::accepted(event.id),
                });
        Ok(receipts.collect())
    }
}

/// Why something could not be published.
enum Fault {
    /// Redis is away.
    Away,
    /// It could not be loaded.
    Store(String),
}

impl From<Away> for Fault {
    fn from(_: Away) -> Self {
        Self::Away
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error.to_string())
    }
}

/// What has changed.
enum Change {
    Registration(RegistrationChanged),
    Event(EventId),
}

impl Change {
    fn read(event: &CloudEvent) -> Result<Self, String> {
        match event.kind.as_str() {
            REGISTRATION_CHANGED => event.data().map(Self::Registration),
            EVENT_CHANGED | EVENT_CANCELLED => {
                let changed = event.data::<EventChanged>();
                changed.map(|changed| Self::Event(changed.event_id))
            }
            _ => Err(event.unknown_kind()),
        }
    }

    fn channel(&self) -> Channel {
        match self {
            Self::Registration(changed) => Channel::Me(changed.user_id),
            Self::Event(event) => Channel::Event(*event),
        }
    }

    fn event(&self) -> EventId {
        match self {
            Self::Registration(changed) => changed.event_id,
            Self::Event(event) => *event,
        }
    }
}

impl Publisher {
    /// What came of publishing, with the subject.
    async fn published(&self, event: &CloudEvent, change: &Change) -> (Uuid, Result<(), Fault>) {
        let published = on_behalf_of(event.request_id.as_deref(), self.publish(event, change)).await;
        (event.subject, published)
    }

    async fn publish(&self, event: &CloudEvent, change: &Change) -> Result<(), Fault> {
        let store = self.0.store();
        let now = self.0.auth().clock().now();
        let entry = match change {
            Change::Registration(changed) => {
                let found = store
                    .registration(changed.registration_id, changed.user_id, now)
                    .await?;
                found.map(|found| {
                    let registration = RegistrationView::from(&found);
                    Entry::new(&event.kind, now, &OfRegistration { registration })
                })
            }
            Change::Event(id) => {
                let found = store.event(*id).await?;
                found.map(|found| {
                    let view = EventView::from(&found);
                    Entry::new(&event.kind, now, &OfEvent { event: view })
                })
            }
        };
        let Some(entry) = entry else { return Ok(()) };
        let channel = change.channel();
        if self
            .0
            .hub()
            .publish(channel, &entry, Some(event.id))
            .await?
            .is_some()
        {
            tracing::debug!(%channel, kind = event.kind, "published");
        }
        Ok(())
    }
}

fn text(away: Away) -> String {
    away.to_string()
}
