//! Webhooks: forged, unreadable, repeated, late and in any order.

use common::{
    ids::{EventId, new_id},
    store::StoreError,
};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::{
    failing_store::{Trouble, When},
    fake_events::PRICE,
    kit::{Service, eventually, webhook},
};
use crate::razorpay::signature::sign;

/// A service with an order in Checkout; returns Razorpay's id of it.
async fn with_order() -> (Service, String) {
    let service = Service::with_checkout().await;
    let asha = service.user();
    let waits = service.pay(&asha, EventId::new()).await.is(202);
    let order = waits.body["checkout"]["order_id"].as_str().unwrap().to_owned();
    (service, order)
}

fn about(order: &str, event: &str, status: &str, change: &Value) -> Vec<u8> {
    let mut payment = json!({"id": "pay_1", "order_id": order, "amount": PRICE, "currency": "INR", "status": status,
        "captured": status == "captured", "method": "upi"});
    for (name, value) in change.as_object().unwrap() {
        payment[name] = value.clone();
    }
    let payload = json!({"payment": {"entity": payment}});
    let body = json!({"entity": "event", "event": event, "payload": payload});
    body.to_string().into_bytes()
}

fn captured(order: &str) -> Vec<u8> {
    about(order, "payment.captured", "captured", &json!({}))
}

#[tokio::test]
async fn what_razorpay_has_not_signed_is_refused() {
    let (service, order) = with_order().await;
    let body = captured(&order);
    let keys = service.app.razorpay.keys();
    let right = sign(&body, &keys.webhook_secret).unwrap();
    let mut other = body.clone();
    other.push(b' ');
    for signature in [
        String::new(),
        "x".to_owned(),
        right.to_uppercase(),
        sign(&body, &keys.key_secret).unwrap(),
        sign(&body, &SecretString::from("")).unwrap(),
        sign(&other, &keys.webhook_secret).unwrap(),
    ] {
        let answer = service.send(webhook("e1", &body, &signature)).await;
        answer.fails(400, "signature_invalid");
    }
    // An unsigned body is not parsed.
    let answer = service.send(webhook("e1", b"{", "x")).await;
    answer.fails(400, "signature_invalid");
    service.books().await.are(&["open"], &[], &[]);
    assert!(
        service
            .rows("SELECT id FROM parked_webhooks".to_owned())
            .await
            .is_empty()
    );
    // The id is not consumed.
    service.webhook("e1", &body).await.is(200);
    service.books().await.are(&["paid"], &["captured"], &[]);
}

#[tokio::test]
async fn which_event_it_is_has_to_be_said() {
    let (service, order) = with_order().await;
    for id in [String::new(), "e".repeat(129)] {
        let answer = service.webhook(&id, &captured(&order)).await;
        answer.fails(400, "event_id_missing");
    }
    service.books().await.are(&["open"], &[], &[]);
    service.webhook(&"e".repeat(128), &captured(&order)).await.is(200);
    service.books().await.are(&["paid"], &["captured"], &[]);
}

#[tokio::test]
async fn one_that_is_not_understood_is_parked_until_it_is() {
    let (service, order) = with_order().await;
    let parked = async || {
        service
            .rows("SELECT id || ' ' || event FROM parked_webhooks ORDER BY id".to_owned())
            .await
    };
    let odd = about(&order, "payment.captured", "halfway", &json!({}));
    let without = json!({"event": "refund.processed", "payload": {}}).to_string();
    for _ in 0..2 {
        service.webhook("e1", &odd).await.is(200);
        service.webhook("e2", without.as_bytes()).await.is(200);
        service.webhook("e3", b"no json").await.is(200);
    }
    assert_eq!(
        parked().await,
        ["e1 payment.captured", "e2 refund.processed", "e3 "]
    );
    service.books().await.are(&["open"], &[], &[]);
    let figures = service.pipeline.handle(
        axum::extract::Request::get("/metrics")
            .body(axum::body::Body::empty())
            .unwrap(),
    );
    let figures = axum::body::to_bytes(figures.await.into_body(), usize::MAX)
        .await
        .unwrap();
    let figures = String::from_utf8(figures.to_vec()).unwrap();
    assert!(
        figures.contains("webhooks_parked{service=\"payments\"} 3"),
        "{figures}"
    );
    // Other kinds of events are not parked.
    let other = json!({"event": "settlement.processed", "payload": {"payment": 7}}).to_string();
    service.webhook("e4", other.as_bytes()).await.is(200);
    assert_eq!(parked().await.len(), 3);
    service.webhook("e1", &captured(&order)).await.is(200);
    assert_eq!(parked().await.len(), 2);
    service.books().await.are(&["paid"], &["captured"], &[]);
}

#[tokio::test]
async fn it_has_its_effect_once() {
    let (service, order) = with_order().await;
    for id in ["e1", "e1", "e2"] {
        let taken = service.webhook(id, &captured(&order)).await.is(200);
        assert_eq!(taken.body, json!({"status": "ok"}));
    }
    // A known id has no effect, whatever the body.
    let other = about(&order, "payment.captured", "captured", &json!({"id": "pay_2"}));
    service.webhook("e1", &other).await.is(200);
    service.books().await.are(&["paid"], &["captured"], &[]);
    assert_eq!(service.told().await.len(), 1);
    // A second payment of the order, under a new id, is refunded.
    service.webhook("e3", &other).await.is(200);
    service
        .books()
        .await
        .are(&["paid"], &["captured", "captured"], &["duplicate"]);
    assert_eq!(service.told().await.len(), 1);
}

#[tokio::test]
async fn in_any_order_the_end_is_the_same() {
    const EVENTS: [(&str, &str); 4] = [
        ("payment.failed", "failed"),
        ("payment.authorized", "authorized"),
        ("payment.captured", "captured"),
        ("order.paid", "captured"),
    ];
    for (first, second, third) in [(0, 1, 2), (2, 1, 0), (1, 2, 0), (3, 0, 1), (2, 0, 3), (0, 3, 2)] {
        let (service, order) = with_order().await;
        for at in [first, second, third, first] {
            let (event, status) = EVENTS[at];
            let body = about(&order, event, status, &json!({}));
            service.webhook(&new_id().to_string(), &body).await.is(200);
        }
        service.books().await.are(&["paid"], &["captured"], &[]);
        assert_eq!(service.told().await.len(), 1);
        // A failure is reported to the payer only when it is the newest that is known.
        let told = service.letters().await.len();
        assert_eq!(told, usize::from(first == 0), "{first} {second} {third}");
    }
}

#[tokio::test]
async fn what_is_not_ours_is_taken_and_forgotten() {
    let (service, order) = with_order().await;
    for body in [
        captured("order_of_somebody_else"),
        about(&order, "payment.captured", "captured", &json!({"order_id": null})),
        about(
            &order,
            "payment.captured",
            "captured",
            &json!({"currency": "USD"}),
        ),
    ] {
        service.webhook(&new_id().to_string(), &body).await.is(200);
    }
    service.books().await.are(&["open"], &[], &[]);
    assert!(
        service
            .rows("SELECT id FROM parked_webhooks".to_owned())
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn money_that_waits_is_taken_by_the_reconciler() {
    let (service, order) = with_order().await;
    let payment = service.razorpay.pay(&order);
    let body = about(
        &order,
        "payment.authorized",
        "authorized",
        &json!({"id": payment}),
    );
    service.webhook("e1", &body).await.is(200);
    service.books().await.are(&["open"], &["authorized"], &[]);
    service.work();
    eventually(async || (service.books().await.orders == ["paid"]).then_some(())).await;
    assert_eq!(service.razorpay.captures(), 1);
}

#[tokio::test]
async fn another_amount_is_not_noted_on_its_word() {
    let (service, order) = with_order().await;
    service.razorpay.charges(PRICE - 5_000, true);
    let payment = service.razorpay.pay(&order);
    service.razorpay.capture_all();
    let change = json!({"id": payment, "amount": PRICE - 5_000});
    let body = about(&order, "payment.captured", "captured", &change);
    service.webhook("e1", &body).await.is(200);
    service.books().await.are(&["open"], &[], &[]);
    service.work();
    eventually(async || (service.books().await.orders == ["paid"]).then_some(())).await;
    service.books().await.are(&["paid"], &["captured"], &[]);
}

#[tokio::test]
async fn a_store_that_fails_has_it_sent_again() {
    let (service, order) = with_order().await;
    let odd = about(&order, "payment.captured", "halfway", &json!({}));
    for error in [StoreError::Overloaded, StoreError::ReadOnly("inside".to_owned())] {
        service.store.fails(Trouble::Changes(error));
        for body in [&captured(&order), &odd] {
            service.webhook("e1", body).await.unavailable();
        }
    }
    service.books().await.are(&["open"], &[], &[]);
    service.store.fails(Trouble::Each("take_webhook", When::After));
    service.webhook("e1", &captured(&order)).await.unavailable();
    service.store.works();
    service.webhook("e1", &captured(&order)).await.is(200);
    service.books().await.are(&["paid"], &["captured"], &[]);
    assert_eq!(service.told().await.len(), 1);
}
