//! What is mailed to prove an address: at sign-up, for a lost password, for another address, and the way back.

use chrono::TimeDelta;
use common::{
    mailed_tokens::MailedTokens,
    wire::{AccountLetter, TokenIssued},
};

use super::*;

const NEW: &str = "incorrect zebra battery staple";

impl Service {
    /// The letters that are to be sent, in order.
    pub(super) async fn letters(&self) -> Vec<TokenIssued> {
        let outbox =
            SqliteStore::new(sqlite_store::open(&self.context.settings, "users", MIGRATIONS).unwrap())
                .outbox();
        let waiting = outbox
            .due("notifications", self.context.clock.now(), 1_000)
            .await
            .unwrap();
        waiting
            .iter()
            .map(|message| message.event.data().unwrap())
            .collect()
    }

    /// The last letter to an address, which is this one.
    #[track_caller]
    fn last_to(letters: &[TokenIssued], email: &str, letter: AccountLetter) -> TokenIssued {
        let last = letters.iter().rev().find(|letter| letter.email == email).unwrap();
        assert_eq!(last.letter, letter);
        last.clone()
    }

    pub(super) async fn letter(&self, email: &str, letter: AccountLetter) -> TokenIssued {
        Self::last_to(&self.letters().await, email, letter)
    }

    pub(super) fn link(&self, letter: &TokenIssued) -> String {
        MailedTokens::new(&self.context.auth("users")).token(letter.token_id)
    }

    pub(super) fn code(&self, letter: &TokenIssued) -> String {
        MailedTokens::new(&self.context.auth("users")).code(letter.token_id)
    }

    pub(super) async fn verify(&self, token: &str) -> Answer {
        self.post("/api/users/email/verify", &json!({"token": token}))
            .await
    }

    pub(super) async fn forgot(&self, email: &str) -> Answer {
        self.post("/api/users/password/forgot", &json!({"email": email}))
            .await
    }

    pub(super) async fn reset(&self, token: &str, password: &str) -> Answer {
        let body = json!({"token": token, "password": password});
        self.post("/api/users/password/reset", &body).await
    }

    pub(super) async fn change_email(&self, authorization: &str, email: &str) -> Answer {
        let body = json!({"email": email, "password": PASSWORD});
        self.as_somebody(authorization, post("/api/users/email/change", &body))
            .await
    }

    pub(super) async fn my_address(&self, authorization: &str) -> (String, bool) {
        let me = self.get("/api/users/me", authorization).await.is(200).body;
        (
            me["email"].as_str().unwrap().to_owned(),
            me["email_verified"].as_bool().unwrap(),
        )
    }

    pub(super) fn later(&self, by: TimeDelta) {
        let clock = &self.context.clock;
        clock.set(clock.now() + by);
    }
}

#[tokio::test]
async fn an_address_is_verified_by_its_link() {
    let service = Service::start();
    let answer = service.register("asha@example.org").await;
    assert_eq!(answer.body["email_verified"], false);
    let letter = service
        .letter("asha@example.org", AccountLetter::VerifyEmail)
        .await;
    let answer = service.login("asha@example.org", PASSWORD).await.is(200);
    assert_eq!(answer.body["email_verified"], false);
    let me = format!("Bearer {}", answer.text("token"));
    let verified = service.verify(&service.link(&letter)).await.is(200);
    assert_eq!(verified.body["email"], "asha@example.org");
    assert_eq!(verified.body["email_verified"], true);
    assert_eq!(
        service.my_address(&me).await,
        ("asha@example.org".to_owned(), true)
    );
    // Once.
    service
        .verify(&service.link(&letter))
        .await
        .fails(403, "token_invalid");
    let send = service
        .as_somebody(&me, post("/api/users/email/verify/send", &json!({})))
        .await;
    send.fails(409, "email_verified");
}

#[tokio::test]
async fn a_letter_says_what_its_reader_reads() {
    let service = Service::start();
    let body =
        json!({"email": "asha@example.org", "password": PASSWORD, "role": "organizer", "locale": "hi_in"});
    service.post("/api/users/register", &body).await.is(201);
    service.register("ben@example.org").await;
    for (email, locale) in [("asha@example.org", Some("hi-IN")), ("ben@example.org", None)] {
        let letter = service.letter(email, AccountLetter::VerifyEmail).await;
        assert_eq!(letter.locale.as_deref(), locale);
    }
}

#[tokio::test]
async fn an_address_is_verified_by_its_code_within_ten_minutes() {
    let service = Service::start();
    service.register("asha@example.org").await;
    service.register("ben@example.org").await;
    let letter = service
        .letter("asha@example.org", AccountLetter::VerifyEmail)
        .await;
    let code = service.code(&letter);
    let by_code = async |email: &str, code: &str| {
        service
            .post("/api/users/email/verify", &json!({"email": email, "token": code}))
            .await
    };
    service.verify(&code).await.fails(403, "token_invalid");
    by_code("ben@example.org", &code)
        .await
        .fails(403, "token_invalid");
    service.later(TimeDelta::minutes(10));
    by_code("asha@example.org", &code)
        .await
        .fails(403, "token_invalid");
    let me = service.login("asha@example.org", PASSWORD).await.is(200);
    let me = format!("Bearer {}", me.text("token"));
    let send = post("/api/users/email/verify/send", &json!({}));
    service.as_somebody(&me, send).await.is(202);
    let letter = service
        .letter("asha@example.org", AccountLetter::VerifyEmail)
        .await;
    let code = service.code(&letter);
    let (before, after) = code.split_at(4);
    by_code(" Asha@example.org", &format!("{before} {after}"))
        .await
        .is(200);
    assert!(service.my_address(&me).await.1);
}

#[tokio::test]
async fn what_is_no_token_is_refused_alike() {
    let service = Service::start();
    service.register("asha@example.org").await;
    let letter = service
        .letter("asha@example.org", AccountLetter::VerifyEmail)
        .await;
    let token = service.link(&letter);
    service.forgot("asha@example.org").await.is(202);
    let reset = service
        .letter("asha@example.org", AccountLetter::PasswordReset)
        .await;
    let other = MailedTokens::new(&context(&[]).0.auth("users")).token(letter.token_id);
    for wrong in [
        "",
        "x",
        &token[1..],
        &service.link(&reset),
        &other,
        "१२३४५६७८",
        "🎟️",
        "\u{202e}",
    ] {
        service.verify(wrong).await.fails(403, "token_invalid");
    }
    for wrong in ["", "x", &token, &other] {
        service.reset(wrong, NEW).await.fails(403, "token_invalid");
    }
    service.later(TimeDelta::days(1));
    service.verify(&token).await.fails(403, "token_invalid");
    service.login("asha@example.org", PASSWORD).await.is(200);
}

#[tokio::test]
async fn codes_are_guessed_ten_times() {
    let service = Service::start();
    service.register("asha@example.org").await;
    let letter = service
        .letter("asha@example.org", AccountLetter::VerifyEmail)
        .await;
    let code = service.code(&letter);
    let wrong = if code == "00000000" {
        "00000001"
    } else {
        "00000000"
    };
    for number in 0..10 {
        // From anywhere.
        let from = format!("192.0.2.{number}");
        let body = json!({"email": "asha@example.org", "token": wrong});
        let answer = service.post_from(&from, "/api/users/email/verify", &body).await;
        answer.fails(403, "token_invalid");
    }
    let body = json!({"email": "asha@example.org", "token": code});
    let answer = service.post("/api/users/email/verify", &body).await;
    assert!(answer.headers.contains_key(header::RETRY_AFTER));
    answer.fails(429, "rate_limited");
    // The link still opens.
    service.verify(&service.link(&letter)).await.is(200);
}

#[tokio::test]
async fn a_lost_password_is_set_anew_and_everybody_is_signed_out() {
    let service = Service::start();
    let before = service.signed_in("asha@example.org").await;
    service.forgot("Asha@example.org ").await.is(202);
    let old = service
        .letter("asha@example.org", AccountLetter::PasswordReset)
        .await;
    service.forgot("asha@example.org").await.is(202);
    let letter = service
        .letter("asha@example.org", AccountLetter::PasswordReset)
        .await;
    service
        .reset(&service.link(&old), NEW)
        .await
        .fails(403, "token_invalid");
    let answer = service.reset(&service.link(&letter), "short").await;
    assert_eq!(answer.fails(422, "validation_failed").fields(), ["password"]);
    let answer = service.reset(&service.link(&letter), NEW).await.is(200);
    assert_eq!(answer.body["ended"], 1);
    service
        .get("/api/users/me", &before)
        .await
        .fails(401, "session_ended");
    service
        .login("asha@example.org", PASSWORD)
        .await
        .fails(401, "invalid_credentials");
    let after = service.login("asha@example.org", NEW).await.is(200);
    assert_eq!(
        after.body["email_verified"], true,
        "the letter has reached somebody"
    );
    // The owner is told, with a way to do it again.
    let told = service
        .letter("asha@example.org", AccountLetter::PasswordChanged)
        .await;
    service.reset(&service.link(&told), PASSWORD).await.is(200);
    service
        .reset(&service.link(&letter), NEW)
        .await
        .fails(403, "token_invalid");
}

#[tokio::test]
async fn whether_an_address_has_an_account_is_not_told() {
    let service = Service::start();
    service.register("asha@example.org").await;
    let known = service.forgot("asha@example.org").await.is(202);
    let unknown = service.forgot("nobody@example.org").await.is(202);
    assert_eq!(known.body, unknown.body);
    let letters = service.letters().await;
    for letter in &letters {
        // Nobody gets the one that costs as much.
        assert_eq!(
            letter.email == "nobody@example.org",
            letter.letter == AccountLetter::Nothing
        );
    }
    assert_eq!(letters.len(), 3);
    // Nor by the limit on letters.
    for email in ["asha@example.org", "nobody@example.org"] {
        for _ in 1..10 {
            service.forgot(email).await.is(202);
        }
        service.forgot(email).await.fails(429, "rate_limited");
    }
}

#[tokio::test]
async fn a_second_factor_outlives_the_password() {
    let service = Service::start();
    service.with_second_factor().await;
    service.forgot("asha@example.org").await.is(202);
    let letter = service
        .letter("asha@example.org", AccountLetter::PasswordReset)
        .await;
    service.reset(&service.link(&letter), NEW).await.is(200);
    service
        .login("asha@example.org", NEW)
        .await
        .fails(401, "totp_required");
}

#[tokio::test]
async fn an_address_becomes_another_one_when_that_is_verified() {
    let service = Service::start();
    let me = service.signed_in("asha@example.org").await;
    service.register("ben@example.org").await;
    let wrong = json!({"email": "new@example.org", "password": "wrong password"});
    service
        .as_somebody(&me, post("/api/users/email/change", &wrong))
        .await
        .fails(403, "wrong_password");
    service
        .change_email(&me, "ben@example.org")
        .await
        .fails(409, "email_taken");
    service
        .change_email(&me, "Asha@example.org")
        .await
        .fails(422, "validation_failed");
    service.change_email(&me, "first@example.org").await.is(202);
    let first = service
        .letter("first@example.org", AccountLetter::ChangeEmail)
        .await;
    service.change_email(&me, "new@example.org").await.is(202);
    service
        .verify(&service.link(&first))
        .await
        .fails(403, "token_invalid");
    assert_eq!(service.my_address(&me).await.0, "asha@example.org");
    let letter = service
        .letter("new@example.org", AccountLetter::ChangeEmail)
        .await;
    service.verify(&service.link(&letter)).await.is(200);
    assert_eq!(
        service.my_address(&me).await,
        ("new@example.org".to_owned(), true)
    );
    service
        .login("asha@example.org", PASSWORD)
        .await
        .fails(401, "invalid_credentials");
    service.login("new@example.org", PASSWORD).await.is(200);
    // The old address is told, and has a way back.
    let back = service
        .letter("asha@example.org", AccountLetter::EmailChanged)
        .await;
    assert_eq!(back.new_email.as_deref(), Some("new@example.org"));
    service.later(TimeDelta::days(6));
    let answer = service.verify(&service.link(&back)).await.is(200);
    assert_eq!(answer.body["email"], "asha@example.org");
    service.get("/api/users/me", &me).await.is(401);
    service
        .login("new@example.org", PASSWORD)
        .await
        .fails(401, "invalid_credentials");
    service.login("asha@example.org", PASSWORD).await.is(200);
}

#[tokio::test]
async fn a_change_of_the_address_does_not_outlast_the_password() {
    let service = Service::start();
    let thief = service.signed_in("asha@example.org").await;
    service.change_email(&thief, "thief@example.org").await.is(202);
    let change = service
        .letter("thief@example.org", AccountLetter::ChangeEmail)
        .await;
    service.forgot("asha@example.org").await.is(202);
    let letter = service
        .letter("asha@example.org", AccountLetter::PasswordReset)
        .await;
    service.reset(&service.link(&letter), NEW).await.is(200);
    service
        .verify(&service.link(&change))
        .await
        .fails(403, "token_invalid");
    service.login("asha@example.org", NEW).await.is(200);
}

#[tokio::test]
async fn a_page_asks_before_it_confirms() {
    let service = Service::start();
    service.register("asha@example.org").await;
    let letter = service
        .letter("asha@example.org", AccountLetter::VerifyEmail)
        .await;
    for page in ["/verify-email", "/reset-password"] {
        let path = format!("{page}?token={}", service.link(&letter));
        let answer = service.get(&path, "").await.is(200);
        assert_eq!(answer.headers[header::REFERRER_POLICY], "no-referrer");
        assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
        let policy = answer.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(
            policy.starts_with("default-src 'none'; script-src 'sha256-"),
            "{policy}"
        );
    }
    service.verify(&service.link(&letter)).await.is(200);
}

#[tokio::test]
async fn others_do_not_use_up_the_letters_of_who_is_signed_in() {
    let service = Service::start();
    let me = service.signed_in("asha@example.org").await;
    for _ in 0..10 {
        service.forgot("asha@example.org").await.is(202);
    }
    service
        .forgot("asha@example.org")
        .await
        .fails(429, "rate_limited");
    let send = async || {
        let request = post("/api/users/email/verify/send", &json!({}));
        service.as_somebody(&me, request).await
    };
    for _ in 0..10 {
        send().await.is(202);
    }
    send().await.fails(429, "rate_limited");
}
