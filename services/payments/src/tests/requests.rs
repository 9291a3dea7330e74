//! Requests of payers and of Razorpay.

use axum::{body::Body, extract::Request, http::Method};
use common::ids::EventId;
use serde_json::{Value, json};
use test_kit::requests::Person;

use super::kit::WEBHOOK;

/// The body of a request to pay.
pub fn payment_form(who: &Person, event: EventId) -> Value {
    json!({"event_id": event, "user_id": who.id, "amount": 500, "payment_method": "upi"})
}

pub fn webhook(id: &str, body: &[u8], signature: &str) -> Request {
    let request = Request::builder().method(Method::POST).uri(WEBHOOK);
    let request = request.header("x-razorpay-signature", signature);
    let request = request.header("x-razorpay-event-id", id);
    request.body(Body::from(body.to_vec())).unwrap()
}
