use test_kit::requests::eventually;

use super::*;

const PATH: &str = "/api/users/password/change";
const NEW: &str = "incorrect zebra battery staple";

impl Service {
    async fn change_password(&self, authorization: &str, current: &str, new: &str) -> Answer {
        let body = json!({"current_password": current, "password": new});
        self.as_somebody(authorization, post(PATH, &body)).await
    }
}

#[tokio::test]
async fn the_new_one_opens_and_the_other_sessions_end() {
    let service = Service::start();
    let other = service.signed_in("asha@example.org").await;
    let stranger = service.signed_in("ben@example.org").await;
    let login = service.login("asha@example.org", PASSWORD).await;
    let mine = format!("Bearer {}", login.text("token"));
    let answer = service.change_password(&mine, PASSWORD, NEW).await.is(200);
    assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
    assert_eq!(answer.body, json!({"message": "Password changed.", "ended": 1}));
    service
        .get("/api/users/me", &other)
        .await
        .fails(401, "session_ended");
    for token in [&mine, &stranger] {
        service.get("/api/users/me", token).await.is(200);
    }
    let refresh = json!({"refresh_token": login.text("refresh_token")});
    service.post("/api/users/refresh", &refresh).await.is(200);
    service
        .login("asha@example.org", PASSWORD)
        .await
        .fails(401, "invalid_credentials");
    service.login("asha@example.org", NEW).await.is(200);
    service.login("ben@example.org", PASSWORD).await.is(200);
}

#[tokio::test]
async fn the_current_one_is_needed_and_guessing_it_is_stopped() {
    let service = Service::start();
    let token = service.signed_in("asha@example.org").await;
    for _ in 0..10 {
        service
            .change_password(&token, "a wrong guess", NEW)
            .await
            .fails(403, "wrong_password");
    }
    let answer = service
        .change_password(&token, PASSWORD, NEW)
        .await
        .fails(429, "rate_limited");
    assert!(answer.headers.contains_key(header::RETRY_AFTER));
    // The same count stops sign-ins from there.
    service
        .login("asha@example.org", PASSWORD)
        .await
        .fails(429, "rate_limited");
    service.get("/api/users/me", &token).await.is(200);
}

#[tokio::test]
async fn what_is_wrong_changes_nothing() {
    let service = Service::start();
    let token = service.signed_in("asha@example.org").await;
    let answer = service
        .change_password(&token, PASSWORD, "short")
        .await
        .fails(422, "validation_failed");
    assert_eq!(answer.fields(), ["password"]);
    let answer = service
        .as_somebody(&token, post(PATH, &json!({})))
        .await
        .fails(422, "validation_failed");
    assert_eq!(answer.fields(), ["current_password", "password"]);
    service.post(PATH, &json!({})).await.fails(401, "missing_token");
    service.login("asha@example.org", PASSWORD).await.is(200);
}

#[tokio::test]
async fn of_two_at_once_both_do_not_stay() {
    let service = Service::start();
    let token = service.signed_in("asha@example.org").await;
    let news = ["the first new password", "the second new password"];
    let (one, two) = tokio::join!(
        service.change_password(&token, PASSWORD, news[0]),
        service.change_password(&token, PASSWORD, news[1])
    );
    // The one that comes later finds that the password it knows is no longer the one.
    let mut statuses = [one.status.as_u16(), two.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 403]);
}

#[tokio::test]
async fn common_ones_are_refused_in_production() {
    let service = Service::in_production();
    let token = service.signed_in("asha@example.org").await;
    let answer = service
        .change_password(&token, PASSWORD, "password1")
        .await
        .fails(422, "validation_failed");
    assert_eq!(answer.fields(), ["password"]);
}

#[tokio::test]
async fn however_it_is_typed() {
    let service = Service::start();
    let token = service.signed_in("asha@example.org").await;
    service
        .change_password(&token, PASSWORD, "mu\u{308}hsam und lang")
        .await
        .is(200);
    service
        .change_password(&token, "m\u{fc}hsam und lang", "आशा आशा आशा")
        .await
        .is(200);
    service.login("asha@example.org", "आशा आशा आशा").await.is(200);
}

/// A sign-in that has proved the old password begins no session once the change is stored.
#[tokio::test]
async fn a_sign_in_under_way_does_not_outlast_the_change() {
    let one = Bounds {
        threads: 1,
        ..Bounds::default()
    };
    let (service, hashing, _) = Service::with_parts(one);
    service.register("asha@example.org").await;
    let body = json!({"email": "ben@example.org", "password": NEW, "role": "user"});
    service.post("/api/users/register", &body).await.is(201);
    let file = rusqlite::Connection::open(service.context.data("users.db")).unwrap();
    // The hashing thread is busy, so that the sign-in waits between reading the account and checking the password.
    let (done, wait) = std::sync::mpsc::channel::<()>();
    let busy = hashing.run(move |_| {
        let _ = wait.recv();
        Ok(())
    });
    let change = async {
        eventually(async || (hashing.callers() == 2).then_some(())).await;
        file.execute_batch(
            "UPDATE users SET password_hash = (SELECT password_hash FROM users WHERE email = 'ben@example.org')
             WHERE email = 'asha@example.org'",
        )
        .unwrap();
        drop(done);
    };
    let (_, answer, ()) = tokio::join!(busy, service.login("asha@example.org", PASSWORD), change);
    answer.fails(401, "invalid_credentials");
    let count = |table: &str| {
        let sql = format!("SELECT count(*) FROM {table}");
        file.query_row(&sql, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    assert_eq!((count("sessions"), count("ended_sessions")), (0, 0));
    service.login("asha@example.org", NEW).await.is(200);
}
