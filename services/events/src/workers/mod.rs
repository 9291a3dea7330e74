//! Background work.

use std::time::Duration;

use common::{
    store::StoreError,
    workers::{Next, Pace, rounds},
};
use tokio_util::sync::CancellationToken;

use crate::app::App;

/// How often holds and cancelled events are looked for. Neither is urgent: holds also expire when a seat is asked for,
/// and a cancelled event shows as cancelled from the first moment.
const EVERY: Duration = Duration::from_secs(1);
/// Rows in one change, so that others get their turn.
const AT_ONCE: usize = 500;
/// How often what has been kept long enough is dropped.
const TIDY_EVERY: Duration = Duration::from_secs(600);

/// Notes holds that have run out, so that counts are right for those who look.
pub async fn expire_holds(app: App, stop: CancellationToken) {
    rounds("expire holds", Pace::every(EVERY), stop, || async {
        let holds = app.store.expire_holds(app.clock.now(), AT_ONCE).await?;
        if holds > 0 {
            tracing::info!(holds, "holds expired");
        }
        // A few are no sign that there are more.
        Ok::<_, StoreError>(if holds < AT_ONCE { Next::Idle } else { Next::Now })
    })
    .await;
}

/// Ends the registrations of cancelled events.
pub async fn end_registrations(app: App, stop: CancellationToken) {
    rounds("end registrations", Pace::every(EVERY), stop, || async {
        let registrations = app.store.end_registrations(app.clock.now(), AT_ONCE).await?;
        if registrations > 0 {
            tracing::info!(registrations, "registrations of a cancelled event ended");
        }
        Ok::<_, StoreError>(Next::after(registrations))
    })
    .await;
}

/// Finds the search terms anew of events that an earlier release indexed. Until it is through, those are found by their
/// old ones.
pub async fn index_events(app: App, stop: CancellationToken) {
    rounds("index events", Pace::every(TIDY_EVERY), stop, || async {
        let events = app.store.index_events(AT_ONCE).await?;
        if events > 0 {
            tracing::info!(
                events,
                "events of an earlier release were indexed anew for search"
            );
        }
        Ok::<_, StoreError>(Next::after(events))
    })
    .await;
}

/// Drops what has been kept long enough.
pub async fn tidy(app: App, stop: CancellationToken) {
    rounds("tidy events", Pace::every(TIDY_EVERY), stop, || async {
        app.store.tidy(app.clock.now()).await?;
        Ok::<_, StoreError>(Next::Idle)
    })
    .await;
}
