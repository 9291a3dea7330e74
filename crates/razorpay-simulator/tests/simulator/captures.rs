//! Captures: asked for, by themselves, never twice, and what happens when nobody does.

use reqwest::Method;
use serde_json::{Value, json};

use crate::kit::{Receiver, Sim, answer, payment, settings, text, upi};

#[tokio::test]
async fn a_capture_takes_all_of_it_once() {
    let sim = Sim::start().await;
    let id = sim.authorized().await;
    let path = format!("/v1/payments/{id}/capture");
    let (_, error) = sim
        .refused(Method::POST, &path, json!({ "amount": 40000, "currency": "INR" }))
        .await;
    assert_eq!(
        error["description"],
        "Capture amount must be equal to the amount authorized"
    );
    let captured = sim.post(&path, json!({ "amount": 50000 })).await;
    assert_eq!(
        (&captured["status"], &captured["captured"]),
        (&json!("captured"), &json!(true))
    );
    // 2 % and 18 % of that.
    assert_eq!((&captured["fee"], &captured["tax"]), (&json!(1180), &json!(180)));
    let (status, error) = sim.refused(Method::POST, &path, json!({ "amount": 50000 })).await;
    assert_eq!(
        (status, &error["description"]),
        (400, &json!("This payment has already been captured"))
    );
    let order = sim
        .get(&format!("/v1/orders/{}", text(&captured["order_id"])))
        .await;
    assert_eq!(
        (&order["status"], &order["amount_paid"]),
        (&json!("paid"), &json!(50000))
    );
}

#[tokio::test]
async fn of_ten_captures_at_once_one_wins() {
    let receiver = Receiver::start().await;
    let mut settings = settings();
    settings.webhook_url = Some(receiver.url.clone());
    let sim = Sim::durable(settings).await;
    let id = sim.authorized().await;
    let tries: Vec<_> = (0..10)
        .map(|_| {
            let request = sim.request(Method::POST, &format!("/v1/payments/{id}/capture"));
            tokio::spawn(answer(
                request.json(&json!({ "amount": 50000, "currency": "INR" })),
            ))
        })
        .collect();
    let mut won = 0;
    for answer in tries {
        let (status, body) = answer.await.unwrap();
        if status == 200 {
            won += 1;
        } else {
            assert_eq!(
                body["error"]["description"],
                "This payment has already been captured"
            );
        }
    }
    assert_eq!(won, 1);
    receiver.has(3).await;
    assert_eq!(
        receiver.events(),
        ["payment.authorized", "payment.captured", "order.paid"]
    );
}

#[tokio::test]
async fn only_authorized_payments_can_be_captured() {
    let sim = Sim::start().await;
    let order = sim.order(json!({})).await;
    let failed = sim.pay(&order, upi("failure@razorpay")).await;
    let path = format!("/v1/payments/{failed}/capture");
    let (_, error) = sim.refused(Method::POST, &path, json!({ "amount": 50000 })).await;
    assert_eq!(
        error["description"],
        "Only payments which have been authorized and not yet captured can be captured"
    );
}

#[tokio::test]
async fn the_order_says_whether_captures_come_by_themselves() {
    let sim = Sim::start().await;
    let automatic = json!({ "capture": "automatic", "capture_options": { "automatic_expiry_period": 12 } });
    for (setting, status) in [
        (json!({}), "captured"),
        (json!({ "payment_capture": 1 }), "captured"),
        (json!({ "payment_capture": "0" }), "authorized"),
        (json!({ "payment_capture": false }), "authorized"),
        (json!({ "payment": { "capture": "manual" } }), "authorized"),
        (json!({ "payment": automatic }), "captured"),
    ] {
        let order = sim.order(setting.clone()).await;
        let id = sim.pay(&order, upi("success@razorpay")).await;
        assert_eq!(
            sim.get(&format!("/v1/payments/{id}")).await["status"],
            status,
            "{setting}"
        );
    }
    for wrong in [
        json!({ "payment": { "capture": "automatic" } }),
        json!({ "payment": { "capture": "sometimes" } }),
        json!({ "payment": { "capture": "automatic", "capture_options": { "automatic_expiry_period": 11 } } }),
        json!({ "payment": { "capture": "manual", "capture_options": { "manual_expiry_period": 7201 } } }),
    ] {
        let mut body = json!({ "amount": 50000, "currency": "INR" });
        crate::kit::merge(&mut body, wrong);
        assert_eq!(sim.refused(Method::POST, "/v1/orders", body).await.0, 400);
    }
}

#[tokio::test]
async fn what_nobody_captures_is_refunded() {
    let sim = Sim::start().await;
    let order = sim
        .order(
            json!({ "payment": { "capture": "manual", "capture_options": { "manual_expiry_period": 60 } } }),
        )
        .await;
    let id = sim.pay(&order, upi("success@razorpay")).await;
    sim.post("/sim/control/clock", json!({ "advance_seconds": 3500 }))
        .await;
    assert_eq!(
        sim.get(&format!("/v1/payments/{id}")).await["status"],
        "authorized"
    );
    sim.post("/sim/control/clock", json!({ "advance_seconds": 101 }))
        .await;
    let refunded = sim.reaches(&id, "refunded").await;
    assert_eq!(
        (&refunded["captured"], &refunded["refund_status"]),
        (&json!(false), &json!("full"))
    );
    let refunds = sim.get(&format!("/v1/payments/{id}/refunds")).await;
    assert_eq!(
        (&refunds["count"], &refunds["items"][0]["amount"]),
        (&json!(1), &json!(50000))
    );
    let order = sim.get(&format!("/v1/orders/{}", text(&order["id"]))).await;
    assert_eq!(
        (&order["status"], &order["amount_paid"]),
        (&json!("attempted"), &json!(0))
    );
}

#[tokio::test]
async fn one_payment_of_an_order_at_a_time_may_be_authorized() {
    let sim = Sim::start().await;
    let order = sim.manual_order().await;
    let first = sim.pay(&order, upi("success@razorpay")).await;
    let again = payment(&order, upi("success@razorpay"));
    assert_eq!(
        sim.refused(Method::POST, "/v1/payments/create/json", again.clone())
            .await
            .0,
        400
    );
    sim.post(
        &format!("/v1/payments/{first}/capture"),
        json!({ "amount": 50000 }),
    )
    .await;
    let (_, error) = sim.refused(Method::POST, "/v1/payments/create/json", again).await;
    assert!(text(&error["description"]).contains("already paid"));
}

#[tokio::test]
async fn a_second_success_on_a_paid_order_goes_back_at_once() {
    let sim = Sim::start().await;
    let order = sim.order(json!({})).await;
    let failed = sim.pay(&order, upi("failure@razorpay")).await;
    let paid = sim.pay(&order, upi("success@razorpay")).await;
    sim.reaches(&paid, "captured").await;
    let late = sim
        .post(&format!("/sim/control/payments/{failed}/authorize"), Value::Null)
        .await;
    assert_eq!(
        (&late["status"], &late["captured"]),
        (&json!("refunded"), &json!(false))
    );
    assert_eq!(
        sim.get(&format!("/v1/orders/{}", text(&order["id"]))).await["amount_paid"],
        50000
    );
}
