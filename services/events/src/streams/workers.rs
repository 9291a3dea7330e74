//! The room's background work.

use std::{collections::HashSet, time::Duration};

use common::{
    store::StoreError,
    workers::{Next, Pace, Workers, rounds},
};
use tokio_util::sync::CancellationToken;

use super::{Streams, mediamtx::MediaMtxError, objects::ObjectsError};
use crate::domain::stream::{Receiver, State, Stream};

/// How often streams whose encoder may have gone silent are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often it is written down who watches, and published how many.
const VIEWERS_EVERY: Duration = Duration::from_secs(5);
/// How often recordings past their retention are looked for.
const DROP_EVERY: Duration = Duration::from_secs(30);
/// Streams in one round.
const AT_ONCE: usize = 100;
/// Segments dropped at a time.
const SEGMENTS: usize = 500;

/// Why a recording was not dropped.
#[derive(Debug, thiserror::Error)]
enum DropError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Objects(#[from] ObjectsError),
    #[error(transparent)]
    MediaMtx(#[from] MediaMtxError),
}

impl Streams {
    /// Starts the room's workers.
    pub fn work(&self, workers: &Workers) {
        let stop = || workers.stop_token();
        workers.spawn("look at streams", self.clone().look(stop()));
        workers.spawn("late segments", self.clone().skip_missing(stop()));
        workers.spawn("viewers", self.clone().count_viewers(stop()));
        workers.spawn("MediaMTX", self.clone().poll_mediamtx(stop()));
        workers.spawn("drop recordings", self.clone().drop_recordings(stop()));
    }

    async fn look(self, stop: CancellationToken) {
        rounds("look at streams", Pace::every(LOOK_EVERY), stop, || async {
            let moved = self.store().look_at_streams(self.now(), AT_ONCE).await?;
            for stream in &moved {
                let (state, event_id) = (stream.state.name(), stream.event);
                tracing::info!(stream_id = %stream.id, %event_id, state, "stream moved");
                self.forget_playlists(stream.id).await;
            }
            Ok::<_, StoreError>(Next::after(moved.len()))
        })
        .await;
    }

    async fn skip_missing(self, stop: CancellationToken) {
        rounds("late segments", Pace::every(LOOK_EVERY), stop, || async {
            self.take_late().await;
            Ok::<_, StoreError>(Next::Idle)
        })
        .await;
    }

    async fn count_viewers(self, stop: CancellationToken) {
        rounds("viewers", Pace::every(VIEWERS_EVERY), stop, || async {
            self.save_viewers().await?;
            Ok::<_, StoreError>(Next::Idle)
        })
        .await;
    }

    async fn drop_recordings(self, stop: CancellationToken) {
        rounds("drop recordings", Pace::every(DROP_EVERY), stop, || async {
            self.0.sessions.tidy();
            let ended_before = self.now() - self.0.retention;
            let streams = self.store().streams_to_drop(ended_before, AT_ONCE).await?;
            for stream in &streams {
                if let Err(error) = self.drop_recording(stream).await {
                    tracing::warn!(stream_id = %stream.id, %error, "a recording is dropped later");
                }
            }
            Ok::<_, StoreError>(Next::Idle)
        })
        .await;
    }

    /// Objects first, then their rows: a process that dies in between leaves rows to be found again.
    ///
    /// A new key may open the stream again meanwhile: what it receives from there on has higher numbers, and stays.
    async fn drop_recording(&self, stream: &Stream) -> Result<(), DropError> {
        let next = stream.feed.next;
        loop {
            let mut segments = self.store().segments(stream.id, 0, SEGMENTS).await?;
            segments.retain(|segment| segment.number < next);
            let Some(last) = segments.last().map(|segment| segment.number) else {
                break;
            };
            let objects: HashSet<String> = segments
                .into_iter()
                .flat_map(|segment| [Some(segment.object), segment.init])
                .flatten()
                .collect();
            self.0
                .objects
                .delete(stream.id, objects.into_iter().collect())
                .await?;
            self.store().drop_segments(stream.id, last + 1).await?;
        }
        if stream.receiver == Receiver::MediaMtx {
            self.drop_at_mediamtx(stream).await?;
        }
        if stream.state == State::Deleted {
            self.0.objects.delete_all(stream.id).await?;
        }
        self.store().recording_dropped(stream.id, self.now()).await?;
        self.forget_playlists(stream.id).await;
        let why = match stream.state {
            State::Deleted => "the stream was deleted",
            State::Replay => "past its retention",
            _ => "not to be kept",
        };
        tracing::info!(stream_id = %stream.id, event_id = %stream.event, why, "recording dropped");
        Ok(())
    }
}
