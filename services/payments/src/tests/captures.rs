//! Captures: lost responses, refusals, and payments captured elsewhere.

use common::ids::EventId;
use serde_json::json;

use super::{
    fake_events::RELEASE,
    fake_razorpay::{CAPTURE, PAYMENT},
    kit::{Service, eventually},
    troubles::Trouble,
};

/// Responses that do not give the result of a capture.
fn no_answers() -> Vec<(u16, String)> {
    let error =
        json!({"error": {"code": "BAD_REQUEST_ERROR", "description": "No.", "reason": "x"}}).to_string();
    vec![
        (400, error.clone()),
        (401, error.clone()),
        (500, error),
        (502, "<html>".to_owned()),
        (200, "<html>".to_owned()),
        (200, "{}".to_owned()),
    ]
}

#[tokio::test]
async fn what_was_not_taken_waits_and_is_taken_once() {
    for (status, body) in no_answers() {
        let service = Service::start().await;
        let (asha, event) = (service.user(), EventId::new());
        service.events.has_to_be_asked();
        let trouble = Trouble::Instead(status, body.clone());
        service.razorpay.troubles().at(CAPTURE, trouble);
        let answer = service.pay_keyed(&asha, event, "k").await;
        assert_eq!(answer.status, 503, "{status} {body}: {}", answer.body);
        answer.unavailable();
        service.books().await.are(&["open"], &["authorized"], &[]);
        // The hold that was extended for the capture is released.
        assert_eq!(service.events.troubles().calls(RELEASE), 1);
        service.razorpay.troubles().over();
        service.pay_keyed(&asha, event, "k").await.is(200);
        service.books().await.are(&["paid"], &["captured"], &[]);
        assert_eq!(service.razorpay.captures(), 1);
        assert_eq!(service.told().await.len(), 1);
    }
}

#[tokio::test]
async fn what_was_taken_counts_whatever_the_answer_said() {
    for (status, body) in no_answers() {
        let service = Service::start().await;
        let (asha, event) = (service.user(), EventId::new());
        service.events.has_to_be_asked();
        let trouble = Trouble::After(status, body.clone());
        service.razorpay.troubles().at(CAPTURE, trouble);
        let answer = service.pay_keyed(&asha, event, "k").await;
        assert_eq!(answer.status, 200, "{status} {body}: {}", answer.body);
        service.books().await.are(&["paid"], &["captured"], &[]);
        assert_eq!(service.razorpay.captures(), 1);
        assert_eq!(service.events.troubles().calls(RELEASE), 0);
    }
}

#[tokio::test]
async fn somebody_captured_it_at_the_dashboard() {
    let service = Service::start().await;
    let (asha, event) = (service.user(), EventId::new());
    // A failed capture leaves the payment recorded as authorized.
    let trouble = Trouble::Instead(500, String::new());
    service.razorpay.troubles().at(CAPTURE, trouble);
    service.pay(&asha, event).await.unavailable();
    service.razorpay.troubles().over();
    service.razorpay.capture_all();
    service.pay(&asha, event).await.is(200);
    assert_eq!(service.razorpay.captures(), 1);
    assert_eq!(service.razorpay.payments().len(), 1);
    service.books().await.are(&["paid"], &["captured"], &[]);
}

#[tokio::test]
async fn what_nobody_could_tell_is_found_by_the_reconciler() {
    let service = Service::start().await;
    let (asha, event) = (service.user(), EventId::new());
    let gone = || Trouble::Instead(401, String::new());
    service.razorpay.troubles().at(PAYMENT, gone());
    let answer = service.pay_keyed(&asha, event, "k").await;
    answer.fails(502, "payment_provider_misconfigured");
    service.razorpay.troubles().over();
    service.razorpay.capture_all();
    service.after_lease();
    service.work();
    eventually(async || (service.books().await.orders == ["paid"]).then_some(())).await;
    assert_eq!(service.told().await.len(), 1);
    let answer = service.pay_keyed(&asha, event, "k").await;
    answer.fails_with(409, "already_paid", &["payment_id"]);
    assert_eq!(service.razorpay.captures(), 1);
}

#[tokio::test]
async fn money_that_the_events_service_does_not_want_goes_back() {
    for (effect, code) in [
        ("no_seat", "no_seat"),
        ("event_cancelled", "event_cancelled"),
        ("attendee", "registration_cancelled"),
    ] {
        let service = Service::start().await;
        let (asha, event) = (service.user(), EventId::new());
        service.events.decides(effect);
        let answer = service.pay_keyed(&asha, event, "k").await;
        let answer = answer.fails_with(409, code, &["payment_id", "refund"]);
        assert_eq!(
            answer.body["refund"],
            json!({"status": "pending", "reason": effect, "amount": 500, "problem": null})
        );
        // The key is free again.
        let keys = service.rows("SELECT key FROM idempotency_keys".to_owned()).await;
        assert!(keys.is_empty(), "{keys:?}");
    }
}
