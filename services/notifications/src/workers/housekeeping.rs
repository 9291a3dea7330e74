//! Deletes what is not needed any more.

use std::{sync::Arc, time::Duration};

use common::{
    store::StoreError,
    workers::{Next, Pace, rounds},
};
use tokio_util::sync::CancellationToken;

use crate::app::Parts;

const EVERY: Duration = Duration::from_secs(3600);
/// Rows of each table deleted in one commit, so that no change waits long for the writer.
const AT_ONCE: usize = 1000;
/// Between two commits.
const BREATH: Duration = Duration::from_millis(50);

/// Works until `stop`.
pub async fn run(parts: Arc<Parts>, stop: CancellationToken) {
    rounds("housekeeping", Pace::every(EVERY), stop, || async {
        Ok::<_, StoreError>(match parts.store.purge(parts.clock.now(), AT_ONCE).await? {
            0 => Next::Idle,
            _ => Next::Within(BREATH),
        })
    })
    .await;
}
