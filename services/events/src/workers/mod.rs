//! Background work.

use std::time::Duration;

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
    while !stop.is_cancelled() {
        match app.store.expire_holds(app.clock.now(), AT_ONCE).await {
            Ok(0) => pause(EVERY, &stop).await,
            Ok(holds) => {
                tracing::info!(holds, "holds expired");
                if holds < AT_ONCE {
                    pause(EVERY, &stop).await;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "holds could not be expired");
                pause(EVERY * 4, &stop).await;
            }
        }
    }
}

/// Ends the registrations of cancelled events.
pub async fn end_registrations(app: App, stop: CancellationToken) {
    while !stop.is_cancelled() {
        match app.store.end_registrations(app.clock.now(), AT_ONCE).await {
            Ok(0) => pause(EVERY, &stop).await,
            Ok(registrations) => tracing::info!(registrations, "registrations of a cancelled event ended"),
            Err(error) => {
                tracing::warn!(%error, "registrations of a cancelled event could not be ended");
                pause(EVERY * 4, &stop).await;
            }
        }
    }
}

/// Finds the words anew of events that an earlier release indexed. Until it is through, those are found by their old
/// words.
pub async fn index_events(app: App, stop: CancellationToken) {
    let mut done = 0;
    while !stop.is_cancelled() {
        match app.store.index_events(AT_ONCE).await {
            Ok(0) => break,
            Ok(number) => done += number,
            Err(error) => {
                tracing::warn!(%error, "events could not be indexed anew");
                pause(EVERY * 4, &stop).await;
            }
        }
    }
    if done > 0 {
        tracing::info!(
            events = done,
            "events of an earlier release were indexed anew for search"
        );
    }
    stop.cancelled().await;
}

/// Drops what has been kept long enough.
pub async fn tidy(app: App, stop: CancellationToken) {
    while !stop.is_cancelled() {
        if let Err(error) = app.store.tidy(app.clock.now()).await {
            tracing::warn!(%error, "tidying up failed");
        }
        pause(TIDY_EVERY, &stop).await;
    }
}

async fn pause(time: Duration, stop: &CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = tokio::time::sleep(time) => {}
    }
}
