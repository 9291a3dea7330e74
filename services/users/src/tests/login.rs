use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
use common::{auth::Role, ids::UserId};

use super::*;
use crate::domain::{Account, Email, PasswordHash, User};

const PATH: &str = "/api/users/login";

#[tokio::test]
async fn a_token_that_is_good_for_an_hour() {
    let service = Service::start();
    let user_id = service
        .register("asha@example.org")
        .await
        .text("user_id")
        .to_owned();
    let answer = service.login("asha@example.org", PASSWORD).await.is(200);
    assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
    let token = answer.text("token");
    assert_eq!(
        answer.body,
        json!({"message": "Login successful.", "token": token, "token_type": "Bearer", "expires_in": 3600,
               "refresh_token": answer.text("refresh_token"), "refresh_expires_in": 7 * 24 * 3600,
               "user_id": user_id, "role": "organizer", "email_verified": false})
    );
    let claims = service.service("events").verify_user(token).unwrap();
    assert_eq!(claims.sub, UserId::lenient(&user_id));
    assert_eq!(claims.role, Role::Organizer);
    assert_eq!(claims.exp - claims.iat, 3600);
}

#[tokio::test]
async fn the_lifetime_is_a_setting() {
    let service = Service::with(&[("TOKEN_LIFETIME_SECONDS", "60")]);
    service.register("asha@example.org").await;
    let answer = service.login("asha@example.org", PASSWORD).await.is(200);
    assert_eq!(answer.body["expires_in"], 60);
    let claims = service
        .service("users")
        .verify_user(answer.text("token"))
        .unwrap();
    assert_eq!(claims.exp - claims.iat, 60);
}

#[tokio::test]
async fn wrong_and_unknown_are_answered_alike() {
    let service = Service::start();
    service.register("asha@example.org").await;
    let mut wrong = service
        .login("asha@example.org", "wrong")
        .await
        .fails(401, "invalid_credentials");
    let mut unknown = service
        .login("nobody@example.org", "wrong")
        .await
        .fails(401, "invalid_credentials");
    for answer in [&mut wrong, &mut unknown] {
        assert_eq!(answer.body["message"], "Invalid credentials.");
        assert_eq!(
            answer.headers[header::WWW_AUTHENTICATE],
            "Bearer realm=\"organise-event\""
        );
        answer.body["request_id"] = Value::Null;
        answer.headers.remove("x-request-id");
        // One login less is left to this address, and as many wrong ones to each account.
        let left = answer.headers.remove("ratelimit").unwrap();
        assert!(left.to_str().unwrap().contains("\"failures\";r=10;"), "{left:?}");
    }
    assert_eq!(wrong.body, unknown.body);
    assert_eq!(wrong.headers, unknown.headers);
}

#[tokio::test]
async fn the_address_may_be_written_in_any_way_and_the_password_in_one() {
    let service = Service::start();
    service.register("asha@example.org").await;
    service.login(" ASHA@example.ORG ", PASSWORD).await.is(200);
    service
        .login("asha@example.org", &PASSWORD.to_uppercase())
        .await
        .is(401);
    service
        .login("asha@example.org", &format!("{PASSWORD} "))
        .await
        .is(401);
    service.login("asha@example.org", "").await.is(401);
    service
        .login("asha@example.org", &"x".repeat(100_000))
        .await
        .is(401);
}

#[tokio::test]
async fn all_that_is_wrong_is_listed() {
    let service = Service::start();
    let answer = service
        .post(PATH, &json!({}))
        .await
        .fails(422, "validation_failed");
    assert_eq!(answer.fields(), ["email", "password"]);
    assert_ne!(
        answer.body["message"], "Invalid credentials.",
        "that text is for wrong credentials only"
    );
    let answer = service
        .post(PATH, &json!({"email": {"$ne": null}, "password": {"$ne": null}}))
        .await;
    assert_eq!(
        answer.fails(422, "validation_failed").fields(),
        ["email", "password"]
    );
    let answer = service
        .login("' OR 1=1 --", "x")
        .await
        .fails(422, "validation_failed");
    assert_eq!(answer.fields(), ["email"]);
}

#[tokio::test]
async fn guessing_is_stopped_for_one_account_and_address() {
    let service = Service::start();
    service.register("asha@example.org").await;
    service.register("ben@example.org").await;
    let body = |email: &str, password: &str| json!({"email": email, "password": password});
    let (wrong, right) = (
        body("asha@example.org", "wrong"),
        body("asha@example.org", PASSWORD),
    );
    for _ in 0..10 {
        service
            .post_from("192.0.2.1", PATH, &wrong)
            .await
            .fails(401, "invalid_credentials");
    }
    for body in [&wrong, &right] {
        let answer = service
            .post_from("192.0.2.1", PATH, body)
            .await
            .fails(429, "rate_limited");
        let wait: u64 = answer.headers[header::RETRY_AFTER]
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        assert!(
            (1..=90).contains(&wait),
            "one more is allowed after a tenth of 15 minutes, not {wait} s"
        );
        assert_ne!(answer.body["message"], "Invalid credentials.");
    }
    service.post_from("192.0.2.2", PATH, &right).await.is(200);
    service
        .post_from("192.0.2.1", PATH, &body("ben@example.org", PASSWORD))
        .await
        .is(200);
    // Nor does it reveal which accounts exist.
    let nobody = body("nobody@example.org", "wrong");
    for _ in 0..10 {
        service
            .post_from("192.0.2.1", PATH, &nobody)
            .await
            .fails(401, "invalid_credentials");
    }
    service
        .post_from("192.0.2.1", PATH, &nobody)
        .await
        .fails(429, "rate_limited");
}

#[tokio::test]
async fn the_right_password_clears_the_count() {
    let service = Service::start();
    service.register("asha@example.org").await;
    for _ in 0..3 {
        for _ in 0..9 {
            service.login("asha@example.org", "wrong").await.is(401);
        }
        service.login("asha@example.org", PASSWORD).await.is(200);
    }
}

#[tokio::test]
async fn guesses_sent_at_once_do_not_get_around_the_limit() {
    let (service, ..) = Service::with_parts(Bounds {
        threads: 2,
        ..Bounds::default()
    });
    service.register("asha@example.org").await;
    let body = json!({"email": "asha@example.org", "password": "wrong"});
    let answers = futures_util::future::join_all((0..60).map(|_| service.post(PATH, &body))).await;
    let guessed = answers.iter().filter(|answer| answer.status == 401).count();
    assert!((10..=11).contains(&guessed), "{guessed} guesses, by two threads");
    assert!(
        answers
            .iter()
            .all(|answer| matches!(answer.status.as_u16(), 401 | 429))
    );
}

#[tokio::test]
async fn many_right_logins_at_once_all_pass() {
    let service = Service::start();
    service.register("asha@example.org").await;
    let answers =
        futures_util::future::join_all((0..60).map(|_| service.login("asha@example.org", PASSWORD))).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
}

#[tokio::test]
async fn limits_can_be_switched_off() {
    let service = Service::with(&[("RATE_LIMITS", "off")]);
    for _ in 0..15 {
        service
            .login("asha@example.org", "wrong")
            .await
            .fails(401, "invalid_credentials");
    }
}

#[tokio::test]
async fn an_address_logs_in_five_hundred_times_a_minute_at_most() {
    let (service, hashing, _) = Service::with_parts(ONE_CALLER);
    let held = super::register::hold(&hashing).await;
    let body = json!({"email": "asha@example.org", "password": PASSWORD});
    let mut passed = 0;
    let refused = loop {
        let answer = service.post_from("192.0.2.1", PATH, &body).await;
        if answer.status == 429 || passed > 5000 {
            break answer;
        }
        answer.fails(503, "unavailable");
        passed += 1;
    };
    let refused = refused.fails(429, "rate_limited");
    assert_eq!(refused.headers[header::RETRY_AFTER], "1");
    assert!(passed >= 500, "{passed}");
    service
        .post_from("192.0.2.2", PATH, &body)
        .await
        .fails(503, "unavailable");
    drop(held);
}

#[tokio::test]
async fn a_forged_client_address_counts_for_nothing() {
    let service = Service::start();
    let body = json!({"email": "asha@example.org", "password": "wrong"});
    for number in 0..11 {
        let mut request = post(PATH, &body);
        request
            .headers_mut()
            .insert(CLIENT_IP, format!("192.0.2.{number}").parse().unwrap());
        request
            .headers_mut()
            .insert("x-forwarded-for", format!("192.0.2.{number}").parse().unwrap());
        let answer = service.send(request).await;
        assert_eq!(answer.status.as_u16(), if number < 10 { 401 } else { 429 });
    }
}

/// An account as a store keeps it.
fn account(email: &str, password_hash: PasswordHash) -> Account {
    Account {
        user: User {
            id: UserId::new(),
            email: Email::stored(email.to_owned()),
            email_verified: false,
            role: Role::User,
            name: None,
            phone: None,
            timezone: None,
            locale: None,
            created_at: from_millis(NOW),
        },
        password_hash: Some(password_hash),
    }
}

#[tokio::test]
async fn a_hash_of_another_cost_is_renewed() {
    let (service, _, store) = Service::with_parts(Bounds::default());
    let cheap = Argon2::new(
        Algorithm::Argon2id,
        Version::V0x13,
        Params::new(64, 1, 1, None).unwrap(),
    );
    let email = Email::parse("asha@example.org").unwrap();
    let old = PasswordHash::new(cheap.hash_password(PASSWORD.as_bytes()).unwrap().to_string());
    store
        .insert(account(email.as_str(), old.clone()), None)
        .await
        .unwrap();
    let stored = async || {
        store
            .by_email(&email)
            .await
            .unwrap()
            .unwrap()
            .password_hash
            .unwrap()
    };
    service.login("asha@example.org", "wrong").await.is(401);
    assert_eq!(stored().await, old);
    service.login("asha@example.org", PASSWORD).await.is(200);
    let new = stored().await;
    assert!(new.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
    service.login("asha@example.org", PASSWORD).await.is(200);
    assert_eq!(stored().await, new, "and only once");
}

#[tokio::test]
async fn a_password_opens_however_it_is_typed() {
    let (service, _, store) = Service::with_parts(Bounds::default());
    let (composed, decomposed) = ("Gr\u{fc}\u{df}e-caf\u{e9}-1", "Gru\u{308}\u{df}e-cafe\u{301}-1");
    let body = json!({"email": "new@example.org", "password": decomposed, "role": "user"});
    service.send(post("/api/users/register", &body)).await.is(201);
    for typed in [composed, decomposed, "\u{ff27}r\u{fc}\u{df}e-caf\u{e9}-1"] {
        service.login("new@example.org", typed).await.is(200);
    }
    service.login("new@example.org", "Grusse-cafe-1").await.is(401);

    // An earlier release hashed what was typed.
    let hash = |text: &str| {
        PasswordHash::new(
            Argon2::default()
                .hash_password(text.as_bytes())
                .unwrap()
                .to_string(),
        )
    };
    store
        .insert(account("old@example.org", hash(decomposed)), None)
        .await
        .unwrap();
    service.login("old@example.org", composed).await.is(401);
    service.login("old@example.org", decomposed).await.is(200);
    service.login("old@example.org", composed).await.is(200);
    service.login("old@example.org", "wrong\u{308}").await.is(401);
    service.login("nobody@example.org", "wrong\u{308}").await.is(401);

    // It also let one mailbox have two accounts. Each logs in with the address it was signed up with.
    store
        .insert(account("two@m\u{fc}nchen.de", hash("password one")), None)
        .await
        .unwrap();
    store
        .insert(account("two@xn--mnchen-3ya.de", hash("password two")), None)
        .await
        .unwrap();
    service.login("two@M\u{dc}NCHEN.de", "password one").await.is(200);
    service
        .login("two@XN--MNCHEN-3YA.DE", "password two")
        .await
        .is(200);
    service
        .login("two@xn--mnchen-3ya.de", "password one")
        .await
        .is(401);
    // And it took addresses that are refused today: their users can log in, and no answer reveals them.
    store
        .insert(account("three@xn--a.org", hash("password three")), None)
        .await
        .unwrap();
    service.login(" Three@xn--a.org", "password three").await.is(200);
    service.login("four@xn--a.org", "password three").await.is(401);
    let body = json!({"email": "five@xn--a.org", "password": PASSWORD, "role": "user"});
    let answer = service.send(post("/api/users/register", &body)).await;
    assert_eq!(answer.fails(422, "validation_failed").fields(), ["email"]);
    let body = json!({"email": "two@mu\u{308}nchen.de", "password": PASSWORD, "role": "user"});
    service
        .send(post("/api/users/register", &body))
        .await
        .fails(409, "email_taken");
}

#[tokio::test]
async fn answers_say_how_far_the_limits_are_used_up() {
    let service = Service::start();
    service.register("asha@example.org").await;
    let limits = |answer: &Answer| {
        ["ratelimit-policy", "ratelimit"].map(|name| answer.headers[name].to_str().unwrap().to_owned())
    };
    let answer = service.login("asha@example.org", PASSWORD).await.is(200);
    let [policy, left] = limits(&answer);
    assert_eq!(policy, "\"login\";q=500;w=60, \"failures\";q=10;w=900");
    assert_eq!(left, "\"login\";r=499;t=1, \"failures\";r=10;t=0");
    for _ in 0..10 {
        service.login("asha@example.org", "a wrong guess").await.is(401);
    }
    let answer = service.login("asha@example.org", PASSWORD).await.is(429);
    let [_, left] = limits(&answer);
    assert!(left.contains("\"failures\";r=0;t="), "{left}");
}
