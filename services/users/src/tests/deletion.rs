//! All that is held of a user, and the end of an account.

use std::sync::atomic::Ordering;

use chrono::TimeDelta;
use common::clock::from_millis;

use super::*;

const PATH: &str = "/api/users/me";

impl Service {
    async fn delete_me(&self, who: &str, body: &Value) -> Answer {
        let mut request = post(PATH, body);
        *request.method_mut() = Method::DELETE;
        self.as_somebody(who, request).await
    }
}

#[tokio::test]
async fn all_that_is_held_is_one_document() {
    let service = Service::start();
    let asha = service.signed_in("asha@example.org").await;
    let key = json!({"name": "Door", "scopes": ["check_in"]});
    service
        .as_somebody(&asha, post("/api/users/api_keys", &key))
        .await
        .is(201);
    let answer = service.get("/api/users/me/export", &asha).await.is(200);
    assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
    assert!(
        answer.headers[header::CONTENT_DISPOSITION]
            .to_str()
            .unwrap()
            .starts_with("attachment")
    );
    let body = &answer.body;
    assert_eq!(body["account"]["email"], "asha@example.org");
    assert_eq!(body["sessions"].as_array().unwrap().len(), 1);
    assert_eq!(body["api_keys"][0]["name"], "Door");
    assert_eq!(body["sign_in_with"], json!([]));
    for section in [
        "events",
        "registrations",
        "waitlist",
        "posts",
        "votes",
        "playbacks",
        "teams",
        "invitations",
        "payments",
        "notifications",
        "announcements",
        "templates",
    ] {
        let of = |first| json!({"of": section, "first": first, "at": "2026-11-22T00:00:00Z"});
        assert_eq!(body[section], json!([of(true), of(false)]), "both pages");
    }
    assert!(body["activity"].as_array().unwrap().len() >= 6);
    assert!(!answer.body.to_string().contains("argon2"));
    service
        .get("/api/users/me/export", "")
        .await
        .fails(401, "missing_token");
    for _ in 1..10 {
        service.get("/api/users/me/export", &asha).await.is(200);
    }
    service
        .get("/api/users/me/export", &asha)
        .await
        .fails(429, "rate_limited");
    // Half of it would look like all of it.
    let ben = service.signed_in("ben@example.org").await;
    service.others.away.store(true, Ordering::Relaxed);
    service
        .get("/api/users/me/export", &ben)
        .await
        .fails(503, "unavailable");
}

#[tokio::test]
async fn an_account_goes_with_all_that_belongs_to_it() {
    let service = Service::start();
    let asha = service.signed_in("asha@example.org").await;
    let telephone = format!(
        "Bearer {}",
        service.login("asha@example.org", PASSWORD).await.text("token")
    );
    let key = json!({"name": "Door", "scopes": ["check_in"]});
    let key = service
        .as_somebody(&asha, post("/api/users/api_keys", &key))
        .await
        .is(201);
    let key = format!("Bearer {}", key.text("api_key"));
    for (body, code) in [
        (json!({}), "wrong_password"),
        (json!({"password": "another"}), "wrong_password"),
    ] {
        service.delete_me(&asha, &body).await.fails(403, code);
    }
    let right = json!({"password": PASSWORD});
    service.others.open.store(2, Ordering::Relaxed);
    let refused = service.delete_me(&asha, &right).await.is(409);
    assert_eq!(
        (refused.text("code"), &refused.body["open"]),
        ("events_open", &json!(2))
    );
    service.others.open.store(0, Ordering::Relaxed);
    service.others.away.store(true, Ordering::Relaxed);
    service.delete_me(&asha, &right).await.fails(503, "unavailable");
    service.get(PATH, &asha).await.is(200);
    service.others.away.store(false, Ordering::Relaxed);
    let gone = service.delete_me(&asha, &right).await.is(200);
    assert_eq!(gone.body["ended"], 3);
    for token in [&asha, &telephone] {
        service.get(PATH, token).await.fails(401, "session_ended");
    }
    service.get(PATH, &key).await.fails(401, "invalid_token");
    service
        .login("asha@example.org", PASSWORD)
        .await
        .fails(401, "invalid_credentials");
    // The address is free, and who signs up with it is somebody else.
    let again = service.signed_in("asha@example.org").await;
    let me = service.get(PATH, &again).await.is(200);
    assert!(me.body["name"].is_null());
    let keys = service.get("/api/users/api_keys", &again).await.is(200);
    assert_eq!(keys.body, json!([]));
}

#[tokio::test]
async fn of_two_deletions_one_counts_and_what_follows_is_published_once() {
    let service = Service::start();
    let asha = service.signed_in("asha@example.org").await;
    let right = json!({"password": PASSWORD});
    let (one, other) = tokio::join!(service.delete_me(&asha, &right), service.delete_me(&asha, &right));
    let mut statuses = [one.status.as_u16(), other.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses[0], 200);
    assert!(matches!(statuses[1], 401 | 503), "{statuses:?}");
    let outbox = service.store.outbox();
    for destination in ["events", "notifications"] {
        let due = outbox
            .due(destination, from_millis(NOW) + TimeDelta::days(1), 100)
            .await
            .unwrap();
        let deleted = due
            .iter()
            .filter(|message| message.event.kind == "account.deleted")
            .count();
        assert_eq!(deleted, 1, "{destination}");
    }
}
