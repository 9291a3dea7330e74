//! Those who watch at MediaMTX. It asks once when they begin, so that whoever may not watch any more is cut off by us: the query of
//! its sessions has the token of their playback.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use super::{
    answers::{Path, Session},
    ask::token_in,
    poll::PollError,
    stream_of,
};
use crate::streams::Streams;

/// How often they are looked at. The built-in playlists stop within a second; here that would be a list of all viewers every second.
const EVERY: Duration = Duration::from_secs(10);

/// When they were looked at.
#[derive(Default)]
pub struct Readers(Option<Instant>);

impl Readers {
    /// Whether it is time; then it counts as done.
    pub fn is_due(&mut self) -> bool {
        let due = self.0.is_none_or(|at| at.elapsed() >= EVERY);
        if due {
            self.0 = Some(Instant::now());
        }
        due
    }
}

/// The collections that have sessions of those who read streams of ours.
pub fn of(paths: &[Path]) -> BTreeSet<&'static str> {
    let ours = paths.iter().filter(|path| stream_of(&path.name).is_some());
    ours.flat_map(Path::readers)
        .filter_map(|reader| reader.collection())
        .collect()
}

impl Streams {
    /// Cuts off those who read a stream of ours and may not any more.
    ///
    /// # Errors
    /// When MediaMTX or the store do not answer.
    pub async fn check_readers(&self, collections: &BTreeSet<&'static str>) -> Result<(), PollError> {
        let Some(mediamtx) = &self.0.mediamtx else {
            return Ok(());
        };
        for collection in collections {
            for session in mediamtx.api.sessions(collection).await? {
                if self.may_go_on(&session).await? {
                    continue;
                }
                mediamtx.api.kick(collection, &session.id).await?;
                tracing::info!(
                    path = session.path,
                    collection,
                    "a player was cut off at MediaMTX"
                );
            }
        }
        Ok(())
    }

    async fn may_go_on(&self, session: &Session) -> Result<bool, PollError> {
        let publishes = session.state.as_deref().is_some_and(|state| state != "read");
        // What a version does not say cannot be judged; versions that old ask for each request of HLS.
        let (Some(stream), Some(query), false) = (
            stream_of(&session.path),
            &session.query,
            publishes || session.is_cdn,
        ) else {
            return Ok(true);
        };
        let Some(token) = token_in(query) else {
            return Ok(false);
        };
        let playing = self.is_playing(stream, &token).await;
        playing.map_err(|error| PollError::Rights(error.code().to_owned()))
    }
}
