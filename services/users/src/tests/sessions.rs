use chrono::TimeDelta;

use super::*;

const PATH: &str = "/api/users/sessions";

impl Service {
    async fn unsafe_call(&self, method: Method, path: &str, authorization: &str) -> Answer {
        let request = Request::builder().method(method).uri(path).body(Body::empty());
        self.as_somebody(authorization, request.unwrap()).await
    }

    /// Signs in from `address` with this client.
    async fn signed_in_from(&self, address: &str, agent: &str) -> String {
        let body = json!({"email": "asha@example.org", "password": PASSWORD});
        let mut request = post("/api/users/login", &body);
        let token = self.service("gateway").service_token("users").unwrap();
        let headers = request.headers_mut();
        headers.insert(GATEWAY_TOKEN, token.parse().unwrap());
        headers.insert(CLIENT_IP, address.parse().unwrap());
        headers.insert(
            header::USER_AGENT,
            header::HeaderValue::from_bytes(agent.as_bytes()).unwrap(),
        );
        format!("Bearer {}", self.send(request).await.is(200).text("token"))
    }
}

#[tokio::test]
async fn they_are_listed_with_what_tells_them_apart() {
    let service = Service::start();
    service.register("asha@example.org").await;
    service.signed_in_from("192.0.2.77", "Telefon \u{2013} आशा").await;
    service.context.clock.set(from_millis(NOW + 1_000));
    let laptop = service.signed_in_from("2001:db8:1:2::3", "Firefox").await;
    service.signed_in("ben@example.org").await;
    let answer = service.get(PATH, &laptop).await.is(200);
    assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
    let sessions = answer.body.as_array().unwrap();
    let id = |number: usize| sessions[number]["session_id"].as_str().unwrap();
    let at = |seconds: &str| format!("2026-11-22T13:14:{seconds}.789Z");
    let expires = |seconds: &str| format!("2026-11-29T13:14:{seconds}.789Z");
    let expected = json!([
        {"session_id": id(0), "current": true, "created_at": at("07"), "last_used_at": at("07"),
         "expires_at": expires("07"), "user_agent": "Firefox", "address": "2001:db8:1::/48"},
        {"session_id": id(1), "current": false, "created_at": at("06"), "last_used_at": at("06"),
         "expires_at": expires("06"), "user_agent": "Telefon \u{2013} आशा", "address": "192.0.2.0/24"},
    ]);
    assert_eq!(answer.body, expected);
    // In pages.
    let first = service.get(&format!("{PATH}?limit=1"), &laptop).await.is(200);
    let link = first.headers[header::LINK].to_str().unwrap().to_owned();
    let next = link.trim_start_matches('<').split('>').next().unwrap();
    let second = service.get(next, &laptop).await.is(200);
    assert_eq!(second.body[0]["session_id"], id(1));
    assert!(!second.headers.contains_key(header::LINK));
    service
        .get(&format!("{PATH}?limit=0"), &laptop)
        .await
        .fails(422, "validation_failed");
    service.get(PATH, "").await.fails(401, "missing_token");
}

#[tokio::test]
async fn one_is_ended_by_another() {
    let service = Service::start();
    service.register("asha@example.org").await;
    let telephone = service.signed_in_from("192.0.2.77", "Telephone").await;
    let laptop = service.signed_in_from("192.0.2.78", "Laptop").await;
    let stranger = service.signed_in("ben@example.org").await;
    let listed = service.get(PATH, &telephone).await;
    let current = listed
        .body
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["current"] == true);
    let path = format!("{PATH}/{}", current.unwrap()["session_id"].as_str().unwrap());
    service
        .unsafe_call(Method::DELETE, &path, &stranger)
        .await
        .fails(404, "session_not_found");
    service.get("/api/users/me", &telephone).await.is(200);
    let ended = service.unsafe_call(Method::DELETE, &path, &laptop).await.is(200);
    assert_eq!(ended.body, json!({"message": "Session ended."}));
    service
        .get("/api/users/me", &telephone)
        .await
        .fails(401, "session_ended");
    service.get("/api/users/me", &laptop).await.is(200);
    service
        .unsafe_call(Method::DELETE, &path, &laptop)
        .await
        .fails(404, "session_not_found");
    for unknown in ["x", "%F0%9F%8E%89", "019aa2f4-7c1e-7d3a-9b60-1f2e3d4c5b6b"] {
        let path = format!("{PATH}/{unknown}");
        service
            .unsafe_call(Method::DELETE, &path, &laptop)
            .await
            .fails(404, "session_not_found");
    }
    service
        .unsafe_call(Method::DELETE, &path, "Bearer x")
        .await
        .fails(401, "invalid_token");
}

#[tokio::test]
async fn all_are_ended_at_once() {
    let service = Service::start();
    service.register("asha@example.org").await;
    let mut tokens = Vec::new();
    for number in 0..5 {
        tokens.push(
            service
                .signed_in_from("192.0.2.77", &format!("Device {number}"))
                .await,
        );
    }
    let other = service.signed_in("ben@example.org").await;
    // As earlier releases made them: no session is stored.
    let id = common::ids::UserId::lenient(service.get("/api/users/me", &tokens[0]).await.text("user_id"));
    let auth = service.service("users");
    let old = auth
        .user_token(id, common::auth::Role::Organizer, Duration::from_secs(60))
        .unwrap();
    let old = format!("Bearer {old}");
    let answer = service
        .unsafe_call(Method::POST, "/api/users/logout_all", &old)
        .await
        .is(200);
    assert_eq!(answer.body, json!({"message": "Logged out.", "ended": 6}));
    for token in tokens.iter().chain([&old]) {
        service
            .get("/api/users/me", token)
            .await
            .fails(401, "session_ended");
    }
    service.get("/api/users/me", &other).await.is(200);
    let again = service.signed_in_from("192.0.2.77", "Device").await;
    assert_eq!(service.get(PATH, &again).await.body.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn those_that_are_over_are_not_listed() {
    let service = Service::start();
    service.register("asha@example.org").await;
    service.signed_in_from("192.0.2.77", "Old").await;
    let week = TimeDelta::days(7) + TimeDelta::milliseconds(1);
    service.context.clock.set(from_millis(NOW) + week);
    let new = service.signed_in_from("192.0.2.77", "New").await;
    let listed = service.get(PATH, &new).await;
    let agents: Vec<&str> = listed
        .body
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["user_agent"].as_str().unwrap())
        .collect();
    assert_eq!(agents, ["New"]);
}
