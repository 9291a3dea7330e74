//! Streams as the public API shows them.

use common::{
    clock::Timestamp,
    ids::{EventId, PlaybackId, StreamId},
    time::utc,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::stream::{Kind, Playback, Receiver, State, Stream, Timetable};

/// A stream in an event's timetable.
#[derive(Serialize, ToSchema)]
pub struct StreamView {
    /// The id.
    #[schema(value_type = String, format = Uuid, example = "019309a2-0000-7000-8000-000000000031")]
    pub stream_id: StreamId,
    /// What it is called.
    #[schema(example = "Main stage")]
    pub title: String,
    /// Where its pictures come from: `ingest` (here), `hls`, `embed` or `meeting`.
    #[schema(value_type = Kind, example = "ingest")]
    pub kind: &'static str,
    /// Where it stands: `scheduled`, `ready`, `live`, `interrupted`, `ended` or `replay`.
    #[schema(value_type = State, example = "live")]
    pub state: &'static str,
    /// Since when, UTC.
    #[schema(format = DateTime, example = "2026-11-22T13:14:06.000Z")]
    pub since: String,
    /// When it is planned to begin, UTC; null: at no time in particular.
    #[schema(required = true, format = DateTime, example = "2030-01-31T13:00:00.000Z")]
    pub starts_at: Option<String>,
    /// When it is planned to end, UTC.
    #[schema(required = true, format = DateTime, example = "2030-01-31T15:00:00.000Z")]
    pub ends_at: Option<String>,
    /// Of several live ones the one with the smallest is current.
    #[schema(example = 0)]
    pub priority: u32,
}

fn time(at: Option<Timestamp>) -> Option<String> {
    at.map(utc)
}

impl From<&Stream> for StreamView {
    fn from(stream: &Stream) -> Self {
        Self {
            stream_id: stream.id,
            title: stream.title.clone(),
            kind: stream.kind.name(),
            state: stream.state.name(),
            since: utc(stream.since),
            starts_at: time(stream.starts_at),
            ends_at: time(stream.ends_at),
            priority: stream.priority,
        }
    }
}

/// What is on, and what comes next.
#[derive(Serialize, ToSchema)]
pub struct TimetableView {
    /// The stream to show now; null: nothing is on.
    #[schema(value_type = Option<String>, required = true, format = Uuid, example = "019309a2-0000-7000-8000-000000000031")]
    pub current: Option<StreamId>,
    /// The stream that comes next; null: none does.
    #[schema(value_type = Option<String>, required = true, format = Uuid, example = "019309a2-0000-7000-8000-000000000032")]
    pub next: Option<StreamId>,
    /// All streams, in the order of their times.
    pub streams: Vec<StreamView>,
}

impl From<&Timetable> for TimetableView {
    fn from(timetable: &Timetable) -> Self {
        Self {
            current: timetable.current,
            next: timetable.next,
            streams: timetable.streams.iter().map(StreamView::from).collect(),
        }
    }
}

/// What is on, and what comes next, for those who may join.
#[derive(Serialize, ToSchema)]
pub struct TimetableAnswer {
    /// The timetable.
    #[serde(flatten)]
    pub timetable: TimetableView,
    /// Where the event is joined, if that is elsewhere.
    #[schema(required = true, example = json!(null))]
    pub join_url: Option<String>,
}

/// A stream as its organizer sees it.
#[derive(Serialize, ToSchema)]
pub struct OrganizerStreamView {
    /// The stream.
    #[serde(flatten)]
    pub stream: StreamView,
    /// Its event.
    #[schema(value_type = String, format = Uuid, example = "019309a2-0000-7000-8000-000000000002")]
    pub event_id: EventId,
    /// Where it is; null for `ingest`.
    #[schema(required = true, example = json!(null))]
    pub url: Option<String>,
    /// What receives it in place of the ports here; left out: nothing does.
    #[schema(example = "mediamtx")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_server: Option<&'static str>,
    /// Whether it can be watched again when it is over.
    #[schema(example = true)]
    pub record: bool,
    /// Counts its keys.
    #[schema(example = 0)]
    pub key_generation: u32,
    /// Bits per second of the last segment; null: nothing was received.
    #[schema(required = true, example = 2_500_000)]
    pub bitrate: Option<u64>,
    /// As RFC 6381 names them; null: unknown.
    #[schema(required = true, example = "avc1.64001f,mp4a.40.2")]
    pub codecs: Option<String>,
    /// What is kept of it, in bytes.
    #[schema(example = 12_000_000)]
    pub bytes: u64,
    /// What is wrong with the encoder; null: nothing is.
    #[schema(required = true, example = json!(null))]
    pub problem: Option<String>,
    /// When it was created, UTC.
    #[schema(format = DateTime, example = "2026-11-22T13:14:06.000Z")]
    pub created_at: String,
}

impl From<&Stream> for OrganizerStreamView {
    fn from(stream: &Stream) -> Self {
        let feed = &stream.feed;
        Self {
            stream: StreamView::from(stream),
            event_id: stream.event,
            url: stream.url.clone(),
            media_server: match stream.receiver {
                Receiver::Own => None,
                Receiver::MediaMtx => Some(stream.receiver.name()),
            },
            record: stream.record,
            key_generation: feed.key_generation,
            bitrate: feed.bitrate,
            codecs: feed.codecs.clone(),
            bytes: feed.bytes,
            problem: feed.problem.clone(),
            created_at: utc(stream.created_at),
        }
    }
}

/// What somebody has watched, for the export of all that is held of them.
#[derive(Serialize)]
pub struct WatchedView {
    playback_id: PlaybackId,
    stream_id: StreamId,
    event_id: EventId,
    started_at: String,
    seen_at: String,
    watched_seconds: i64,
}

impl From<&Playback> for WatchedView {
    fn from(playback: &Playback) -> Self {
        Self {
            playback_id: playback.id,
            stream_id: playback.stream,
            event_id: playback.event,
            started_at: utc(playback.started_at),
            seen_at: utc(playback.seen_at),
            watched_seconds: playback.watched_millis / 1_000,
        }
    }
}

/// A stream's state, as it is published.
#[derive(Serialize)]
pub struct StreamStateView {
    stream_id: StreamId,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    starts_at: Option<String>,
}

impl From<&Stream> for StreamStateView {
    fn from(stream: &Stream) -> Self {
        Self {
            stream_id: stream.id,
            state: stream.state.name(),
            title: Some(stream.title.clone()),
            starts_at: time(stream.starts_at),
        }
    }
}

impl StreamStateView {
    /// A stream that was deleted.
    pub fn deleted(stream_id: StreamId) -> Self {
        Self {
            stream_id,
            state: State::Deleted.name(),
            title: None,
            starts_at: None,
        }
    }
}
