//! Webhooks: what is told, signed how, and again until it is heard.

use axum::http::StatusCode;
use reqwest::Method;
use serde_json::{Value, json};

use crate::kit::{Hook, Receiver, Sim, WEBHOOK_SECRET, eventually, ok, settings, text, upi};

fn hmac(key: &str, message: &[u8]) -> String {
    use hmac::{Hmac, KeyInit, Mac};
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(message);
    mac.finalize()
        .into_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

async fn with_receiver() -> (Sim, Receiver) {
    let receiver = Receiver::start().await;
    let mut settings = settings();
    settings.webhook_url = Some(receiver.url.clone());
    (Sim::durable(settings).await, receiver)
}

/// The payload's entity of a kind.
fn entity<'a>(hook: &'a Hook, kind: &str) -> &'a Value {
    &hook.body["payload"][kind]["entity"]
}

#[tokio::test]
async fn events_come_in_order_signed_and_with_snapshots() {
    let (sim, receiver) = with_receiver().await;
    let id = sim.captured().await;
    sim.post(&format!("/v1/payments/{id}/refund"), json!({ "amount": 10000 }))
        .await;
    let hooks = receiver.has(5).await;
    assert_eq!(
        receiver.events(),
        [
            "payment.authorized",
            "payment.captured",
            "order.paid",
            "refund.created",
            "refund.processed"
        ]
    );
    for hook in &hooks {
        assert_eq!(hook.signature, hmac(WEBHOOK_SECRET, &hook.bytes));
        assert_eq!(hook.content_type, "application/json");
        assert_eq!(hook.body["entity"], "event");
        assert!(text(&hook.body["account_id"]).starts_with("acc_"));
        assert!(hook.body["created_at"].is_i64());
    }
    let mut ids: Vec<_> = hooks.iter().map(|hook| hook.id.clone()).collect();
    ids.dedup();
    assert_eq!(ids.len(), 5, "event ids are unique");
    assert_eq!(entity(&hooks[0], "payment")["status"], "authorized");
    assert_eq!(entity(&hooks[1], "payment")["status"], "captured");
    assert_eq!(hooks[2].body["contains"], json!(["payment", "order"]));
    assert_eq!(
        (
            &entity(&hooks[2], "order")["status"],
            &entity(&hooks[2], "order")["amount_due"]
        ),
        (&json!("paid"), &json!(0))
    );
    assert_eq!(hooks[4].body["contains"], json!(["refund", "payment"]));
    assert_eq!(entity(&hooks[4], "payment")["amount_refunded"], 10000);
    assert_eq!(entity(&hooks[4], "refund")["status"], "processed");
}

#[tokio::test]
async fn failures_and_automatic_refunds_are_told() {
    let (sim, receiver) = with_receiver().await;
    let order = sim.manual_order().await;
    sim.pay(&order, upi("failure@razorpay")).await;
    let failed = receiver.hears("payment.failed").await;
    assert_eq!(entity(&failed, "payment")["error_reason"], "payment_failed");
    let id = sim.pay(&order, upi("success@razorpay")).await;
    sim.post(&format!("/sim/control/payments/{id}/expire"), json!({}))
        .await;
    let refunded = receiver.hears("refund.processed").await;
    assert_eq!(entity(&refunded, "payment")["captured"], false);
    let id = sim.captured().await;
    sim.post(&format!("/v1/payments/{id}/refund"), json!({ "amount": 2468 }))
        .await;
    let failed = receiver.hears("refund.failed").await;
    assert_eq!(entity(&failed, "payment")["amount_refunded"], 0);
    sim.post(
        &format!("/v1/payments/{id}/refund"),
        json!({ "amount": 2468, "speed": "optimum" }),
    )
    .await;
    let changed = receiver.hears("refund.speed_changed").await;
    assert_eq!(entity(&changed, "refund")["speed_processed"], "normal");
}

#[tokio::test]
async fn what_is_refused_comes_again_with_the_same_id_and_bytes() {
    let (sim, receiver) = with_receiver().await;
    sim.post("/sim/control/webhooks", json!({ "first_retry_ms": 20 }))
        .await;
    receiver.answer(StatusCode::INTERNAL_SERVER_ERROR);
    sim.authorized().await;
    receiver.has(3).await;
    receiver.answer(StatusCode::NO_CONTENT);
    let waiting = async || {
        sim.get("/sim/control").await["deliveries_waiting"]
            .as_i64()
            .unwrap()
    };
    eventually("the receiver to have heard", async || {
        (waiting().await == 0).then_some(())
    })
    .await;
    let hooks = receiver.hooks();
    assert!(hooks.len() >= 4);
    let same = |hook: &Hook| {
        (&hook.id, &hook.signature, &hook.bytes) == (&hooks[0].id, &hooks[0].signature, &hooks[0].bytes)
    };
    assert!(hooks.iter().all(same));
    let events = sim.get("/sim/control/events").await;
    assert_eq!(events["items"][0]["deliveries"][0]["outcome"], "delivered");
    assert_eq!(events["items"][0]["deliveries"][0]["attempts"], hooks.len());

    // And on request.
    sim.post(
        &format!("/sim/control/events/{}/redeliver", hooks[0].id),
        json!({}),
    )
    .await;
    assert!(same(receiver.has(hooks.len() + 1).await.last().unwrap()));
}

#[tokio::test]
async fn a_receiver_that_never_hears_is_disabled_and_can_be_enabled() {
    let receiver = Receiver::start().await;
    receiver.answer(StatusCode::BAD_GATEWAY);
    let sim = Sim::start().await;
    let webhook = json!({ "url": receiver.url, "secret": "other secret", "events": ["payment.authorized"] });
    let id = text(&sim.post("/v1/webhooks", webhook).await["id"]);
    sim.post(
        "/sim/control/webhooks",
        json!({ "first_retry_ms": 10, "give_up_ms": 100 }),
    )
    .await;
    sim.authorized().await;
    let path = format!("/v1/webhooks/{id}");
    eventually("the receiver to be disabled", async || {
        (sim.get(&path).await["active"] == false).then_some(())
    })
    .await;
    let heard = receiver.hooks().len();
    assert!(heard >= 2, "it was tried again before");
    receiver.answer(StatusCode::OK);
    sim.authorized().await;
    assert_eq!(
        ok(sim.request(Method::PUT, &path).json(&json!({ "active": true }))).await["active"],
        true
    );
    sim.authorized().await;
    let hook = receiver.has(heard + 1).await.pop().unwrap();
    assert_eq!(hook.event(), "payment.authorized");
}

#[tokio::test]
async fn receivers_register_by_the_api() {
    let (sim, configured) = with_receiver().await;
    let receiver = Receiver::start().await;
    // As the Node SDK's samples write them.
    let body = json!({ "url": receiver.url, "secret": "other secret", "events": { "payment.captured": true, "order.paid": 0 } });
    let made = sim.post("/v1/webhooks", body.clone()).await;
    assert_eq!(
        (&made["entity"], &made["active"], &made["secret_exists"]),
        (&json!("webhook"), &json!(true), &json!(true))
    );
    assert_eq!(made["events"], json!(["payment.captured"]));
    assert!(made.get("secret").is_none());
    assert_eq!(
        sim.post("/v1/webhooks", body).await["id"],
        made["id"],
        "the same address is the same receiver"
    );
    assert_eq!(sim.get("/v1/webhooks").await["count"], 2);
    // The configured one is no registration, and stays as it is.
    let twin = json!({ "url": configured.url, "secret": "x", "events": ["refund.failed"] });
    assert_eq!(
        sim.post("/v1/webhooks", twin.clone()).await["id"],
        sim.post("/v1/webhooks", twin).await["id"]
    );
    assert_eq!(sim.get("/v1/webhooks").await["count"], 3);

    sim.captured().await;
    let hook = receiver.hears("payment.captured").await;
    assert_eq!(hook.signature, hmac("other secret", &hook.bytes));
    configured.has(3).await;
    assert_eq!(receiver.events(), ["payment.captured"]);
    let twin = configured.hears("payment.captured").await;
    assert_eq!(
        (twin.id, twin.bytes),
        (hook.id, hook.bytes),
        "one event, told to both"
    );

    let of_partner = format!("/v2/accounts/acc_AAAAAAAAAAAAAA/webhooks/{}", text(&made["id"]));
    assert_eq!(sim.get(&of_partner).await["id"], made["id"]);
    let path = format!("/v1/webhooks/{}", text(&made["id"]));
    ok(sim.request(Method::DELETE, &path)).await;
    assert_eq!(sim.refused(Method::GET, &path, json!({})).await.0, 400);
    assert_eq!(
        sim.refused(Method::POST, "/v1/webhooks", json!({ "url": "ftp://x" }))
            .await
            .0,
        400
    );
}

#[tokio::test]
async fn mischief() {
    let (sim, receiver) = with_receiver().await;
    let control = async |body: Value| sim.post("/sim/control/webhooks", body).await;
    control(json!({ "twice": 1 })).await;
    sim.authorized().await;
    let hooks = receiver.has(2).await;
    assert_eq!((&hooks[0].id, &hooks[0].bytes), (&hooks[1].id, &hooks[1].bytes));

    control(json!({ "wrong_signature": 1 })).await;
    sim.authorized().await;
    let forged = receiver.has(3).await.pop().unwrap();
    assert_ne!(forged.signature, hmac(WEBHOOK_SECRET, &forged.bytes));
    assert_eq!(forged.signature.len(), 64);

    // Held back, and then the newest first.
    control(json!({ "hold": true, "reverse": true })).await;
    sim.captured().await;
    control(json!({ "hold": false })).await;
    receiver.has(6).await;
    assert_eq!(
        receiver.events()[3..],
        ["order.paid", "payment.captured", "payment.authorized"]
    );

    // One event so late that others overtake it.
    control(json!({ "reverse": false, "late_ms": 1500, "late_event": "payment.authorized" })).await;
    sim.captured().await;
    receiver.has(9).await;
    assert_eq!(
        receiver.events()[6..],
        ["payment.captured", "order.paid", "payment.authorized"]
    );
}
