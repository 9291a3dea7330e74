//! `POST /v1/payments/create/json` and `/v1/payments/create/upi`: a payment from the merchant's server.

use axum::{Json, extract::State};
use serde_json::{Value, json};

use super::{Attempt, instrument, start};
use crate::{
    addresses,
    app::{App, Tx},
    failure::Failure,
    http::{Answer, Base, Body, Fields},
    records::{Flow, Instrument, Order, Payment},
};

/// Starts a payment by any method.
pub(crate) async fn create_json(State(app): State<App>, Base(base): Base, Body(fields): Body) -> Answer {
    create(app, base, fields.with_numeric_text(), None).await
}

/// Starts a payment by UPI; `method` may be left out.
pub(crate) async fn create_upi(State(app): State<App>, Base(base): Base, Body(fields): Body) -> Answer {
    create(app, base, fields.with_numeric_text(), Some("upi")).await
}

async fn create(app: App, base: String, fields: Fields, method: Option<&str>) -> Answer {
    let method = match method {
        Some(method) => method.to_owned(),
        None => fields.required_text("method", 32)?,
    };
    let payment = app
        .change({
            let app = app.clone();
            // With OTP from the start, the customer is on the merchant's page and no `otp_generate` is needed.
            move |tx| {
                let otp_first = fields.get("auth_type").and_then(Value::as_str) == Some("otp");
                let (order_id, attempt) = parse(tx, &app, &fields, &method)?;
                let mut order = Order::find(tx.db, &order_id).map_err(|failure| failure.at("order_id"))?;
                Ok((start(tx, &mut order, attempt)?, otp_first))
            }
        })
        .await?;
    let (payment, otp_first) = payment;
    let by_hand = app.settings.auto_complete.is_none();
    Ok(Json(
        json!({ "razorpay_payment_id": payment.id, "next": next(&payment, otp_first, by_hand, &base) }),
    ))
}

/// Starts a payment that a payer has filled in, in Checkout: what is due of the order, in the order's currency. Its
/// outcome is the payer's to decide, on the bank's page.
pub(crate) fn start_by_payer(tx: &Tx<'_>, app: &App, mut fields: Fields) -> Result<Payment, Failure> {
    let id = fields.required_text("order_id", 64)?;
    let mut order = Order::find(tx.db, &id).map_err(|failure| failure.at("order_id"))?;
    fields.set("amount", &order.amount_due().to_string());
    fields.set("currency", &order.currency);
    let method = fields.required_text("method", 32)?;
    let (_, mut attempt) = parse(tx, app, &fields, &method)?;
    attempt.outcome_after = None;
    start(tx, &mut order, attempt)
}

fn parse(tx: &Tx<'_>, app: &App, fields: &Fields, method: &str) -> Result<(String, Attempt), Failure> {
    let amount = fields.required_amount("amount")?;
    let currency = fields
        .currency("currency")?
        .ok_or_else(|| Failure::missing("currency"))?;
    let order_id = fields.required_text("order_id", 64)?;
    let email = fields.required_text("email", 255)?;
    if !email
        .split_once('@')
        .is_some_and(|(name, host)| !name.is_empty() && !host.is_empty())
    {
        return Err(Failure::invalid(
            "email",
            "The email must be a valid email address.",
        ));
    }
    let contact = contact(fields)?;
    let (instrument, will_decline) = instrument::parse(fields, method, amount, tx.now())?;
    let callback_url = fields.text("callback_url", 2048)?;
    if callback_url
        .as_deref()
        .is_some_and(|url| !addresses::is_web_address(url))
    {
        return Err(Failure::invalid(
            "callback_url",
            "The callback url format is invalid.",
        ));
    }
    let outcome_after = match instrument {
        Instrument::Upi { .. } => app.settings.auto_complete.map(|_| app.settings.upi_delay),
        _ => app.settings.auto_complete,
    };
    let attempt = Attempt {
        amount,
        currency,
        instrument,
        will_decline,
        email,
        contact,
        description: fields.text("description", 2048)?,
        notes: fields.notes()?,
        callback_url,
        outcome_after,
    };
    Ok((order_id, attempt))
}

/// A phone number as payments show it: `+91` before ten digits.
fn contact(fields: &Fields) -> Result<String, Failure> {
    let given = fields
        .scalar("contact")
        .ok_or_else(|| Failure::missing("contact"))?;
    let digits: String = given
        .chars()
        .filter(|c| !matches!(c, ' ' | '-' | '(' | ')'))
        .collect();
    let (plus, digits) = match digits.strip_prefix('+') {
        Some(rest) => (true, rest.to_owned()),
        None => (false, digits),
    };
    if !(8..=15).contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Failure::invalid(
            "contact",
            "Contact number should be at least 8 digits, including country code",
        ));
    }
    Ok(if plus || digits.len() != 10 {
        format!("+{digits}")
    } else {
        format!("+91{digits}")
    })
}

/// What the merchant's server or the customer's browser does now.
fn next(payment: &Payment, otp_first: bool, by_hand: bool, base: &str) -> Value {
    let call = |action: &str, path: &str| json!({ "action": action, "url": format!("{base}/v1/payments/{}{path}", payment.id) });
    let redirect = json!({ "action": "redirect", "url": addresses::bank_url(base, &payment.id) });
    match &payment.instrument {
        // Stands for the payer's phone, which no merchant's page leads to.
        Instrument::Upi {
            flow: Flow::Collect, ..
        } if by_hand => json!([call("poll", ""), redirect]),
        Instrument::Upi {
            flow: Flow::Collect, ..
        } => json!([call("poll", "")]),
        Instrument::Upi {
            flow: Flow::Intent, ..
        } => {
            let rupees = format!("{}.{:02}", payment.amount / 100, payment.amount % 100);
            let url = format!(
                "upi://pay?pa=simulator@razorpay&pn=Simulator&tr={}&am={rupees}&cu={}&mc=5411",
                payment.id, payment.currency
            );
            json!([{ "action": "intent", "url": url }, call("poll", "")])
        }
        Instrument::Card(_) if otp_first => {
            json!([
                call("otp_submit", "/otp/submit"),
                call("otp_resend", "/otp/resend"),
                redirect
            ])
        }
        Instrument::Card(_) => json!([redirect, call("otp_generate", "/otp_generate")]),
        Instrument::Netbanking { .. } | Instrument::Wallet { .. } => json!([redirect]),
    }
}
