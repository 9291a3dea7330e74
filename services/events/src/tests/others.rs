//! Other users' ids, missing roles, and missing or invalid tokens.

use axum::http::{Method, header};
use chrono::TimeDelta;
use common::{ids::EventId, wire::service};
use serde_json::{Value, json};

use super::kit::{CREATE, Call, REGISTER, Service};

/// The calls of an organizer about one event.
fn of_organizer(event: &str) -> [(Method, String, Value); 4] {
    let path = format!("/api/organiser/events/{event}");
    [
        (Method::PATCH, path.clone(), json!({"capacity": 1})),
        (Method::POST, format!("{path}/cancel"), Value::Null),
        (Method::POST, format!("{path}/publish"), Value::Null),
        (
            Method::POST,
            format!("{path}/duplicate"),
            json!({"event_time": "2031-01-01T10:00"}),
        ),
    ]
}

#[tokio::test]
async fn another_organizers_event_is_not_there() {
    let service = Service::start();
    let (owner, other) = (service.organizer(), service.organizer());
    let event = service.event(&owner, Some(5), 0).await;
    let before = service.everything().await;
    for id in [&event, &EventId::new().to_string(), "no id at all", "%ff"] {
        let id = id.replace(' ', "%20");
        for (method, path, body) in of_organizer(&id) {
            let answer = service
                .send(Call::new(method, &path, &body).key("k").by(&other))
                .await;
            answer.fails(404, "event_not_found");
        }
    }
    let listed = service.get(&other, "/api/organiser/events").await;
    let listed = listed.fails(404, "no_events");
    assert_eq!(listed.body["message"], "No events found.");
    assert_eq!(service.everything().await, before);
}

#[tokio::test]
async fn another_users_registration_is_not_there() {
    let service = Service::start();
    let (organizer, asha, ravi) = (service.organizer(), service.user(), service.user());
    let event = service.event(&organizer, Some(5), 0).await;
    let registered = service.register(&asha, &event).await.is(201);
    let path = format!("/api/reg/registrations/{}", registered.text("registration_id"));
    let before = service.everything().await;
    // The organizer of the event cannot see it either.
    for who in [&ravi, &organizer] {
        let seen = service.get(who, &path).await;
        seen.fails(404, "registration_not_found");
        let cancel = Call::new(Method::DELETE, &path, &Value::Null).key("k").by(who);
        service.send(cancel).await.fails(404, "registration_not_found");
        let listed = service.get(who, "/api/reg/get_registrevent").await;
        let listed = listed.fails(404, "no_registrations");
        assert_eq!(listed.body["message"], "No events found for this user.");
        let all = service.get(who, "/api/reg/get_registrevent?status=all").await;
        assert_eq!(all.is(200).body, json!([]));
    }
    assert_eq!(service.everything().await, before);
    service.get(&asha, &path).await.is(200);
}

#[tokio::test]
async fn users_are_no_organizers() {
    let service = Service::start();
    let (owner, user) = (service.organizer(), service.user());
    let event = service.event(&owner, Some(5), 0).await;
    let before = service.everything().await;
    let mut calls = of_organizer(&event).to_vec();
    calls.push((Method::POST, CREATE.to_owned(), service.draft(None, 0)));
    calls.push((Method::GET, "/api/organiser/events".to_owned(), Value::Null));
    for (method, path, body) in calls {
        let answer = service.send(Call::new(method, &path, &body).by(&user)).await;
        answer.fails(403, "organizer_only");
    }
    assert_eq!(service.everything().await, before);
}

#[tokio::test]
async fn what_needs_a_token_needs_one_that_is_valid_still() {
    let service = Service::start();
    let (organizer, user) = (service.organizer(), service.user());
    let event = service.event(&organizer, Some(5), 0).await;
    let registered = service.register(&user, &event).await.is(201);
    let registration = format!("/api/reg/registrations/{}", registered.text("registration_id"));
    let before = service.everything().await;
    let mut calls = of_organizer(&event).to_vec();
    calls.extend([
        (Method::POST, CREATE.to_owned(), service.draft(None, 0)),
        (Method::POST, REGISTER.to_owned(), json!({"event_id": event})),
        (Method::GET, "/api/organiser/events".to_owned(), Value::Null),
        (Method::GET, "/api/reg/get_registrevent".to_owned(), Value::Null),
        (Method::GET, registration.clone(), Value::Null),
        (Method::DELETE, registration, Value::Null),
    ]);
    // A service token is no user token.
    let of_service = service.context.auth(service::PAYMENTS);
    let of_service = of_service.service_token(service::EVENTS).unwrap();
    service.after(TimeDelta::days(31));
    for (method, path, body) in calls {
        let call = || Call::new(method.clone(), &path, &body);
        for (request, code) in [
            (call().anybody(), "missing_token"),
            (call().bearer("x"), "invalid_token"),
            (call().bearer(&of_service), "invalid_token"),
            (call().by(&organizer), "token_expired"),
        ] {
            let answer = service.send(request).await.fails(401, code);
            assert!(answer.headers.contains_key(header::WWW_AUTHENTICATE), "{path}");
        }
    }
    assert_eq!(service.everything().await, before);
}
