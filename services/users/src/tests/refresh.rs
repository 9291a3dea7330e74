use chrono::TimeDelta;

use super::*;
use crate::domain::GRACE;

const PATH: &str = "/api/users/refresh";

impl Service {
    /// Signs a user up and in; gives the refresh token.
    async fn refresh_token(&self, email: &str) -> String {
        self.register(email).await;
        self.login(email, PASSWORD)
            .await
            .is(200)
            .text("refresh_token")
            .to_owned()
    }

    async fn refresh(&self, token: &str) -> Answer {
        self.post(PATH, &json!({"refresh_token": token})).await
    }

    /// Refreshes, and gives the next token and the value of `Authorization`.
    async fn refreshed(&self, token: &str) -> (String, String) {
        let answer = self.refresh(token).await.is(200);
        let next = answer.text("refresh_token").to_owned();
        (next, format!("Bearer {}", answer.text("token")))
    }

    fn wait(&self, time: TimeDelta) {
        let clock = &self.context.clock;
        clock.set(clock.now() + time);
    }
}

#[tokio::test]
async fn a_session_goes_on_with_the_next_tokens() {
    let service = Service::start();
    let first = service.refresh_token("asha@example.org").await;
    service.wait(TimeDelta::hours(2));
    let answer = service.refresh(&first).await.is(200);
    assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
    let (token, next) = (answer.text("token"), answer.text("refresh_token"));
    assert_ne!(next, first);
    assert_eq!(
        answer.body,
        json!({"message": "Session refreshed.", "token": token, "token_type": "Bearer", "expires_in": 3600,
               "refresh_token": next, "refresh_expires_in": 7 * 24 * 3600,
               "user_id": answer.text("user_id"), "role": "organizer", "email_verified": false})
    );
    service
        .get("/api/users/me", &format!("Bearer {token}"))
        .await
        .is(200);
    let sessions = service
        .get("/api/users/sessions", &format!("Bearer {token}"))
        .await
        .is(200);
    assert_eq!(
        sessions.body.as_array().unwrap().len(),
        1,
        "it is the same session"
    );
    service.refreshed(next).await;
}

#[tokio::test]
async fn two_tabs_stay_signed_in_and_a_thief_is_thrown_out() {
    let service = Service::start();
    let first = service.refresh_token("asha@example.org").await;
    let (one, two) = tokio::join!(service.refreshed(&first), service.refreshed(&first));
    assert_eq!(one.0, two.0, "the same successor");
    service.wait(GRACE);
    let (late, authorization) = service.refreshed(&first).await;
    assert_eq!(late, one.0);
    for authorization in [&one.1, &two.1, &authorization] {
        service.get("/api/users/me", authorization).await.is(200);
    }
    // Used later than that, it has been copied.
    service.wait(TimeDelta::milliseconds(1));
    let mut bus = service.context.shared.subscribe(&runtime::sessions::topic());
    service.refresh(&first).await.fails(401, "refresh_token_reused");
    assert!(matches!(bus.next().await, shared_state::bus::Heard::Message(_)));
    service
        .get("/api/users/me", &one.1)
        .await
        .fails(401, "session_ended");
    service.refresh(&one.0).await.fails(401, "refresh_token_invalid");
    // Other sessions of the account are not touched.
    let again = service.login("asha@example.org", PASSWORD).await.is(200);
    service.refreshed(again.text("refresh_token")).await;
}

#[tokio::test]
async fn within_the_grace_too_once_its_successor_was_used() {
    let service = Service::start();
    let first = service.refresh_token("asha@example.org").await;
    let (second, _) = service.refreshed(&first).await;
    let (third, _) = service.refreshed(&second).await;
    service.refresh(&first).await.fails(401, "refresh_token_reused");
    service.refresh(&third).await.fails(401, "refresh_token_invalid");
}

#[tokio::test]
async fn many_at_once_all_get_the_same_successor() {
    let service = Service::start();
    let first = service.refresh_token("asha@example.org").await;
    let all = futures_util::future::join_all((0..20).map(|_| service.refreshed(&first))).await;
    let (next, _) = &all[0];
    assert!(all.iter().all(|(other, _)| other == next));
    service.refreshed(next).await;
}

#[tokio::test]
async fn what_is_no_token_is_refused_and_ends_nothing() {
    let service = Service::start();
    let token = service.refresh_token("asha@example.org").await;
    let other = service.refresh_token("ben@example.org").await;
    // The other's secret under this one's session.
    let mixed = format!("{}{}", &token[..32], &other[32..]);
    for bad in [
        "",
        "x",
        "आशा",
        &token[1..],
        &token.to_uppercase(),
        &mixed,
        &"A".repeat(70),
    ] {
        service.refresh(bad).await.fails(401, "refresh_token_invalid");
    }
    let answer = service
        .post(PATH, &json!({}))
        .await
        .fails(422, "validation_failed");
    assert_eq!(answer.fields(), ["refresh_token"]);
    let access = service.signed_in("carl@example.org").await;
    service
        .refresh(access.trim_start_matches("Bearer "))
        .await
        .fails(401, "refresh_token_invalid");
    service
        .get("/api/users/me", &format!("Bearer {token}"))
        .await
        .fails(401, "invalid_token");
    service.refreshed(&token).await;
}

#[tokio::test]
async fn it_ends_with_its_session() {
    let service = Service::start();
    service.register("asha@example.org").await;
    let answer = service.login("asha@example.org", PASSWORD).await;
    let post = Request::builder().method(Method::POST).uri("/api/users/logout");
    let request = post.body(Body::empty()).unwrap();
    let authorization = format!("Bearer {}", answer.text("token"));
    service.as_somebody(&authorization, request).await.is(200);
    service
        .refresh(answer.text("refresh_token"))
        .await
        .fails(401, "refresh_token_invalid");
}

#[tokio::test]
async fn its_lifetimes_are_settings() {
    let service = Service::with(&[
        ("TOKEN_LIFETIME_SECONDS", "60"),
        ("REFRESH_IDLE_SECONDS", "100"),
        ("REFRESH_LIFETIME_SECONDS", "250"),
    ]);
    let mut token = service.refresh_token("asha@example.org").await;
    for left in [100, 50] {
        service.wait(TimeDelta::seconds(100));
        let answer = service.refresh(&token).await.is(200);
        assert_eq!(answer.body["refresh_expires_in"], left);
        token = answer.text("refresh_token").to_owned();
    }
    service.wait(TimeDelta::seconds(51));
    service.refresh(&token).await.fails(401, "refresh_token_invalid");
    let token = service
        .login("asha@example.org", PASSWORD)
        .await
        .text("refresh_token")
        .to_owned();
    service.wait(TimeDelta::seconds(101));
    service.refresh(&token).await.fails(401, "refresh_token_invalid");
}

#[tokio::test]
async fn a_restart_changes_nothing() {
    let service = Service::start();
    let token = service.refresh_token("asha@example.org").await;
    let context = &service.context;
    let store: Arc<dyn Store> = Arc::new(SqliteStore::new(
        sqlite_store::open(&context.settings, "users", MIGRATIONS).unwrap(),
    ));
    let again = assembled(
        context,
        &store,
        &Others::default().peers(),
        Hashing::start(Bounds::default()).unwrap(),
    );
    let response = again.handle(post(PATH, &json!({"refresh_token": token}))).await;
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn an_address_refreshes_five_hundred_times_a_minute_at_most() {
    let service = Service::start();
    for _ in 0..500 {
        service
            .post_from("192.0.2.1", PATH, &json!({"refresh_token": "x"}))
            .await
            .fails(401, "refresh_token_invalid");
    }
    let mut refused = 0;
    for _ in 0..20 {
        let answer = service
            .post_from("192.0.2.1", PATH, &json!({"refresh_token": "x"}))
            .await;
        refused += u32::from(answer.status == 429);
    }
    assert!(refused > 0);
    service
        .post_from("192.0.2.2", PATH, &json!({"refresh_token": "x"}))
        .await
        .fails(401, "refresh_token_invalid");
}

/// A process of an earlier release signs out without a look at what is stored.
#[tokio::test]
async fn a_session_that_is_known_to_have_ended_goes_on_in_no_way() {
    let service = Service::start();
    let token = service.refresh_token("asha@example.org").await;
    let (next, authorization) = service.refreshed(&token).await;
    let claims = service
        .service("events")
        .verify_user(authorization.trim_start_matches("Bearer "));
    let ends = service.context.clock.now() + TimeDelta::hours(1);
    service.context.ended.add(claims.unwrap().sid, ends);
    service.refresh(&next).await.fails(401, "refresh_token_invalid");
    let file = rusqlite::Connection::open(service.context.data("users.db")).unwrap();
    let left: i64 = file
        .query_row("SELECT count(*) FROM sessions", [], |row| row.get(0))
        .unwrap();
    assert_eq!(left, 0);
}

/// What fails after a token has been replaced would cost the session.
#[tokio::test]
async fn a_token_is_not_replaced_when_the_user_cannot_be_read() {
    let service = Service::start();
    let token = service.refresh_token("asha@example.org").await;
    let file = rusqlite::Connection::open(service.context.data("users.db")).unwrap();
    file.execute_batch("ALTER TABLE users RENAME TO hidden").unwrap();
    service.refresh(&token).await.fails(503, "unavailable");
    service.wait(GRACE + TimeDelta::seconds(1));
    file.execute_batch("ALTER TABLE hidden RENAME TO users").unwrap();
    service.refreshed(&token).await;
}
