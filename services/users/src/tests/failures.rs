//! What every endpoint refuses, in the one shape.

use super::*;

const POSTS: [(&str, Option<&str>); 2] = [
    ("/api/users/register", Some("Error registering user.")),
    ("/api/users/login", None),
];

#[tokio::test]
async fn the_whole_answer() {
    let service = Service::start();
    let mut request = post(
        "/api/users/register",
        &json!({"email": "asha@example.org", "role": "user"}),
    );
    request
        .headers_mut()
        .insert("x-request-id", "abc-1".parse().unwrap());
    let answer = service.send(request).await.is(422);
    assert_eq!(
        answer.body,
        json!({
            "type": "urn:organise-event:problem:validation_failed",
            "title": "Unprocessable Entity",
            "status": 422,
            "detail": "password is required.",
            "message": "Error registering user.",
            "code": "validation_failed",
            "errors": [{"field": "password", "message": "is required"}],
            "request_id": "abc-1",
        })
    );
}

#[tokio::test]
async fn bodies_that_are_no_json_objects() {
    let service = Service::start();
    for (path, message) in POSTS {
        let check = |answer: Answer| {
            if let Some(message) = message {
                assert_eq!(answer.body["message"], message);
            }
        };
        for body in ["", "{", "email=a", "{\"email\": \"a\u{0}\"}", "{} {}", "\u{feff}"] {
            let answer = service
                .send(request(Method::POST, path, "application/json", body))
                .await;
            check(answer.fails(400, "not_json"));
        }
        for body in ["[]", "\"x\"", "1", "null"] {
            let answer = service
                .send(request(Method::POST, path, "application/json", body))
                .await;
            check(answer.fails(422, "validation_failed"));
        }
        for content_type in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data",
            "",
        ] {
            let answer = service
                .send(request(Method::POST, path, content_type, "{}"))
                .await;
            check(answer.fails(415, "unsupported_media_type"));
        }
        for content_type in [
            "application/json; charset=utf-8",
            "Application/JSON",
            "application/merge-patch+json",
        ] {
            service
                .send(request(Method::POST, path, content_type, "{}"))
                .await
                .fails(422, "validation_failed");
        }
        let large = json!({"email": "a".repeat(200_000)});
        check(service.post(path, &large).await.fails(413, "body_too_large"));
    }
}

#[tokio::test]
async fn addresses_and_methods_that_there_are_not() {
    let service = Service::start();
    service.get("/api/users", "").await.fails(404, "route_not_found");
    service
        .get("/api/users/nobody", "")
        .await
        .fails(404, "route_not_found");
    for (path, _) in POSTS {
        let answer = service.get(path, "").await.fails(405, "method_not_allowed");
        assert_eq!(answer.headers[header::ALLOW], "POST, OPTIONS");
    }
    let answer = service
        .post("/api/users/me", &json!({}))
        .await
        .fails(405, "method_not_allowed");
    assert_eq!(answer.headers[header::ALLOW], "GET, HEAD, PATCH, DELETE, OPTIONS");
}

#[tokio::test]
async fn a_store_that_fails_shows_nothing_of_itself() {
    let service = Service::start();
    let user_id = service
        .register("asha@example.org")
        .await
        .text("user_id")
        .to_owned();
    let other = rusqlite::Connection::open(service.context.data("users.db")).unwrap();
    other.execute_batch("DROP TABLE users").unwrap();
    let body = json!({"email": "ben@example.org", "password": PASSWORD, "role": "user"});
    let token = {
        let id = common::ids::UserId::lenient(&user_id);
        service
            .service("users")
            .user_token(id, common::auth::Role::User, Duration::from_secs(60))
            .unwrap()
    };
    for answer in [
        service.post("/api/users/register", &body).await,
        service.login("asha@example.org", PASSWORD).await,
        service.get("/api/users/me", &format!("Bearer {token}")).await,
    ] {
        let answer = answer.fails(503, "unavailable");
        assert!(answer.headers.contains_key(header::RETRY_AFTER));
        let text = answer.body.to_string().to_lowercase();
        assert!(
            !["sql", "table", "argon", "users.db"]
                .iter()
                .any(|word| text.contains(word)),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_stored_hash_that_is_none_is_our_failure() {
    let service = Service::start();
    service.register("asha@example.org").await;
    let other = rusqlite::Connection::open(service.context.data("users.db")).unwrap();
    other
        .execute_batch("UPDATE users SET password_hash = 'plain'")
        .unwrap();
    let answer = service
        .login("asha@example.org", PASSWORD)
        .await
        .fails(500, "internal_error");
    assert!(!answer.body.to_string().contains("hash"));
}
