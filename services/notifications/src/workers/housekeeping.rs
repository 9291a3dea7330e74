//! Forgets what nobody will ask for again.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::wait;
use crate::app::Parts;

const EVERY: Duration = Duration::from_secs(3600);
/// Rows of each table forgotten in one commit, so that nobody waits long for the writer.
const AT_ONCE: usize = 1000;

/// Works until `stop`.
pub async fn run(parts: Arc<Parts>, stop: CancellationToken) {
    loop {
        let pause = match parts.store.purge(parts.clock.now(), AT_ONCE).await {
            Ok(0) => EVERY,
            Ok(_) => Duration::from_millis(50),
            Err(error) => {
                tracing::warn!(%error, "old rows could not be removed");
                EVERY
            }
        };
        if !wait(pause, None, &stop).await {
            break;
        }
    }
}
