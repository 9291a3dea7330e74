use common::{
    clock::from_millis,
    sessions,
    wire::{EndedSession, EndedSessions},
};
use runtime::user_directory;
use shared_state::bus::Heard;

use super::*;

const PATH: &str = "/api/users/logout";

impl Service {
    async fn log_out(&self, authorization: &str) -> Answer {
        let request = Request::builder()
            .method(Method::POST)
            .uri(PATH)
            .body(Body::empty());
        self.as_somebody(authorization, request.unwrap()).await
    }

    async fn ended_sessions(&self, body: &Value) -> Answer {
        let token = self.service("events").service_token("users").unwrap();
        self.as_somebody(&format!("Bearer {token}"), post(sessions::PATH, body))
            .await
    }
}

#[tokio::test]
async fn the_token_of_an_ended_session_is_refused() {
    let service = Service::start();
    let one = service.signed_in("asha@example.org").await;
    let other = format!(
        "Bearer {}",
        service.login("asha@example.org", PASSWORD).await.text("token")
    );
    let answer = service.log_out(&one).await.is(200);
    assert_eq!(answer.body, json!({"message": "Logged out.", "ended": 1}));
    service
        .get("/api/users/me", &one)
        .await
        .fails(401, "session_ended");
    service.log_out(&one).await.fails(401, "session_ended");
    service.get("/api/users/me", &other).await.is(200);
    service.log_out("").await.fails(401, "missing_token");
}

#[tokio::test]
async fn the_other_processes_hear_of_it_and_can_ask() {
    let service = Service::start();
    let token = service.signed_in("asha@example.org").await;
    let mut bus = service.context.shared.subscribe(&runtime::sessions::topic());
    service.log_out(&token).await.is(200);
    let Heard::Message(message) = bus.next().await else {
        panic!("a gap")
    };
    let said: EndedSession = serde_json::from_str(&message).unwrap();
    assert_eq!(said.ended_at, from_millis(NOW));
    assert_eq!(said.until, from_millis(NOW + 3_600_000));
    let listed = service
        .ended_sessions(&json!({"since": from_millis(NOW)}))
        .await
        .is(200);
    let listed: EndedSessions = serde_json::from_value(listed.body).unwrap();
    assert_eq!(listed.sessions, std::slice::from_ref(&said));
    let after = json!({"since": from_millis(0), "after": [said.ended_at, said.session_id]});
    assert_eq!(
        service.ended_sessions(&after).await.is(200).body,
        json!({"sessions": []})
    );
}

#[tokio::test]
async fn only_services_may_ask() {
    let service = Service::start();
    let user = service.signed_in("asha@example.org").await;
    for path in [sessions::PATH, user_directory::PATH] {
        let answer = service.as_somebody(&user, post(path, &json!({}))).await;
        answer.fails(401, "invalid_token");
    }
    for body in [
        json!({}),
        json!({"since": 1}),
        json!({"since": from_millis(0), "after": "x"}),
    ] {
        service
            .ended_sessions(&body)
            .await
            .fails(422, "validation_failed");
    }
}
