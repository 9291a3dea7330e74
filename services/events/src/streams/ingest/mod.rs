//! What encoders send: HLS by HTTP PUT, or RTMP.

mod handlers;
mod media_type;
mod playlist;
pub mod rtmp;
mod session;

use std::{collections::HashMap, sync::Arc};

use common::ids::StreamId;
use parking_lot::Mutex;

pub use self::handlers::{LIMITS, pipeline};
pub(super) use self::handlers::{refused, wrong_key};
use self::session::Session;
use crate::streams::Streams;

impl Streams {
    /// Goes on without what does not come, also when nothing else does.
    pub async fn take_late(&self) {
        for session in self.0.sessions.missing() {
            let mut session = session.lock().await;
            if let Err(error) = self.take_due(&mut session).await {
                tracing::debug!(?error, "segments that were waiting are not taken");
            }
        }
    }
}

/// The encoders that send to this process.
#[derive(Default)]
pub struct Sessions(Mutex<HashMap<StreamId, Arc<tokio::sync::Mutex<Session>>>>);

impl Sessions {
    /// The session of a stream. What is sent of one stream is taken one after the other.
    fn of(&self, stream: StreamId) -> Arc<tokio::sync::Mutex<Session>> {
        Arc::clone(self.0.lock().entry(stream).or_default())
    }

    /// Those that miss something.
    fn missing(&self) -> Vec<Arc<tokio::sync::Mutex<Session>>> {
        let sessions = self.0.lock();
        let misses =
            |session: &&Arc<tokio::sync::Mutex<Session>>| session.try_lock().is_ok_and(|one| one.misses());
        sessions.values().filter(misses).cloned().collect()
    }

    /// Forgets those that nothing was sent to lately.
    pub fn tidy(&self) {
        self.0.lock().retain(|_, session| {
            // Who holds it is about to use it.
            Arc::strong_count(session) > 1 || session.try_lock().is_ok_and(|session| !session.is_idle())
        });
    }
}
