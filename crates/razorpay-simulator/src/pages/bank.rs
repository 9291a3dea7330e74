//! The bank's page of a payment: the customer's step, as two buttons. Then the browser is sent to the merchant's
//! `callback_url` by a form, as Razorpay does it.

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{
    checkout::{Wanted, failure_of},
    html,
};
use crate::{
    app::App,
    decline::Decline,
    failure::Failure,
    http::{Id, Ids, Query},
    moves,
    records::{Payment, PaymentStatus},
    signature,
};

/// Shows the buttons, or how it ended.
pub(crate) async fn show(State(app): State<App>, Id(id): Id, query: Query) -> Response {
    let wanted = Wanted::of_query(&query);
    match app.db.read(move |db| Payment::find(db, &id)).await {
        Ok(payment) if payment.status == PaymentStatus::Created => {
            let query = wanted
                .as_ref()
                .map_or_else(String::new, |wanted| format!("?{}", wanted.query()));
            let action = |what: &str, label: &str| {
                format!(
                    "<form method=\"post\" action=\"/sim/bank/{}/{what}{}\" style=\"display:inline\"><button>{label}</button></form>",
                    html::escape(&payment.id),
                    html::escape(&query)
                )
            };
            let content = format!(
                "{}<p>{} by {}.</p>{}{}",
                what_for(&payment),
                html::amount(payment.amount, &payment.currency),
                payment.instrument.method(),
                action("success", "Success"),
                action("failure", "Failure"),
            );
            html::page(StatusCode::OK, "Welcome to the bank", &content)
        }
        Ok(payment) => ended(&app, &payment, wanted.as_ref()),
        Err(failure) => failure.into_response(),
    }
}

/// A button was pressed. On an error card, Failure brings that card's error about.
pub(crate) async fn decide(State(app): State<App>, Ids(id, what): Ids, query: Query) -> Response {
    let wanted = Wanted::of_query(&query);
    let decided = app
        .change(move |tx| {
            let mut payment = Payment::find(tx.db, &id)?;
            if payment.status == PaymentStatus::Created {
                match what.as_str() {
                    "success" => moves::payment::authorize(tx, &mut payment)?,
                    "failure" => {
                        let reason = payment.will_decline.clone();
                        moves::payment::fail(
                            tx,
                            &mut payment,
                            reason.as_deref().unwrap_or("payment_failed"),
                        )?;
                    }
                    _ => return Err(Failure::no_route()),
                }
            }
            Ok(payment)
        })
        .await;
    match decided {
        Ok(payment) => ended(&app, &payment, wanted.as_ref()),
        Err(failure) => failure.into_response(),
    }
}

/// What is paid for, as the merchant says.
fn what_for(payment: &Payment) -> String {
    match &payment.description {
        Some(description) => format!("<p><strong>{}</strong></p>", html::escape(description)),
        None => String::new(),
    }
}

/// What Checkout hands to the merchant's page, which is to verify it.
fn handed_over(app: &App, payment: &Payment) -> Value {
    let signature = signature::of_payment(&payment.order_id, &payment.id, &app.settings.key_secret);
    json!({
        "razorpay_order_id": payment.order_id,
        "razorpay_payment_id": payment.id,
        "razorpay_signature": signature,
    })
}

fn shown(fields: &Value) -> String {
    let text = serde_json::to_string_pretty(fields).unwrap_or_default();
    format!(
        "<p>Razorpay Checkout would hand this to the merchant's page:</p><pre style=\"overflow:auto\">{}</pre>",
        html::escape(&text)
    )
}

/// The way back to the page that led here, whose address is not known: over this page, and that with the buttons.
const BACK: &str = "<p><button onclick=\"history.go(-2)\">Back</button></p>";

/// Checkout tries again after a failure, unless the merchant wants the browser back.
fn failed_in_checkout(payment: &Payment, wanted: &Wanted) -> Response {
    let error = Decline::of(payment.error.as_deref().unwrap_or_default());
    let content = format!(
        "<p>{}</p>{}{}",
        html::escape(error.description),
        wanted.again(),
        wanted.told("failed", &failure_of(payment, error))
    );
    html::page(StatusCode::OK, "Payment failed", &content)
}

fn ended(app: &App, payment: &Payment, wanted: Option<&Wanted>) -> Response {
    let failed = payment.status == PaymentStatus::Failed;
    let goes_back = |wanted: &&Wanted| payment.callback_url.is_some() && wanted.redirects();
    if let Some(wanted) = wanted.filter(|wanted| failed && !goes_back(wanted)) {
        return failed_in_checkout(payment, wanted);
    }
    let outcome = if failed { "failed" } else { "succeeded" };
    let Some(callback) = &payment.callback_url else {
        // What has failed is handed over to nobody.
        let fields = (!failed).then(|| handed_over(app, payment));
        let shown = fields.as_ref().map_or_else(String::new, shown);
        let told = match (wanted, &fields) {
            (Some(wanted), Some(fields)) => wanted.told("success", fields),
            _ => BACK.to_owned(),
        };
        let content = format!(
            "{}<p>The payment {} {outcome}.</p>{shown}{told}",
            what_for(payment),
            html::escape(&payment.id)
        );
        return html::page(StatusCode::OK, "Done", &content);
    };
    let fields = match payment.error.as_deref().map(Decline::of) {
        Some(error) => {
            let metadata = json!({ "payment_id": payment.id, "order_id": payment.order_id });
            html::hidden(&[
                ("error[code]", error.code.to_owned()),
                ("error[description]", error.description.to_owned()),
                ("error[source]", error.source.to_owned()),
                ("error[step]", error.step.to_owned()),
                ("error[reason]", error.reason.to_owned()),
                ("error[metadata]", metadata.to_string()),
            ])
        }
        None => html::hidden(&[
            ("razorpay_payment_id", payment.id.clone()),
            ("razorpay_order_id", payment.order_id.clone()),
            (
                "razorpay_signature",
                signature::of_payment(&payment.order_id, &payment.id, &app.settings.key_secret),
            ),
        ]),
    };
    let content = format!(
        "<p>The payment {outcome}.</p><form id=\"back\" method=\"post\" target=\"_top\" action=\"{}\">{fields}<button>Back to the \
         merchant</button></form><script>document.getElementById('back').submit()</script>",
        html::escape(callback),
    );
    html::page(StatusCode::OK, "Done", &content)
}
