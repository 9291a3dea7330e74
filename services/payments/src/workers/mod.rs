//! Background work: finishing what a crash, a slow bank or a lost answer has interrupted.

mod reconciler;
mod refunds;
mod sweep;

use std::time::Duration;

use common::{
    store::StoreError,
    workers::{Next, Pace, rounds},
};
use tokio_util::sync::CancellationToken;

pub use self::{
    reconciler::{follow_releases, reconcile_orders},
    refunds::make_refunds,
    sweep::sweep_refunds,
};
use crate::app::App;

/// The polling interval: a wake signal can be lost with the request that caused it, and then polling finds the work.
const POLL: Duration = Duration::from_secs(1);
/// The most orders or refunds at once.
const AT_ONCE: usize = 20;
/// How often data past its retention is deleted.
const TIDY_EVERY: Duration = Duration::from_secs(600);

/// Deletes data past its retention.
pub async fn tidy(app: App, stop: CancellationToken) {
    rounds("tidy payments", Pace::every(TIDY_EVERY), stop, || async {
        app.store.tidy(app.clock.now()).await?;
        Ok::<_, StoreError>(Next::Idle)
    })
    .await;
}
