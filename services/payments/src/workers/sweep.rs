//! The sweep: finds refunds that no webhook has reported, because they were made at Razorpay's dashboard or settled
//! during an outage.

use std::time::Duration;

use chrono::TimeDelta;
use common::{
    clock::Timestamp,
    context,
    problem::ApiError,
    workers::{Next, Pace, rounds},
};
use tokio_util::sync::CancellationToken;

use super::{AT_ONCE, refunds::log_entry};
use crate::{app::App, problems::provider_problem, razorpay::types::RefundEntity};

/// How often to check whether a sweep is due.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// The interval between sweeps.
const EVERY: TimeDelta = TimeDelta::hours(1);
/// The overlap of two sweeps: Razorpay's lists may lag behind.
const OVERLAP: TimeDelta = TimeDelta::days(1);
/// How far back the first sweep goes.
const AT_FIRST: TimeDelta = TimeDelta::days(30);
/// The most pages of one sweep: 100,000 refunds.
const MOST_PAGES: usize = 1_000;

/// Sweeps until the stop.
pub async fn sweep_refunds(app: App, stop: CancellationToken) {
    rounds("refund sweep", Pace::every(LOOK_EVERY), stop, || async {
        let swept = context::on_behalf_of(None, round(&app)).await;
        swept.map(|()| Next::Idle).map_err(|error| format!("{error:?}"))
    })
    .await;
}

/// Sweeps, unless this or another process has done so within the hour.
async fn round(app: &App) -> Result<(), ApiError> {
    let now = app.clock.now();
    let seen = app.store.refunds_seen().await?;
    if seen.is_some_and(|seen| seen <= now && now - seen < EVERY) {
        return Ok(());
    }
    let from = seen.map_or(now - AT_FIRST, |seen| seen.min(now) - OVERLAP);
    all_since(app, from).await?;
    app.store.set_refunds_seen(now).await?;
    for entry in app.store.pending_entries(now - EVERY, AT_ONCE).await? {
        let entity = app
            .razorpay
            .fetch_refund(&entry.id)
            .await
            .map_err(provider_problem)?;
        note(app, vec![entity]).await?;
    }
    Ok(())
}

/// Records every refund of our payments that was created since `from` in the ledger.
async fn all_since(app: &App, from: Timestamp) -> Result<(), ApiError> {
    for page in 0..MOST_PAGES {
        let found = app
            .razorpay
            .refunds_since(from, page)
            .await
            .map_err(provider_problem)?;
        if found.is_empty() {
            return Ok(());
        }
        note(app, found).await?;
    }
    // What is beyond has not been read, so the next round begins where this one did.
    Err(ApiError::unavailable(format!(
        "more than {MOST_PAGES} pages of refunds since {from}"
    )))
}

async fn note(app: &App, told: Vec<RefundEntity>) -> Result<(), ApiError> {
    let reports = told.iter().filter_map(RefundEntity::report).collect();
    let changed = app.store.note_refunds(reports, app.clock.now()).await?;
    changed.iter().for_each(log_entry);
    Ok(())
}
