//! Refunds that others make, that fail, and of which nobody tells.

use super::*;

on_both_stores!(
    refunds_made_at_razorpay_have_their_effect,
    money_comes_back_until_it_stays,
);

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_of_which_no_webhook_told_is_found_by_the_sweep() {
    let dir = tempfile::tempdir().unwrap();
    let library = crate::clock::library(dir.path());
    let options = Options::default()
        .with("LD_PRELOAD", library.display())
        .with("CLOCK_SHIFT", 0)
        .with("RAZORPAY_WEBHOOK_URL", "http://127.0.0.1:9/");
    let (mut system, razorpay) = start(Topology::Five, options).await;
    let event = event(&system, 5).await;
    let (_, payment) = paid(&system, &event).await;
    books_agree(&system).await;
    let refund = format!("/v1/payments/{payment}/refund");
    razorpay.call(&refund, Some(json!({"amount": 10_000}))).await;
    let (fine, told) = run(&system, "organise-event", &["ledger", "check"]);
    assert!(!fine && told.contains("goes back here"), "{told}");
    // An hour later.
    system.kill_all();
    system.set("CLOCK_SHIFT", Some("3700"));
    system.start_again().await;
    books_agree(&system).await;
}

/// Waits until so much of the newest payment is back; gives the payment.
pub(super) async fn back(person: &Person, rupees: i64) -> Value {
    eventually("the money is back", PATIENCE, async || {
        let newest = payments(person).await.swap_remove(0);
        (newest["amount_refunded"] == rupees).then_some(newest)
    })
    .await
}

pub(super) async fn letters(person: &Person, kind: &str, number: usize) {
    eventually(&format!("{number} letters of {kind}"), PATIENCE, async || {
        let sent = person.messages().await;
        let of_kind = |(of, channel, _): &&(String, String, String)| of == kind && channel == "email";
        (sent.iter().filter(of_kind).count() == number).then_some(())
    })
    .await;
}

async fn refunds_made_at_razorpay_have_their_effect(topology: Topology) {
    let (system, razorpay) = start(topology, Options::default()).await;
    let event = event(&system, 5).await;
    // A part, and then the attendee cancels: what is left goes back, and no more.
    let (person, payment) = paid(&system, &event).await;
    books_agree(&system).await;
    let refund = format!("/v1/payments/{payment}/refund");
    // Nobody has told us yet: the books do not agree.
    razorpay.control("/webhooks", json!({"hold": true})).await;
    razorpay.call(&refund, Some(json!({"amount": 10_000}))).await;
    let (fine, told) = run(&system, "organise-event", &["ledger", "check"]);
    let words = "₹0 goes back here, ₹100 at Razorpay";
    assert!(
        !fine && told.contains(words) && told.contains("1 differences"),
        "{told}"
    );
    razorpay.control("/webhooks", json!({"hold": false})).await;
    let newest = back(&person, 100).await;
    assert_eq!(
        (&newest["status"], &newest["refund"]),
        (&json!("captured"), &Value::Null)
    );
    letters(&person, "payment_refunded", 1).await;
    assert_eq!(person.status(&event).await, "confirmed");
    cancel_registration(&person, &event).await;
    let newest = back(&person, 500).await;
    assert_eq!(newest["status"], "refunded", "{newest}");
    assert_eq!(newest["refund"]["status"], "processed", "{newest}");
    assert_eq!(newest["refund"]["reason"], "attendee", "{newest}");
    letters(&person, "payment_refunded", 2).await;
    let path = format!("/api/payment/payments/{}", newest["payment_id"].as_str().unwrap());
    let whole = person.get(&path).await.expect(200);
    assert_eq!(
        (&whole["fee"], &whole["tax"]),
        (&json!(11.8), &json!(1.8)),
        "{whole}"
    );
    assert_eq!(whole["method_detail"]["vpa"], "su***@razorpay", "{whole}");
    let mut parts: Vec<_> = whole["refunds"].as_array().unwrap().iter().collect();
    parts.sort_by_key(|part| part["amount"].as_i64()); // both may be of one second
    let of = |at: usize| {
        (
            parts[at]["amount"].as_i64().unwrap(),
            &parts[at]["made_at_razorpay"],
            &parts[at]["status"],
        )
    };
    assert_eq!(of(0), (100, &json!(true), &json!("processed")), "{whole}");
    assert_eq!(of(1), (400, &json!(false), &json!("processed")), "{whole}");
    let way: Vec<_> = whole["timeline"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["status"].clone())
        .collect();
    assert_eq!(
        (&way[0], &way[1]),
        (&json!("authorized"), &json!("captured")),
        "{whole}"
    );
    assert_eq!(
        way.iter().filter(|status| *status == "refund_processed").count(),
        2,
        "{whole}"
    );
    let there = razorpay.call(&format!("/v1/payments/{payment}"), None).await;
    assert_eq!(there["amount_refunded"], 50_000, "{there}");
    // All of it: what it paid for ends.
    let (person, payment) = paid(&system, &event).await;
    let refund = format!("/v1/payments/{payment}/refund");
    razorpay.call(&refund, Some(json!({"amount": 50_000}))).await;
    let newest = back(&person, 500).await;
    assert_eq!(newest["refund"]["reason"], "organizer", "{newest}");
    eventually("the registration has ended", PATIENCE, async || {
        (person.status(&event).await == "cancelled").then_some(())
    })
    .await;
    letters(&person, "registration_cancelled", 1).await;
    letters(&person, "payment_refunded", 1).await;
    let there = razorpay
        .call(&format!("/v1/payments/{payment}/refunds"), None)
        .await;
    assert_eq!(there["count"], 1, "nothing more was sent back: {there}");
    // The seat is free, and may be paid for anew.
    person.pay(&event, json!(500)).await.expect(200);
    person.is_confirmed(&event).await;
    books_agree(&system).await;
}

async fn money_comes_back_until_it_stays(topology: Topology) {
    let (system, razorpay) = start(topology, Options::default()).await;
    let event = event(&system, 5).await;
    let (person, payment) = paid(&system, &event).await;
    // Razorpay says no: that can be seen.
    razorpay
        .fault(json!({"kind": "status", "status": 400, "method": "POST", "path": format!("/v1/payments/{payment}/refund")}))
        .await;
    cancel_registration(&person, &event).await;
    eventually("the refusal can be seen", PATIENCE, async || {
        let newest = payments(&person).await.swap_remove(0);
        (newest["refund"]["status"] == "refused").then_some(newest["refund"]["problem"].as_str()?.to_owned())
    })
    .await;
    back(&person, 500).await;
    letters(&person, "payment_refunded", 1).await;
    // The payer's bank sends it back: it is owed again, and made anew.
    let path = format!("/v1/payments/{payment}/refunds");
    let there = razorpay.call(&path, None).await;
    let first = there["items"][0]["id"].as_str().unwrap().to_owned();
    razorpay
        .control(&format!("/refunds/{first}/fail"), json!({}))
        .await;
    back(&person, 0).await;
    let newest = payments(&person).await.swap_remove(0);
    assert_eq!(
        (&newest["status"], &newest["refund"]["status"]),
        (&json!("captured"), &json!("pending"))
    );
    let newest = back(&person, 500).await;
    assert_eq!(newest["status"], "refunded", "{newest}");
    letters(&person, "payment_refunded", 2).await;
    let there = razorpay.call(&path, None).await;
    assert_eq!(there["count"], 2, "{there}");
    books_agree(&system).await;
}
