//! The organizer cancels for an attendee, and a part of the money or none goes back.

use super::{
    refunds::{back, letters},
    *,
};

on_both_stores!(the_organizer_sends_back_a_part_or_nothing);

async fn the_organizer_sends_back_a_part_or_nothing(topology: Topology) {
    let (system, razorpay) = start(topology, Options::default()).await;
    let organizer = system.stranger(common::auth::Role::Organizer);
    let event = organizer.create_event(json!(5), json!(500)).await;
    let cancel_for = async |person: &Person, refund: Value| {
        let mine = person.get("/api/reg/get_registrevent").await.expect(200);
        let registration = mine[0]["registration_id"].as_str().unwrap();
        let path = format!("/api/organiser/events/{event}/registrations/{registration}/cancel");
        organizer.post(&path, json!({"refund": refund})).await.expect(200);
        assert_eq!(person.status(&event).await, "cancelled");
    };
    let refunds_of = async |payment: &str| {
        let path = format!("/v1/payments/{payment}/refunds");
        let there = razorpay.call(&path, None).await;
        there["items"].as_array().unwrap().clone()
    };
    let agreed = async || {
        books_agree(&system).await;
        let (_, told) = run(&system, "organise-event", &["ledger", "check"]);
        assert!(
            told.contains("owed ₹0.") && told.contains("No differences"),
            "{told}"
        );
    };
    // Nothing: it is captured and stays so.
    let (kept, kept_payment) = paid(&system, &event).await;
    cancel_for(&kept, json!("none")).await;
    agreed().await;
    // A part.
    let (person, payment) = paid(&system, &event).await;
    cancel_for(&person, json!(200)).await;
    let known = back(&person, 200).await;
    let part = json!({"status": "processed", "reason": "organizer", "amount": 200, "problem": null});
    assert_eq!((&known["status"], &known["refund"]), (&json!("captured"), &part));
    letters(&person, "payment_refunded", 1).await;
    let there = refunds_of(&payment).await;
    assert_eq!((there.len(), &there[0]["amount"]), (1, &json!(20_000)));
    agreed().await;
    // The payer's bank returns it: the part is made anew, and no more.
    let first = there[0]["id"].as_str().unwrap();
    razorpay
        .control(&format!("/refunds/{first}/fail"), json!({}))
        .await;
    let known = back(&person, 0).await;
    assert_eq!(known["refund"]["status"], "pending", "{known}");
    let known = back(&person, 200).await;
    assert_eq!((&known["status"], &known["refund"]), (&json!("captured"), &part));
    let amounts: Vec<_> = refunds_of(&payment)
        .await
        .into_iter()
        .map(|refund| refund["amount"].clone())
        .collect();
    assert_eq!(amounts, [20_000, 20_000]);
    agreed().await;
    // What was kept is so still.
    let known = &payments(&kept).await[0];
    assert_eq!(
        (&known["status"], &known["refund"], &known["amount_refunded"]),
        (&json!("captured"), &Value::Null, &json!(0))
    );
    assert_eq!(refunds_of(&kept_payment).await, [] as [Value; 0]);
    letters(&kept, "payment_refunded", 0).await;
    // The organizer sees what is left after the fee.
    let path = format!("/api/organiser/events/{event}/payments");
    let all = organizer.get(&path).await.expect(200);
    let net: Vec<_> = all
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["net"].as_f64())
        .collect();
    assert_eq!(net, [Some(288.2), Some(488.2)], "{all}");
}
