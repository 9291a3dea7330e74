//! The controls.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::kit::{Receiver, Sim, answer, settings, text, upi};

#[tokio::test]
async fn they_are_closed_unless_enabled_and_to_pages_of_other_sites() {
    let mut settings = settings();
    settings.controls = false;
    let sim = Sim::with(settings).await;
    let reset = |sim: &Sim| sim.client.post(format!("{}/sim/control/reset", sim.base));
    assert_eq!(answer(reset(&sim)).await.0, 400);
    let sim = Sim::start().await;
    assert_eq!(
        answer(reset(&sim).header("origin", "https://evil.example"))
            .await
            .0,
        403
    );
    assert_eq!(
        answer(reset(&sim).header("origin", sim.base.clone())).await.0,
        200
    );
    assert_eq!(answer(reset(&sim)).await.0, 200);
}

#[tokio::test]
async fn a_bank_authorizes_late() {
    let receiver = Receiver::start().await;
    let mut settings = settings();
    settings.webhook_url = Some(receiver.url.clone());
    let sim = Sim::with(settings).await;
    let order = sim.manual_order().await;
    let id = sim.pay(&order, upi("failure@razorpay")).await;
    let path = format!("/sim/control/payments/{id}/authorize");
    let late = sim.post(&path, Value::Null).await;
    assert_eq!(
        (&late["status"], &late["error_code"]),
        (&json!("authorized"), &Value::Null)
    );
    receiver.has(2).await;
    assert_eq!(receiver.events(), ["payment.failed", "payment.authorized"]);
    assert_eq!(sim.refused(Method::POST, &path, json!({})).await.0, 400);
    sim.post(&format!("/v1/payments/{id}/capture"), json!({ "amount": 50000 }))
        .await;
}

#[tokio::test]
async fn calls_go_wrong_as_often_as_asked() {
    let sim = Sim::start().await;
    let fault = async |body: Value| sim.post("/sim/control/faults", body).await;
    fault(json!({ "kind": "status", "status": 500, "times": 2, "path": "/v1/orders", "method": "post" }))
        .await;
    let create = || {
        sim.request(Method::POST, "/v1/orders")
            .json(&json!({ "amount": 100, "currency": "INR" }))
    };
    assert_eq!(
        sim.get("/v1/orders").await["count"],
        0,
        "another method is spared"
    );
    for _ in 0..2 {
        let (status, body) = answer(create()).await;
        assert_eq!((status, &body["error"]["code"]), (500, &json!("SERVER_ERROR")));
    }
    assert_eq!(answer(create()).await.0, 200);
    assert_eq!(
        sim.get("/v1/orders").await["count"],
        1,
        "what was refused did nothing"
    );
    for (status, code) in [
        (429, "BAD_REQUEST_ERROR"),
        (502, "GATEWAY_ERROR"),
        (504, "GATEWAY_ERROR"),
    ] {
        fault(json!({ "kind": "status", "status": status, "description": "as asked" })).await;
        let (got, body) = answer(create()).await;
        assert_eq!((got, &body["error"]["code"]), (status, &json!(code)));
        assert_eq!(body["error"]["description"], "as asked");
    }
    fault(json!({ "kind": "html", "status": 502 })).await;
    let html = create().send().await.unwrap();
    assert_eq!(
        (
            html.status().as_u16(),
            html.headers()["content-type"].to_str().unwrap()
        ),
        (502, "text/html")
    );
    fault(json!({ "kind": "status", "status": 500, "after_commit": true })).await;
    assert_eq!(answer(create()).await.0, 500);
    assert_eq!(sim.get("/v1/orders").await["count"], 2, "this one was done");
    fault(json!({ "kind": "status", "times": 9 })).await;
    answer(sim.client.delete(format!("{}/sim/control/faults", sim.base))).await;
    assert_eq!(answer(create()).await.0, 200);
}

#[tokio::test]
async fn an_answer_is_dropped_after_the_work_is_done() {
    let sim = Sim::start().await;
    sim.post(
        "/sim/control/faults",
        json!({ "kind": "drop", "path": "/v1/orders", "method": "POST" }),
    )
    .await;
    let body = json!({ "amount": 100, "currency": "INR", "receipt": "lost", "unique_receipt": true });
    let create = || sim.request(Method::POST, "/v1/orders").json(&body);
    assert!(create().send().await.is_err(), "there is no answer at all");
    // What a client does now: look it up, or ask again.
    let found = sim.get("/v1/orders?receipt=lost").await;
    assert_eq!(found["count"], 1);
    assert_eq!(answer(create()).await.1["id"], found["items"][0]["id"]);

    sim.post("/sim/control/faults", json!({ "kind": "delay", "delay_ms": 120 }))
        .await;
    let start = Instant::now();
    assert_eq!(answer(create()).await.0, 200);
    assert!(start.elapsed() >= Duration::from_millis(120));
}

#[tokio::test]
async fn a_reset_forgets_everything() {
    let sim = Sim::start().await;
    let id = sim.captured().await;
    sim.post("/sim/control/clock", json!({ "advance_seconds": 5000 }))
        .await;
    let account = sim.get("/sim/control").await["account_id"].clone();
    sim.post("/sim/control/reset", json!({})).await;
    assert_eq!(
        sim.refused(Method::GET, &format!("/v1/payments/{id}"), json!({}))
            .await
            .0,
        400
    );
    assert_eq!(sim.get("/v1/orders").await["count"], 0);
    let state = sim.get("/sim/control").await;
    assert_eq!(
        (&state["clock_ahead_ms"], &state["account_id"]),
        (&json!(0), &account)
    );
    assert!(text(&account).starts_with("acc_"));
}
