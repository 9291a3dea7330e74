//! Holds that expire unpaid.

use axum::http::Method;
use chrono::TimeDelta;
use common::wire::kind;
use serde_json::{Value, json};

use super::kit::{Answer, Call, Person, Service, eventually};

/// The default of `HOLD_SECONDS`.
const HOLD: TimeDelta = TimeDelta::seconds(900);
const MOMENT: TimeDelta = TimeDelta::milliseconds(1);

/// A user with a hold for the only seat of an event; returns the event, the user and the registration's path.
async fn held(service: &Service) -> (String, Person, String) {
    let (organizer, asha) = (service.organizer(), service.user());
    let event = service.event(&organizer, Some(1), 500).await;
    let registered = service.register(&asha, &event).await.is(201);
    let path = format!("/api/reg/registrations/{}", registered.text("registration_id"));
    (event, asha, path)
}

async fn status(service: &Service, who: &Person, path: &str) -> Value {
    service.get(who, path).await.is(200).body["status"].clone()
}

#[tokio::test]
async fn it_lasts_to_the_moment_that_was_told() {
    let service = Service::start();
    let (event, asha, path) = held(&service).await;
    let told = service.get(&asha, &path).await.body["hold_expires_at"].clone();
    assert_eq!(told, common::time::utc(service.now() + HOLD));
    let ravi = service.user();
    service.after(HOLD - MOMENT);
    assert_eq!(status(&service, &asha, &path).await, "pending_payment");
    service.register(&ravi, &event).await.fails(409, "event_full");
    service.after(MOMENT);
    let over = service.get(&asha, &path).await.is(200);
    assert_eq!(over.body["status"], "expired");
    assert_eq!(over.body["amount_due"], 0.0);
    assert_eq!(over.body["hold_expires_at"], told);
    let live = service.get(&asha, "/api/reg/get_registrevent").await;
    live.fails(404, "no_registrations");
}

#[tokio::test]
async fn who_comes_next_gets_the_seat_and_its_holder_is_told() {
    let service = Service::start();
    let (event, asha, path) = held(&service).await;
    service.after(HOLD);
    let ravi = service.user();
    service.register(&ravi, &event).await.is(201);
    assert_eq!(service.seats(&event).await, (1.into(), 0.into()));
    assert_eq!(status(&service, &asha, &path).await, "expired");
    assert_eq!(service.messages("notifications").await, [kind::HOLD_EXPIRED]);
    service.register(&asha, &event).await.fails(409, "event_full");
}

#[tokio::test]
async fn its_holder_may_take_it_again_and_is_told_nothing() {
    let service = Service::start();
    let (event, asha, path) = held(&service).await;
    service.after(HOLD);
    let again = service.register(&asha, &event).await.is(201);
    assert_eq!(status(&service, &asha, &path).await, "expired");
    assert_eq!(
        again.body["hold_expires_at"],
        common::time::utc(service.now() + HOLD)
    );
    assert_eq!(service.seats(&event).await, (1.into(), 0.into()));
    assert!(service.messages("notifications").await.is_empty());
}

#[tokio::test]
async fn the_worker_gives_the_seat_back_to_those_who_look() {
    let service = Service::start();
    let (event, asha, path) = held(&service).await;
    service.after(HOLD);
    assert_eq!(service.seats(&event).await, (1.into(), 0.into()));
    service.work();
    eventually(async || (service.seats(&event).await == (0.into(), 1.into())).then_some(())).await;
    assert_eq!(status(&service, &asha, &path).await, "expired");
    assert_eq!(service.messages("notifications").await, [kind::HOLD_EXPIRED]);
}

#[tokio::test]
async fn what_has_run_out_cannot_be_given_up() {
    let service = Service::start();
    let (event, asha, path) = held(&service).await;
    service.after(HOLD);
    let cancel = Call::new(Method::DELETE, &path, &Value::Null).by(&asha);
    let refused = service.send(cancel).await;
    let refused = refused.fails_with(409, "registration_ended", &["registration_status"]);
    assert_eq!(refused.body["registration_status"], "expired");
    // Its money may still arrive: no message goes to payments.
    assert!(service.messages("payments").await.is_empty());
    let ravi = service.user();
    service.register(&ravi, &event).await.is(201);
}

async fn secure(service: &Service, path: &str, amount: i64) -> Answer {
    let registration = path.rsplit('/').next();
    let payment = common::ids::PaymentId::new();
    let question = json!({"registration_id": registration, "payment_id": payment, "amount": amount});
    service.ask("/internal/registrations/secure", &question).await
}

#[tokio::test]
async fn a_capture_has_a_minute_and_the_hold_ends_as_before_without_one() {
    let service = Service::start();
    let (_, asha, path) = held(&service).await;
    let before = service.get(&asha, &path).await.body["hold_expires_at"].clone();
    let plenty = secure(&service, &path, 50_000).await.is(200);
    assert_eq!(plenty.body, json!({"refused": null, "extended": null}));
    service.after(HOLD - TimeDelta::seconds(10));
    let secured = secure(&service, &path, 50_000).await.is(200).body;
    assert_eq!(secured["refused"], Value::Null);
    service.after(TimeDelta::seconds(30));
    assert_eq!(status(&service, &asha, &path).await, "pending_payment");
    service
        .ask("/internal/registrations/release", &secured["extended"])
        .await
        .is(200);
    let released = service.get(&asha, &path).await.body;
    assert_eq!(
        (&released["status"], &released["hold_expires_at"]),
        (&"expired".into(), &before)
    );
}

#[tokio::test]
async fn a_seat_that_ran_out_is_taken_again_while_there_is_one() {
    let service = Service::start();
    let (event, asha, path) = held(&service).await;
    service.after(HOLD);
    let wrong = secure(&service, &path, 49_999).await.is(200);
    assert_eq!(wrong.body["refused"], "wrong_amount");
    let secured = secure(&service, &path, 50_000).await.is(200);
    assert_eq!(secured.body["refused"], Value::Null);
    assert_eq!(status(&service, &asha, &path).await, "pending_payment");
    service.after(HOLD);
    service.register(&service.user(), &event).await.is(201);
    let gone = secure(&service, &path, 50_000).await.is(200);
    assert_eq!(gone.body, json!({"refused": "no_seat", "extended": null}));
    assert_eq!(service.seats(&event).await, (1.into(), 0.into()));
}
