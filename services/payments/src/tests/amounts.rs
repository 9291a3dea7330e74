//! The captured amount is not the amount that was due.

use common::ids::{EventId, PaymentId, RegistrationId};
use serde_json::json;

use super::{
    fake_events::{CLAIM, PRICE},
    fake_razorpay::{ORDER, PAYMENTS_OF},
    kit::{Call, PAY, Service, eventually, payment_form},
    troubles::Trouble,
};

#[tokio::test]
async fn what_pays_its_order_at_razorpay_is_payment() {
    for (charged, discount, surcharge) in [(PRICE - 5_000, 50.0, 0.0), (PRICE + 1_000, 0.0, 10.0)] {
        let service = Service::start().await;
        let (asha, event) = (service.user(), EventId::new());
        service.razorpay.charges(charged, true);
        let paid = service.pay(&asha, event).await.is(200);
        let told = ["discount", "surcharge"].map(|name| paid.body[name].as_f64());
        assert_eq!(told, [Some(discount), Some(surcharge)]);
        service.books().await.are(&["paid"], &["captured"], &[]);
    }
}

#[tokio::test]
async fn what_does_not_goes_back_and_the_order_stays_open() {
    let service = Service::start().await;
    let (asha, event) = (service.user(), EventId::new());
    service.razorpay.charges(PRICE - 1, false);
    let answer = service.pay_keyed(&asha, event, "k").await;
    let answer = answer.fails_with(409, "wrong_amount", &["payment_id", "refund"]);
    assert_eq!(answer.body["refund"]["reason"], "wrong_amount");
    service
        .books()
        .await
        .are(&["open"], &["captured"], &["wrong_amount"]);
    assert!(service.events.captured().is_empty());
    // A payment of the right amount pays the order; the other one is refunded once.
    service.razorpay.charges(PRICE, false);
    service.pay_keyed(&asha, event, "k").await.is(200);
    let books = service.books().await;
    books.are(&["paid"], &["captured", "captured"], &["wrong_amount"]);
    service.work();
    eventually(async || (service.razorpay.refunds().len() == 1).then_some(())).await;
    assert_eq!(service.razorpay.refunds()[0].1, PRICE - 1);
    let status = "SELECT status FROM payments ORDER BY amount";
    eventually(async || (service.rows(status.to_owned()).await == ["refunded", "captured"]).then_some(()))
        .await;
}

#[tokio::test]
async fn what_cannot_be_told_apart_yet_is_not_noted() {
    for (step, status, body) in [
        (ORDER, 400, "{}"),
        (ORDER, 200, r#"{"id": "order_x", "receipt": null}"#),
        (PAYMENTS_OF, 400, "{}"),
    ] {
        let service = Service::start().await;
        let (asha, event) = (service.user(), EventId::new());
        service.razorpay.charges(PRICE - 5_000, true);
        let trouble = Trouble::Instead(status, body.to_owned());
        service.razorpay.troubles().at(step, trouble);
        let answer = service.pay_keyed(&asha, event, "k").await;
        match status {
            200 => answer.unavailable(),
            _ => answer.fails(502, "payment_provider_refused"),
        };
        // Captured at Razorpay, and not yet recorded here.
        assert_eq!(service.razorpay.captures(), 1);
        service.books().await.are(&["open"], &["authorized"], &[]);
        service.razorpay.troubles().over();
        service.pay_keyed(&asha, event, "k").await.is(200);
        service.books().await.are(&["paid"], &["captured"], &[]);
        assert_eq!(service.razorpay.captures(), 1);
    }
}

#[tokio::test]
async fn the_payer_has_to_name_the_amount_that_is_due() {
    let service = Service::start().await;
    let (asha, event) = (service.user(), EventId::new());
    for amount in [json!(499.99), json!(500.01), json!(0), json!("50000")] {
        let mut body = payment_form(&asha, event);
        body["amount"] = amount;
        let answer = service.send(Call::post(PAY, &body).key("k").by(&asha)).await;
        let answer = answer.fails_with(409, "amount_mismatch", &["amount_due", "registration_id"]);
        assert_eq!(answer.body["amount_due"], 500.0);
    }
    service.books().await.are(&[], &[], &[]);
    service.pay_keyed(&asha, event, "k").await.is(200);
}

#[tokio::test]
async fn what_is_not_due_is_not_paid() {
    let service = Service::start().await;
    let (asha, event) = (service.user(), EventId::new());
    let payment = PaymentId::new();
    for (amount, payment, code, more) in [
        (0, None, "nothing_due", &[][..]),
        (PRICE, Some(payment), "already_paid", &["payment_id"]),
    ] {
        let seat = json!({"registration_id": RegistrationId::new(), "confirmed": true, "amount": amount,
            "payment_id": payment, "event_name": "Rust evening"});
        let confirmed = Trouble::Instead(200, seat.to_string());
        service.events.troubles().at(CLAIM, confirmed);
        let answer = service.pay_keyed(&asha, event, "k").await;
        let answer = answer.fails_with(409, code, more);
        if let Some(payment) = payment {
            assert_eq!(answer.body["payment_id"], payment.to_string());
        }
    }
    service.books().await.are(&[], &[], &[]);
    assert_eq!(service.razorpay.orders(), 0);
    service.events.troubles().over();
    service.pay_keyed(&asha, event, "k").await.is(200);
}
