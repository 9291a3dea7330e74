//! API keys: made, listed, used, refused and deleted.

use chrono::TimeDelta;

use super::*;

const PATH: &str = "/api/users/api_keys";

impl Service {
    async fn make_key(&self, who: &str, body: &Value) -> Answer {
        self.as_somebody(who, post(PATH, body)).await
    }

    async fn delete_key(&self, who: &str, id: &str) -> Answer {
        let request = Request::builder()
            .method(Method::DELETE)
            .uri(format!("{PATH}/{id}"))
            .body(Body::empty());
        self.as_somebody(who, request.unwrap()).await
    }

    /// What another service learns of a key.
    async fn looked_up(&self, key: &str) -> Value {
        let hash = common::api_keys::ApiKey::read(key).unwrap().hash();
        let token = self.service("events").service_token("users").unwrap();
        let body = json!({"hashes": [hash]});
        let request = post("/internal/users/api_keys", &body);
        let answer = self.as_somebody(&format!("Bearer {token}"), request).await;
        answer.is(200).body["api_keys"].clone()
    }
}

fn key(scopes: &[&str]) -> Value {
    json!({"name": "  Ticket office ", "scopes": scopes, "more": 1})
}

#[tokio::test]
async fn a_key_is_shown_once_and_known_by_its_hash() {
    let service = Service::start();
    let asha = service.signed_in("asha@example.org").await;
    let mut body = key(&["check_in", "events:read", "check_in"]);
    body["expires_at"] = json!("2031-01-01T05:30:00+05:30");
    let made = service.make_key(&asha, &body).await.is(201);
    assert_eq!(made.headers[header::CACHE_CONTROL], "no-store");
    let text = made.text("api_key");
    assert!(text.starts_with("oe_") && text.len() == 79, "{text}");
    let shown = json!({
        "api_key_id": made.body["api_key_id"], "name": "Ticket office", "scopes": ["events:read", "check_in"],
        "created_at": "2026-11-22T13:14:06.789Z", "expires_at": "2031-01-01T00:00:00.000Z", "last_used_at": null,
    });
    let listed = service.get(PATH, &asha).await.is(200);
    assert_eq!(listed.body, json!([shown]));
    let found = service.looked_up(text).await;
    assert_eq!(found[0]["scopes"], json!(["events:read", "check_in"]));
    assert_eq!(found[0]["role"], "organizer");
    let listed = service.get(PATH, &asha).await.is(200);
    assert_eq!(listed.body[0]["last_used_at"], "2026-11-22T13:14:06.789Z");
    let ben = service.signed_in("ben@example.org").await;
    assert_eq!(service.get(PATH, &ben).await.is(200).body, json!([]));
}

#[tokio::test]
async fn a_key_opens_nothing_of_the_account() {
    let service = Service::start();
    let asha = service.signed_in("asha@example.org").await;
    let all = key(&["events:read", "events:write", "registrations:read", "check_in"]);
    let made = service.make_key(&asha, &all).await.is(201);
    let bearer = format!("Bearer {}", made.text("api_key"));
    for path in ["/api/users/me", PATH, "/api/users/sessions"] {
        let answer = service.get(path, &bearer).await.fails(403, "scope_missing");
        let challenge = answer.headers[header::WWW_AUTHENTICATE].to_str().unwrap();
        assert!(challenge.contains("insufficient_scope"), "{challenge}");
    }
    service.make_key(&bearer, &all).await.fails(403, "scope_missing");
    let id = made.text("api_key_id").to_owned();
    service.delete_key(&bearer, &id).await.fails(403, "scope_missing");
    let me = service.get("/api/users/me", &asha).await.is(200);
    assert_eq!(me.body["email"], "asha@example.org");
    // Signing out leaves machines alone.
    service
        .as_somebody(&asha, post("/api/users/logout_all", &json!({})))
        .await
        .is(200);
    service.get(PATH, &bearer).await.fails(403, "scope_missing");
    service.make_key(&asha, &all).await.fails(401, "session_ended");
}

#[tokio::test]
async fn what_is_no_good_key_is_refused() {
    let service = Service::start();
    let asha = service.signed_in("asha@example.org").await;
    let mut body = key(&["events:read"]);
    body["expires_at"] = json!("2026-11-22T14:00:00Z");
    let made = service.make_key(&asha, &body).await.is(201);
    let good = made.text("api_key").to_owned();
    let last = if good.ends_with('A') { "B" } else { "A" };
    for (wrong, code) in [
        (format!("{}{last}", &good[..good.len() - 1]), "invalid_token"),
        (good.to_uppercase(), "invalid_token"),
        (format!("{good}A"), "invalid_token"),
        ("oe_".to_owned(), "invalid_token"),
        ("oe_आशा".to_owned(), "missing_token"),
    ] {
        let mut request = Request::builder().uri(PATH).body(Body::empty()).unwrap();
        let value = header::HeaderValue::from_bytes(format!("Bearer {wrong}").as_bytes()).unwrap();
        request.headers_mut().insert(header::AUTHORIZATION, value);
        service.send(request).await.fails(401, code);
    }
    let bearer = format!("Bearer {good}");
    service.get(PATH, &bearer).await.fails(403, "scope_missing");
    service.context.clock.set(from_millis(NOW) + TimeDelta::hours(1));
    service.get(PATH, &bearer).await.fails(401, "token_expired");
}

#[tokio::test]
async fn a_deleted_key_is_refused_at_once() {
    let service = Service::start();
    let asha = service.signed_in("asha@example.org").await;
    let ben = service.signed_in("ben@example.org").await;
    let made = service.make_key(&asha, &key(&["events:read"])).await.is(201);
    let (bearer, id) = (
        format!("Bearer {}", made.text("api_key")),
        made.text("api_key_id").to_owned(),
    );
    service.get(PATH, &bearer).await.fails(403, "scope_missing");
    for other in [new_uuid().as_str(), "x", "%20"] {
        service
            .delete_key(&asha, other)
            .await
            .fails(404, "api_key_not_found");
    }
    service
        .delete_key(&ben, &id)
        .await
        .fails(404, "api_key_not_found");
    service.get(PATH, &bearer).await.fails(403, "scope_missing");
    service.delete_key(&asha, &id).await.is(200);
    service.get(PATH, &bearer).await.fails(401, "invalid_token");
    service
        .delete_key(&asha, &id)
        .await
        .fails(404, "api_key_not_found");
    assert_eq!(service.looked_up(made.text("api_key")).await, json!([]));
}

fn new_uuid() -> String {
    common::ids::new_id().to_string()
}

#[tokio::test]
async fn each_mistake_is_named() {
    let service = Service::start();
    let asha = service.signed_in("asha@example.org").await;
    for (body, fields) in [
        (json!({}), vec!["name", "scopes"]),
        (json!({"name": " ", "scopes": []}), vec!["name", "scopes"]),
        (
            json!({"name": "a\nb", "scopes": ["events"]}),
            vec!["name", "scopes"],
        ),
        (
            json!({"name": "x".repeat(201), "scopes": "check_in"}),
            vec!["name", "scopes"],
        ),
        (
            json!({"name": 1, "scopes": ["check_in", 1], "expires_at": "soon"}),
            vec!["name", "scopes", "expires_at"],
        ),
        (
            json!({"name": "x", "scopes": ["check_in"], "expires_at": 1}),
            vec!["expires_at"],
        ),
    ] {
        let answer = service
            .make_key(&asha, &body)
            .await
            .fails(422, "validation_failed");
        assert_eq!(answer.fields(), fields, "{body}");
    }
    let past = json!({"name": "x", "scopes": ["check_in"], "expires_at": "2026-11-22T13:14:06Z"});
    service.make_key(&asha, &past).await.fails(409, "expired_already");
    let named = json!({"name": "आशा — касса 🎟", "scopes": ["check_in"], "expires_at": null});
    let made = service.make_key(&asha, &named).await.is(201);
    assert_eq!(made.body["name"], "आशा — касса 🎟");
    for _ in 1..50 {
        service.make_key(&asha, &named).await.is(201);
    }
    service
        .make_key(&asha, &named)
        .await
        .fails(409, "too_many_api_keys");
}
