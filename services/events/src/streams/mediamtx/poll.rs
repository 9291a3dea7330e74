//! What MediaMTX receives, found out by asking it every other second. Its hooks would run commands, which its image has none of, and a
//! hook that is lost is lost. Any number of processes may ask: what they see moves a stream once.

use std::{collections::HashMap, time::Duration};

use common::{
    clock::Timestamp,
    ids::StreamId,
    problem::ApiError,
    store::StoreError,
    workers::{Next, Pace, rounds},
};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::{
    MediaMtxError,
    answers::Path,
    away, path_of,
    readers::{self, Readers},
    stream_of,
};
use crate::{
    domain::stream::{Receiver, Seen, State, Stream, Verdict},
    store::streams::Observed,
    streams::Streams,
};

/// How often it is asked.
const EVERY: Duration = Duration::from_secs(2);
/// How often streams of one that is in the settings no longer are looked for.
const WITHOUT: Duration = Duration::from_secs(30);
/// The longest pause after failures: it may be back.
const AT_MOST: Duration = Duration::from_secs(10);
/// Streams that are on air at a time.
const ON_AIR: usize = 10_000;

/// Why a round came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum PollError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    MediaMtx(#[from] MediaMtxError),
    #[error("a viewer's rights could not be checked: {0}")]
    Rights(String),
}

impl From<PollError> for ApiError {
    fn from(error: PollError) -> Self {
        match error {
            PollError::Store(error) => error.into(),
            PollError::MediaMtx(error) => away(error),
            PollError::Rights(_) => ApiError::internal(error),
        }
    }
}

impl Streams {
    pub(in super::super) async fn poll_mediamtx(self, stop: CancellationToken) {
        let readers = Mutex::new(Readers::default());
        let pace = match self.0.mediamtx {
            Some(_) => Pace::every(EVERY).at_most(AT_MOST),
            None => Pace::every(WITHOUT),
        };
        rounds("MediaMTX", pace, stop, || async {
            let paths = self.look_at_mediamtx().await?;
            let due = readers.lock().is_due();
            if due {
                self.check_readers(&readers::of(&paths)).await?;
            }
            Ok::<_, PollError>(Next::Idle)
        })
        .await;
    }

    /// Moves streams by what MediaMTX receives now, and cuts off who is to be. Gives what it has shown.
    ///
    /// # Errors
    /// When it does not answer, or a stream could not be stored: nothing that was not seen has moved.
    pub async fn look_at_mediamtx(&self) -> Result<Vec<Path>, PollError> {
        // Before it is asked: what has come on air since is missing in its answer only because that is older.
        let on_air = self.store().on_air(Receiver::MediaMtx, ON_AIR).await?;
        let Some(mediamtx) = &self.0.mediamtx else {
            // It was taken out of the settings: nothing comes from there any more.
            self.are_gone(on_air.iter()).await?;
            return Ok(Vec::new());
        };
        let paths = mediamtx.api.paths().await?;
        let shown: HashMap<StreamId, &Path> = paths
            .iter()
            .filter_map(|path| Some((stream_of(&path.name)?, path)))
            .collect();
        for (id, path) in &shown {
            // One that shows nothing matters only if it has shown something.
            if let Some(seen) = path.seen(mediamtx.records()) {
                self.observe(*id, Some(seen), Some(path)).await?;
            }
        }
        let is_off = |stream: &&Stream| {
            let path = shown.get(&stream.id);
            path.is_none_or(|path| path.seen(false).is_none())
        };
        self.are_gone(on_air.iter().filter(is_off)).await?;
        Ok(paths)
    }

    async fn are_gone(&self, streams: impl Iterator<Item = &Stream>) -> Result<(), PollError> {
        for stream in streams {
            self.observe(stream.id, None, None).await?;
        }
        Ok(())
    }

    /// Looks at one stream at its MediaMTX, and cuts off who publishes it if that is to be.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn look_at_publisher(&self, id: StreamId) -> Result<(), PollError> {
        let Some(mediamtx) = &self.0.mediamtx else {
            return Ok(());
        };
        let path = mediamtx.api.path(&path_of(id)).await?;
        let seen = path.as_ref().and_then(|path| path.seen(mediamtx.records()));
        self.observe(id, seen, path.as_ref()).await
    }

    async fn observe(&self, id: StreamId, seen: Option<Seen>, path: Option<&Path>) -> Result<(), PollError> {
        let now: Timestamp = self.now();
        let Some(observed) = self.store().observe_stream(id, seen, now).await? else {
            return Ok(());
        };
        let Observed {
            stream,
            moved,
            verdict,
        } = observed;
        let event_id = stream.event;
        if moved {
            let state = stream.state.name();
            tracing::info!(stream_id = %id, %event_id, state, "stream moved");
            self.forget_playlists(id).await;
        }
        let is_to_go = verdict == Verdict::Cut
            // Nobody is sent to an event that is cancelled.
            || (stream.state == State::Live && !self.takes_place(event_id).await?);
        let source = path.and_then(Path::source).filter(|_| is_to_go);
        if let (Some(mediamtx), Some(source)) = (&self.0.mediamtx, source) {
            // The next round tries it again.
            match mediamtx.api.cut(source).await {
                Ok(()) => {
                    tracing::info!(stream_id = %id, %event_id, source = source.kind, "an encoder was cut off at MediaMTX");
                }
                Err(error) => {
                    tracing::warn!(stream_id = %id, %event_id, %error, "an encoder could not be cut off at MediaMTX");
                }
            }
        }
        Ok(())
    }

    /// Deletes what MediaMTX has recorded of a stream that is over.
    ///
    /// # Errors
    /// When it does not answer; some of it may be gone.
    pub(in super::super) async fn drop_at_mediamtx(&self, stream: &Stream) -> Result<(), MediaMtxError> {
        let Some(mediamtx) = &self.0.mediamtx else {
            return Ok(());
        };
        let path = path_of(stream.id);
        for start in mediamtx.api.recording(&path).await? {
            // A new key may have opened it again: what it has received since then stays.
            if start <= stream.since || stream.state == State::Deleted {
                mediamtx.api.delete_segment(&path, start).await?;
            }
        }
        Ok(())
    }
}
