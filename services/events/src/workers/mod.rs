//! Background work.

pub mod waitlist;

use std::time::Duration;

use common::{
    store::StoreError,
    workers::{Next, Pace, rounds},
};
use tokio_util::sync::CancellationToken;

use crate::app::App;

/// How often to look for expired holds and cancelled events. Neither is urgent: holds also expire when a seat is
/// needed, and a cancelled event is shown as cancelled at once.
const EVERY: Duration = Duration::from_secs(1);
/// The most rows in one change, so that other changes get their turn.
const AT_ONCE: usize = 500;
/// How often data past its retention is deleted.
const TIDY_EVERY: Duration = Duration::from_secs(600);

/// Marks expired holds as such, so that the counts of free seats are right for readers.
pub async fn expire_holds(app: App, stop: CancellationToken) {
    rounds("expire holds", Pace::every(EVERY), stop, || async {
        let holds = app.store.expire_holds(app.clock.now(), AT_ONCE).await?;
        if holds > 0 {
            tracing::info!(holds, "holds expired");
        }
        // A partial batch means that there are no more.
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

/// Indexes events again that an earlier release indexed. Until that is done, they are found by their old search terms.
pub async fn index_events(app: App, stop: CancellationToken) {
    rounds("index events", Pace::every(TIDY_EVERY), stop, || async {
        let events = app.store.index_events(AT_ONCE).await?;
        if events > 0 {
            tracing::info!(
                events,
                "events of an earlier release were indexed anew for search"
            );
        }
        let counted = app.store.count_events(AT_ONCE).await?;
        if counted > 0 {
            tracing::info!(events = counted, "events of an earlier release were counted");
        }
        Ok::<_, StoreError>(Next::after(events + counted))
    })
    .await;
}

/// Deletes data past its retention.
pub async fn tidy(app: App, stop: CancellationToken) {
    rounds("tidy events", Pace::every(TIDY_EVERY), stop, || async {
        app.store.tidy(app.clock.now()).await?;
        Ok::<_, StoreError>(Next::Idle)
    })
    .await;
}
