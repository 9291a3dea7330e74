//! Every public call when the store is overloaded, unavailable, read-only or corrupt.

use axum::extract::Request;
use common::{auth::Role, ids::EventId, store::StoreError};
use serde_json::json;

use super::{
    failing_store::Trouble,
    kit::{Answer, Call, PAY, Service, VERIFY, payment_form, webhook},
};
use crate::razorpay::signature::sign;

/// A public call that works when the store does.
struct Public {
    name: &'static str,
    changes: bool,
    request: Box<dyn Fn() -> Request>,
}

/// Every public call, and a service with the rows that they need.
async fn every_public_call() -> (Service, Vec<Public>) {
    let service = Service::with_checkout().await;
    let (asha, event) = (service.user(), EventId::new());
    let pays = async || {
        let waits = service.pay(&asha, EventId::new()).await.is(202);
        let order = waits.body["checkout"]["order_id"].as_str().unwrap().to_owned();
        let payment = service.razorpay.pay(&order);
        (order, payment)
    };
    let (order, payment) = pays().await;
    let paid = service.verify(&asha, &order, &payment).await.is(200);
    let one = format!("/api/payment/payments/{}", paid.text("payment_id"));
    let (order, payment) = pays().await;
    let keys = service.app.razorpay.keys();
    let signature = sign(format!("{order}|{payment}").as_bytes(), &keys.key_secret);
    let result = json!({"razorpay_order_id": order, "razorpay_payment_id": payment,
        "razorpay_signature": signature});
    let told = json!({"event": "payment.failed", "payload": {"payment": {"entity": {"id": "pay_x",
        "order_id": order, "amount": 50_000, "currency": "INR", "status": "failed"}}}});
    let told = told.to_string().into_bytes();
    let signature = sign(&told, &keys.webhook_secret).unwrap();
    let organizer = service.person(service.events.organizer(), Role::Organizer);
    let of_event = format!("/api/organiser/events/{event}/payments");
    let payer = asha.clone();
    let calls = vec![
        Public {
            name: "list",
            changes: false,
            request: {
                let payer = payer.clone();
                Box::new(move || Call::get("/api/payment/payments").by(&payer))
            },
        },
        Public {
            name: "one",
            changes: false,
            request: {
                let payer = payer.clone();
                Box::new(move || Call::get(&one).by(&payer))
            },
        },
        Public {
            name: "of an event",
            changes: false,
            request: Box::new(move || Call::get(&of_event).by(&organizer)),
        },
        Public {
            name: "pay",
            changes: true,
            request: {
                let payer = payer.clone();
                Box::new(move || Call::post(PAY, &payment_form(&payer, event)).key("k").by(&payer))
            },
        },
        Public {
            name: "verify",
            changes: true,
            request: Box::new(move || Call::post(VERIFY, &result).by(&payer)),
        },
        Public {
            name: "webhook",
            changes: true,
            request: Box::new(move || webhook("e1", &told, &signature)),
        },
    ];
    (service, calls)
}

fn inside() -> String {
    "something about the inside".to_owned()
}

#[tokio::test]
async fn it_says_so_takes_nothing_and_works_once_the_store_does() {
    for (trouble, reads_go_on) in [
        (Trouble::All(StoreError::Overloaded), false),
        (Trouble::All(StoreError::Unavailable(inside())), false),
        (Trouble::Changes(StoreError::ReadOnly(inside())), true),
    ] {
        let (service, calls) = every_public_call().await;
        let before = service.books().await;
        let captures = service.razorpay.captures();
        service.store.fails(trouble.clone());
        for call in &calls {
            let answer: Answer = service.send((call.request)()).await;
            if reads_go_on && !call.changes {
                answer.is(200);
                continue;
            }
            assert_eq!(answer.status, 503, "{}: {}", call.name, answer.body);
            let answer = answer.unavailable();
            let only_read = answer.text("detail").contains("only read");
            assert_eq!(only_read, reads_go_on, "{}: {trouble:?}", call.name);
        }
        assert_eq!(service.books().await, before, "{trouble:?}");
        assert_eq!(service.razorpay.captures(), captures, "{trouble:?}");
        service.store.works();
        for call in &calls {
            let answer = service.send((call.request)()).await;
            assert!(
                answer.status.is_success() && !answer.is_replayed(),
                "{}: {}",
                call.name,
                answer.body
            );
        }
    }
}

#[tokio::test]
async fn what_nobody_can_read_is_our_failure_and_is_not_shown() {
    let (service, calls) = every_public_call().await;
    service.store.fails(Trouble::All(StoreError::Corrupt(inside())));
    for call in calls {
        let answer = service.send((call.request)()).await;
        let answer = answer.fails(500, "internal_error");
        assert!(!answer.body.to_string().contains("inside"), "{}", call.name);
    }
}

#[tokio::test]
async fn readiness_tells_them_apart() {
    for (trouble, status, health) in [
        (Trouble::All(StoreError::Unavailable(inside())), 503, "down"),
        (Trouble::Changes(StoreError::ReadOnly(inside())), 200, "degraded"),
    ] {
        let service = Service::start().await;
        service.store.fails(trouble);
        let answer = service.send(Call::get("/health/ready").anybody()).await;
        assert_eq!(answer.status.as_u16(), status, "{health}");
        assert_eq!(answer.body["checks"]["store"], health, "{}", answer.body);
    }
}
