//! Results of Checkout: the payer's, other users', forged and repeated ones.

use axum::http::header;
use common::ids::EventId;
use serde_json::{Value, json};

use super::{
    fake_razorpay::PAYMENT,
    kit::{Call, Person, Service, VERIFY, eventually},
    troubles::Trouble,
};

/// A payer with an order in Checkout; returns them and Razorpay's order.
async fn in_checkout(service: &Service) -> (Person, String) {
    let asha = service.user();
    let waits = service.pay(&asha, EventId::new()).await.is(202);
    let order = waits.body["checkout"]["order_id"].as_str().unwrap();
    (asha, order.to_owned())
}

#[tokio::test]
async fn another_users_order_is_not_there() {
    let service = Service::with_checkout().await;
    let (asha, order) = in_checkout(&service).await;
    let payment = service.razorpay.pay(&order);
    let ravi = service.user();
    for (who, order) in [(&ravi, order.as_str()), (&ravi, "order_x"), (&asha, "order_x")] {
        let answer = service.verify(who, order, &payment).await;
        answer.fails(404, "order_not_found");
    }
    service.books().await.are(&["open"], &[], &[]);
    assert_eq!(service.razorpay.troubles().calls(PAYMENT), 0);
    service.verify(&asha, &order, &payment).await.is(200);
}

#[tokio::test]
async fn only_what_razorpay_has_signed_is_looked_at() {
    let service = Service::with_checkout().await;
    let (asha, order) = in_checkout(&service).await;
    let payment = service.razorpay.pay(&order);
    let signed = format!("{order}|{payment}");
    let keys = service.app.razorpay.keys();
    let sign = |text: &str, key| crate::razorpay::signature::sign(text.as_bytes(), key).unwrap();
    let right = sign(&signed, &keys.key_secret);
    for wrong in [
        "x".to_owned(),
        right.to_uppercase(),
        right[..63].to_owned(),
        sign(&format!("{order}|pay_x"), &keys.key_secret),
        sign(&payment, &keys.key_secret),
        sign(&signed, &keys.webhook_secret),
    ] {
        let body = json!({"razorpay_order_id": order, "razorpay_payment_id": payment,
            "razorpay_signature": wrong});
        let answer = service.send(Call::post(VERIFY, &body).by(&asha)).await;
        answer.fails(422, "signature_invalid");
    }
    service.books().await.are(&["open"], &[], &[]);
    assert_eq!(service.razorpay.troubles().calls(PAYMENT), 0);
}

#[tokio::test]
async fn a_payment_of_another_order_is_not_taken_for_this_one() {
    let service = Service::with_checkout().await;
    let (asha, order) = in_checkout(&service).await;
    let (ravi, other) = in_checkout(&service).await;
    let payment = service.razorpay.pay(&other);
    let answer = service.verify(&asha, &order, &payment).await;
    answer.fails(409, "payment_mismatch");
    service.books().await.are(&["open", "open"], &[], &[]);
    assert_eq!(service.razorpay.captures(), 0);
    service.verify(&ravi, &other, &payment).await.is(200);
}

#[tokio::test]
async fn what_is_not_done_is_said_to_be_so() {
    for (bank, status, code, kept) in [
        ("created", 409, "payment_pending", "created"),
        ("failed", 402, "insufficient_fund", "failed"),
        ("refunded", 402, "authorization_expired", "released"),
    ] {
        let service = Service::with_checkout().await;
        let (asha, order) = in_checkout(&service).await;
        service.razorpay.bank_says(bank);
        let payment = service.razorpay.pay(&order);
        let answer = service.verify(&asha, &order, &payment).await;
        let more: &[&str] = if status == 402 { &["payment_id"] } else { &[] };
        let answer = answer.fails_with(status, code, more);
        assert_eq!(answer.headers.contains_key(header::RETRY_AFTER), status == 409);
        service.books().await.are(&["open"], &[kept], &[]);
        assert_eq!(service.razorpay.captures(), 0);
    }
}

#[tokio::test]
async fn brought_often_it_is_one_payment() {
    let service = Service::with_checkout().await;
    let (asha, order) = in_checkout(&service).await;
    let payment = service.razorpay.pay(&order);
    let bring = || service.verify(&asha, &order, &payment);
    let (one, other) = futures_util::future::join(bring(), bring()).await;
    let (one, other, later) = (one.is(200), other.is(200), bring().await.is(200));
    assert_eq!(one.body["payment_id"], other.body["payment_id"]);
    assert_eq!(one.body["payment_id"], later.body["payment_id"]);
    service.books().await.are(&["paid"], &["captured"], &[]);
    assert_eq!(service.razorpay.captures(), 1);
    assert_eq!(service.told().await.len(), 1);
}

#[tokio::test]
async fn a_second_payment_of_a_paid_order_is_let_go() {
    let service = Service::with_checkout().await;
    let (asha, order) = in_checkout(&service).await;
    let (first, second) = (service.razorpay.pay(&order), service.razorpay.pay(&order));
    let paid = service.verify(&asha, &order, &first).await.is(200);
    let answer = service.verify(&asha, &order, &second).await;
    let answer = answer.fails_with(409, "already_paid", &["payment_id"]);
    assert_eq!(answer.body["payment_id"], paid.body["payment_id"]);
    service
        .books()
        .await
        .are(&["paid"], &["captured", "released"], &[]);
    assert_eq!(service.razorpay.captures(), 1);
}

#[tokio::test]
async fn razorpay_cannot_tell() {
    let service = Service::with_checkout().await;
    let (asha, order) = in_checkout(&service).await;
    let payment = service.razorpay.pay(&order);
    for (status, body, wanted, code) in [
        (400, "{}", 502, "payment_provider_refused"),
        (401, "{}", 502, "payment_provider_misconfigured"),
        (500, "<html>", 503, "unavailable"),
        (200, "<html>", 503, "unavailable"),
    ] {
        let trouble = Trouble::Instead(status, body.to_owned());
        service.razorpay.troubles().at(PAYMENT, trouble);
        let answer = service.verify(&asha, &order, &payment).await;
        answer.fails(wanted, code);
        service.books().await.are(&["open"], &[], &[]);
    }
    service.razorpay.troubles().over();
    // The payer does not retry: the reconciler captures it.
    service.after_lease();
    service.work();
    eventually(async || (service.books().await.orders == ["paid"]).then_some(())).await;
    assert_eq!(service.razorpay.captures(), 1);
}

#[tokio::test]
async fn a_seat_that_is_gone_lets_the_money_go() {
    let service = Service::with_checkout().await;
    let (asha, order) = in_checkout(&service).await;
    let payment = service.razorpay.pay(&order);
    service.events.refuses("no_seat");
    for _ in 0..2 {
        let answer = service.verify(&asha, &order, &payment).await;
        answer.fails_with(409, "no_seat", &["payment_id"]);
        service.books().await.are(&["open"], &["released"], &[]);
    }
    assert_eq!(service.razorpay.captures(), 0);
    assert_eq!(service.razorpay.payment(&payment)["status"], "authorized");
    assert_eq!(service.letters().await, ["payment.failed"]);
}

#[tokio::test]
async fn what_checkout_does_not_give_is_named() {
    let service = Service::with_checkout().await;
    let asha = service.user();
    let answer = service.send(Call::post(VERIFY, &json!({})).by(&asha)).await;
    let answer = answer.fails(422, "validation_failed");
    let fields: Vec<&Value> = answer.body["errors"].as_array().unwrap().iter().collect();
    let fields: Vec<&str> = fields.iter().map(|one| one["field"].as_str().unwrap()).collect();
    let wanted = ["razorpay_order_id", "razorpay_payment_id", "razorpay_signature"];
    assert_eq!(fields, wanted);
}
