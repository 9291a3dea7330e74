//! The page of a payment link: a method, an amount if parts are taken, and the two buttons of every mock bank.

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::html;
use crate::{
    app::{App, Tx},
    failure::Failure,
    http::{Body, Fields, Id, Notes},
    moves,
    payments::{self, Attempt},
    records::{Card, Instrument, Link, Payment, PaymentStatus},
    signature,
};

/// Shows what is to be paid, or why nothing is.
pub(crate) async fn show(State(app): State<App>, Id(id): Id) -> Response {
    let link = match app.db.read(move |db| Link::find(db, &id)).await {
        Ok(link) => link,
        Err(failure) => return failure.into_response(),
    };
    if !link.status.is_open() {
        let content = format!("<p>This link is {}.</p>", link.status.as_str().replace('_', " "));
        return html::page(StatusCode::OK, "Payment link", &content);
    }
    let amount = if link.accept_partial {
        format!(
            "<label>Amount in the smallest unit <input name=\"amount\" inputmode=\"numeric\" value=\"{}\"></label><br>",
            link.amount_due()
        )
    } else {
        String::new()
    };
    let content = format!(
        "<p>{}</p><p>{} to pay.</p><form method=\"post\" action=\"/sim/links/{}/pay\">{amount}<select name=\"method\">\
         <option>upi</option><option>card</option><option>netbanking</option><option>wallet</option></select>\
         <button name=\"result\" value=\"success\">Success</button>\
         <button name=\"result\" value=\"failure\">Failure</button></form>",
        html::escape(&link.description),
        html::amount(link.amount_due(), &link.currency),
        html::escape(&link.id),
    );
    html::page(StatusCode::OK, "Payment link", &content)
}

/// Pays it, or fails to. The browser goes to the merchant's `callback_url` when the payment succeeded.
pub(crate) async fn pay(State(app): State<App>, Id(id): Id, Body(fields): Body) -> Response {
    let fields = fields.with_numeric_text();
    match app.change(move |tx| attempt(tx, &id, &fields)).await {
        Ok((link, payment)) => {
            let succeeded = payment.status != PaymentStatus::Failed;
            if succeeded && !link.callback_url.is_empty() {
                let location = callback(&app, &link, &payment);
                return (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response();
            }
            let outcome = if succeeded { "succeeded" } else { "failed" };
            let content = format!("<p>The payment {} {outcome}.</p>", html::escape(&payment.id));
            html::page(StatusCode::OK, "Payment link", &content)
        }
        Err(failure) => failure.into_response(),
    }
}

fn attempt(tx: &Tx<'_>, id: &str, fields: &Fields) -> Result<(Link, Payment), Failure> {
    let mut link = Link::find(tx.db, id)?;
    if !link.status.is_open() {
        return Err(Failure::refused("The payment link cannot be paid any more"));
    }
    let amount = fields.amount("amount")?.unwrap_or(link.amount_due());
    let mut order = moves::link::open_order(tx, &mut link)?;
    let fails = fields.get("result").and_then(Value::as_str) == Some("failure");
    let of_customer = |key: &str, otherwise: &str| {
        link.customer
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or(otherwise)
            .to_owned()
    };
    let mut payment = payments::start(
        tx,
        &mut order,
        Attempt {
            amount,
            currency: link.currency.clone(),
            instrument: instrument(&fields.text("method", 16)?.unwrap_or_else(|| "upi".to_owned()))?,
            will_decline: fails.then_some("payment_failed"),
            email: of_customer("email", "void@razorpay.com"),
            contact: of_customer("contact", "+919999999999"),
            description: Some(link.description.clone()).filter(|text| !text.is_empty()),
            notes: Notes::default(),
            callback_url: None,
            outcome_after: None,
        },
    )?;
    moves::payment::complete(tx, &mut payment)?;
    Ok((Link::find(tx.db, id)?, payment))
}

/// What the button of a method pays with.
fn instrument(method: &str) -> Result<Instrument, Failure> {
    Ok(match method {
        "upi" => Instrument::collect("success@razorpay"),
        "card" => Instrument::Card(Card::of_a_link()),
        "netbanking" => Instrument::Netbanking {
            bank: "HDFC".to_owned(),
        },
        "wallet" => Instrument::Wallet {
            wallet: "payzapp".to_owned(),
        },
        _ => return Err(Failure::invalid("method", "The selected method is invalid.")),
    })
}

/// The merchant's address with the outcome.
fn callback(app: &App, link: &Link, payment: &Payment) -> String {
    let (reference, status) = (
        link.reference_id.as_deref().unwrap_or_default(),
        link.status.as_str(),
    );
    let signature = signature::of_link(&link.id, reference, status, &payment.id, &app.settings.key_secret);
    let pairs = [
        ("razorpay_payment_id", payment.id.as_str()),
        ("razorpay_payment_link_id", &link.id),
        ("razorpay_payment_link_reference_id", reference),
        ("razorpay_payment_link_status", status),
        ("razorpay_signature", &signature),
    ];
    let query: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)))
        .collect();
    let joint = if link.callback_url.contains('?') { '&' } else { '?' };
    format!("{}{joint}{}", link.callback_url, query.join("&"))
}
