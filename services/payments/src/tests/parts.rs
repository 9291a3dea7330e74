//! A registration is cancelled by its organizer, and all, a part or none of the money goes back.

use chrono::TimeDelta;
use common::{
    auth::Role,
    ids::{EventId, PaymentId, RegistrationId, new_id},
    money::Paise,
    outbox::{CloudEvent, ReceiptStatus},
    wire::{EndReason, RefundReason, RegistrationEnded, kind},
};
use serde_json::{Value, json};
use test_kit::requests::Person;

use super::{
    batches::{deliver, facts, message, refused},
    fake_razorpay::REFUND,
    kit::{Service, eventually},
    troubles::Trouble,
};
use crate::domain::ledger::{AtRazorpay, PaidRegistration, differences};

/// A payment, who paid it, and for what.
struct Paid {
    payer: Person,
    event: EventId,
    payment: PaymentId,
    registration: RegistrationId,
}

impl Paid {
    /// Of 500 rupees.
    async fn by(service: &Service) -> Self {
        let (payer, event) = (service.user(), EventId::new());
        let paid = service.pay(&payer, event).await.is(200);
        Self {
            payment: PaymentId::lenient(paid.text("payment_id")),
            registration: RegistrationId::lenient(paid.text("registration_id")),
            payer,
            event,
        }
    }

    /// Its end, for which so much goes back.
    fn ended(&self, service: &Service, payment: Option<PaymentId>, refund: Option<i64>) -> CloudEvent {
        let told = RegistrationEnded {
            registration_id: self.registration,
            user_id: self.payer.id,
            event: facts(service),
            was_confirmed: true,
            paid: Some(Paise(50_000)),
            payment_id: payment,
            reason: EndReason::Organizer,
            refund: refund.map(Paise),
            words: None,
        };
        message(service, kind::REGISTRATION_ENDED, new_id(), &told)
    }

    async fn shown(&self, service: &Service) -> Value {
        let path = format!("/api/payment/payments/{}", self.payment);
        service.get(&self.payer, &path).await.is(200).body
    }

    /// Waits until so many rupees are back; gives the payment.
    async fn back(&self, service: &Service, rupees: i64) -> Value {
        eventually(async || {
            let shown = self.shown(service).await;
            (shown["amount_refunded"] == rupees).then_some(shown)
        })
        .await
    }

    /// What the check of the ledger says about it, once its registration has ended.
    async fn differences(&self, service: &Service) -> Vec<String> {
        let lines = service.app.store.ledger(None, 10).await.unwrap();
        let line = lines.iter().find(|line| line.payment.id == self.payment).unwrap();
        let refunds = service.razorpay.refunds();
        let of_it = refunds
            .iter()
            .filter(|(payment, _)| *payment == line.payment.razorpay_id);
        let there = AtRazorpay {
            captured: true,
            amount: Paise(50_000),
            refunded: Paise(of_it.map(|(_, paise)| paise).sum()),
        };
        let bought = PaidRegistration {
            registration: self.registration,
            payment: self.payment,
            confirmed: false,
        };
        differences(line, Some(&bought), Some(&there))
    }
}

async fn consumed(service: &Service, message: &CloudEvent) {
    let receipts = deliver(service, &[message]).await;
    assert_eq!(receipts, [(ReceiptStatus::Accepted, String::new())]);
}

#[tokio::test]
async fn a_part_goes_back_and_the_rest_is_kept() {
    let service = Service::start().await;
    let paid = Paid::by(&service).await;
    let told = paid.differences(&service).await;
    assert!(told[0].contains("nobody sends it back"), "{told:?}");
    consumed(&service, &paid.ended(&service, Some(paid.payment), Some(20_000))).await;
    let shown = paid.shown(&service).await;
    let wanted = json!({"status": "pending", "reason": "organizer", "amount": 200, "problem": null});
    assert_eq!(shown["refund"], wanted);
    service.work();
    let shown = paid.back(&service, 200).await;
    let wanted = json!({"status": "processed", "reason": "organizer", "amount": 200, "problem": null});
    assert_eq!(
        (&shown["status"], &shown["refund"]),
        (&json!("captured"), &wanted)
    );
    let refunds = shown["refunds"].as_array().unwrap();
    assert_eq!(refunds.len(), 1, "{shown}");
    assert_eq!(
        (&refunds[0]["amount"], &refunds[0]["made_at_razorpay"]),
        (&json!(200), &json!(false))
    );
    let steps = shown["timeline"].as_array().unwrap().iter();
    let steps: Vec<_> = steps.map(|step| step["status"].as_str().unwrap()).collect();
    assert!(
        steps.ends_with(&["captured", "refund_pending", "refund_processed"]),
        "{steps:?}"
    );
    let organizer = service.person(service.events.organizer(), Role::Organizer);
    let path = format!("/api/organiser/events/{}/payments", paid.event);
    let of_event = service.get(&organizer, &path).await.is(200).body;
    assert_eq!(
        (
            &of_event[0]["net"],
            &of_event[0]["amount_refunded"],
            &of_event[0]["refund"]
        ),
        (&json!(300), &json!(200), &wanted)
    );
    // Nothing more, however long it takes and however often it is told.
    consumed(&service, &paid.ended(&service, None, Some(20_000))).await;
    service.after(TimeDelta::hours(2));
    let other = Paid::by(&service).await;
    consumed(&service, &other.ended(&service, None, None)).await;
    let whole = other.back(&service, 500).await;
    assert_eq!(
        (&whole["status"], &whole["refund"]["amount"]),
        (&json!("refunded"), &json!(500))
    );
    let amounts: Vec<i64> = service
        .razorpay
        .refunds()
        .iter()
        .map(|(_, paise)| *paise)
        .collect();
    assert_eq!(amounts, [20_000, 50_000]);
    for paid in [&paid, &other] {
        assert_eq!(paid.differences(&service).await, [""; 0]);
    }
    assert_eq!(service.letters().await, ["payment.refunded"; 2]);
}

#[tokio::test]
async fn what_is_kept_stays_and_is_no_difference() {
    let service = Service::start().await;
    let paid = Paid::by(&service).await;
    consumed(&service, &paid.ended(&service, Some(paid.payment), Some(0))).await;
    service.work();
    let other = Paid::by(&service).await;
    consumed(&service, &other.ended(&service, Some(other.payment), None)).await;
    other.back(&service, 500).await;
    let shown = paid.shown(&service).await;
    assert_eq!(
        (
            &shown["status"],
            &shown["refund"],
            &shown["amount_refunded"],
            &shown["refunds"]
        ),
        (&json!("captured"), &Value::Null, &json!(0), &json!([]))
    );
    assert_eq!(service.razorpay.refunds().len(), 1);
    assert_eq!(paid.differences(&service).await, [""; 0]);
}

#[tokio::test]
async fn a_part_whose_asking_went_wrong_goes_back_once() {
    for trouble in [
        Trouble::After(502, "<html>".to_owned()),
        Trouble::Instead(500, String::new()),
    ] {
        let service = Service::start().await;
        let paid = Paid::by(&service).await;
        service.razorpay.troubles().at(REFUND, trouble);
        consumed(&service, &paid.ended(&service, Some(paid.payment), Some(20_000))).await;
        service.work();
        let why = "SELECT coalesce(why, '') FROM refunds";
        eventually(async || (service.rows(why.to_owned()).await != [""]).then_some(())).await;
        service.razorpay.troubles().over();
        service.after(TimeDelta::minutes(1));
        let shown = paid.back(&service, 200).await;
        assert_eq!(shown["status"], "captured");
        let amounts: Vec<i64> = service
            .razorpay
            .refunds()
            .iter()
            .map(|(_, paise)| *paise)
            .collect();
        assert_eq!(amounts, [20_000]);
    }
}

#[tokio::test]
async fn money_that_came_too_late_goes_back_whole() {
    // Nothing was paid yet as the organizer cancelled: the events service refuses the capture, before or after that.
    for kept_first in [true, false] {
        let service = Service::start().await;
        let paid = Paid::by(&service).await;
        let (kept, refused) = (
            paid.ended(&service, None, Some(0)),
            refused(&service, paid.payment),
        );
        let order = if kept_first {
            [&kept, &refused]
        } else {
            [&refused, &kept]
        };
        for message in order {
            consumed(&service, message).await;
        }
        service.work();
        let shown = paid.back(&service, 500).await;
        assert_eq!(shown["status"], "refunded");
        assert_eq!(shown["refund"]["reason"], RefundReason::NoSeat.name());
        assert_eq!(service.razorpay.refunds().len(), 1);
        assert_eq!(paid.differences(&service).await, [""; 0]);
    }
}

#[tokio::test]
async fn a_checkout_that_is_told_again_hears_how_much_goes_back() {
    let service = Service::with_checkout().await;
    let (payer, event) = (service.user(), EventId::new());
    let waiting = service.pay(&payer, event).await.is(202);
    let order = waiting.body["checkout"]["order_id"].as_str().unwrap().to_owned();
    let at_razorpay = service.razorpay.pay(&order);
    let answer = service.verify(&payer, &order, &at_razorpay).await.is(200);
    let paid = Paid {
        payment: PaymentId::lenient(answer.text("payment_id")),
        registration: RegistrationId::lenient(answer.text("registration_id")),
        payer,
        event,
    };
    consumed(&service, &paid.ended(&service, Some(paid.payment), Some(20_000))).await;
    let again = service.verify(&paid.payer, &order, &at_razorpay).await;
    let again = again.fails_with(409, "payment_refunded", &["payment_id", "refund"]);
    assert_eq!(again.body["refund"]["amount"], 200);
    let detail = again.body["detail"].as_str().unwrap();
    assert!(detail.contains("₹200 goes back"), "{detail}");
}
