//! A fake Razorpay on a port, as far as a payment needs it.

use std::{net::Ipv4Addr, sync::Arc};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{Method, Uri},
    response::Response,
};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::troubles::{Troubles, json};

/// The calls by name.
pub const CREATE_ORDER: &str = "create order";
pub const FIND_ORDER: &str = "find order";
pub const ORDER: &str = "order";
pub const PAYMENTS_OF: &str = "payments of order";
pub const START: &str = "start payment";
pub const PAYMENT: &str = "payment";
pub const CAPTURE: &str = "capture";
pub const REFUNDS_OF: &str = "refunds of payment";
pub const REFUND: &str = "refund";

#[derive(Clone)]
pub struct FakeRazorpay(Arc<Inner>);

struct Inner {
    troubles: Troubles,
    url: String,
    books: Mutex<Books>,
}

struct Books {
    orders: Vec<Value>,
    payments: Vec<Value>,
    refunds: Vec<Value>,
    captures: usize,
    /// The status of payments that are started from now on.
    bank: &'static str,
    /// Their amount, when it is not the requested one.
    charges: Option<i64>,
    /// Whether any captured amount pays the order in full, as with an offer.
    offer: bool,
}

impl FakeRazorpay {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let books = Books {
            orders: Vec::new(),
            payments: Vec::new(),
            refunds: Vec::new(),
            captures: 0,
            bank: "authorized",
            charges: None,
            offer: false,
        };
        let razorpay = Self(Arc::new(Inner {
            troubles: Troubles::default(),
            url,
            books: Mutex::new(books),
        }));
        let router = Router::new().fallback(call).with_state(razorpay.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        razorpay
    }

    pub fn url(&self) -> &str {
        &self.0.url
    }

    pub fn troubles(&self) -> &Troubles {
        &self.0.troubles
    }

    /// The status of payments that are started from now on.
    pub fn bank_says(&self, status: &'static str) {
        self.0.books.lock().bank = status;
    }

    /// Payments started from now on are of this amount; `offer`: and pay their order all the same.
    pub fn charges(&self, paise: i64, offer: bool) {
        let mut books = self.0.books.lock();
        (books.charges, books.offer) = (Some(paise), offer);
    }

    /// Pays an order in Checkout; returns the payment's id.
    pub fn pay(&self, order: &str) -> String {
        let mut books = self.0.books.lock();
        let amount = books.order(order)["amount"].clone();
        books.start(order, &amount)
    }

    /// Captures every payment, as at Razorpay's dashboard.
    pub fn capture_all(&self) {
        let mut books = self.0.books.lock();
        for at in 0..books.payments.len() {
            books.capture(at);
        }
    }

    /// Successful captures.
    pub fn captures(&self) -> usize {
        self.0.books.lock().captures
    }

    /// Every payment: its status and amount.
    pub fn payments(&self) -> Vec<(String, i64)> {
        let books = self.0.books.lock();
        let of = |payment: &Value| {
            let status = payment["status"].as_str().unwrap();
            (status.to_owned(), payment["amount"].as_i64().unwrap())
        };
        books.payments.iter().map(of).collect()
    }

    /// A payment.
    pub fn payment(&self, id: &str) -> Value {
        let books = self.0.books.lock();
        books.payments[books.at(id).unwrap()].clone()
    }

    pub fn orders(&self) -> usize {
        self.0.books.lock().orders.len()
    }

    /// The refunds: payments and amounts.
    pub fn refunds(&self) -> Vec<(String, i64)> {
        let books = self.0.books.lock();
        let of = |refund: &Value| {
            let payment = refund["payment_id"].as_str().unwrap();
            (payment.to_owned(), refund["amount"].as_i64().unwrap())
        };
        books.refunds.iter().map(of).collect()
    }
}

impl Books {
    fn order(&self, id: &str) -> &Value {
        let mut orders = self.orders.iter();
        orders.find(|order| order["id"] == id).unwrap()
    }

    fn at(&self, payment: &str) -> Option<usize> {
        self.payments.iter().position(|one| one["id"] == payment)
    }

    fn start(&mut self, order: &str, amount: &Value) -> String {
        // Unique over all fakes, as at Razorpay.
        let id = format!("pay_{}", common::ids::new_id().simple());
        let amount = self.charges.map_or(amount.clone(), Value::from);
        self.payments.push(
            json!({"id": id, "order_id": order, "amount": amount, "currency": "INR",
            "status": self.bank, "captured": false, "method": "upi", "amount_refunded": 0,
            "error_reason": "insufficient_fund", "error_description": "The account does not have enough money."}),
        );
        id
    }

    fn capture(&mut self, at: usize) -> Response {
        let payment = &mut self.payments[at];
        if payment["status"] != "authorized" {
            return refused("This payment has already been captured");
        }
        (payment["status"], payment["captured"]) = ("captured".into(), true.into());
        self.captures += 1;
        let (order, amount) = (payment["order_id"].clone(), payment["amount"].as_i64().unwrap());
        let answer = json(200, payment);
        let offer = self.offer;
        if let Some(order) = self.orders.iter_mut().find(|one| one["id"] == order) {
            let due = order["amount_due"].as_i64().unwrap();
            order["amount_due"] = if offer { 0 } else { (due - amount).max(0) }.into();
        }
        answer
    }
}

pub fn refused(description: &str) -> Response {
    let error =
        json!({"code": "BAD_REQUEST_ERROR", "description": description, "reason": "input_validation_failed"});
    json(400, &json!({"error": error}))
}

fn list(items: Vec<Value>) -> Response {
    json(
        200,
        &json!({"entity": "collection", "count": items.len(), "items": items}),
    )
}

async fn call(State(razorpay): State<FakeRazorpay>, method: Method, uri: Uri, body: Bytes) -> Response {
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    let path: Vec<&str> = uri.path().trim_start_matches("/v1/").split('/').collect();
    let query = uri.query().unwrap_or_default();
    let name = match (method.as_str(), path.as_slice()) {
        ("POST", ["orders"]) => CREATE_ORDER,
        ("GET", ["orders"]) => FIND_ORDER,
        ("GET", ["orders", _]) => ORDER,
        ("GET", ["orders", _, "payments"]) => PAYMENTS_OF,
        ("POST", ["payments", "create", "json"]) => START,
        ("GET", ["payments", _]) => PAYMENT,
        ("POST", ["payments", _, "capture"]) => CAPTURE,
        ("GET", ["payments", _, "refunds"]) => REFUNDS_OF,
        ("POST", ["payments", _, "refund"]) => REFUND,
        ("GET", ["refunds"]) => return list(Vec::new()),
        _ => panic!("payments asks Razorpay for {method} {uri}"),
    };
    let id = path.get(1).copied().unwrap_or_default();
    let right = || {
        let mut books = razorpay.0.books.lock();
        let of = |all: &[Value], field: &str| {
            let mine = all.iter().filter(|one| one[field] == id);
            list(mine.cloned().collect())
        };
        match name {
            CREATE_ORDER => {
                let receipt = asked["receipt"].clone();
                if let Some(known) = books.orders.iter().find(|order| order["receipt"] == receipt) {
                    return json(200, known);
                }
                let order = json!({"id": format!("order_{}", receipt.as_str().unwrap()), "receipt": receipt,
                    "amount": asked["amount"], "amount_due": asked["amount"]});
                books.orders.push(order.clone());
                json(200, &order)
            }
            FIND_ORDER => {
                let receipt = |order: &&Value| query.contains(order["receipt"].as_str().unwrap());
                list(books.orders.iter().filter(receipt).cloned().collect())
            }
            ORDER => json(200, books.order(id)),
            PAYMENTS_OF => of(&books.payments, "order_id"),
            START => {
                let order = asked["order_id"].as_str().unwrap();
                let payment = books.start(order, &asked["amount"]);
                let next = json!([{"action": "poll", "url": "http://127.0.0.1/poll"}]);
                json(200, &json!({"razorpay_payment_id": payment, "next": next}))
            }
            REFUNDS_OF => of(&books.refunds, "payment_id"),
            REFUND => {
                let refund = json!({"id": format!("rfnd_{}", books.refunds.len()), "payment_id": id,
                    "amount": asked["amount"], "status": "processed", "notes": asked["notes"]});
                books.refunds.push(refund.clone());
                json(200, &refund)
            }
            _ => match books.at(id) {
                None => refused("The id provided does not exist"),
                Some(at) if name == CAPTURE => books.capture(at),
                Some(at) => json(200, &books.payments[at]),
            },
        }
    };
    razorpay.0.troubles.answer(name, right).await
}
