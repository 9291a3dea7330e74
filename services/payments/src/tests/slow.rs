//! Calls that time out. These tests take as long as the timeouts.

use common::ids::EventId;
use futures_util::future::join_all;

use super::{
    fake_events::{CLAIM, SECURE},
    fake_razorpay::{CAPTURE, CREATE_ORDER, PAYMENT, START},
    kit::Service,
    troubles::Trouble,
};

#[tokio::test]
async fn the_events_service_does_not_answer() {
    let cases = [
        (CLAIM, Trouble::Silent, [&[][..], &[]]),
        (CLAIM, Trouble::SilentAfter, [&[], &[]]),
        (SECURE, Trouble::Silent, [&["open"], &["authorized"]]),
        (SECURE, Trouble::SilentAfter, [&["open"], &["authorized"]]),
    ];
    join_all(cases.map(async |(call, trouble, [orders, payments])| {
        let service = Service::start().await;
        let (asha, event) = (service.user(), EventId::new());
        service.events.has_to_be_asked();
        service.events.troubles().at(call, trouble);
        let answer = service.pay_keyed(&asha, event, "k").await;
        answer.unavailable();
        service.books().await.are(orders, payments, &[]);
        assert_eq!(service.razorpay.captures(), 0);
        service.events.troubles().over();
        service.pay_keyed(&asha, event, "k").await.is(200);
        service.books().await.are(&["paid"], &["captured"], &[]);
        assert_eq!(service.razorpay.captures(), 1);
    }))
    .await;
}

#[tokio::test]
async fn razorpay_does_not_answer() {
    let cases = [
        (CREATE_ORDER, Trouble::Silent),
        (CREATE_ORDER, Trouble::SilentAfter),
        (START, Trouble::Silent),
        (START, Trouble::SilentAfter),
        (PAYMENT, Trouble::Silent),
        (CAPTURE, Trouble::Silent),
    ];
    join_all(cases.map(async |(call, trouble)| {
        let service = Service::start().await;
        let (asha, event) = (service.user(), EventId::new());
        service.razorpay.troubles().at(call, trouble);
        service.pay_keyed(&asha, event, "k").await.unavailable();
        assert_eq!(service.books().await.orders, ["open"]);
        assert_eq!(service.razorpay.captures(), 0);
        service.razorpay.troubles().over();
        service.pay_keyed(&asha, event, "k").await.is(200);
        service.books().await.are(&["paid"], &["captured"], &[]);
        let known = (service.razorpay.orders(), service.razorpay.payments().len());
        assert_eq!(known, (1, 1), "{call}");
        assert_eq!(service.razorpay.captures(), 1);
    }))
    .await;
}

#[tokio::test]
async fn a_capture_whose_answer_does_not_come_counts() {
    let service = Service::start().await;
    let (asha, event) = (service.user(), EventId::new());
    service.razorpay.troubles().at(CAPTURE, Trouble::SilentAfter);
    service.pay_keyed(&asha, event, "k").await.is(200);
    service.books().await.are(&["paid"], &["captured"], &[]);
    assert_eq!(service.razorpay.captures(), 1);
}
