//! `POST /v1/payments/:id/capture`

use axum::{Json, extract::State};

use crate::{
    app::App,
    failure::Failure,
    http::{Answer, Body, Id},
    moves,
    records::{Order, Payment, PaymentStatus},
};

/// Captures an authorized payment, all of it. Of several at once, one wins.
pub(crate) async fn capture(State(app): State<App>, Id(id): Id, Body(fields): Body) -> Answer {
    let amount = fields.required_amount("amount")?;
    let currency = fields.currency("currency")?;
    let payment = app
        .change(move |tx| {
            let mut payment = Payment::find(tx.db, &id)?;
            if payment.status == PaymentStatus::Authorized {
                let wrong = |field: &str, text: &str| {
                    Err(Failure::refused(text)
                        .because("business", "payment_capture", "input_validation_failed")
                        .at(field))
                };
                if amount != payment.amount {
                    return wrong("amount", "Capture amount must be equal to the amount authorized");
                }
                if currency.is_some_and(|currency| currency != payment.currency) {
                    return wrong("currency", "Capture currency must be the currency of the payment");
                }
            }
            let mut order = Order::find(tx.db, &payment.order_id)?;
            moves::payment::capture(tx, &mut payment, &mut order)?;
            Ok(payment)
        })
        .await?;
    Ok(Json(payment.view()))
}
