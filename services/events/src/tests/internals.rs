//! Internal calls: who may make them, and their error responses.

use axum::http::Method;
use chrono::TimeDelta;
use common::{
    auth::Auth,
    http::Pipeline,
    ids::{EventId, RegistrationId, UserId},
    metrics::Metrics,
    wire::service,
};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::kit::{Call, Service};
use crate::routes::Pages;

const CLAIM: &str = "/internal/registrations/claim";
const SECURE: &str = "/internal/registrations/secure";
const RELEASE: &str = "/internal/registrations/release";
const ORGANIZER: &str = "/internal/events/organizer";

#[tokio::test]
async fn nobody_but_a_service_with_a_token_for_events_gets_in() {
    let service = Service::start();
    let (organizer, asha) = (service.organizer(), service.user());
    let event = service.event(&organizer, Some(2), 500).await;
    let held = service.register(&asha, &event).await.is(201);
    let (registration, until) = (held.text("registration_id"), held.text("hold_expires_at"));
    let ravi = UserId::new();
    let calls = [
        (CLAIM, json!({"event_id": event, "user_id": ravi})),
        (
            SECURE,
            json!({"registration_id": registration, "payment_id": ravi, "amount": 50_000}),
        ),
        (
            RELEASE,
            json!({"registration_id": registration, "before": common::time::utc(service.now()), "until": until}),
        ),
        (ORGANIZER, json!({"event_id": event})),
        (common::outbox::PATH, json!([])),
    ];
    let payments = service.context.auth(service::PAYMENTS);
    let too_old = payments.service_token(service::EVENTS).unwrap().to_string();
    service.after(TimeDelta::seconds(60));
    let tokens = [
        "x".to_owned(),
        too_old,
        asha.token.clone(),
        organizer.token.clone(),
        payments
            .service_token(service::NOTIFICATIONS)
            .unwrap()
            .to_string(),
        payments.service_token(service::PAYMENTS).unwrap().to_string(),
        // Signed with the secret of another system.
        Auth::new(
            service::PAYMENTS,
            &SecretString::from("0123456789abcdef0123456789abcdef"),
            service.context.clock.clone(),
        )
        .service_token(service::EVENTS)
        .unwrap()
        .to_string(),
    ];
    let before = service.everything().await;
    for (path, body) in &calls {
        let call = || Call::post(path, body);
        let mut requests: Vec<_> = tokens.iter().map(|token| call().bearer(token)).collect();
        requests.push(call().anybody());
        for request in requests {
            let answer = service.send(request).await;
            answer.fails(401, "invalid_token");
        }
    }
    assert_eq!(service.everything().await, before);
    for (path, body) in &calls {
        service.ask(path, body).await.is(200);
    }
}

#[tokio::test]
async fn what_is_no_question_is_refused() {
    let service = Service::start();
    let before = service.everything().await;
    for path in [CLAIM, SECURE, RELEASE, ORGANIZER] {
        for body in [json!([]), json!({}), json!("x"), json!({"event_id": 7})] {
            service.ask(path, &body).await.fails(400, "not_json");
        }
        service.ask(path, &Value::Null).await.fails(400, "not_json");
        let token = service.context.auth(service::PAYMENTS);
        let token = token.service_token(service::EVENTS).unwrap();
        let get = Call::new(Method::GET, path, &Value::Null).bearer(&token);
        service.send(get).await.fails(405, "method_not_allowed");
    }
    assert_eq!(service.everything().await, before);
}

#[tokio::test]
async fn a_claim_is_refused_as_registering_is() {
    let service = Service::start();
    let (organizer, asha) = (service.organizer(), service.user());
    let (free, full) = (
        service.event(&organizer, None, 0).await,
        service.event(&organizer, Some(1), 500).await,
    );
    service.register(&asha, &full).await.is(201);
    let off = service.event(&organizer, None, 500).await;
    let call_off = format!("/api/organiser/events/{off}/cancel");
    service.post(&organizer, &call_off, &Value::Null).await.is(200);
    let before = service.everything().await;
    let claim = async |event: &str| {
        let question = json!({"event_id": event, "user_id": UserId::new()});
        service.ask(CLAIM, &question).await
    };
    for (event, status, code) in [
        (free.as_str(), 409, "nothing_due"),
        (&full, 409, "event_full"),
        (&off, 409, "event_cancelled"),
        (&EventId::new().to_string(), 404, "event_not_found"),
    ] {
        claim(event).await.fails(status, code);
    }
    assert_eq!(service.everything().await, before);
    let open = service.event(&organizer, None, 500).await;
    service.after(TimeDelta::days(1));
    claim(&open).await.fails(409, "registration_closed");
}

#[tokio::test]
async fn a_claim_is_answered_as_often_as_it_is_asked_and_takes_one_seat() {
    let service = Service::start();
    let (organizer, asha) = (service.organizer(), service.user());
    let event = service.event(&organizer, Some(2), 500).await;
    let question = json!({"event_id": event, "user_id": asha.id});
    let first = service.ask(CLAIM, &question).await.is(200);
    for _ in 0..3 {
        assert_eq!(service.ask(CLAIM, &question).await.is(200).body, first.body);
    }
    assert_eq!(first.body["confirmed"], false);
    assert_eq!(first.body["amount"], 50_000);
    assert_eq!(service.seats(&event).await, (1.into(), 1.into()));
}

#[tokio::test]
async fn what_is_not_there_is_said_to_be_so() {
    let service = Service::start();
    let secure =
        json!({"registration_id": RegistrationId::new(), "payment_id": UserId::new(), "amount": 50_000});
    service
        .ask(SECURE, &secure)
        .await
        .fails(404, "registration_not_found");
    let whose = json!({"event_id": EventId::new()});
    service.ask(ORGANIZER, &whose).await.fails(404, "event_not_found");
    // Releasing an unknown hold is no error: it may have expired in the meantime.
    let now = common::time::utc(service.now());
    let hold = json!({"registration_id": RegistrationId::new(), "before": now, "until": now});
    service.ask(RELEASE, &hold).await.is(200);
}

/// The page that follows an event is for developers.
#[tokio::test]
async fn production_has_no_page() {
    let running = Service::start();
    let path = format!("/live/{}", common::ids::new_id());
    let page = running.pipeline.handle(Call::get(&path).anybody()).await;
    let policy = page.headers()["content-security-policy"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(
        policy.contains("default-src 'none'; script-src 'sha256-"),
        "{policy}"
    );
    let (production, _) = crate::routes::routes(
        running.app.clone(),
        Pages {
            live: false,
            watch: true,
        },
    );
    let metrics = Metrics::new(service::EVENTS, Vec::new());
    let production = Pipeline::new(service::EVENTS, production, metrics);
    let page = production.handle(Call::get(&path).anybody()).await;
    assert_eq!(page.status(), 404);
    let watch = path.replace("live", "watch");
    assert_eq!(production.handle(Call::get(&watch).anybody()).await.status(), 200);
}
