//! A second request while a payment is in flight.

use std::sync::Arc;

use axum::http::header;
use common::ids::EventId;
use serde_json::json;
use tokio::{sync::Semaphore, task::JoinHandle};

use super::{
    fake_razorpay::{CAPTURE, PAYMENT, START},
    kit::{Answer, Call, PAY, Person, Service, eventually, payment_form},
    troubles::Trouble,
};

/// A payment that waits in a call to Razorpay until the test releases it.
struct HeldUp {
    service: Arc<Service>,
    asha: Person,
    event: EventId,
    first: JoinHandle<Answer>,
    go: Arc<Semaphore>,
}

async fn held_up(at: &'static str) -> HeldUp {
    let service = Arc::new(Service::start().await);
    let (asha, event) = (service.user(), EventId::new());
    let go = Arc::new(Semaphore::new(0));
    service.razorpay.troubles().at(at, Trouble::Waits(go.clone()));
    let first = {
        let (service, asha) = (service.clone(), asha.clone());
        tokio::spawn(async move { service.pay_keyed(&asha, event, "k").await })
    };
    eventually(async || (service.razorpay.troubles().calls(at) == 1).then_some(())).await;
    HeldUp {
        service,
        asha,
        event,
        first,
        go,
    }
}

#[tokio::test]
async fn the_same_request_waits_its_turn_and_gets_the_same_answer() {
    for at in [START, PAYMENT, CAPTURE] {
        let held = held_up(at).await;
        let (service, asha, event) = (&held.service, &held.asha, held.event);
        let again = service.pay_keyed(asha, event, "k").await;
        let again = again.fails(409, "idempotency_key_in_flight");
        assert_eq!(again.headers[header::RETRY_AFTER], "1");
        assert_eq!(again.body["message"], "Error processing payment.");
        held.go.add_permits(1);
        let first = held.first.await.unwrap().is(200);
        let again = service.pay_keyed(asha, event, "k").await.is(200);
        assert!(again.is_replayed() && !first.is_replayed());
        assert_eq!(again.body, first.body);
        assert_eq!(service.razorpay.captures(), 1);
        assert_eq!(service.razorpay.payments().len(), 1);
    }
}

#[tokio::test]
async fn another_request_for_the_same_seat_is_told_of_it() {
    let held = held_up(START).await;
    let (service, asha, event) = (&held.service, &held.asha, held.event);
    for key in [None, Some("another")] {
        let mut call = Call::post(PAY, &payment_form(asha, event));
        if let Some(key) = key {
            call = call.key(key);
        }
        let busy = service.send(call.by(asha)).await;
        let busy = busy.fails_with(409, "payment_in_progress", &["registration_id"]);
        assert_eq!(busy.headers[header::RETRY_AFTER], "1");
    }
    let mut other = payment_form(asha, event);
    other["payment_method"] = json!("card");
    let reused = service.send(Call::post(PAY, &other).key("k").by(asha)).await;
    reused.fails(422, "idempotency_key_reused");
    // Another payer of the same event is not affected.
    held.go.add_permits(2);
    service.pay_keyed(&service.user(), event, "k").await.is(200);
    held.go.add_permits(1);
    held.first.await.unwrap().is(200);
    let late = service.pay_keyed(asha, event, "another").await;
    late.fails_with(409, "already_paid", &["payment_id"]);
    assert_eq!(service.razorpay.captures(), 2);
}

#[tokio::test]
async fn a_payer_who_hangs_up_has_paid_all_the_same() {
    let held = held_up(CAPTURE).await;
    held.first.abort();
    assert!(held.first.await.unwrap_err().is_cancelled());
    held.go.add_permits(1);
    let service = &held.service;
    eventually(async || (service.books().await.orders == ["paid"]).then_some(())).await;
    let again = service.pay_keyed(&held.asha, held.event, "k").await;
    assert!(again.is(200).is_replayed());
    assert_eq!(service.razorpay.captures(), 1);
}

#[tokio::test]
async fn one_that_takes_longer_than_its_lease_is_overtaken_and_takes_nothing_twice() {
    let held = held_up(CAPTURE).await;
    let (service, asha, event) = (&held.service, &held.asha, held.event);
    service.after_lease();
    service.razorpay.troubles().over();
    let second = service.pay_keyed(asha, event, "k").await.is(200);
    assert_eq!(service.razorpay.captures(), 1);
    held.go.add_permits(1);
    let first = held.first.await.unwrap().is(200);
    assert_eq!(first.body["payment_id"], second.body["payment_id"]);
    assert_eq!(service.razorpay.captures(), 1);
    service.books().await.are(&["paid"], &["captured"], &[]);
    assert_eq!(service.told().await.len(), 1);
}
