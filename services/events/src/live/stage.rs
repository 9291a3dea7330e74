//! What is published of an event's streams.

use common::ids::{EventId, StreamId};
use serde::Serialize;
use shared_state::Away;

use super::{
    Live,
    channel::{Channel, Topic},
    hub::Versioned,
    posts::Fault,
    publication::Entry,
};
use crate::{
    domain::stream::Timetable,
    views::streams::{StreamStateView, TimetableView},
};

/// Seconds between two publications of how many watch, whichever process publishes.
const VIEWERS_EVERY: i64 = 5;

#[derive(Serialize)]
struct Viewers {
    count: u64,
}

impl Live {
    /// Publishes how many people watch an event's streams, if that was not published a moment ago.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn publish_viewers(&self, event: EventId, count: u64) -> Result<(), Away> {
        let now = self.now();
        let about = Versioned {
            subject: event.0,
            version: u64::try_from(now.timestamp() / VIEWERS_EVERY).unwrap_or_default(),
        };
        let entry = Entry::new("viewers", now, &Viewers { count });
        let channel = Channel::Topic(event, Topic::Stage);
        self.hub()
            .publish(channel, &entry, Some(about), false)
            .await
            .map(drop)
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
    pub(super) async fn timetable(&self, event: EventId) -> Result<TimetableView, Fault> {
        let streams = self.store().streams(event).await?;
        Ok(TimetableView::from(&Timetable::new(streams, self.now())))
    }
}
