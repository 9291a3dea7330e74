use common::{auth::Role, ids::UserId};

use super::*;

const PATH: &str = "/api/users/me";

#[tokio::test]
async fn all_details() {
    let service = Service::start();
    let body = json!({"email": "Asha@Example.org", "password": PASSWORD, "role": "organiser", "name": "  Asha Rao ",
                      "phone": "+91 98765-43210", "timezone": "Asia/Kolkata", "locale": "en_in"});
    let user_id = service
        .post("/api/users/register", &body)
        .await
        .is(201)
        .text("user_id")
        .to_owned();
    let token = service
        .login("asha@example.org", PASSWORD)
        .await
        .text("token")
        .to_owned();
    let answer = service.get(PATH, &format!("Bearer {token}")).await.is(200);
    assert_eq!(
        answer.body,
        json!({"user_id": user_id, "email": "asha@example.org", "email_verified": false, "role": "organizer",
               "name": "Asha Rao",
               "phone": "+919876543210", "timezone": "Asia/Kolkata", "locale": "en-IN", "totp": false,
               "created_at": "2026-11-22T13:14:06.789Z"})
    );
    assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
}

#[tokio::test]
async fn what_was_not_given_is_null() {
    let service = Service::start();
    service.register("asha@example.org").await;
    let token = service
        .login("asha@example.org", PASSWORD)
        .await
        .text("token")
        .to_owned();
    let body = service.get(PATH, &format!("Bearer {token}")).await.is(200).body;
    for name in ["name", "phone", "timezone", "locale"] {
        assert!(body.as_object().unwrap()[name].is_null(), "{name}");
    }
}

#[tokio::test]
async fn the_scheme_in_any_case_and_nothing_without_it() {
    let service = Service::start();
    service.register("asha@example.org").await;
    let token = service
        .login("asha@example.org", PASSWORD)
        .await
        .text("token")
        .to_owned();
    for scheme in ["Bearer", "bearer", "BEARER", "bEaReR"] {
        service.get(PATH, &format!("{scheme} {token}")).await.is(200);
    }
    for authorization in [
        "".to_owned(),
        token.clone(),
        "Bearer".to_owned(),
        format!("Basic {token}"),
    ] {
        let answer = service
            .get(PATH, &authorization)
            .await
            .fails(401, "missing_token");
        assert_eq!(
            answer.headers[header::WWW_AUTHENTICATE],
            "Bearer realm=\"organise-event\""
        );
    }
    let service_token = service.service("gateway").service_token("users").unwrap();
    for token in ["x", &token[..token.len() - 3], &service_token] {
        let answer = service
            .get(PATH, &format!("Bearer {token}"))
            .await
            .fails(401, "invalid_token");
        assert!(
            answer.headers[header::WWW_AUTHENTICATE]
                .to_str()
                .unwrap()
                .contains("invalid_token")
        );
    }
}

#[tokio::test]
async fn a_token_ends() {
    let service = Service::start();
    service.register("asha@example.org").await;
    let token = service
        .login("asha@example.org", PASSWORD)
        .await
        .text("token")
        .to_owned();
    service.context.clock.set(from_millis(NOW + 3_599_000));
    service.get(PATH, &format!("Bearer {token}")).await.is(200);
    service.context.clock.set(from_millis(NOW + 3_600_000));
    service
        .get(PATH, &format!("Bearer {token}"))
        .await
        .fails(401, "token_expired");
}

#[tokio::test]
async fn an_account_that_no_longer_exists() {
    let service = Service::start();
    let auth = service.service("users");
    let token = auth
        .user_token(UserId::new(), Role::User, Duration::from_secs(60))
        .unwrap();
    let answer = service
        .get(PATH, &format!("Bearer {token}"))
        .await
        .fails(401, "account_gone");
    assert!(answer.headers.contains_key(header::WWW_AUTHENTICATE));
}
