//! Payment links and their page.

use reqwest::{Client, Method, redirect::Policy};
use serde_json::{Value, json};

use crate::kit::{KEY_SECRET, Receiver, Sim, eventually, merge, ok, settings, text};

async fn link(sim: &Sim, more: Value) -> Value {
    let mut body = json!({
        "amount": 50000, "description": "Two <b>seats</b>", "reference_id": "ref-1",
        "customer": { "name": "Asha", "email": "asha@example.com", "contact": "+919000090000" },
        "notify": { "sms": true, "email": true },
    });
    merge(&mut body, more);
    sim.post("/v1/payment_links/", body).await
}

async fn pay(link: &Value, body: &'static str) -> reqwest::Response {
    let client = Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .build()
        .unwrap();
    client
        .post(format!("{}/pay", text(&link["short_url"])))
        .body(body)
        .send()
        .await
        .unwrap()
}

#[tokio::test]
async fn a_link_is_paid_on_its_page() {
    let receiver = Receiver::start().await;
    let mut settings = settings();
    settings.webhook_url = Some(receiver.url.clone());
    let sim = Sim::with(settings).await;
    let made = link(
        &sim,
        json!({ "callback_url": "http://127.0.0.1:9/back", "callback_method": "get" }),
    )
    .await;
    assert_eq!(
        (&made["status"], &made["currency"], &made["payments"]),
        (&json!("created"), &json!("INR"), &Value::Null)
    );
    assert_eq!((&made["notes"], &made["expire_by"]), (&Value::Null, &json!(0)));
    assert!(made.get("entity").is_none());
    let page = sim
        .client
        .get(text(&made["short_url"]))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(
        page.contains("<p>₹500 to pay.</p>") && page.contains("&lt;b&gt;seats"),
        "{page}"
    );

    assert_eq!(pay(&made, "method=card&result=failure").await.status(), 200);
    let back = pay(&made, "method=card&result=success").await;
    assert_eq!(back.status(), 303);
    let back = back.headers()["location"].to_str().unwrap().to_owned();
    let id = text(&made["id"]);
    let paid = sim.get(&format!("/v1/payment_links/{id}")).await;
    assert_eq!(
        (&paid["status"], &paid["amount_paid"]),
        (&json!("paid"), &json!(50000))
    );
    let payment = text(&paid["payments"][0]["payment_id"]);
    let signature = {
        use hmac::{Hmac, KeyInit, Mac};
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(KEY_SECRET.as_bytes()).unwrap();
        mac.update(format!("{id}|ref-1|paid|{payment}").as_bytes());
        mac.finalize()
            .into_bytes()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    assert!(
        back.starts_with("http://127.0.0.1:9/back?razorpay_payment_id=pay"),
        "{back}"
    );
    assert!(
        back.contains(&signature) && back.contains("razorpay_payment_link_status=paid"),
        "{back}"
    );

    let told = receiver.hears("payment_link.paid").await;
    assert_eq!(told.body["contains"], json!(["payment_link", "order", "payment"]));
    assert_eq!(told.body["payload"]["payment_link"]["entity"]["id"], json!(id));
    assert_eq!(
        sim.get(&format!("/v1/orders/{}", text(&paid["order_id"]))).await["status"],
        "paid"
    );
    assert_eq!(pay(&made, "method=upi&result=success").await.status(), 400);
    for query in [format!("payment_id={payment}"), "reference_id=ref-1".to_owned()] {
        let found = sim.get(&format!("/v1/payment_links?{query}")).await;
        assert_eq!(found["payment_links"][0]["id"], json!(id));
    }
    assert_eq!(
        sim.get("/v1/payment_links?payment_id=pay_none").await["payment_links"],
        json!([])
    );
}

#[tokio::test]
async fn a_link_is_paid_in_parts() {
    let sim = Sim::start().await;
    let made = link(
        &sim,
        json!({ "accept_partial": true, "first_min_partial_amount": 10000 }),
    )
    .await;
    assert_eq!(
        pay(&made, "method=upi&result=success&amount=5000").await.status(),
        400
    );
    assert_eq!(
        pay(&made, "method=upi&result=success&amount=10000")
            .await
            .status(),
        200
    );
    let path = format!("/v1/payment_links/{}", text(&made["id"]));
    assert_eq!(sim.get(&path).await["status"], "partially_paid");
    let (_, error) = sim
        .refused(Method::POST, &format!("{path}/cancel"), json!({}))
        .await;
    assert_eq!(
        error["description"],
        "cannot cancel or expire an already paid/partially paid link"
    );
    assert_eq!(pay(&made, "method=wallet&result=success").await.status(), 200);
    let paid = sim.get(&path).await;
    assert_eq!(
        (&paid["status"], paid["payments"].as_array().unwrap().len()),
        (&json!("paid"), 2)
    );
}

#[tokio::test]
async fn links_are_edited_cancelled_and_expire() {
    let sim = Sim::start().await;
    let made = link(&sim, json!({})).await;
    let path = format!("/v1/payment_links/{}", text(&made["id"]));
    let edited = ok(sim
        .request(Method::PATCH, &path)
        .json(&json!({ "reference_id": "ref-2", "notes": { "a": "b" } })))
    .await;
    assert_eq!(
        (&edited["reference_id"], &edited["notes"]),
        (&json!("ref-2"), &json!({ "a": "b" }))
    );
    // As the Node SDK posts: a form's content type and nothing in it.
    let bare = |path: String| {
        sim.request(Method::POST, &path)
            .header("content-type", "application/x-www-form-urlencoded")
    };
    assert_eq!(
        ok(bare(format!("{path}/notify_by/sms"))).await,
        json!({ "success": true })
    );
    assert_eq!(ok(bare(format!("{path}/cancel"))).await["status"], "cancelled");
    let (_, error) = sim.refused(Method::PATCH, &path, json!({ "notes": {} })).await;
    assert_eq!(
        error["description"],
        "update can only be made in created or partially paid state"
    );

    let (_, error) = sim
        .refused(
            Method::POST,
            "/v1/payment_links",
            json!({ "amount": 100, "reference_id": "ref-2" }),
        )
        .await;
    assert!(
        text(&error["description"]).contains("payment link creation with reference ID already attempted")
    );

    let now = text(&json!(made["created_at"].to_string()))
        .parse::<i64>()
        .unwrap();
    let (_, error) = sim
        .refused(
            Method::POST,
            "/v1/payment_links",
            json!({ "amount": 100, "expire_by": now + 60 }),
        )
        .await;
    assert_eq!(error["field"], "expire_by");
    let made = link(&sim, json!({ "expire_by": now + 1000 })).await;
    sim.post("/sim/control/clock", json!({ "advance_seconds": 1001 }))
        .await;
    let path = format!("/v1/payment_links/{}", text(&made["id"]));
    eventually("the link to expire", async || {
        (sim.get(&path).await["status"] == "expired").then_some(())
    })
    .await;
    let (_, error) = sim
        .refused(Method::POST, &format!("{path}/cancel"), json!({}))
        .await;
    assert_eq!(error["description"], "cannot cancel or expire an expired link");
}
