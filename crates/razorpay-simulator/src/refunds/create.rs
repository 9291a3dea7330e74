//! `POST /v1/payments/:id/refund` and `POST /v1/refunds`

use axum::{Json, extract::State, http::HeaderMap};
use rusqlite::params;
use serde_json::Value;

use crate::{
    app::{App, Tx},
    db,
    failure::Failure,
    http::{Answer, Body, Fields, Id},
    moves::{self, refund::Wanted},
    records::{Payment, PaymentStatus, Refund, Speed},
};

/// The one idempotency header there is.
const HEADER: &str = "x-refund-idempotency";
/// The longest key that is kept; Razorpay names no bound.
const LONGEST_KEY: usize = 255;
/// Six months, after which banks take nothing back.
const TOO_OLD_SECONDS: i64 = 183 * 24 * 60 * 60;

/// Refunds a payment named in the path.
pub(crate) async fn create_of_payment(
    State(app): State<App>,
    Id(id): Id,
    headers: HeaderMap,
    Body(mut fields): Body,
) -> Answer {
    fields.only(&["amount", "speed", "notes", "receipt"])?;
    fields.set("payment_id", &id);
    respond(app, &headers, fields).await
}

/// Refunds a payment named in the body.
pub(crate) async fn create(State(app): State<App>, headers: HeaderMap, Body(fields): Body) -> Answer {
    fields.only(&["payment_id", "amount", "speed", "notes", "receipt"])?;
    respond(app, &headers, fields).await
}

async fn respond(app: App, headers: &HeaderMap, fields: Fields) -> Answer {
    let payment_id = fields.required_text("payment_id", 64)?;
    let key = headers
        .get(HEADER)
        .map(|key| read_key(key.as_bytes()))
        .transpose()?;
    let _guard = match &key {
        Some(key) => Some(InFlight::enter(&app, key)?),
        None => None,
    };
    let refund = app
        .change(move |tx| decide(tx, &payment_id, key.as_deref(), &fields))
        .await?;
    Ok(Json(refund.view()))
}

/// One decision: the key, the payment's state and what is left of it, all seen and changed together.
fn decide(tx: &Tx<'_>, payment_id: &str, key: Option<&str>, fields: &Fields) -> Result<Refund, Failure> {
    let request = fields.as_value();
    if let Some(key) = key {
        let kept: Option<String> = db::value(tx.db, "SELECT request FROM idempotency WHERE key = ?1", [key])?;
        if let Some(kept) = kept {
            if serde_json::from_str::<Value>(&kept)? != request {
                return Err(Failure::refused(
                    "Different request with the same idempotency key has already been processed.",
                ));
            }
            let id: Option<String> =
                db::value(tx.db, "SELECT refund_id FROM idempotency WHERE key = ?1", [key])?;
            return Refund::find(tx.db, &id.unwrap_or_default());
        }
    }
    let mut payment = Payment::find(tx.db, payment_id)?;
    let wanted = parse(fields, &payment, tx.now())?;
    let refund = moves::refund::make(tx, &mut payment, wanted)?;
    if let Some(key) = key {
        let sql = "INSERT INTO idempotency (key, request, refund_id) VALUES (?1, ?2, ?3)";
        db::execute(tx.db, sql, params![key, request.to_string(), refund.id])?;
    }
    Ok(refund)
}

fn parse(fields: &Fields, payment: &Payment, now: i64) -> Result<Wanted, Failure> {
    let amount = fields.amount("amount")?;
    let speed = match fields.text("speed", 16)?.as_deref() {
        Some("normal") | None => Speed::Normal,
        Some("optimum") => Speed::Optimum,
        Some(_) => return Err(Failure::invalid("speed", "The speed must be normal or optimum.")),
    };
    let (notes, receipt) = (fields.notes()?, fields.text("receipt", 40)?);
    let refused = |text: &str| {
        Err(Failure::refused(text)
            .because("business", "payment_initiation", "input_validation_failed")
            .at("amount"))
    };
    match payment.status {
        PaymentStatus::Captured => {}
        PaymentStatus::Refunded => {
            return Err(Failure::refused("The payment has been fully refunded already"));
        }
        _ => {
            return Err(Failure::refused(
                "The payment status should be captured for action to be taken",
            ));
        }
    }
    if now - payment.created_at > TOO_OLD_SECONDS {
        return Err(Failure::refused(
            "Refund is not supported by the bank because the payment is more than 6 months old",
        ));
    }
    let left = payment.refundable();
    let amount = amount.unwrap_or(left);
    if amount > left {
        return refused("The refund amount provided is greater than amount captured");
    }
    // What is left may be less than a rupee.
    if amount < 100.min(left) {
        return refused("The amount must be at least INR 1.00");
    }
    Ok(Wanted {
        amount,
        speed,
        notes,
        receipt,
    })
}

fn read_key(key: &[u8]) -> Result<String, Failure> {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    match str::from_utf8(key) {
        Ok(text) if key.iter().all(plain) => match key.len() {
            0..10 => Err(Failure::refused(
                "The idempotency key must be at least 10 characters long.",
            )),
            10..=LONGEST_KEY => Ok(text.to_owned()),
            _ => Err(Failure::refused(
                "The idempotency key may not be greater than 255 characters.",
            )),
        },
        _ => Err(Failure::refused(
            "The idempotency key must only contain alphanumeric characters, underscores, and hyphens",
        )),
    }
}

/// Marks a key as being worked on, until it is dropped.
struct InFlight<'a> {
    app: &'a App,
    key: String,
}

impl<'a> InFlight<'a> {
    fn enter(app: &'a App, key: &str) -> Result<Self, Failure> {
        if app.in_flight.lock().insert(key.to_owned()) {
            Ok(Self {
                app,
                key: key.to_owned(),
            })
        } else {
            Err(Failure::in_flight())
        }
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.app.in_flight.lock().remove(&self.key);
    }
}
