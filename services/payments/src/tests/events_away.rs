//! The events service is down, or its responses are unusable: the payer's response, and what is stored.

use axum::http::header;
use common::{http::Upstream, ids::EventId};
use serde_json::json;

use super::{
    fake_events::{CLAIM, ORGANIZER, SECURE},
    fake_razorpay::PAYMENT,
    kit::{Answer, Service, eventually},
    troubles::Trouble,
};

/// Unusable responses, and errors of the events service.
fn no_answers() -> Vec<(u16, String)> {
    let problem = |status: u16, code: &str| {
        let body = json!({"status": status, "code": code, "detail": "Something about the inside."});
        (status, body.to_string())
    };
    let text = |status, text: &str| (status, text.to_owned());
    vec![
        text(200, "<html>hello</html>"),
        text(200, ""),
        text(200, "null"),
        text(200, "{}"),
        text(200, r#"{"extended": null}"#),
        text(200, r#"{"refused": "weather"}"#),
        text(404, "<html>not here</html>"),
        text(404, r#"{"error": "no route"}"#),
        text(409, ""),
        text(409, ""),
        text(302, ""),
        problem(400, "not_json"),
        problem(401, "invalid_token"),
        problem(422, "validation_failed"),
        problem(429, "rate_limited"),
        problem(500, "internal_error"),
        problem(503, "unavailable"),
        problem(504, "timeout"),
    ]
}

/// With an events service in another process.
async fn on_a_port() -> Service {
    Service::with(&[], |events| events.upstream_on_a_port()).await
}

#[track_caller]
fn is_told_to_come_again(answer: Answer, what: &(u16, String)) {
    assert_eq!(answer.status, 503, "{what:?}: {}", answer.body);
    let answer = answer.unavailable();
    assert_eq!(answer.body["message"], "Error processing payment.");
}

#[tokio::test]
async fn without_a_claim_there_is_no_order_and_the_key_is_free() {
    for service in [Service::start().await, on_a_port().await] {
        let (asha, event) = (service.user(), EventId::new());
        let mut answers = no_answers();
        answers.push((200, "{}".to_owned()));
        for (status, body) in answers {
            let trouble = Trouble::Instead(status, body.clone());
            service.events.troubles().at(CLAIM, trouble);
            let answer = service.pay_keyed(&asha, event, "k").await;
            is_told_to_come_again(answer, &(status, body));
        }
        service.books().await.are(&[], &[], &[]);
        assert_eq!(service.razorpay.orders(), 0);
        service.events.troubles().over();
        let paid = service.pay_keyed(&asha, event, "k").await.is(200);
        assert!(!paid.is_replayed());
    }
}

#[tokio::test]
async fn its_refusals_are_the_payers_business() {
    let service = Service::start().await;
    let (asha, event) = (service.user(), EventId::new());
    for (status, code) in [
        (404, "event_not_found"),
        (409, "event_full"),
        (409, "event_cancelled"),
        (409, "registration_closed"),
        (409, "nothing_due"),
    ] {
        let body = json!({"code": code, "detail": "In its words.", "trace": "not for the payer"});
        let trouble = Trouble::Instead(status, body.to_string());
        service.events.troubles().at(CLAIM, trouble);
        let answer = service.pay_keyed(&asha, event, "k").await;
        let answer = answer.fails(status, code);
        assert_eq!(answer.body["detail"], "In its words.");
    }
    service.books().await.are(&[], &[], &[]);
    service.events.troubles().over();
    service.pay_keyed(&asha, event, "k").await.is(200);
}

#[tokio::test]
async fn nobody_listens() {
    // A port that was free a moment ago.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let service = Service::with(&[], |_| Upstream::remote(&url).unwrap()).await;
    let (asha, event) = (service.user(), EventId::new());
    let answer = service.pay(&asha, event).await.unavailable();
    assert_eq!(answer.headers[header::RETRY_AFTER], "1");
    service.books().await.are(&[], &[], &[]);
    let payments = format!("/api/organiser/events/{event}/payments");
    let organizer = service.person(service.events.organizer(), common::auth::Role::Organizer);
    service.get(&organizer, &payments).await.unavailable();
}

#[tokio::test]
async fn without_a_secured_seat_nothing_is_captured() {
    for (number, (status, body)) in no_answers().into_iter().enumerate() {
        let service = match number % 2 {
            0 => Service::start().await,
            _ => on_a_port().await,
        };
        let (asha, event) = (service.user(), EventId::new());
        service.events.has_to_be_asked();
        let trouble = Trouble::Instead(status, body.clone());
        service.events.troubles().at(SECURE, trouble);
        is_told_to_come_again(service.pay_keyed(&asha, event, "k").await, &(status, body));
        service.books().await.are(&["open"], &["authorized"], &[]);
        assert_eq!(service.razorpay.captures(), 0);
        // The order is not leased any more, and the reconciler is due after the lease's length.
        let waits = "SELECT (worked_until = 0) || ' ' || (reconcile_at - created_at) FROM orders";
        let lease = service.app.lease.as_millis();
        assert_eq!(service.rows(waits.to_owned()).await, [format!("1 {lease}")]);
        service.events.troubles().over();
        service.pay_keyed(&asha, event, "k").await.is(200);
        service.books().await.are(&["paid"], &["captured"], &[]);
        assert_eq!(service.razorpay.payments().len(), 1);
    }
}

#[tokio::test]
async fn a_seat_that_is_refused_lets_the_money_go() {
    for (reason, code) in [
        ("no_seat", "no_seat"),
        ("attendee", "registration_cancelled"),
        ("event_cancelled", "event_cancelled"),
        ("duplicate", "already_paid"),
        ("wrong_amount", "wrong_amount"),
    ] {
        let service = Service::start().await;
        let (asha, event) = (service.user(), EventId::new());
        service.events.has_to_be_asked();
        service.events.refuses(reason);
        let answer = service.pay_keyed(&asha, event, "k").await;
        answer.fails_with(409, code, &["payment_id"]);
        service.books().await.are(&["open"], &["released"], &[]);
        assert_eq!(service.letters().await, ["payment.failed"]);
        assert_eq!(service.razorpay.captures(), 0);
    }
}

#[tokio::test]
async fn a_payment_that_was_secured_before_the_answer_was_lost_is_paid_later() {
    let service = Service::start().await;
    let (asha, event) = (service.user(), EventId::new());
    service.events.has_to_be_asked();
    let lost = Trouble::After(502, "<html>".to_owned());
    service.events.troubles().at(SECURE, lost);
    service.pay(&asha, event).await.unavailable();
    service.events.troubles().over();
    // The reconciler captures it when no request does.
    service.after_lease();
    service.work();
    eventually(async || (service.razorpay.captures() == 1).then_some(())).await;
    eventually(async || (service.books().await.orders == ["paid"]).then_some(())).await;
    assert_eq!(service.razorpay.troubles().calls(PAYMENT), 1);
    let again = service.pay(&asha, event).await;
    again.fails_with(409, "already_paid", &["payment_id"]);
}

#[tokio::test]
async fn whose_event_it_is_has_to_be_known() {
    let service = Service::start().await;
    let organizer = service.person(service.events.organizer(), common::auth::Role::Organizer);
    let payments = format!("/api/organiser/events/{}/payments", EventId::new());
    for (status, body) in no_answers() {
        let trouble = Trouble::Instead(status, body.clone());
        service.events.troubles().at(ORGANIZER, trouble);
        let answer = service.get(&organizer, &payments).await;
        assert_eq!(answer.status, 503, "{status} {body}: {}", answer.body);
        answer.unavailable();
    }
    let gone = json!({"code": "event_not_found", "detail": "There is no such event."});
    let gone = Trouble::Instead(404, gone.to_string());
    service.events.troubles().at(ORGANIZER, gone);
    service
        .get(&organizer, &payments)
        .await
        .fails(404, "event_not_found");
    service.events.troubles().over();
    service.get(&organizer, &payments).await.is(200);
}
