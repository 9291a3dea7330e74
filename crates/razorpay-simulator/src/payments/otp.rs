//! The customer's step of a card payment on the merchant's own page: `otp_generate`, `otp/submit`, `otp/resend`.

use axum::{Json, extract::State};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::{
    app::App,
    decline::Decline,
    failure::Failure,
    http::{Answer, Base, Body, Id},
    moves,
    records::{Card, Payment, PaymentStatus},
    signature,
};

/// Wrong OTPs that a customer may enter before the payment fails.
const TRIES: u32 = 3;

/// Has the bank send an OTP.
pub(crate) async fn otp_generate(State(app): State<App>, Base(base): Base, Id(id): Id) -> Answer {
    answer_with_next(&app, base, id).await
}

/// Has the bank send it again.
pub(crate) async fn otp_resend(State(app): State<App>, Base(base): Base, Id(id): Id) -> Answer {
    answer_with_next(&app, base, id).await
}

async fn answer_with_next(app: &App, base: String, id: String) -> Answer {
    let (payment, card) = app.db.read(move |db| waiting(db, &id)).await?;
    let url = |path: &str| format!("{base}/v1/payments/{}/otp/{path}", payment.id);
    Ok(Json(json!({
        "razorpay_payment_id": payment.id,
        "next": [
            { "action": "otp_submit", "url": url("submit") },
            { "action": "otp_resend", "url": url("resend") },
        ],
        "metadata": { "issuer": Value::Null, "network": card.network, "last4": card.last4, "iin": card.iin },
    })))
}

/// Ends the customer's step. 4 to 10 digits are right.
pub(crate) async fn otp_submit(State(app): State<App>, Id(id): Id, Body(fields): Body) -> Answer {
    let otp = fields.scalar("otp").ok_or_else(|| Failure::missing("otp"))?;
    let right = (4..=10).contains(&otp.len()) && otp.bytes().all(|byte| byte.is_ascii_digit());
    // A wrong OTP is an error answer that nevertheless leaves its mark, so it is a success of the change.
    let answer: Answer = app
        .change(move |tx| {
            let (mut payment, _) = waiting(tx.db, &id)?;
            let declined = |decline: &Decline, payment: &Payment| {
                Failure::declined(decline, &payment.id, &payment.order_id)
            };
            if !right {
                payment.wrong_otps += 1;
                let failure = declined(Decline::of("incorrect_otp"), &payment);
                if payment.wrong_otps >= TRIES {
                    moves::payment::fail(tx, &mut payment, "incorrect_otp")?;
                    return Ok(Err(failure));
                }
                payment.save(tx)?;
                return Ok(Err(failure.then(&["otp_submit", "otp_resend"])));
            }
            moves::payment::complete(tx, &mut payment)?;
            if let Some(reason) = &payment.error {
                return Ok(Err(declined(Decline::of(reason), &payment)));
            }
            let signature =
                signature::of_payment(&payment.order_id, &payment.id, &tx.app.settings.key_secret);
            Ok(Ok(Json(json!({
                "razorpay_payment_id": payment.id, "razorpay_order_id": payment.order_id,
                "razorpay_signature": signature,
            }))))
        })
        .await?;
    answer
}

/// A card payment whose customer's step is still to be done.
fn waiting(db: &Connection, id: &str) -> Result<(Payment, Card), Failure> {
    let payment = Payment::find(db, id)?;
    let Some(card) = payment.card().cloned() else {
        return Err(Failure::refused("OTP is only for card payments."));
    };
    if payment.status != PaymentStatus::Created {
        return Err(Failure::refused("The payment has already been processed"));
    }
    Ok((payment, card))
}
