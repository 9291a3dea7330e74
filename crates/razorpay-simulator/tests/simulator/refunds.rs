//! Refunds: sums, keys, and what may be refunded at all.

use reqwest::Method;
use serde_json::{Value, json};

use crate::kit::{Sim, answer, ok, settings, text};

const KEY: &str = "X-Refund-Idempotency";

#[tokio::test]
async fn refunds_add_up_to_the_payment() {
    let sim = Sim::start().await;
    let id = sim.captured().await;
    let path = format!("/v1/payments/{id}/refund");
    let part = sim
        .post(
            &path,
            json!({ "amount": 20000, "notes": { "why": "rain" }, "receipt": "rf-1" }),
        )
        .await;
    assert_eq!(
        (&part["entity"], &part["status"], &part["amount"]),
        (&json!("refund"), &json!("processed"), &json!(20000))
    );
    assert_eq!(
        (&part["speed_requested"], &part["speed_processed"]),
        (&json!("normal"), &json!("normal"))
    );
    assert_eq!(
        (&part["payment_id"], &part["batch_id"]),
        (&json!(id), &Value::Null)
    );
    let payment = sim.get(&format!("/v1/payments/{id}")).await;
    assert_eq!(
        (&payment["status"], &payment["refund_status"]),
        (&json!("captured"), &json!("partial"))
    );
    assert_eq!(payment["amount_refunded"], 20000);

    let (_, error) = sim.refused(Method::POST, &path, json!({ "amount": 30001 })).await;
    assert_eq!(
        error["description"],
        "The refund amount provided is greater than amount captured"
    );
    // No amount: what is left. The other route does the same.
    let rest = sim
        .post("/v1/refunds", json!({ "payment_id": id, "speed": "optimum" }))
        .await;
    assert_eq!(
        (&rest["amount"], &rest["speed_processed"]),
        (&json!(30000), &json!("instant"))
    );
    let payment = sim.get(&format!("/v1/payments/{id}")).await;
    assert_eq!(
        (&payment["status"], &payment["refund_status"]),
        (&json!("refunded"), &json!("full"))
    );
    assert_eq!(
        (&payment["captured"], &payment["amount_refunded"]),
        (&json!(true), &json!(50000))
    );
    let (_, error) = sim.refused(Method::POST, &path, json!({})).await;
    assert_eq!(
        error["description"],
        "The payment has been fully refunded already"
    );
    assert_eq!(
        sim.get(&format!("/v1/orders/{}", text(&payment["order_id"])))
            .await["status"],
        "paid"
    );

    let rid = text(&part["id"]);
    assert_eq!(sim.get(&format!("/v1/refunds/{rid}")).await, part);
    assert_eq!(sim.get(&format!("/v1/payments/{id}/refunds/{rid}")).await, part);
    let listed = sim.get(&format!("/v1/payments/{id}/refunds")).await;
    assert_eq!(
        (&listed["count"], &listed["items"][0]["id"]),
        (&json!(2), &rest["id"])
    );
    assert_eq!(sim.get("/v1/refunds?count=1").await["items"][0]["id"], rest["id"]);
    let noted = ok(sim
        .request(Method::PATCH, &format!("/v1/refunds/{rid}"))
        .json(&json!({ "notes": {} })))
    .await;
    assert_eq!(noted["notes"], json!([]));
}

#[tokio::test]
async fn refunds_at_once_never_exceed_what_was_captured() {
    let sim = Sim::durable(settings()).await;
    let id = sim.captured().await;
    let tries: Vec<_> = (0..20)
        .map(|number| {
            let request = sim.request(Method::POST, &format!("/v1/payments/{id}/refund"));
            let request = request.header(KEY, format!("parallel-refund-{number}"));
            tokio::spawn(answer(request.json(&json!({ "amount": 7000 }))))
        })
        .collect();
    let mut refunded = 0;
    for answer in tries {
        let (status, body) = answer.await.unwrap();
        match status {
            200 => refunded += 7000,
            _ => assert_eq!(
                body["error"]["description"],
                "The refund amount provided is greater than amount captured"
            ),
        }
    }
    assert_eq!(refunded, 49000, "seven of them fit");
    assert_eq!(
        sim.get(&format!("/v1/payments/{id}")).await["amount_refunded"],
        49000
    );
}

#[tokio::test]
async fn a_key_makes_one_refund() {
    let sim = Sim::durable(settings()).await;
    let id = sim.captured().await;
    let path = format!("/v1/payments/{id}/refund");
    let send = |key: &str, body: Value| answer(sim.request(Method::POST, &path).header(KEY, key).json(&body));
    let (_, first) = send(
        "refund-key-1",
        json!({ "amount": 10000, "notes": { "a": "1", "b": "2" } }),
    )
    .await;
    let (status, again) = send(
        "refund-key-1",
        json!({ "notes": { "b": "2", "a": "1" }, "amount": 10000 }),
    )
    .await;
    assert_eq!((status, &again["id"]), (200, &first["id"]));
    let (status, other) = send("refund-key-1", json!({ "amount": 10001 })).await;
    assert_eq!(status, 400);
    assert_eq!(
        other["error"],
        json!({
            "code": "BAD_REQUEST_ERROR", "source": "NA", "step": "NA", "reason": "NA", "metadata": {},
            "description": "Different request with the same idempotency key has already been processed.",
        })
    );
    for (key, expected) in [
        (
            "short",
            "The idempotency key must be at least 10 characters long.",
        ),
        (
            "spaces are not",
            "The idempotency key must only contain alphanumeric characters, underscores, and hyphens",
        ),
    ] {
        assert_eq!(send(key, json!({})).await.1["error"]["description"], expected);
    }
    // One that was refused has not used its key up.
    assert_eq!(send("refund-key-2", json!({ "amount": 99999 })).await.0, 400);
    assert_eq!(send("refund-key-2", json!({ "amount": 10000 })).await.0, 200);

    let tries: Vec<_> = (0..10)
        .map(|_| tokio::spawn(send("refund-key-3", json!({ "amount": 1000 }))))
        .collect();
    let mut ids = Vec::new();
    for answer in tries {
        match answer.await.unwrap() {
            (200, refund) => ids.push(text(&refund["id"])),
            (status, body) => assert_eq!(status, 409, "{body}"),
        }
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
    assert_eq!(
        sim.get(&format!("/v1/payments/{id}")).await["amount_refunded"],
        21000
    );

    let sim = sim.restart().await;
    let kept = sim.request(Method::POST, &path).header(KEY, "refund-key-1");
    let kept = ok(kept.json(&json!({ "amount": 10000, "notes": { "a": "1", "b": "2" } }))).await;
    assert_eq!(kept["id"], first["id"]);
}

#[tokio::test]
async fn only_captured_payments_can_be_refunded() {
    let sim = Sim::start().await;
    let id = sim.authorized().await;
    let (_, error) = sim
        .refused(Method::POST, &format!("/v1/payments/{id}/refund"), json!({}))
        .await;
    assert_eq!(
        error["description"],
        "The payment status should be captured for action to be taken"
    );
    let id = sim.captured().await;
    sim.post(
        "/sim/control/clock",
        json!({ "advance_seconds": 190 * 24 * 3600 }),
    )
    .await;
    let (_, error) = sim
        .refused(Method::POST, &format!("/v1/payments/{id}/refund"), json!({}))
        .await;
    assert!(text(&error["description"]).contains("more than 6 months old"));
}

#[tokio::test]
async fn a_failed_refund_frees_its_amount() {
    let sim = Sim::start().await;
    let id = sim.captured().await;
    let path = format!("/v1/payments/{id}/refund");
    let unlucky = sim.post(&path, json!({ "amount": 2468 })).await;
    assert_eq!(
        (&unlucky["status"], &unlucky["speed_processed"]),
        (&json!("pending"), &Value::Null)
    );
    let rid = text(&unlucky["id"]);
    crate::kit::eventually("the refund to fail", async || {
        (sim.get(&format!("/v1/refunds/{rid}")).await["status"] == "failed").then_some(())
    })
    .await;
    let payment = sim.get(&format!("/v1/payments/{id}")).await;
    assert_eq!(
        (&payment["amount_refunded"], &payment["refund_status"]),
        (&json!(0), &Value::Null)
    );

    let all = sim.post(&path, json!({})).await;
    assert_eq!(sim.get(&format!("/v1/payments/{id}")).await["status"], "refunded");
    sim.post(
        &format!("/sim/control/refunds/{}/fail", text(&all["id"])),
        json!({}),
    )
    .await;
    assert_eq!(sim.get(&format!("/v1/payments/{id}")).await["status"], "captured");

    sim.post("/sim/control/refunds", json!({ "hold": true })).await;
    let held = sim.post(&path, json!({ "amount": 50000 })).await;
    assert_eq!(held["status"], "pending");
    assert_eq!(
        sim.refused(Method::POST, &path, json!({ "amount": 100 })).await.0,
        400,
        "pending ones count"
    );
    let done = sim
        .post(
            &format!("/sim/control/refunds/{}/process", text(&held["id"])),
            json!({}),
        )
        .await;
    assert_eq!(done["status"], "processed");
}
