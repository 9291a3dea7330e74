//! Razorpay Checkout: the script for merchants' pages, the page that it opens in a frame, and the same page by itself, to
//! which a merchant's form posts ("hosted").

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::html;
use crate::{
    addresses,
    app::App,
    decline::Decline,
    failure::Failure,
    http::{Body, Fields, Query},
    payments,
    records::{Order, OrderStatus, Payment},
};

/// The options that the page knows, by the names that the hosted form has for them; those of `prefill` without it.
const OPTIONS: [&str; 12] = [
    "key_id",
    "order_id",
    "name",
    "description",
    "email",
    "contact",
    "method",
    "callback_url",
    "cancel_url",
    "redirect",
    "retry",
    "framed",
];

/// What a merchant's page wants of Checkout. It goes along in the query of every page until the payment has ended.
pub(crate) struct Wanted(Vec<(&'static str, String)>);

impl Wanted {
    fn of(get: impl Fn(&'static str) -> Option<String>) -> Self {
        // Forms send empty fields too.
        let given = |name| get(name).filter(|value| !value.is_empty());
        let options = OPTIONS.into_iter();
        Self(options.filter_map(|name| Some((name, given(name)?))).collect())
    }

    fn of_form(fields: &Fields) -> Self {
        let prefill = fields.object("prefill");
        let prefilled = |name| prefill.as_ref().and_then(|prefill| prefill.scalar(name));
        Self::of(|name| fields.scalar(name).or_else(|| prefilled(name)))
    }

    /// That of a page's query, if it is one of Checkout's.
    pub(super) fn of_query(query: &Query) -> Option<Self> {
        let wanted = Self::of(|name| query.get(name).map(str::to_owned));
        wanted.get("key_id").is_some().then_some(wanted)
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.as_str())
    }

    fn is(&self, name: &str) -> bool {
        self.get(name) == Some("true")
    }

    /// As a query, for the next page.
    pub(super) fn query(&self) -> String {
        let encoded = |(name, value): &(&str, String)| {
            format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC))
        };
        self.0.iter().map(encoded).collect::<Vec<_>>().join("&")
    }

    /// Whether a browser is sent to the merchant when the payment failed, instead of trying again here.
    pub(super) fn redirects(&self) -> bool {
        self.is("redirect")
    }

    /// What tells the merchant's page, around the frame, how it went.
    pub(super) fn told(&self, what: &str, payload: &Value) -> String {
        if !self.is("framed") {
            return String::new();
        }
        // In a script only this could end it.
        let message = json!({ "razorpay": what, "payload": payload })
            .to_string()
            .replace('<', "\\u003c");
        format!("<script>parent.postMessage({message}, '*')</script>")
    }

    /// The way on after a failure.
    pub(super) fn again(&self) -> String {
        if self.get("retry") == Some("false") {
            return String::new();
        }
        format!(
            "<p><a href=\"/sim/checkout?{}\">Try again</a></p>",
            html::escape(&self.query())
        )
    }
}

/// What the listeners of `payment.failed` get.
pub(super) fn failure_of(payment: &Payment, error: &Decline) -> Value {
    json!({ "error": {
        "code": error.code, "description": error.description, "source": error.source, "step": error.step,
        "reason": error.reason, "metadata": { "payment_id": payment.id, "order_id": payment.order_id },
    } })
}

/// `GET /v1/checkout.js`: the script, for merchants' pages.
pub(crate) async fn script() -> Response {
    let kind = [(header::CONTENT_TYPE, "text/javascript; charset=utf-8")];
    (kind, include_str!("checkout.js")).into_response()
}

/// `GET /sim/checkout`: the page in the script's frame.
pub(crate) async fn show(State(app): State<App>, query: Query) -> Response {
    match Wanted::of_query(&query) {
        Some(wanted) => page(&app, &wanted).await,
        None => trouble(&Failure::missing("key_id")),
    }
}

/// `POST /v1/checkout/embedded`: the page by itself, for a merchant's form.
pub(crate) async fn hosted(State(app): State<App>, Body(fields): Body) -> Response {
    page(&app, &Wanted::of_form(&fields)).await
}

async fn page(app: &App, wanted: &Wanted) -> Response {
    if wanted.get("key_id") != Some(&app.settings.key_id) {
        return trouble(&Failure::unauthenticated("The api key provided is invalid"));
    }
    let id = wanted.get("order_id").unwrap_or_default().to_owned();
    let order = match app.db.read(move |db| Order::find(db, &id)).await {
        Ok(order) if order.status == OrderStatus::Paid => {
            return trouble(&Failure::refused("This order is already paid."));
        }
        Ok(order) => order,
        Err(failure) => return trouble(&failure),
    };
    let described = match wanted.get("description") {
        Some(text) => format!("<p>{}</p>", html::escape(text)),
        None => String::new(),
    };
    let methods: String = [
        ("upi", "UPI"),
        ("card", "Card"),
        ("netbanking", "Netbanking"),
        ("wallet", "Wallet"),
    ]
    .map(|(name, label)| {
        let selected = if wanted.get("method") == Some(name) {
            " selected"
        } else {
            ""
        };
        format!("<option value=\"{name}\"{selected}>{label}</option>")
    })
    .concat();
    let or = |name: &str, default: &'static str| html::escape(wanted.get(name).unwrap_or(default));
    let content = format!(
        "{described}<form method=\"post\" action=\"/sim/checkout/pay?{query}\">\
         <label>Pay by <select name=\"method\" id=\"method\">{methods}</select></label>\
         <fieldset data-of=\"upi\"><label>UPI ID <input name=\"upi[vpa]\" value=\"success@razorpay\"></label>\
         <input type=\"hidden\" name=\"upi[flow]\" value=\"collect\"></fieldset>\
         <fieldset data-of=\"card\"><label>Card <input name=\"card[number]\" value=\"4100280000001007\"></label>\
         <label>Name <input name=\"card[name]\" value=\"Test Card\"></label>\
         <label class=\"short\">Month <input name=\"card[expiry_month]\" value=\"12\" size=\"2\"></label>\
         <label class=\"short\">Year <input name=\"card[expiry_year]\" value=\"2099\" size=\"4\"></label>\
         <label class=\"short\">CVV <input name=\"card[cvv]\" value=\"123\" size=\"4\"></label></fieldset>\
         <fieldset data-of=\"netbanking\"><label>Bank <input name=\"bank\" value=\"HDFC\"></label></fieldset>\
         <fieldset data-of=\"wallet\"><label>Wallet <input name=\"wallet\" value=\"payzapp\"></label></fieldset>\
         <label>E-mail <input name=\"email\" type=\"email\" value=\"{email}\"></label>\
         <label>Phone <input name=\"contact\" value=\"{contact}\"></label>\
         <p><button>Pay {amount}</button> <button type=\"button\" id=\"cancel\">Cancel</button></p></form>\
         <style>body{{margin:1em auto}}fieldset{{border:0;padding:0;margin:0}}label{{display:block;margin:.5em 0}}.short{{display:inline-block;margin-right:.5em}}\
         input{{box-sizing:border-box;max-width:100%}}</style>\
         <script>const method = document.getElementById('method');\
         const choose = () => document.querySelectorAll('fieldset').forEach((set) => {{\
         set.hidden = set.disabled = set.dataset.of !== method.value; }});\
         method.addEventListener('change', choose); choose();\
         document.getElementById('cancel').addEventListener('click', () => {{\
         if (parent !== window) parent.postMessage({{ razorpay: 'dismissed' }}, '*');\
         else if ('{cancel}') location.href = '{cancel}'; else history.back(); }});</script>",
        query = html::escape(&wanted.query()),
        email = or("email", "void@razorpay.com"),
        contact = or("contact", "+919999999999"),
        amount = html::amount(order.amount_due(), &order.currency),
        cancel = cancel_address(wanted),
    );
    let title = wanted.get("name").unwrap_or("Razorpay Checkout");
    html::page(StatusCode::OK, title, &content)
}

/// Where Cancel leads, safe in a script's text.
fn cancel_address(wanted: &Wanted) -> String {
    let address = wanted
        .get("cancel_url")
        .filter(|url| addresses::is_web_address(url));
    let parsed = address.and_then(|url| reqwest::Url::parse(url).ok());
    // A parsed address has no quotes, angles or backslashes that are not encoded, but for an apostrophe.
    parsed.map_or_else(String::new, |url| url.to_string().replace('\'', "%27"))
}

/// `POST /sim/checkout/pay`: the payer has chosen. On to the bank's page.
pub(crate) async fn pay(State(app): State<App>, query: Query, Body(fields): Body) -> Response {
    let Some(wanted) = Wanted::of_query(&query) else {
        return trouble(&Failure::missing("key_id"));
    };
    if wanted.get("key_id") != Some(&app.settings.key_id) {
        return trouble(&Failure::unauthenticated("The api key provided is invalid"));
    }
    let mut fields = fields.with_numeric_text();
    for name in ["order_id", "callback_url", "description"] {
        if let Some(value) = wanted.get(name) {
            fields.set(name, value);
        }
    }
    let started = app
        .change({
            let app = app.clone();
            move |tx| payments::start_by_payer(tx, &app, fields)
        })
        .await;
    match started {
        Ok(payment) => {
            let location = format!("/sim/bank/{}?{}", payment.id, wanted.query());
            (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response()
        }
        Err(failure) => {
            let again = wanted.again();
            let content = format!("<p>{}</p>{again}", html::escape(failure.description()));
            html::page(StatusCode::BAD_REQUEST, "Payment failed", &content)
        }
    }
}

fn trouble(failure: &Failure) -> Response {
    let content = format!("<p>{}</p>", html::escape(failure.description()));
    html::page(StatusCode::BAD_REQUEST, "Checkout cannot be opened", &content)
}
