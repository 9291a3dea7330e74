//! The reconciler: asks Razorpay about open orders, so that no payment is missed.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use common::{
    context,
    store::StoreError,
    workers::{Next, Pace, backoff, rounds},
};
use tokio::{sync::Notify, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{AT_ONCE, POLL};
use crate::{app::App, domain::order::Order, flow, store::Fence};

/// Orders older than this are given up: Razorpay polls banks for up to five days, and no payment can come after that.
const GIVE_UP_AFTER: TimeDelta = TimeDelta::days(6);

/// The interval between two looks for released payments that are due.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Reconciles open orders until the stop.
pub async fn reconcile_orders(app: App, wake: Arc<Notify>, stop: CancellationToken) {
    let pace = Pace::every(POLL).woken_by(wake);
    rounds("reconciler", pace, stop, || async {
        round(&app).await.map(Next::after)
    })
    .await;
}

async fn round(app: &App) -> Result<usize, StoreError> {
    let now = app.clock.now();
    let due = app.store.due_orders(now, now + app.lease, AT_ONCE).await?;
    let found = due.len();
    let mut looks = JoinSet::new();
    for (order, fence) in due {
        let app = app.clone();
        looks.spawn(context::on_behalf_of(None, async move {
            look(&app, order, fence).await
        }));
    }
    looks.join_all().await;
    Ok(found)
}

/// Follows payments released by this service until the stop. Each is due once an hour, so no wake signal is needed.
pub async fn follow_releases(app: App, stop: CancellationToken) {
    rounds("released payments", Pace::every(LOOK_EVERY), stop, || async {
        for payment in app.store.due_releases(app.clock.now(), AT_ONCE).await? {
            if let Err(error) = context::on_behalf_of(None, flow::look_at(&app, &payment)).await {
                tracing::warn!(payment_id = %payment.id, ?error, "a released payment could not be looked at");
            }
        }
        Ok::<_, StoreError>(Next::Idle)
    })
    .await;
}

async fn look(app: &App, order: Order, fence: Fence) {
    let age = app.clock.now() - order.created_at;
    let again = match flow::reconcile(app, &order).await {
        Ok(true) => {
            if order.paid_by.is_none() {
                tracing::info!(order = %order.id, registration = %order.registration_id, "a payment was found and recorded");
            }
            None
        }
        Ok(false) if age > GIVE_UP_AFTER => None,
        // After a tenth of its age: seconds while the payer is active, up to an hour when a bank is slow.
        Ok(false) => Some(
            age.to_std()
                .unwrap_or_default()
                .div_f64(10.0)
                .clamp(app.lease, Duration::from_secs(3600)),
        ),
        Err(error) => {
            tracing::warn!(order = %order.id, ?error, "an open order could not be looked at");
            Some(backoff(4))
        }
    };
    flow::close(app, order.id, fence, again).await;
}
