//! Registering when the event is closed, cancelled or full, or the user is registered already.

use axum::http::Method;
use chrono::TimeDelta;
use common::ids::EventId;
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::kit::{CREATE, Call, Service};

const MORE: [&str; 3] = ["amount_due", "registration_id", "registration_status"];

#[tokio::test]
async fn what_cannot_be_had_is_told_by_a_code_of_its_own() {
    let service = Service::start();
    let (organizer, first, late) = (service.organizer(), service.user(), service.user());
    let mut early = service.draft(None, 500);
    early["registration_closes_at"] = json!((service.now() + TimeDelta::hours(1)).to_rfc3339());
    let closes_early = service.post(&organizer, CREATE, &early).await.is(201);
    let closes_early = closes_early.text("event_id");
    let (full, full_and_paid) = (
        service.event(&organizer, Some(1), 0).await,
        service.event(&organizer, Some(1), 500).await,
    );
    for event in [&full, &full_and_paid] {
        service.register(&first, event).await.is(201);
    }
    let off = service.event(&organizer, None, 0).await;
    let call_off = format!("/api/organiser/events/{off}/cancel");
    service.post(&organizer, &call_off, &Value::Null).await.is(200);
    service.after(TimeDelta::hours(1) - TimeDelta::milliseconds(1));
    service.register(&first, closes_early).await.is(201);
    service.after(TimeDelta::milliseconds(1));
    // The hold has expired: a new one keeps the paid event full.
    service.register(&first, &full_and_paid).await.is(201);
    let before = service.everything().await;
    for (event, status, code) in [
        (closes_early, 409, "registration_closed"),
        (&full, 409, "event_full"),
        (&full_and_paid, 409, "event_full"),
        (&off, 409, "event_cancelled"),
        (&EventId::new().to_string(), 404, "event_not_found"),
        ("no id at all", 404, "event_not_found"),
    ] {
        let answer = service.register(&late, event).await.fails(status, code);
        assert_eq!(answer.body["message"], "Error registering for event.");
    }
    assert_eq!(service.everything().await, before);
}

#[tokio::test]
async fn what_has_begun_takes_nobody_and_gives_nobody_back() {
    let service = Service::start();
    let (organizer, asha, late) = (service.organizer(), service.user(), service.user());
    let event = service.event(&organizer, None, 0).await;
    let registered = service.register(&asha, &event).await.is(201);
    service.after(TimeDelta::days(1));
    service
        .register(&late, &event)
        .await
        .fails(409, "registration_closed");
    let path = format!("/api/reg/registrations/{}", registered.text("registration_id"));
    let cancel = Call::new(Method::DELETE, &path, &Value::Null);
    service.send(cancel.by(&asha)).await.fails(409, "event_started");
    assert_eq!(service.get(&asha, &path).await.body["status"], "confirmed");
}

#[tokio::test]
async fn who_is_registered_hears_that_first() {
    let service = Service::start();
    let (organizer, asha) = (service.organizer(), service.user());
    for fees in [0, 500] {
        // Also when the event is full or closed.
        let event = service.event(&organizer, Some(1), fees).await;
        let registered = service.register(&asha, &event).await.is(201);
        let again = service.register(&asha, &event).await;
        let again = again.fails_with(409, "already_registered", &MORE);
        assert_eq!(again.body["registration_id"], registered.body["registration_id"]);
        assert_eq!(again.body["registration_status"], registered.body["status"]);
        assert_eq!(again.body["amount_due"], f64::from(fees));
        assert_eq!(service.seats(&event).await, (1.into(), 0.into()));
    }
    let closed = service.event(&organizer, Some(1), 0).await;
    service.register(&asha, &closed).await.is(201);
    service.after(TimeDelta::days(2));
    let again = service.register(&asha, &closed).await;
    again.fails_with(409, "already_registered", &MORE);
}

#[tokio::test]
async fn what_was_given_up_can_be_had_again() {
    let service = Service::start();
    let (organizer, asha, ravi) = (service.organizer(), service.user(), service.user());
    let event = service.event(&organizer, Some(1), 0).await;
    let registered = service.register(&asha, &event).await.is(201);
    let path = format!("/api/reg/registrations/{}", registered.text("registration_id"));
    let cancel = || Call::new(Method::DELETE, &path, &Value::Null).by(&asha);
    service.send(cancel()).await.is(200);
    let again = service.send(cancel()).await;
    let again = again.fails_with(409, "registration_ended", &["registration_status"]);
    assert_eq!(again.body["registration_status"], "cancelled");
    assert_eq!(service.seats(&event).await, (0.into(), 1.into()));
    service.register(&ravi, &event).await.is(201);
    service.register(&asha, &event).await.fails(409, "event_full");
}

#[tokio::test]
async fn a_cancelled_event_has_nobody_left_and_cannot_be_changed() {
    let service = Service::start();
    let (organizer, asha) = (service.organizer(), service.user());
    let event = service.event(&organizer, Some(5), 500).await;
    let registered = service.register(&asha, &event).await.is(201);
    let own = format!("/api/organiser/events/{event}");
    let call_off = format!("{own}/cancel");
    service.post(&organizer, &call_off, &Value::Null).await.is(200);
    // No worker has ended the registration yet; reads show it as cancelled all the same.
    let path = format!("/api/reg/registrations/{}", registered.text("registration_id"));
    assert_eq!(service.get(&asha, &path).await.body["status"], "cancelled");
    let again = service.post(&organizer, &call_off, &Value::Null).await;
    again.fails(409, "event_cancelled");
    let change = Call::new(Method::PATCH, &own, &json!({"capacity": 9}));
    service
        .send(change.by(&organizer))
        .await
        .fails(409, "event_cancelled");
    let cancel = Call::new(Method::DELETE, &path, &Value::Null);
    let cancel = service.send(cancel.by(&asha)).await;
    cancel.fails_with(409, "registration_ended", &["registration_status"]);
}

#[tokio::test]
async fn the_last_seat_goes_once() {
    let service = Service::start();
    let organizer = service.organizer();
    for fees in [0, 500] {
        let event = service.event(&organizer, Some(2), fees).await;
        let people: Vec<_> = (0..10).map(|_| service.user()).collect();
        let answers = join_all(people.iter().map(|who| service.register(who, &event))).await;
        let (in_, out): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 201);
        assert_eq!(in_.len(), 2);
        for answer in out {
            answer.fails(409, "event_full");
        }
        assert_eq!(service.seats(&event).await, (2.into(), 0.into()));
    }
}

#[tokio::test]
async fn an_address_browses_three_thousand_times_a_minute() {
    let service = Service::start();
    let organizer = service.organizer();
    let event = service.event(&organizer, None, 0).await;
    let browse = async |path: &str| service.send(Call::get(path).anybody()).await;
    let first = browse("/api/events").await.is(200);
    assert_eq!(first.headers["ratelimit-policy"], "\"browsing\";q=3000;w=60");
    for _ in 1..3000 {
        browse(&format!("/api/events/{event}")).await.is(200);
    }
    // A little later there is room for some again.
    let mut refused = None;
    for _ in 0..3000 {
        let answer = browse("/api/events").await;
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("one too many");
    assert!(refused.headers.contains_key("retry-after"));
    service.get(&organizer, "/api/organiser/events").await.is(200);
}
