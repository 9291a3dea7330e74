//! The lines for full events: freed seats are offered to the first, and go on when they are not taken.

use common::{
    store::StoreError,
    unreadable::left_out,
    workers::{Next, Pace, rounds},
};
use tokio_util::sync::CancellationToken;

use super::{AT_ONCE, EVERY};
use crate::app::App;

/// Offers freed seats, and passes on those that were not taken in time. Not urgent either: nobody else can have a seat to
/// which somebody in line has a claim.
pub async fn advance_lines(app: App, stop: CancellationToken) {
    rounds("advance waitlists", Pace::every(EVERY), stop, || async {
        let moved = advance(&app).await?;
        Ok::<_, StoreError>(Next::after(moved))
    })
    .await;
}

/// One round over all lines in which something is due. One that fails stops no other.
///
/// # Errors
/// The last error of a line; all others were worked on.
async fn advance(app: &App) -> Result<usize, StoreError> {
    let (mut moved, mut after, mut fault) = (0, None, None);
    loop {
        let due = app.store.lines_due(after, app.clock.now(), AT_ONCE).await?;
        for event in &due {
            let length = app.offer;
            match app
                .store
                .advance_line(*event, length, app.clock.now(), AT_ONCE)
                .await
            {
                Ok(0) => {}
                Ok(places) => {
                    tracing::info!(event_id = %event, places, "places on a waitlist moved: seats offered, or offers ended");
                    moved += places;
                }
                Err(StoreError::Corrupt(why)) => left_out("events.events", event, &why),
                Err(error) => {
                    tracing::error!(event_id = %event, %error, "a waitlist could not be moved on");
                    fault = Some(error);
                }
            }
        }
        after = due.last().copied();
        if due.len() < AT_ONCE {
            break;
        }
    }
    match fault {
        Some(error) if moved == 0 => Err(error),
        _ => Ok(moved),
    }
}
