//! Background work: what a crash, a slow bank or a lost answer left undone.

mod reconciler;
mod refunds;
mod sweep;

use std::{sync::Arc, time::Duration};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

pub use self::{
    reconciler::{follow_releases, reconcile_orders},
    refunds::make_refunds,
    sweep::sweep_refunds,
};
use crate::app::App;

/// A wake can be lost with the request that caused it; then this finds the work.
const POLL: Duration = Duration::from_secs(1);
/// Orders or refunds at once.
const AT_ONCE: usize = 20;
/// How often what has been kept long enough is dropped.
const TIDY_EVERY: Duration = Duration::from_secs(600);

/// Drops what has been kept long enough.
pub async fn tidy(app: App, stop: CancellationToken) {
    while !stop.is_cancelled() {
        if let Err(error) = app.store.tidy(app.clock.now()).await {
            tracing::warn!(%error, "tidying up failed");
        }
        pause(&Notify::new(), TIDY_EVERY, &stop).await;
    }
}

async fn pause(wake: &Notify, time: Duration, stop: &CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = wake.notified() => {}
        () = tokio::time::sleep(time) => {}
    }
}

/// Runs rounds until the stop. A round gives how much it found to do.
async fn rounds<F, Fut>(app: App, wake: Arc<Notify>, stop: CancellationToken, round: F)
where
    F: Fn(App) -> Fut,
    Fut: Future<Output = Result<usize, common::store::StoreError>>,
{
    while !stop.is_cancelled() {
        match round(app.clone()).await {
            Ok(0) => pause(&wake, POLL, &stop).await,
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "the store does not answer a worker");
                pause(&Notify::new(), POLL * 4, &stop).await;
            }
        }
    }
}
