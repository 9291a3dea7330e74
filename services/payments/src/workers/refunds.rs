//! Refunds: asked for once, followed until the money is back.

use std::sync::Arc;

use chrono::TimeDelta;
use common::{http::context, outbox::backoff, store::StoreError};
use tokio::{sync::Notify, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{AT_ONCE, rounds};
use crate::{
    app::App,
    domain::refund::Refund,
    razorpay::{RazorpayError, types::RefundEntity},
    store::Fence,
};

/// How long a refund that Razorpay has taken on is left alone. Webhooks shorten it.
const AGAIN: TimeDelta = TimeDelta::seconds(60);

/// Makes and follows refunds until the stop.
pub async fn make_refunds(app: App, bell: Arc<Notify>, stop: CancellationToken) {
    rounds(app, bell, stop, round).await;
}

async fn round(app: App) -> Result<usize, StoreError> {
    let now = app.clock.now();
    let due = app.store.due_refunds(now, now + app.lease, AT_ONCE).await?;
    let found = due.len();
    let mut tries = JoinSet::new();
    for (refund, fence) in due {
        let app = app.clone();
        tries.spawn(async move {
            if let Err(error) = context::on_behalf_of(None, advance(&app, &refund, fence)).await {
                tracing::warn!(refund = %refund.id, %error, "a refund's state could not be stored; it will be looked at again");
            }
        });
    }
    tries.join_all().await;
    Ok(found)
}

async fn advance(app: &App, refund: &Refund, fence: Fence) -> Result<(), StoreError> {
    let answer = match &refund.razorpay_id {
        None => {
            app.razorpay
                .refund(&refund.razorpay_payment_id, refund.amount, &refund.key())
                .await
        }
        Some(id) => app.razorpay.fetch_refund(id).await,
    };
    let now = app.clock.now();
    let later = |attempts: u32| now + backoff(attempts.min(12));
    match answer {
        Ok(RefundEntity { status, .. }) if status.as_deref() == Some("processed") => {
            app.store.refund_done(refund.id, fence, now).await?;
            log_refund(refund, "refund processed");
            Ok(())
        }
        Ok(RefundEntity { status, id }) if status.as_deref() == Some("failed") => {
            tracing::error!(refund = %refund.id, razorpay_id = id, "a refund failed at Razorpay; asking again");
            let why = "failed at Razorpay".to_owned();
            app.store
                .refund_retry(refund.id, fence, later(refund.attempts + 4), true, why)
                .await
        }
        Ok(RefundEntity { id, .. }) => {
            app.store
                .refund_accepted(refund.id, fence, id, now + AGAIN)
                .await?;
            if refund.razorpay_id.is_none() {
                log_refund(refund, "refund asked for");
            }
            Ok(())
        }
        Err(error @ RazorpayError::Refused { .. }) => {
            // Also the answer to a refund that was made by hand, which only a person can see.
            tracing::error!(refund = %refund.id, %error, "a refund was refused; trying again");
            app.store
                .refund_retry(
                    refund.id,
                    fence,
                    later(refund.attempts + 6),
                    false,
                    error.to_string(),
                )
                .await
        }
        Err(error) => {
            tracing::warn!(refund = %refund.id, %error, "a refund could not be asked for; trying again");
            app.store
                .refund_retry(
                    refund.id,
                    fence,
                    later(refund.attempts + 2),
                    false,
                    error.to_string(),
                )
                .await
        }
    }
}

/// The line in the log about a refund that got on.
fn log_refund(refund: &Refund, what: &'static str) {
    let (refund_id, payment_id, amount_paise) = (refund.id, refund.payment_id, refund.amount.0);
    tracing::info!(%refund_id, %payment_id, amount_paise, reason = refund.reason.name(), "{what}");
}
