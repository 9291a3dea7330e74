//! Every method, with the instruments that succeed and those that fail, and the customer's step of each.

use reqwest::Method;
use serde_json::{Value, json};

use crate::kit::{KEY_ID, KEY_SECRET, Sim, answer, card, ok, payment, settings, text, upi};

/// A simulator in which the customer's step waits for somebody.
async fn waiting() -> Sim {
    let mut settings = settings();
    settings.auto_complete = None;
    Sim::with(settings).await
}

fn signature(order: &Value, payment: &str) -> String {
    use hmac::{Hmac, KeyInit, Mac};
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(KEY_SECRET.as_bytes()).unwrap();
    mac.update(format!("{}|{payment}", text(order)).as_bytes());
    mac.finalize()
        .into_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[tokio::test]
async fn what_succeeds() {
    let sim = Sim::start().await;
    for instrument in [
        upi("success@razorpay"),
        upi("asha.k@okbank"),
        json!({ "method": "upi", "vpa": "success@razorpay" }),
        json!({ "method": "upi", "upi": { "flow": "intent" } }),
        card("4100 2800 0000 1007"),
        card("5500670000001002"),
        card("6527658900001005"),
        card("36082800091007"),
        card("340256000401007"),
        card("5555555555554444"),
        json!({ "method": "netbanking", "bank": "HDFC" }),
        json!({ "method": "wallet", "wallet": "payzapp" }),
    ] {
        let order = sim.manual_order().await;
        let id = sim.pay(&order, instrument.clone()).await;
        let paid = sim.get(&format!("/v1/payments/{id}")).await;
        assert_eq!(paid["status"], "authorized", "{instrument}: {paid}");
        assert_eq!(
            (&paid["captured"], &paid["error_code"]),
            (&json!(false), &Value::Null)
        );
        assert_eq!(
            (&paid["fee"], &paid["refund_status"]),
            (&Value::Null, &Value::Null)
        );
        assert_eq!(paid["method"], instrument["method"]);
        assert_eq!(paid["contact"], "+919000090000");
        assert!(
            paid["acquirer_data"]
                .as_object()
                .unwrap()
                .values()
                .all(Value::is_string),
            "{paid}"
        );
    }
}

#[tokio::test]
async fn what_fails_and_why() {
    let sim = Sim::start().await;
    let bad = "BAD_REQUEST_ERROR";
    for (instrument, amount, code, reason) in [
        (upi("failure@razorpay"), 50000, bad, "payment_failed"),
        (card("4100280000090000"), 50000, bad, "payment_timed_out"),
        (card("4100280000080001"), 50000, bad, "insufficient_fund"),
        (card("4100280000070002"), 50000, bad, "payment_cancelled"),
        (card("4100280000060003"), 50000, bad, "card_declined"),
        (
            card("4100280000030006"),
            50000,
            bad,
            "card_disabled_for_online_payments",
        ),
        (card("4100280000010008"), 50000, bad, "card_number_invalid"),
        (
            card("4100280000020007"),
            50000,
            "GATEWAY_ERROR",
            "gateway_technical_error",
        ),
        (
            card("4100280000000009"),
            50000,
            "GATEWAY_ERROR",
            "authentication_failed",
        ),
        (
            json!({ "method": "upi", "upi": { "flow": "intent" } }),
            201,
            "GATEWAY_ERROR",
            "insufficient_funds",
        ),
        (
            json!({ "method": "upi", "upi": { "flow": "intent" } }),
            402,
            "GATEWAY_ERROR",
            "payment_declined",
        ),
        (
            json!({ "method": "upi", "upi": { "flow": "intent" } }),
            204,
            bad,
            "incorrect_pin",
        ),
        (
            json!({ "method": "upi", "upi": { "flow": "intent" } }),
            302,
            bad,
            "payment_cancelled",
        ),
        (
            json!({ "method": "netbanking", "bank": "FAIL" }),
            50000,
            bad,
            "payment_failed",
        ),
        (
            json!({ "method": "wallet", "wallet": "fail" }),
            50000,
            bad,
            "payment_failed",
        ),
    ] {
        let order = sim.order(json!({ "amount": amount })).await;
        let id = sim.pay(&order, instrument.clone()).await;
        let failed = sim.get(&format!("/v1/payments/{id}")).await;
        assert_eq!(failed["status"], "failed", "{instrument}");
        assert_eq!(
            (&failed["error_code"], &failed["error_reason"]),
            (&json!(code), &json!(reason)),
            "{instrument}"
        );
        assert!(failed["error_description"].is_string() && failed["error_source"].is_string());
        // The order is still open, and another try succeeds.
        let again = sim.pay(&order, card("4100280000001007")).await;
        sim.reaches(&again, "captured").await;
    }
}

#[tokio::test]
async fn card_numbers_are_not_kept() {
    let sim = Sim::durable(settings()).await;
    let order = sim.order(json!({})).await;
    let id = sim.pay(&order, card("4100280000001007")).await;
    let shown = sim.get(&format!("/v1/payments/{id}?expand[]=card")).await;
    assert_eq!(
        (&shown["card"]["last4"], &shown["card"]["network"]),
        (&json!("1007"), &json!("Visa"))
    );
    assert_eq!(shown["card_id"], shown["card"]["id"]);
    assert_eq!(sim.get(&format!("/v1/payments/{id}/card")).await, shown["card"]);
    assert!(sim.get(&format!("/v1/payments/{id}")).await.get("card").is_none());
    for file in std::fs::read_dir(sim.data_dir()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(16).any(|window| window == b"4100280000001007"));
    }
}

#[tokio::test]
async fn cards_wait_for_the_otp() {
    let sim = waiting().await;
    let order = sim.order(json!({})).await;
    let started = sim
        .post(
            "/v1/payments/create/json",
            payment(&order, card("4100280000001007")),
        )
        .await;
    let actions: Vec<_> = started["next"]
        .as_array()
        .unwrap()
        .iter()
        .map(|next| text(&next["action"]))
        .collect();
    assert_eq!(actions, ["redirect", "otp_generate"]);
    let id = text(&started["razorpay_payment_id"]);
    assert_eq!(sim.get(&format!("/v1/payments/{id}")).await["status"], "created");

    // As a browser does it: with the key id alone, and no body.
    let generate = text(&started["next"][1]["url"]);
    let generated = ok(sim.client.post(&generate).basic_auth(KEY_ID, Some(""))).await;
    assert_eq!(
        (&generated["metadata"]["last4"], &generated["metadata"]["iin"]),
        (&json!("1007"), &json!("410028"))
    );
    let (submit, resend) = (
        text(&generated["next"][0]["url"]),
        text(&generated["next"][1]["url"]),
    );
    let authed = |url: &str| sim.client.post(url).basic_auth(KEY_ID, Some(KEY_SECRET));
    ok(authed(&resend)).await;

    let (status, wrong) = answer(authed(&submit).json(&json!({ "otp": "123" }))).await;
    assert_eq!(status, 400);
    assert_eq!(wrong["next"], json!(["otp_submit", "otp_resend"]));
    assert_eq!(
        wrong["error"]["description"],
        "payment processing failed because of incorrect otp"
    );
    assert_eq!(wrong["error"]["metadata"]["payment_id"], json!(id));

    let form = authed(&submit)
        .header("content-type", "application/x-www-form-urlencoded")
        .body("otp=123456");
    let done = ok(form).await;
    assert_eq!(done["razorpay_payment_id"], json!(id));
    assert_eq!(
        done["razorpay_signature"],
        json!(signature(&done["razorpay_order_id"], &id))
    );
    assert_eq!(sim.get(&format!("/v1/payments/{id}")).await["status"], "captured");
    let (status, _) = answer(authed(&submit).json(&json!({ "otp": 123456 }))).await;
    assert_eq!(status, 400, "an OTP counts once");
}

#[tokio::test]
async fn the_third_wrong_otp_fails_the_payment_and_error_cards_fail_at_once() {
    let sim = waiting().await;
    let order = sim.order(json!({})).await;
    let mut instrument = card("4100280000001007");
    instrument["auth_type"] = json!("otp");
    let started = sim
        .post("/v1/payments/create/json", payment(&order, instrument))
        .await;
    assert_eq!(started["next"][0]["action"], "otp_submit");
    let id = text(&started["razorpay_payment_id"]);
    for _ in 0..3 {
        sim.refused(
            Method::POST,
            &format!("/v1/payments/{id}/otp/submit"),
            json!({ "otp": "12" }),
        )
        .await;
    }
    assert_eq!(sim.reaches(&id, "failed").await["error_reason"], "incorrect_otp");

    let id = sim.pay(&order, card("4100280000060003")).await;
    let path = format!("/v1/payments/{id}/otp/submit");
    let (_, error) = sim.refused(Method::POST, &path, json!({ "otp": "1234" })).await;
    assert_eq!(error["reason"], "card_declined");
    sim.reaches(&id, "failed").await;
}

#[tokio::test]
async fn the_bank_page_decides_and_sends_the_browser_back() {
    let sim = waiting().await;
    for (instrument, button, status) in [
        (
            json!({ "method": "netbanking", "bank": "HDFC" }),
            "success",
            "captured",
        ),
        (
            json!({ "method": "wallet", "wallet": "payzapp" }),
            "failure",
            "failed",
        ),
        (card("4100280000080001"), "failure", "failed"),
        (card("4100280000080001"), "success", "captured"),
    ] {
        let order = sim.order(json!({})).await;
        let mut body = payment(&order, instrument);
        body["callback_url"] = json!("http://127.0.0.1:9/back?a=1&b=\"2\"");
        let started = sim.post("/v1/payments/create/json", body).await;
        let id = text(&started["razorpay_payment_id"]);
        let redirect = text(&started["next"][0]["url"]);
        assert!(redirect.starts_with(&format!("{}/sim/", sim.base)));
        let page = sim
            .client
            .get(&redirect)
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        assert!(page.contains("Success") && page.contains("Failure"), "{page}");
        let back = sim
            .client
            .post(format!("{redirect}/{button}"))
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        assert!(
            back.contains("action=\"http://127.0.0.1:9/back?a=1&amp;b=&quot;2&quot;\""),
            "{back}"
        );
        let paid = sim.reaches(&id, status).await;
        if status == "captured" {
            assert!(back.contains(&signature(&order["id"], &id)), "{back}");
        } else {
            assert!(
                back.contains(&format!("value=\"{}\"", text(&paid["error_reason"]))),
                "{back}"
            );
        }
        // Pressing the other button afterwards changes nothing.
        sim.client
            .post(format!("{redirect}/success"))
            .send()
            .await
            .unwrap();
        sim.client
            .post(format!("{redirect}/failure"))
            .send()
            .await
            .unwrap();
        assert_eq!(sim.get(&format!("/v1/payments/{id}")).await["status"], status);
    }
}

#[tokio::test]
async fn upi_outcomes_come_by_themselves_after_the_delay() {
    let mut settings = settings();
    settings.auto_complete = Some(std::time::Duration::from_secs(60));
    settings.upi_delay = std::time::Duration::from_millis(700);
    let sim = Sim::with(settings).await;
    let order = sim.order(json!({})).await;
    let failing = sim
        .post(
            "/v1/payments/create/upi",
            payment(&order, upi("failure@razorpay")),
        )
        .await;
    assert_eq!(failing["next"][0]["action"], "poll");
    let id = text(&failing["razorpay_payment_id"]);
    assert_eq!(
        ok(sim.request(Method::GET, &format!("/v1/payments/{id}"))).await["status"],
        "created"
    );
    sim.reaches(&id, "failed").await;
    let intent = sim
        .post(
            "/v1/payments/create/upi",
            payment(&order, json!({ "upi": { "flow": "intent" } })),
        )
        .await;
    assert!(text(&intent["next"][0]["url"]).starts_with("upi://pay?"));
    assert_eq!(intent["next"][1]["action"], "poll");
    sim.reaches(&text(&intent["razorpay_payment_id"]), "captured")
        .await;
}

#[tokio::test]
async fn a_customers_step_is_done_by_itself_after_the_set_time() {
    let mut settings = settings();
    settings.auto_complete = Some(std::time::Duration::from_millis(700));
    let sim = Sim::with(settings).await;
    let order = sim.manual_order().await;
    let id = sim.pay(&order, card("4100280000001007")).await;
    assert_eq!(sim.get(&format!("/v1/payments/{id}")).await["status"], "created");
    sim.reaches(&id, "authorized").await;
}

#[tokio::test]
async fn nobody_completes_it_and_it_fails() {
    let sim = waiting().await;
    let order = sim.order(json!({})).await;
    let id = sim
        .pay(&order, json!({ "method": "netbanking", "bank": "HDFC" }))
        .await;
    sim.post("/sim/control/clock", json!({ "advance_seconds": 500 }))
        .await;
    assert_eq!(sim.get(&format!("/v1/payments/{id}")).await["status"], "created");
    sim.post("/sim/control/clock", json!({ "advance_seconds": 101 }))
        .await;
    assert_eq!(
        sim.reaches(&id, "failed").await["error_reason"],
        "payment_timed_out"
    );
}

#[tokio::test]
async fn payments_are_listed_annotated_and_numeric_text_is_taken() {
    let sim = Sim::start().await;
    let order = sim.order(json!({})).await;
    let mut body = payment(&order, upi("success@razorpay"));
    body["amount"] = json!("50000");
    body["description"] = json!("Two seats");
    let id = text(&sim.post("/v1/payments/create/json/", body).await["razorpay_payment_id"]);
    let path = format!("/v1/payments/{id}");
    let changed = ok(sim
        .request(Method::PATCH, &path)
        .json(&json!({ "notes": { "a": "b" } })))
    .await;
    assert_eq!(
        (&changed["notes"]["a"], &changed["description"]),
        (&json!("b"), &json!("Two seats"))
    );
    assert_eq!(
        (&changed["upi"]["vpa"], &changed["upi"]["flow"]),
        (&json!("success@razorpay"), &json!("collect"))
    );
    let listed = sim.get("/v1/payments?count=1").await;
    assert_eq!(listed["items"][0]["id"], json!(id));
}
