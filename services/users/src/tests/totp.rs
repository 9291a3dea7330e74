use chrono::TimeDelta;
use totp_rs::{Algorithm, Builder, Secret, Totp};

use super::*;

const PATH: &str = "/api/users/totp";

/// An authenticator app.
pub(super) struct App(Totp);

impl App {
    fn scan(proposed: &Answer) -> Self {
        let secret = Secret::try_from_base32(proposed.text("secret")).unwrap();
        Self(
            Builder::new()
                .with_algorithm(Algorithm::SHA1)
                .with_secret(secret)
                .build()
                .unwrap(),
        )
    }

    /// The code it shows.
    pub(super) fn code(&self, service: &Service) -> String {
        let now = service.context.clock.now().timestamp();
        self.0.generate(u64::try_from(now).unwrap()).to_string()
    }
}

impl Service {
    async fn propose(&self, authorization: &str) -> Answer {
        let request = Request::builder()
            .method(Method::POST)
            .uri(PATH)
            .body(Body::empty());
        self.as_somebody(authorization, request.unwrap()).await
    }

    async fn confirm(&self, authorization: &str, code: &str) -> Answer {
        let body = json!({"code": code});
        self.as_somebody(authorization, post(&format!("{PATH}/confirm"), &body))
            .await
    }

    async fn remove(&self, authorization: &str, password: &str, code: &str) -> Answer {
        let body = json!({"password": password, "code": code}).to_string();
        self.as_somebody(
            authorization,
            request(Method::DELETE, PATH, "application/json", body),
        )
        .await
    }

    async fn login_with(&self, code: &str) -> Answer {
        let body = json!({"email": "asha@example.org", "password": PASSWORD, "totp": code});
        self.post("/api/users/login", &body).await
    }

    fn pass_time(&self, seconds: i64) {
        let clock = &self.context.clock;
        clock.set(clock.now() + TimeDelta::seconds(seconds));
    }

    /// Signs up with a second factor; gives the app, the recovery codes and the value of `Authorization`.
    pub(super) async fn with_second_factor(&self) -> (App, Vec<String>, String) {
        let token = self.signed_in("asha@example.org").await;
        let app = App::scan(&self.propose(&token).await.is(200));
        let confirmed = self.confirm(&token, &app.code(self)).await.is(200);
        self.pass_time(30);
        let codes = serde_json::from_value(confirmed.body["recovery_codes"].clone()).unwrap();
        (app, codes, token)
    }
}

#[tokio::test]
async fn it_is_asked_for_once_it_is_confirmed() {
    let service = Service::start();
    let token = service.signed_in("asha@example.org").await;
    let proposed = service.propose(&token).await.is(200);
    assert_eq!(proposed.headers[header::CACHE_CONTROL], "no-store");
    let secret = proposed.text("secret");
    let url =
        format!("otpauth://totp/Organise%20Event:asha%40example.org?secret={secret}&issuer=Organise%20Event");
    assert_eq!(proposed.text("otpauth_url"), url);
    assert!(
        proposed
            .text("qr_svg")
            .contains("<svg xmlns=\"http://www.w3.org/2000/svg\"")
    );
    // Not confirmed, it counts for nothing.
    service.login("asha@example.org", PASSWORD).await.is(200);
    assert_eq!(service.get("/api/users/me", &token).await.body["totp"], false);
    let app = App::scan(&proposed);
    let confirmed = service.confirm(&token, &app.code(&service)).await.is(200);
    assert_eq!(confirmed.headers[header::CACHE_CONTROL], "no-store");
    assert_eq!(confirmed.text("message"), "The second factor is on.");
    assert_eq!(confirmed.body["recovery_codes"].as_array().unwrap().len(), 10);
    assert_eq!(service.get("/api/users/me", &token).await.body["totp"], true);

    service
        .login("asha@example.org", PASSWORD)
        .await
        .fails(401, "totp_required");
    service
        .login("asha@example.org", "a wrong guess")
        .await
        .fails(401, "invalid_credentials");
    service
        .login_with(&app.code(&service))
        .await
        .fails(401, "totp_invalid");
    service.pass_time(30);
    let code = app.code(&service);
    service.login_with(&code).await.is(200);
    service.login_with(&code).await.fails(401, "totp_invalid");
    // A session that was there goes on, and is refreshed without a code.
    service.get("/api/users/me", &token).await.is(200);
}

#[tokio::test]
async fn clocks_may_differ_by_a_step() {
    let service = Service::start();
    let (app, ..) = service.with_second_factor().await;
    let code = app.code(&service);
    service.pass_time(30);
    service
        .login_with(&format!(" {} {} ", &code[..3], &code[3..]))
        .await
        .is(200);
    let code = app.code(&service);
    service.pass_time(60);
    service.login_with(&code).await.fails(401, "totp_invalid");
    let ahead = Service::start();
    let (app, ..) = ahead.with_second_factor().await;
    ahead.pass_time(30);
    let code = app.code(&ahead);
    ahead.pass_time(-30);
    ahead.login_with(&code).await.is(200);
}

#[tokio::test]
async fn recovery_codes_sign_in_once_each() {
    let service = Service::start();
    let (app, codes, _) = service.with_second_factor().await;
    for code in &codes[..2] {
        service
            .login_with(&code.to_uppercase().replace('-', " "))
            .await
            .is(200);
        service.login_with(code).await.fails(401, "totp_invalid");
    }
    let tries = (0..4).map(|_| service.login_with(&codes[2]));
    let statuses = futures_util::future::join_all(tries).await;
    assert_eq!(statuses.iter().filter(|answer| answer.status == 200).count(), 1);
    service.login_with(&app.code(&service)).await.is(200);
}

#[tokio::test]
async fn guessing_is_stopped_for_the_account_from_everywhere() {
    let service = Service::start();
    let (app, ..) = service.with_second_factor().await;
    let right = app.code(&service);
    let wrong = if right == "000000" { "000001" } else { "000000" };
    for number in 0..10 {
        let body = json!({"email": "asha@example.org", "password": PASSWORD, "totp": wrong});
        let answer = service
            .post_from(&format!("192.0.2.{number}"), "/api/users/login", &body)
            .await;
        answer.fails(401, "totp_invalid");
    }
    let answer = service.login_with(&right).await.fails(429, "rate_limited");
    assert!(answer.headers.contains_key(header::RETRY_AFTER));
    // The code was not looked at, and others are not held up.
    let other = service.signed_in("ben@example.org").await;
    service.propose(&other).await.is(200);
}

#[tokio::test]
async fn it_is_taken_away_by_password_and_code() {
    let service = Service::start();
    let (app, codes, token) = service.with_second_factor().await;
    service.propose(&token).await.fails(409, "totp_on");
    service
        .confirm(&token, &app.code(&service))
        .await
        .fails(409, "totp_on");
    let code = app.code(&service);
    service
        .remove(&token, "a wrong guess", &code)
        .await
        .fails(403, "wrong_password");
    service
        .remove(&token, PASSWORD, "not one")
        .await
        .fails(403, "totp_invalid");
    service
        .remove("Bearer x", PASSWORD, &code)
        .await
        .fails(401, "invalid_token");
    let removed = service.remove(&token, PASSWORD, &code).await.is(200);
    assert_eq!(removed.body, json!({"message": "The second factor is off."}));
    service.login("asha@example.org", PASSWORD).await.is(200);
    service
        .remove(&token, PASSWORD, &codes[0])
        .await
        .fails(404, "totp_off");
    // The next one has another secret and other codes.
    service.pass_time(30);
    let next = service.propose(&token).await.is(200);
    service
        .confirm(&token, &app.code(&service))
        .await
        .fails(403, "totp_invalid");
    service
        .confirm(&token, &App::scan(&next).code(&service))
        .await
        .is(200);
    service.login_with(&codes[0]).await.fails(401, "totp_invalid");
}

#[tokio::test]
async fn only_the_secret_that_was_asked_for_last_is_confirmed() {
    let service = Service::start();
    let token = service.signed_in("asha@example.org").await;
    service
        .confirm(&token, "123456")
        .await
        .fails(409, "totp_not_begun");
    let first = App::scan(&service.propose(&token).await.is(200));
    let second = App::scan(&service.propose(&token).await.is(200));
    service
        .confirm(&token, &first.code(&service))
        .await
        .fails(403, "totp_invalid");
    for none in ["12345", "abcdef", "آشا", "k3vd-7qpa-x2mn-c4ht", "", "\u{7}"] {
        service.confirm(&token, none).await.fails(403, "totp_invalid");
    }
    service.confirm(&token, &second.code(&service)).await.is(200);
}

/// With the password alone nobody learns whether a code would have been right.
#[tokio::test]
async fn a_wrong_password_uses_no_code() {
    let service = Service::start();
    let (app, ..) = service.with_second_factor().await;
    let code = app.code(&service);
    let body = json!({"email": "asha@example.org", "password": "a wrong guess", "totp": code});
    service
        .post("/api/users/login", &body)
        .await
        .fails(401, "invalid_credentials");
    service.login_with(&code).await.is(200);
}
