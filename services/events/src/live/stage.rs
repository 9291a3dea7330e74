//! What is published of an event's streams.

use common::ids::{EventId, StreamId};
use serde::Serialize;
use shared_state::Away;

use super::{
    Live,
    channel::{Channel, Topic},
    posts::Fault,
    publication::Entry,
};
use crate::{
    domain::stream::{SEEN_FOR, Timetable},
    views::stream::{StreamStateView, TimetableView},
};

/// What is on, and how many watch.
#[derive(Serialize)]
pub(super) struct StageView {
    #[serde(flatten)]
    timetable: TimetableView,
    viewers: u64,
}

#[derive(Serialize)]
struct Viewers {
    count: u64,
}

impl Live {
    /// Publishes how many people watch an event's streams.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn publish_viewers(&self, event: EventId, count: u64) -> Result<(), Away> {
        let now = self.now();
        let entry = Entry::new("viewers", now, &Viewers { count });
        let channel = Channel::Topic(event, Topic::Stage);
        self.hub().publish(channel, &entry, None, false).await.map(drop)
    }

    /// A stream as it stands, for those who watch what is on.
    ///
    /// # Errors
    /// A storage error.
    pub(super) async fn stream_entry(&self, id: StreamId) -> Result<Entry, Fault> {
        let stream = self.store().stream(id).await?;
        let view = stream
            .as_ref()
            .map_or_else(|| StreamStateView::deleted(id), StreamStateView::from);
        Ok(Entry::new("stream.state", self.now(), &view))
    }

    /// What is on, for those who begin to watch.
    ///
    /// # Errors
    /// A storage error.
    pub(super) async fn stage(&self, event: EventId) -> Result<StageView, Fault> {
        let (store, now) = (self.store(), self.now());
        let streams = store.streams(event).await?;
        Ok(StageView {
            timetable: TimetableView::from(&Timetable::new(streams, now)),
            viewers: store.viewers(event, now - SEEN_FOR).await?,
        })
    }
}
