//! The store fails at each call of a payment, before the call has its effect or after it. A retry pays once, and
//! returns the payment.

use common::ids::EventId;
use futures_util::{StreamExt, stream};

use super::{
    failing_store::{Trouble, When},
    kit::{Answer, Person, Service},
};

/// Services at once.
const AT_ONCE: usize = 8;

/// The variants of a payment.
#[derive(Clone, Copy, Debug)]
struct Way {
    keyed: bool,
    /// Whether the seat is secured before the capture.
    secured: bool,
}

async fn pay(service: &Service, who: &Person, event: EventId, way: Way) -> Answer {
    if way.keyed {
        service.pay_keyed(who, event, "k").await
    } else {
        service.pay(who, event).await
    }
}

/// The store's calls in a payment without failures.
async fn steps(way: Way) -> Vec<&'static str> {
    let service = Service::start().await;
    if way.secured {
        service.events.has_to_be_asked();
    }
    service.store.fails(Trouble::Once(usize::MAX, When::Before));
    let paid = pay(&service, &service.user(), EventId::new(), way).await;
    paid.is(200);
    service.store.calls()
}

async fn fails_once(way: Way, step: usize, when: When) {
    let service = Service::start().await;
    if way.secured {
        service.events.has_to_be_asked();
    }
    let (asha, event) = (service.user(), EventId::new());
    service.store.fails(Trouble::Once(step, when));
    let mut answer = pay(&service, &asha, event, way).await;
    let name = service.store.calls()[step - 1];
    let what = format!("{way:?}, {name} {when:?}");
    if name != "close_order" {
        assert_eq!(answer.status, 503, "{what}: {}", answer.body);
        answer = answer.unavailable();
    }
    // A claim or lease that was not released expires.
    for _ in 0..3 {
        if !answer.status.is_success() && answer.body["code"] != "already_paid" {
            let cut_off = ["idempotency_key_in_flight", "payment_in_progress"];
            if cut_off.iter().any(|code| answer.body["code"] == *code) {
                service.after_lease();
            }
            answer = pay(&service, &asha, event, way).await;
        }
    }
    let statement = service.get(&asha, "/api/payment/payments").await.is(200).body;
    let payment = &statement[0]["payment_id"];
    match answer.status.as_u16() {
        200 => assert_eq!(answer.body["status"], "captured", "{what}"),
        409 => {
            // Without a key the first response cannot be repeated.
            assert!(!way.keyed, "{what}: {}", answer.body);
            answer = answer.fails_with(409, "already_paid", &["payment_id"]);
        }
        _ => panic!("{what}: {}", answer.body),
    }
    assert_eq!(&answer.body["payment_id"], payment, "{what}");
    assert_eq!(statement.as_array().unwrap().len(), 1, "{what}");
    service.books().await.are(&["paid"], &["captured"], &[]);
    let known = (service.razorpay.orders(), service.razorpay.payments().len());
    assert_eq!(known, (1, 1), "{what}");
    assert_eq!(service.razorpay.captures(), 1, "{what}");
    let told = service.told().await;
    let told: Vec<String> = told.iter().map(ToString::to_string).collect();
    assert_eq!(told, [payment.as_str().unwrap()], "{what}");
}

#[tokio::test]
async fn nothing_is_captured_twice() {
    let mut cases = Vec::new();
    for way in [
        Way {
            keyed: true,
            secured: false,
        },
        Way {
            keyed: false,
            secured: true,
        },
    ] {
        let steps = steps(way).await;
        for needed in [
            "open_order",
            "set_razorpay_order",
            "apply",
            "statement",
            "close_order",
        ] {
            assert!(steps.contains(&needed), "{steps:?}");
        }
        for step in 1..=steps.len() {
            cases.extend([(way, step, When::Before), (way, step, When::After)]);
        }
    }
    assert!(cases.len() > 24, "{}", cases.len());
    let run = stream::iter(cases).map(|(way, step, when)| fails_once(way, step, when));
    run.buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
}

/// Each write of the commit that records a capture fails once: nothing of it is stored, although the money is captured.
#[tokio::test]
async fn a_capture_that_cannot_be_noted_whole_is_not_noted_at_all() {
    for write in [
        "UPDATE ON orders WHEN new.paid_by IS NOT NULL",
        "UPDATE ON payments WHEN new.status = 'captured'",
        "INSERT ON outbox WHEN new.destination = 'events'",
        "INSERT ON outbox WHEN new.destination = 'live' AND EXISTS (SELECT 1 FROM payments WHERE status = 'captured')",
        "INSERT ON idempotency_keys WHEN new.status IS NOT NULL",
    ] {
        let service = Service::start().await;
        let (asha, event) = (service.user(), EventId::new());
        let refused = "BEGIN SELECT RAISE(ABORT, 'something about the inside'); END";
        service
            .sql(format!("CREATE TRIGGER broken BEFORE {write} {refused}"))
            .await;
        service.pay_keyed(&asha, event, "k").await.unavailable();
        service.books().await.are(&["open"], &["authorized"], &[]);
        assert_eq!(service.razorpay.captures(), 1, "{write}");
        assert!(service.events.captured().is_empty(), "{write}");
        service.sql("DROP TRIGGER broken".to_owned()).await;
        let paid = service.pay_keyed(&asha, event, "k").await.is(200);
        assert!(!paid.is_replayed());
        service.books().await.are(&["paid"], &["captured"], &[]);
        assert_eq!(service.razorpay.captures(), 1, "{write}");
        assert_eq!(service.told().await.len(), 1, "{write}");
    }
}
