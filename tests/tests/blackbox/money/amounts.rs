//! Amounts that are not the order's.

use super::*;

on_both_stores!(offers_and_fees_confirm_and_less_goes_back,);

async fn offers_and_fees_confirm_and_less_goes_back(topology: Topology) {
    let options = Options::default().with("SIMULATOR_AUTO_COMPLETE", "off");
    let (system, razorpay) = start(topology, options).await;
    let event = event(&system, 5).await;
    let authorize = async |payment: &str| {
        let path = format!("/payments/{payment}/authorize");
        razorpay.control(&path, json!({})).await;
    };
    // Whoever tells first: the payer's browser, or the webhook alone.
    for (paise, discount, surcharge, by_webhook) in [
        (45_000, 50.0, 0.0, false),
        (51_180, 0.0, 11.8, false),
        (45_000, 50.0, 0.0, true),
    ] {
        let person = system.stranger(common::auth::Role::User);
        let (order, payment) = at_the_bank(&razorpay, &person, &event).await;
        let adjust = format!("/payments/{payment}/adjust");
        razorpay.control(&adjust, json!({"amount": paise})).await;
        authorize(&payment).await;
        if !by_webhook {
            let callback = razorpay.callback(&order, &payment);
            person.post("/api/payment/verify", callback).await.expect(200);
        }
        confirmed(&person, &event).await;
        let known = &payments(&person).await[0];
        let rupees = |name: &str| known[name].as_f64();
        assert_eq!(rupees("amount"), Some(f64::from(paise) / 100.0), "{known}");
        assert_eq!(rupees("discount"), Some(discount), "{known}");
        assert_eq!(rupees("surcharge"), Some(surcharge), "{known}");
        assert_eq!(known["refund"], Value::Null, "{known}");
    }
    // Less than what was due never confirms, whoever says so, and another try may.
    let person = system.stranger(common::auth::Role::User);
    let (order, payment) = at_the_bank(&razorpay, &person, &event).await;
    let adjust = format!("/payments/{payment}/adjust");
    let less = json!({"amount": 100, "settles": 0});
    razorpay.control(&adjust, less).await;
    razorpay.control("/refunds", json!({"hold": true})).await;
    authorize(&payment).await;
    let callback = razorpay.callback(&order, &payment);
    let refused = person.post("/api/payment/verify", callback).await;
    let refused = refused.problem(409, "wrong_amount");
    assert_eq!(refused["refund"]["reason"], "wrong_amount", "{refused}");
    // Another try need not wait until that is back.
    let short = payment;
    let (order, payment) = at_the_bank(&razorpay, &person, &event).await;
    let of_short = format!("/v1/payments/{short}/refunds");
    let pending = eventually("it is on its way back", PATIENCE, async || {
        let known = razorpay.call(&of_short, None).await;
        Some(known["items"][0]["id"].as_str()?.to_owned())
    })
    .await;
    let process = format!("/refunds/{pending}/process");
    razorpay.control(&process, json!({})).await;
    eventually("what came is back", PATIENCE, async || {
        let known = payments(&person).await;
        let known = known.iter().find(|one| one["razorpay_payment_id"] == short)?;
        assert_eq!((&known["amount"], &known["discount"]), (&json!(1), &json!(0)));
        (known["status"] == "refunded").then_some(())
    })
    .await;
    assert_eq!(person.status(&event).await, "pending_payment");
    // A webhook that says less than Razorpay itself: Razorpay itself counts.
    let odd =
        json!({"id": payment, "order_id": order, "amount": 100, "currency": "INR", "status": "captured"});
    razorpay
        .report("evt_odd", "payment.captured", &[("payment", &odd)])
        .await;
    authorize(&payment).await;
    person.is_confirmed(&event).await;
    assert_eq!(payments(&person).await[0]["amount"], 500);
    books_agree(&system).await;
}
