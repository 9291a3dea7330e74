//! What banks do in their own time, at the push of a button.

use std::sync::atomic::Ordering;

use axum::{Json, extract::State};
use serde_json::json;

use crate::{
    app::App,
    failure::Failure,
    http::{Answer, Body, Id},
    moves,
    records::{Order, Payment, PaymentStatus, Refund},
};

/// The bank authorizes a payment, however late.
pub(super) async fn authorize(State(app): State<App>, Id(id): Id) -> Answer {
    on_payment(app, id, moves::payment::authorize).await
}

/// An offer or a convenience fee changes what the customer pays; the order is settled by it all the same, or by
/// `settles`.
pub(super) async fn adjust(State(app): State<App>, Id(id): Id, Body(fields): Body) -> Answer {
    let amount = fields.required_amount("amount")?;
    let settles = fields.integer("settles")?;
    on_payment(app, id, move |tx, payment| {
        if !matches!(payment.status, PaymentStatus::Created | PaymentStatus::Failed) {
            return Err(Failure::refused("The payment has already been processed"));
        }
        payment.settles = settles.or(payment.settles).or(Some(payment.amount));
        payment.amount = amount;
        payment.save(tx)
    })
    .await
}

/// A payment that waits for the customer fails.
pub(super) async fn fail(State(app): State<App>, Id(id): Id, Body(fields): Body) -> Answer {
    let reason = fields
        .text("reason", 64)?
        .unwrap_or_else(|| "payment_failed".to_owned());
    on_payment(app, id, move |tx, payment| {
        moves::payment::fail(tx, payment, &reason)
    })
    .await
}

/// The capture window of an authorized payment is over.
pub(super) async fn expire(State(app): State<App>, Id(id): Id) -> Answer {
    on_payment(app, id, |tx, payment| {
        let order = Order::find(tx.db, &payment.order_id)?;
        moves::refund::send_back(tx, payment, &order)
    })
    .await
}

async fn on_payment<F>(app: App, id: String, act: F) -> Answer
where
    F: FnOnce(&crate::app::Tx<'_>, &mut Payment) -> Result<(), Failure> + Send + 'static,
{
    let payment = app
        .change(move |tx| {
            let mut payment = Payment::find(tx.db, &id)?;
            act(tx, &mut payment)?;
            Ok(payment)
        })
        .await?;
    Ok(Json(payment.view()))
}

/// Whether new refunds stay pending.
pub(super) async fn hold_refunds(State(app): State<App>, Body(fields): Body) -> Answer {
    let hold = fields.flag("hold")?.ok_or_else(|| Failure::missing("hold"))?;
    app.hold_refunds.store(hold, Ordering::Relaxed);
    Ok(Json(json!({ "hold": hold })))
}

/// The bank takes a refund.
pub(super) async fn process_refund(State(app): State<App>, Id(id): Id) -> Answer {
    on_refund(app, id, moves::refund::process).await
}

/// The bank does not take a refund, or sends it back.
pub(super) async fn fail_refund(State(app): State<App>, Id(id): Id) -> Answer {
    on_refund(app, id, moves::refund::fail).await
}

async fn on_refund<F>(app: App, id: String, act: F) -> Answer
where
    F: FnOnce(&crate::app::Tx<'_>, &mut Refund) -> Result<(), Failure> + Send + 'static,
{
    let refund = app
        .change(move |tx| {
            let mut refund = Refund::find(tx.db, &id)?;
            act(tx, &mut refund)?;
            Ok(refund)
        })
        .await?;
    Ok(Json(refund.view()))
}
