//! The refund worker: reads all refunds that Razorpay has of a payment, requests what is left of what is owed, and follows
//! it until that is refunded.

use std::sync::Arc;

use chrono::TimeDelta;
use common::{
    context,
    store::StoreError,
    workers::{Next, Pace, backoff, rounds},
};
use tokio::{sync::Notify, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{AT_ONCE, POLL};
use crate::{
    app::App,
    domain::refund::{Balance, Entry, EntryStatus, Refund, Step, next_step},
    razorpay::{RazorpayError, types::RefundEntity},
    store::Fence,
};

/// The pause between two looks at a refund that Razorpay has accepted. Webhooks shorten it.
const AGAIN: TimeDelta = TimeDelta::seconds(60);

/// Makes and follows refunds until the stop.
pub async fn make_refunds(app: App, wake: Arc<Notify>, stop: CancellationToken) {
    let pace = Pace::every(POLL).woken_by(wake);
    rounds("refunds", pace, stop, || async {
        round(&app).await.map(Next::after)
    })
    .await;
}

async fn round(app: &App) -> Result<usize, StoreError> {
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

enum Trouble {
    Razorpay(RazorpayError),
    Store(StoreError),
}

impl From<RazorpayError> for Trouble {
    fn from(error: RazorpayError) -> Self {
        Self::Razorpay(error)
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

async fn advance(app: &App, refund: &Refund, fence: Fence) -> Result<(), StoreError> {
    let stepped = step(app, refund).await;
    let now = app.clock.now();
    let later = |attempts: u32| now + backoff(attempts.min(12));
    match stepped {
        Ok(true) => app.store.refund_done(refund.id, fence, now).await,
        Ok(false) => app.store.refund_waits(refund.id, fence, now + AGAIN, now).await,
        Err(Trouble::Store(error)) => Err(error),
        Err(Trouble::Razorpay(error @ RazorpayError::Refused { .. })) => {
            tracing::error!(refund = %refund.id, payment_id = %refund.payment_id, %error, "a refund was refused; trying again");
            let again = later(refund.attempts + 6);
            app.store
                .refund_retry(refund.id, fence, again, true, error.to_string(), now)
                .await
        }
        Err(Trouble::Razorpay(error)) => {
            tracing::warn!(refund = %refund.id, %error, "a refund could not be asked for; trying again");
            let again = later(refund.attempts + 2);
            app.store
                .refund_retry(refund.id, fence, again, false, error.to_string(), now)
                .await
        }
    }
}

/// Takes the next step; returns whether what is owed is refunded.
async fn step(app: &App, refund: &Refund) -> Result<bool, Trouble> {
    let known = app.razorpay.refunds_of(&refund.razorpay_payment_id).await?;
    note(app, &refund.razorpay_payment_id, known).await?;
    let entries = app.store.entries(refund.payment_id).await?;
    match next_step(refund, &entries) {
        Step::Done => Ok(true),
        Step::Wait => Ok(false),
        Step::Ask { amount, key } => {
            let (refund_id, payment_id, amount_paise) = (refund.id, refund.payment_id, amount.0);
            let payment = &refund.razorpay_payment_id;
            let made = app.razorpay.refund(payment, amount, &key, refund.id).await?;
            let (razorpay_id, reason) = (made.id.clone(), refund.reason.name());
            tracing::info!(%refund_id, %payment_id, razorpay_id, amount_paise, reason, "refund asked for");
            note(app, payment, vec![made]).await?;
            let entries = app.store.entries(refund.payment_id).await?;
            Ok(Balance::of(refund.amount, &entries).is_back())
        }
    }
}

/// Records Razorpay's refunds of a payment in the ledger.
async fn note(app: &App, payment: &str, told: Vec<RefundEntity>) -> Result<(), StoreError> {
    let reports = told.into_iter().filter_map(|mut entity| {
        entity.payment_id.get_or_insert_with(|| payment.to_owned());
        entity.report()
    });
    let changed = app.store.note_refunds(reports.collect(), app.clock.now()).await?;
    changed.iter().for_each(log_entry);
    Ok(())
}

/// Logs a change in the ledger.
pub(super) fn log_entry(entry: &Entry) {
    let (razorpay_id, payment_id, amount_paise) = (&entry.id, entry.payment_id, entry.amount.0);
    let ours = entry.refund_id.is_some();
    match entry.status {
        EntryStatus::Failed => {
            tracing::error!(razorpay_id, %payment_id, amount_paise, ours, "refund failed at Razorpay");
        }
        status => {
            let status = status.name();
            tracing::info!(razorpay_id, %payment_id, amount_paise, ours, "refund {status}");
        }
    }
}
