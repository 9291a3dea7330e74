//! Consumes the messages of the store's changes: publishes what has changed to those whom it concerns.
//!
//! A message may come twice and late. What is published is the state that the store holds at that moment, so the last
//! publication is always right, and one too many does no harm.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use common::{
    context::on_behalf_of,
    ids::{EventId, PostId, RegistrationId, StreamId, UserId, WaitlistId},
    outbox::{CloudEvent, Receipt},
    wire::kind,
};
use futures_util::{StreamExt, stream};
use runtime::relay::Subscriber;
use serde::Serialize;
use shared_state::Away;

use super::{
    Live, access,
    channel::{Channel, Topic},
    counters::Mark,
    hub,
    posts::Fault,
    publication::Entry,
};
use crate::{
    domain::change::{
        ACCESS_CHANGED, AccessChanged, CHAT_MODE_CHANGED, EVENT_CANCELLED, EVENT_CHANGED, EventChanged, LIVE,
        POST_CHANGED, POST_VOTED, PostChanged, REGISTRATION_CHANGED, RegistrationChanged, STREAM_CHANGED,
        StreamChanged, WAITLIST_CHANGED, WaitlistChanged,
    },
    views::{EventView, RegistrationView, waitlist::WaitlistView},
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

#[derive(Serialize)]
struct OfWaitlist {
    waitlist: WaitlistView,
}

#[async_trait]
impl Subscriber for Publisher {
    fn name(&self) -> &str {
        LIVE
    }

    async fn deliver(&self, batch: &[&CloudEvent]) -> Result<Vec<Receipt>, String> {
        let read: Vec<_> = batch.iter().map(|event| Change::read(event)).collect();
        let changes = || read.iter().flatten();
        let channels: HashSet<Channel> = changes().flat_map(Change::channels).collect();
        // Most people are not watching, and what nobody reads needs not be loaded.
        let open = self
            .0
            .hub()
            .open(channels.into_iter().collect())
            .await
            .map_err(|away| away.to_string())?;
        let (mut seen, mut due) = (HashSet::new(), Vec::new());
        // What is published is the state of now: of several messages about one thing the last will do.
        for (event, change) in batch.iter().zip(&read).rev() {
            if let Ok(change) = change
                && change.channels().any(|channel| open.contains(&channel))
                && seen.insert(change.about())
            {
                due.push(self.published(event, change, &open));
            }
        }
        let published: HashMap<About, Result<(), Fault>> =
            stream::iter(due).buffer_unordered(AT_ONCE).collect().await;
        if published
            .values()
            .any(|published| matches!(published, Err(Fault::Away(_))))
        {
            // None of them can be had: all are delivered again soon, and none is the worse for it.
            return Err(Away.to_string());
        }
        let marks: HashSet<Mark> = changes().filter_map(Change::mark).collect();
        for mark in marks {
            let marked = self.0.counters().mark(mark).await;
            marked.map_err(|away| away.to_string())?;
        }
        let receipts = batch.iter().zip(&read).map(|(event, change)| match change {
            Err(why) => Receipt::rejected(event.id, why),
            Ok(change) => match published.get(&change.about()) {
                Some(Err(why)) => Receipt::retry(event.id, why.to_string()),
                _ => Receipt::accepted(event.id),
            },
        });
        Ok(receipts.collect())
    }
}

/// What has changed.
enum Change {
    Registration(RegistrationChanged),
    Waitlist(WaitlistChanged),
    Event(EventId),
    Post(PostChanged),
    Votes(PostChanged),
    ChatMode(EventId),
    Access(AccessChanged),
    Stream(StreamChanged),
}

/// What a change is about: of several about the same, the last is published.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum About {
    Registration(RegistrationId),
    Waitlist(WaitlistId),
    Event(EventId),
    Post(PostId),
    Votes(PostId),
    ChatMode(EventId),
    Access(EventId, UserId),
    Stream(StreamId),
}

impl Change {
    fn read(event: &CloudEvent) -> Result<Self, String> {
        match event.kind.as_str() {
            REGISTRATION_CHANGED => event.data().map(Self::Registration),
            WAITLIST_CHANGED => event.data().map(Self::Waitlist),
            EVENT_CHANGED | EVENT_CANCELLED => {
                let changed = event.data::<EventChanged>();
                changed.map(|changed| Self::Event(changed.event_id))
            }
            POST_CHANGED => event.data().map(Self::Post),
            POST_VOTED => event.data().map(Self::Votes),
            CHAT_MODE_CHANGED => {
                let changed = event.data::<EventChanged>();
                changed.map(|changed| Self::ChatMode(changed.event_id))
            }
            ACCESS_CHANGED => event.data().map(Self::Access),
            STREAM_CHANGED => event.data().map(Self::Stream),
            _ => Err(event.unknown_kind()),
        }
    }

    fn about(&self) -> About {
        match self {
            Self::Registration(changed) => About::Registration(changed.registration_id),
            Self::Waitlist(changed) => About::Waitlist(changed.waitlist_id),
            Self::Event(event) => About::Event(*event),
            Self::Post(changed) => About::Post(changed.post_id),
            Self::Votes(changed) => About::Votes(changed.post_id),
            Self::ChatMode(event) => About::ChatMode(*event),
            Self::Access(changed) => About::Access(changed.event_id, changed.user_id),
            Self::Stream(changed) => About::Stream(changed.stream_id),
        }
    }

    /// Where it is published.
    fn channels(&self) -> impl Iterator<Item = Channel> + use<> {
        let (first, second) = match self {
            Self::Registration(changed) => (
                Some(Channel::Me(changed.user_id)),
                Some(Channel::Access(changed.event_id)).filter(|_| changed.revokes != Some(false)),
            ),
            Self::Waitlist(changed) => (Some(Channel::Me(changed.user_id)), None),
            Self::Event(event) => (Some(Channel::Event(*event)), Some(Channel::Access(*event))),
            Self::Post(changed) => {
                let channel = Channel::Topic(changed.event_id, Topic::from(changed.kind));
                (Some(channel), None)
            }
            Self::ChatMode(event) => (Some(Channel::Topic(*event, Topic::Chat)), None),
            Self::Access(changed) => (Some(Channel::Access(changed.event_id)), None),
            Self::Stream(changed) => (Some(Channel::Topic(changed.event_id, Topic::Stage)), None),
            // Counted, and published with others.
            Self::Votes(_) => (None, None),
        };
        first.into_iter().chain(second)
    }

    /// What is to be counted anew.
    fn mark(&self) -> Option<Mark> {
        match self {
            Self::Registration(changed) => Some(Mark::Seats(changed.event_id)),
            Self::Waitlist(changed) => Some(Mark::Seats(changed.event_id)),
            Self::Event(event) => Some(Mark::Seats(*event)),
            Self::Votes(changed) => Some(Mark::Votes(changed.post_id)),
            Self::Post(_) | Self::ChatMode(_) | Self::Access(_) | Self::Stream(_) => None,
        }
    }
}

impl Publisher {
    /// What came of publishing.
    async fn published(
        &self,
        event: &CloudEvent,
        change: &Change,
        open: &HashSet<Channel>,
    ) -> (About, Result<(), Fault>) {
        let publishing = self.publish(event, change, open);
        let published = on_behalf_of(event.request_id.as_deref(), publishing).await;
        (change.about(), published)
    }

    async fn publish(
        &self,
        event: &CloudEvent,
        change: &Change,
        open: &HashSet<Channel>,
    ) -> Result<(), Fault> {
        match change {
            Change::Registration(changed) => self.registration(event, changed, open).await,
            Change::Waitlist(changed) => self.waitlist(event, changed, open).await,
            Change::Event(id) => self.event(event, *id, open).await,
            Change::Post(changed) => {
                if let Some(post) = self.0.store().post(changed.post_id).await? {
                    self.0.publish_post(&post, false).await?;
                }
                Ok(())
            }
            Change::Votes(_) => Ok(()),
            Change::ChatMode(id) => self.0.publish_chat_mode(*id).await,
            Change::Stream(changed) => {
                let entry = self.0.stream_entry(changed.stream_id).await?;
                let channel = Channel::Topic(changed.event_id, Topic::Stage);
                self.entry(event, channel, &entry, open).await
            }
            Change::Access(changed) => {
                let entry = access::entry(Some(changed.user_id), self.0.now());
                self.entry(event, Channel::Access(changed.event_id), &entry, open)
                    .await
            }
        }
    }

    async fn registration(
        &self,
        event: &CloudEvent,
        changed: &RegistrationChanged,
        open: &HashSet<Channel>,
    ) -> Result<(), Fault> {
        let (store, now) = (self.0.store(), self.0.now());
        let user = changed.user_id;
        let found = store.registration(changed.registration_id, user, now).await?;
        let Some(found) = found else { return Ok(()) };
        let registration = RegistrationView::from(&self.0.tickets().sealed(found.clone()));
        let entry = Entry::new(&event.kind, now, &OfRegistration { registration });
        self.entry(event, Channel::Me(user), &entry, open).await?;
        // Of a cancelled event all have lost their rights at once.
        let has_ended = found.registration.may_have_a_successor();
        if has_ended && changed.revokes != Some(false) && !found.event.cancelled {
            let channel = Channel::Access(changed.event_id);
            self.entry(event, channel, &access::entry(Some(user), now), open)
                .await?;
        }
        Ok(())
    }

    /// Only an offer is published: whoever acts on the rest has just done it themselves.
    async fn waitlist(
        &self,
        event: &CloudEvent,
        changed: &WaitlistChanged,
        open: &HashSet<Channel>,
    ) -> Result<(), Fault> {
        let now = self.0.now();
        let found = self.0.store().waitlist_entry(changed.waitlist_id, now).await?;
        if let Some(found) = found.filter(|found| found.entry.has_offer(now)) {
            let waitlist = WaitlistView::from(&found);
            let entry = Entry::new(kind::WAITLIST_OFFERED, now, &OfWaitlist { waitlist });
            self.entry(event, Channel::Me(changed.user_id), &entry, open)
                .await?;
        }
        Ok(())
    }

    async fn event(&self, event: &CloudEvent, id: EventId, open: &HashSet<Channel>) -> Result<(), Fault> {
        let now = self.0.now();
        let found = self.0.store().event(id).await?;
        // What is published can be had for a while by everybody who reads the channel later, so nothing is of a draft.
        let Some(found) = found.filter(|event| !event.draft) else {
            return Ok(());
        };
        let view = EventView::from(&found);
        let entry = Entry::new(&event.kind, now, &OfEvent { event: view });
        self.entry(event, Channel::Event(id), &entry, open).await?;
        if found.cancelled {
            let entry = access::entry(None, now);
            self.entry(event, Channel::Access(id), &entry, open).await?;
        }
        Ok(())
    }

    async fn entry(
        &self,
        event: &CloudEvent,
        channel: Channel,
        entry: &Entry,
        open: &HashSet<Channel>,
    ) -> Result<(), Fault> {
        if open.contains(&channel) {
            let once = hub::Versioned::once(event.id);
            let published = self.0.hub().publish(channel, entry, Some(once), false).await?;
            if published.is_some() {
                tracing::debug!(%channel, kind = event.kind, "published");
            }
        }
        Ok(())
    }
}
