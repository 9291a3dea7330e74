//! Idempotency keys: the same request again, another under the same key, and many at once.

use axum::http::Method;
use chrono::TimeDelta;
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::kit::{Answer, CREATE, Call, Person, REGISTER, Service};

async fn register(service: &Service, who: &Person, event: &str, key: &str) -> Answer {
    let call = Call::post(REGISTER, &json!({"event_id": event}));
    service.send(call.key(key).by(who)).await
}

#[tokio::test]
async fn the_same_again_is_the_first_answer_and_no_second_effect() {
    let service = Service::start();
    let (organizer, asha) = (service.organizer(), service.user());
    let event = service.event(&organizer, Some(5), 500).await;
    let first = register(&service, &asha, &event, "k").await.is(201);
    assert!(!first.is_replayed());
    let before = service.everything().await;
    // White space does not make a different body, and the stored response is repeated although the hold has expired
    // since.
    service.after(TimeDelta::hours(2));
    let spaced = axum::extract::Request::builder()
        .method(Method::POST)
        .uri(REGISTER)
        .header("content-type", "application/json")
        .header("idempotency-key", "k")
        .header("authorization", format!("Bearer {}", asha.token))
        .body(format!("{{  \"event_id\" :\n \"{event}\" }}").into())
        .unwrap();
    for again in [
        register(&service, &asha, &event, "k").await,
        service.send(spaced).await,
    ] {
        let again = again.is(201);
        assert!(again.is_replayed());
        assert_eq!(again.body, first.body);
    }
    assert_eq!(service.everything().await, before);
}

#[tokio::test]
async fn another_body_under_the_same_key_is_refused() {
    let service = Service::start();
    let (organizer, asha) = (service.organizer(), service.user());
    let (one, other) = (
        service.event(&organizer, Some(5), 0).await,
        service.event(&organizer, Some(5), 0).await,
    );
    register(&service, &asha, &one, "k").await.is(201);
    let before = service.everything().await;
    let reused = register(&service, &asha, &other, "k").await;
    let reused = reused.fails(422, "idempotency_key_reused");
    assert_eq!(reused.body["message"], "Error registering for event.");
    let draft = service.draft(Some(1), 0);
    let create = |draft: &Value| Call::post(CREATE, draft).key("k").by(&organizer);
    service.send(create(&draft)).await.is(201);
    let mut other_draft = draft;
    other_draft["capacity"] = json!(2);
    let reused = service.send(create(&other_draft)).await;
    let reused = reused.fails(422, "idempotency_key_reused");
    assert_eq!(reused.body["message"], "Error creating event.");
    let rows = |all: &[(String, Vec<String>)], table: &str| {
        let rows = all.iter().find(|(name, _)| name == table);
        rows.unwrap().1.len()
    };
    let after = service.everything().await;
    assert_eq!(rows(&after, "registrations"), rows(&before, "registrations"));
    assert_eq!(rows(&after, "events"), rows(&before, "events") + 1);
}

#[tokio::test]
async fn a_key_is_its_callers_and_its_routes() {
    let service = Service::start();
    let (organizer, asha, ravi) = (service.organizer(), service.user(), service.user());
    let event = service.event(&organizer, Some(5), 0).await;
    let first = register(&service, &asha, &event, "k").await.is(201);
    let second = register(&service, &ravi, &event, "k").await.is(201);
    assert!(!second.is_replayed());
    assert_ne!(first.body["registration_id"], second.body["registration_id"]);
    for (who, answer) in [(&asha, &first), (&ravi, &second)] {
        let path = format!("/api/reg/registrations/{}", answer.text("registration_id"));
        let cancel = Call::new(Method::DELETE, &path, &Value::Null).key("k");
        let cancelled = service.send(cancel.by(who)).await.is(200);
        assert!(!cancelled.is_replayed());
    }
    assert_eq!(service.seats(&event).await, (0.into(), 5.into()));
}

#[tokio::test]
async fn many_at_once_are_one() {
    let service = Service::start();
    let (organizer, asha) = (service.organizer(), service.user());
    let event = service.event(&organizer, Some(5), 500).await;
    let answers = join_all((0..10).map(|_| register(&service, &asha, &event, "k"))).await;
    let fresh = answers.iter().filter(|answer| !answer.is_replayed()).count();
    assert_eq!(fresh, 1);
    for answer in &answers {
        assert_eq!((answer.status.as_u16(), &answer.body), (201, &answers[0].body));
    }
    assert_eq!(service.seats(&event).await, (1.into(), 4.into()));
}

#[tokio::test]
async fn a_refusal_leaves_the_key_free() {
    let service = Service::start();
    let (organizer, asha, ravi) = (service.organizer(), service.user(), service.user());
    let event = service.event(&organizer, Some(1), 0).await;
    let taken = register(&service, &asha, &event, "k").await.is(201);
    register(&service, &ravi, &event, "k")
        .await
        .fails(409, "event_full");
    let path = format!("/api/reg/registrations/{}", taken.text("registration_id"));
    let cancel = Call::new(Method::DELETE, &path, &Value::Null);
    service.send(cancel.by(&asha)).await.is(200);
    let now_free = register(&service, &ravi, &event, "k").await.is(201);
    assert!(!now_free.is_replayed());
}

#[tokio::test]
async fn an_answer_is_kept_for_a_day() {
    let service = Service::start();
    let (organizer, asha) = (service.organizer(), service.user());
    let event = service.event(&organizer, Some(1), 0).await;
    register(&service, &asha, &event, "k").await.is(201);
    service.after(TimeDelta::days(1) - TimeDelta::milliseconds(1));
    assert!(register(&service, &asha, &event, "k").await.is_replayed());
    service.after(TimeDelta::milliseconds(1));
    let more = ["amount_due", "registration_id", "registration_status"];
    let again = register(&service, &asha, &event, "k").await;
    again.fails_with(409, "already_registered", &more);
}

#[tokio::test]
async fn a_key_that_is_none_is_named() {
    let service = Service::start();
    let (organizer, asha) = (service.organizer(), service.user());
    let event = service.event(&organizer, Some(1), 0).await;
    for key in [String::new(), "k".repeat(256)] {
        let refused = register(&service, &asha, &event, &key).await;
        let refused = refused.fails(422, "validation_failed");
        assert_eq!(refused.body["errors"][0]["field"], "Idempotency-Key");
    }
    assert_eq!(service.seats(&event).await, (0.into(), 1.into()));
    register(&service, &asha, &event, &"k".repeat(255)).await.is(201);
}
