//! Razorpay refuses, fails, or its responses are unusable: the payer's response, what is stored, and that a retry pays
//! once.

use common::ids::EventId;
use serde_json::json;

use super::{
    fake_razorpay::{CREATE_ORDER, FIND_ORDER, PAYMENT, PAYMENTS_OF, START},
    kit::Service,
    troubles::Trouble,
};

fn error(status: u16, reason: &str) -> (u16, String) {
    let error = json!({"code": "BAD_REQUEST_ERROR", "description": "In Razorpay's words.", "reason": reason});
    (status, json!({"error": error}).to_string())
}

/// Responses without a result.
fn nonsense() -> Vec<(u16, String)> {
    let text = |status, text: &str| (status, text.to_owned());
    vec![
        text(200, "<html>hello</html>"),
        text(200, ""),
        text(200, "[]"),
        text(200, "{}"),
        text(500, "<html>oops</html>"),
        text(502, ""),
        error(503, ""),
        error(429, ""),
        error(409, ""),
    ]
}

#[tokio::test]
async fn what_says_nothing_is_503_at_each_step_and_paying_again_is_paying_once() {
    for (step, kept) in [
        (CREATE_ORDER, &[][..]),
        (START, &[]),
        // Authorized at Razorpay, and not yet recorded here.
        (PAYMENT, &[]),
    ] {
        for (status, body) in nonsense() {
            for effect in [false, true] {
                let trouble = match effect {
                    false => Trouble::Instead(status, body.clone()),
                    true => Trouble::After(status, body.clone()),
                };
                if step == PAYMENT && (effect || status != 502) {
                    // A GET is retried for a second; one case is enough.
                    continue;
                }
                let service = Service::start().await;
                let (asha, event) = (service.user(), EventId::new());
                service.razorpay.troubles().at(step, trouble);
                let answer = service.pay_keyed(&asha, event, "k").await;
                assert_eq!(answer.status, 503, "{step} {status} {body}: {}", answer.body);
                answer.unavailable();
                service.books().await.are(&["open"], kept, &[]);
                assert_eq!(service.razorpay.captures(), 0);
                service.razorpay.troubles().over();
                service.pay_keyed(&asha, event, "k").await.is(200);
                service.books().await.are(&["paid"], &["captured"], &[]);
                let known = (service.razorpay.orders(), service.razorpay.captures());
                assert_eq!(known, (1, 1), "{step} {status} {body}");
                assert_eq!(service.razorpay.payments().len(), 1, "{step} {status} {body}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_refused_is_no_fault_of_the_payer() {
    for (step, (status, body), code) in [
        (
            CREATE_ORDER,
            error(400, "input_validation_failed"),
            "payment_provider_refused",
        ),
        (CREATE_ORDER, (302, String::new()), "payment_provider_refused"),
        (CREATE_ORDER, error(401, ""), "payment_provider_misconfigured"),
        (START, error(401, ""), "payment_provider_misconfigured"),
        (PAYMENT, error(401, ""), "payment_provider_misconfigured"),
        (PAYMENT, error(400, ""), "payment_provider_refused"),
        (PAYMENT, (404, "<html>".to_owned()), "payment_provider_refused"),
    ] {
        let service = Service::start().await;
        let (asha, event) = (service.user(), EventId::new());
        let trouble = Trouble::Instead(status, body);
        service.razorpay.troubles().at(step, trouble);
        let answer = service.pay_keyed(&asha, event, "k").await.fails(502, code);
        assert!(!answer.body.to_string().contains("Razorpay"), "{}", answer.body);
        assert_eq!(answer.body["message"], "Error processing payment.");
        service.books().await.are(&["open"], &[], &[]);
        assert_eq!(service.razorpay.captures(), 0);
        service.razorpay.troubles().over();
        service.pay_keyed(&asha, event, "k").await.is(200);
        assert_eq!(service.razorpay.captures(), 1);
    }
}

#[tokio::test]
async fn what_the_payer_gave_is_refused_in_razorpays_words() {
    let service = Service::start().await;
    let (asha, event) = (service.user(), EventId::new());
    for (reason, code) in [
        ("invalid_vpa", "invalid_vpa"),
        ("", "payment_failed"),
        ("NA", "payment_failed"),
    ] {
        let (status, body) = error(400, reason);
        let trouble = Trouble::Instead(status, body);
        service.razorpay.troubles().at(START, trouble);
        let answer = service.pay_keyed(&asha, event, "k").await.fails(402, code);
        assert_eq!(answer.body["detail"], "In Razorpay's words.");
    }
    // Without a description.
    let trouble = Trouble::Instead(418, "<html>".to_owned());
    service.razorpay.troubles().at(START, trouble);
    let answer = service.pay_keyed(&asha, event, "k").await;
    let answer = answer.fails(402, "payment_failed");
    assert_eq!(answer.body["detail"], "The payment failed.");
    service.books().await.are(&["open"], &[], &[]);
    service.razorpay.troubles().over();
    service.pay_keyed(&asha, event, "k").await.is(200);
}

#[tokio::test]
async fn a_decline_leaves_the_order_open_for_another_way() {
    let service = Service::start().await;
    let (asha, event) = (service.user(), EventId::new());
    service.razorpay.bank_says("failed");
    for _ in 0..2 {
        let answer = service.pay_keyed(&asha, event, "k").await;
        let answer = answer.fails_with(402, "insufficient_fund", &["payment_id"]);
        assert_eq!(answer.body["detail"], "The account does not have enough money.");
    }
    service.books().await.are(&["open"], &["failed", "failed"], &[]);
    assert_eq!(service.letters().await, ["payment.failed"; 2]);
    service.razorpay.bank_says("authorized");
    service.pay_keyed(&asha, event, "k").await.is(200);
    let books = service.books().await;
    books.are(&["paid"], &["failed", "failed", "captured"], &[]);
}

#[tokio::test]
async fn an_order_whose_making_is_not_known_is_not_made_twice() {
    let service = Service::start().await;
    let (asha, event) = (service.user(), EventId::new());
    let lost = Trouble::After(502, String::new());
    service.razorpay.troubles().at(CREATE_ORDER, lost);
    service.pay(&asha, event).await.unavailable();
    // The look-ups fail, too.
    service.razorpay.troubles().over();
    for (step, status) in [(FIND_ORDER, 400), (PAYMENTS_OF, 400)] {
        let trouble = Trouble::Instead(status, "{}".to_owned());
        service.razorpay.troubles().at(step, trouble);
        let answer = service.pay(&asha, event).await;
        answer.fails(502, "payment_provider_refused");
        service.books().await.are(&["open"], &[], &[]);
        service.razorpay.troubles().over();
    }
    service.pay(&asha, event).await.is(200);
    assert_eq!(service.razorpay.orders(), 1);
    assert_eq!(service.razorpay.troubles().calls(CREATE_ORDER), 1);
}
