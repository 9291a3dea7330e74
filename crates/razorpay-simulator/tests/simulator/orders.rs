//! Orders from their making to their payment.

use reqwest::Method;
use serde_json::{Value, json};

use crate::kit::{Sim, ok, text, upi};

#[tokio::test]
async fn an_order_lives_from_created_to_paid() {
    let sim = Sim::start().await;
    let order = sim
        .order(json!({ "receipt": "r-1", "notes": { "seat": "A1" } }))
        .await;
    let id = text(&order["id"]);
    assert!(id.starts_with("order_") && id.len() == 20, "{id}");
    assert_eq!(order["entity"], "order");
    assert_eq!(order["status"], "created");
    assert_eq!(
        (&order["amount"], &order["amount_paid"], &order["amount_due"]),
        (&json!(50000), &json!(0), &json!(50000))
    );
    assert_eq!(
        (&order["attempts"], &order["offer_id"]),
        (&json!(0), &Value::Null)
    );
    assert_eq!(order["notes"], json!({ "seat": "A1" }));
    assert_eq!(sim.get(&format!("/v1/orders/{id}")).await, order);

    sim.pay(&order, upi("failure@razorpay")).await;
    let attempted = sim.get(&format!("/v1/orders/{id}")).await;
    assert_eq!(
        (&attempted["status"], &attempted["attempts"]),
        (&json!("attempted"), &json!(1))
    );

    sim.pay(&order, upi("success@razorpay")).await;
    let paid = sim.get(&format!("/v1/orders/{id}")).await;
    assert_eq!((&paid["status"], &paid["attempts"]), (&json!("paid"), &json!(2)));
    assert_eq!(
        (&paid["amount_paid"], &paid["amount_due"]),
        (&json!(50000), &json!(0))
    );

    let payments = sim.get(&format!("/v1/orders/{id}/payments")).await;
    assert_eq!(
        (&payments["entity"], &payments["count"]),
        (&json!("collection"), &json!(2))
    );
    let statuses: Vec<_> = payments["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| &p["status"])
        .collect();
    assert_eq!(statuses, ["failed", "captured"]);
}

#[tokio::test]
async fn empty_notes_are_an_array() {
    let sim = Sim::start().await;
    assert_eq!(sim.order(json!({})).await["notes"], json!([]));
    assert_eq!(sim.order(json!({ "notes": [] })).await["notes"], json!([]));
    assert_eq!(sim.order(json!({})).await["receipt"], Value::Null);
}

#[tokio::test]
async fn a_unique_receipt_gives_the_same_order_again() {
    let sim = Sim::start().await;
    let wanted = json!({ "receipt": "r-1", "unique_receipt": true });
    let (one, two) = tokio::join!(sim.order(wanted.clone()), sim.order(wanted.clone()));
    assert_eq!(one["id"], two["id"]);
    let (status, error) = sim
        .refused(
            Method::POST,
            "/v1/orders",
            json!({ "amount": 100, "currency": "INR", "receipt": "r-1", "unique_receipt": true }),
        )
        .await;
    assert_eq!(
        (status, &error["description"]),
        (400, &json!("Order receipt should be unique."))
    );
    // Without it, receipts may repeat.
    assert_ne!(sim.order(json!({ "receipt": "r-1" })).await["id"], one["id"]);
}

#[tokio::test]
async fn orders_are_listed_newest_first_and_by_receipt() {
    let sim = Sim::start().await;
    let mut ids = Vec::new();
    for number in 0..12 {
        ids.push(sim.order(json!({ "receipt": format!("r-{}", number % 2) })).await["id"].clone());
    }
    ids.reverse();
    let all = sim.get("/v1/orders").await;
    let listed = |page: &Value| {
        page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|o| o["id"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (all["count"].clone(), listed(&all)),
        (json!(10), ids[..10].to_vec())
    );
    let rest = sim
        .get("/v1/orders?count=100&skip=10&from=946684800.25&to=4765046400")
        .await;
    assert_eq!(listed(&rest), ids[10..]);
    let by_receipt = sim.get("/v1/orders?receipt=r-1").await;
    assert_eq!(by_receipt["count"], 6);
    assert!(
        by_receipt["items"]
            .as_array()
            .unwrap()
            .iter()
            .all(|order| order["receipt"] == "r-1")
    );
    assert_eq!(sim.get("/v1/orders?receipt=unknown").await["count"], 0);
}

#[tokio::test]
async fn lists_tell_orders_with_authorized_payments_apart_and_expand() {
    let sim = Sim::start().await;
    let open = sim.order(json!({})).await;
    let paid = sim.order(json!({})).await;
    sim.pay(&paid, crate::kit::card("4100280000001007")).await;
    let authorized = sim.get("/v1/orders?authorized=1").await;
    assert_eq!(
        (&authorized["count"], &authorized["items"][0]["id"]),
        (&json!(1), &paid["id"])
    );
    let without = sim.get("/v1/orders?authorized=0").await;
    assert_eq!(
        (&without["count"], &without["items"][0]["id"]),
        (&json!(1), &open["id"])
    );
    // As Python and Node send it.
    for query in [
        "expand%5B%5D=payments.card",
        "expand[expand]=payments.card",
        "expand[expand][0]=payments.card",
    ] {
        let listed = sim.get(&format!("/v1/orders?authorized=1&{query}")).await;
        assert_eq!(
            listed["items"][0]["payments"]["items"][0]["card"]["last4"], "1007",
            "{query}"
        );
    }
}

#[tokio::test]
async fn only_notes_of_an_order_can_be_changed() {
    let sim = Sim::start().await;
    let order = sim.order(json!({})).await;
    let path = format!("/v1/orders/{}", text(&order["id"]));
    let changed = ok(sim
        .request(Method::PATCH, &path)
        .json(&json!({ "notes": { "a": "b" } })))
    .await;
    assert_eq!(changed["notes"], json!({ "a": "b" }));
    let (_, error) = sim
        .refused(Method::PATCH, &path, json!({ "notes": {}, "amount": 1 }))
        .await;
    assert_eq!(
        (&error["reason"], &error["field"]),
        (&json!("extra_field_sent"), &json!("amount"))
    );
}

#[tokio::test]
async fn an_order_can_be_paid_in_parts() {
    let sim = Sim::start().await;
    let order = sim
        .order(json!({ "partial_payment": true, "first_payment_min_amount": 20000 }))
        .await;
    let part = |amount: i64| {
        crate::kit::payment(
            &json!({ "id": order["id"], "amount": amount }),
            upi("success@razorpay"),
        )
    };
    let (_, error) = sim
        .refused(Method::POST, "/v1/payments/create/json", part(10000))
        .await;
    assert!(text(&error["description"]).contains("different from your order amount"));
    sim.post("/v1/payments/create/json", part(20000)).await;
    let after = sim.get(&format!("/v1/orders/{}", text(&order["id"]))).await;
    assert_eq!(
        (&after["status"], &after["amount_due"]),
        (&json!("attempted"), &json!(30000))
    );
    sim.post("/v1/payments/create/json", part(30000)).await;
    assert_eq!(
        sim.get(&format!("/v1/orders/{}", text(&order["id"]))).await["status"],
        "paid"
    );
}
