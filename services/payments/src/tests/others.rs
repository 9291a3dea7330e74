//! Other users' ids, missing roles, and missing or invalid tokens.

use axum::{extract::Request, http::header};
use chrono::TimeDelta;
use common::{
    auth::Role,
    ids::{EventId, PaymentId, UserId},
    outbox,
    wire::service,
};
use serde_json::json;

use super::kit::{Call, PAY, Service, VERIFY, payment_form};

#[tokio::test]
async fn another_payers_payment_is_not_there() {
    let service = Service::start().await;
    let (asha, ravi, event) = (service.user(), service.user(), EventId::new());
    let paid = service.pay(&asha, event).await.is(200);
    let payment = paid.text("payment_id");
    let organizer = service.person(service.events.organizer(), Role::Organizer);
    for id in [payment, &PaymentId::new().to_string(), "no-id", "%ff"] {
        for who in [&ravi, &organizer] {
            let path = format!("/api/payment/payments/{id}");
            let answer = service.get(who, &path).await;
            answer.fails(404, "payment_not_found");
        }
    }
    let mine = service.get(&ravi, "/api/payment/payments").await.is(200);
    assert_eq!(mine.body, json!([]));
    let narrowed = format!("/api/payment/payments?event={event}");
    assert_eq!(service.get(&ravi, &narrowed).await.is(200).body, json!([]));
    let path = format!("/api/payment/payments/{payment}");
    service.get(&asha, &path).await.is(200);
}

#[tokio::test]
async fn the_payments_for_an_event_are_its_organizers() {
    let service = Service::start().await;
    let (asha, event) = (service.user(), EventId::new());
    service.pay(&asha, event).await.is(200);
    let path = format!("/api/organiser/events/{event}/payments");
    let other = service.person(UserId::new(), Role::Organizer);
    service.get(&other, &path).await.fails(404, "event_not_found");
    service.get(&asha, &path).await.fails(403, "organizer_only");
    let organizer = service.person(service.events.organizer(), Role::Organizer);
    let all = service.get(&organizer, &path).await.is(200);
    assert_eq!(all.body.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn nobody_pays_for_another() {
    let service = Service::start().await;
    let (asha, ravi) = (service.user(), service.user());
    let body = payment_form(&asha, EventId::new());
    let answer = service.send(Call::post(PAY, &body).key("k").by(&ravi)).await;
    let answer = answer.fails(403, "not_your_payment");
    assert_eq!(answer.body["message"], "Error processing payment.");
    service.books().await.are(&[], &[], &[]);
    assert_eq!(service.razorpay.orders(), 0);
}

#[tokio::test]
async fn card_numbers_are_for_the_simulator_only() {
    let service = Service::with_checkout().await;
    let asha = service.user();
    let mut body = payment_form(&asha, EventId::new());
    body["payment_details"] = json!({"test_card": "4100280000001007"});
    let answer = service.send(Call::post(PAY, &body).by(&asha)).await;
    let answer = answer.fails(422, "validation_failed");
    assert_eq!(answer.body["errors"][0]["field"], "payment_details");
    assert!(
        !answer.body.to_string().contains("4100"),
        "what was sent is not repeated"
    );
    service.books().await.are(&[], &[], &[]);
}

#[tokio::test]
async fn what_needs_a_token_needs_one_that_is_valid_still() {
    let service = Service::start().await;
    let (asha, event) = (service.user(), EventId::new());
    let verify = json!({"razorpay_order_id": "o", "razorpay_payment_id": "p", "razorpay_signature": "s"});
    let calls: [&dyn Fn() -> Call; 5] = [
        &|| Call::post(PAY, &payment_form(&asha, event)),
        &|| Call::post(VERIFY, &verify),
        &|| Call::get("/api/payment/payments"),
        &|| Call::get(&format!("/api/payment/payments/{event}")),
        &|| Call::get(&format!("/api/organiser/events/{event}/payments")),
    ];
    // A service token is no user token.
    let of_service = service.context.auth(service::EVENTS);
    let of_service = of_service.service_token(service::PAYMENTS).unwrap();
    service.after(TimeDelta::days(31));
    for call in calls {
        let cases: [(Request, &str); 4] = [
            (call().anybody(), "missing_token"),
            (call().bearer("x"), "invalid_token"),
            (call().bearer(&of_service), "invalid_token"),
            (call().by(&asha), "token_expired"),
        ];
        for (request, code) in cases {
            let answer = service.send(request).await.fails(401, code);
            assert!(answer.headers.contains_key(header::WWW_AUTHENTICATE));
        }
    }
    service.books().await.are(&[], &[], &[]);
}

#[tokio::test]
async fn messages_are_taken_from_services_with_a_token_for_payments_only() {
    let service = Service::start().await;
    let events = service.context.auth(service::EVENTS);
    let too_old = events.service_token(service::PAYMENTS).unwrap();
    service.after(TimeDelta::seconds(60));
    let wrong = events.service_token(service::NOTIFICATIONS).unwrap();
    let call = || Call::post(outbox::PATH, &json!([]));
    for request in [
        call().anybody(),
        call().bearer("x"),
        call().bearer(&too_old),
        call().bearer(&wrong),
        call().by(&service.user()),
    ] {
        service.send(request).await.fails(401, "invalid_token");
    }
    service.tell(outbox::PATH, &json!([])).await.is(200);
}
