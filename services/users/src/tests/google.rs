//! Sign-in with Google: the flow, what is refused on the way, and the attacks on accounts that exist before.

use chrono::TimeDelta;
use common::wire::AccountLetter;
use url::Url;

use super::{
    provider::{CLIENT, Provider, SECRET},
    *,
};

const PATH: &str = "/api/users/oauth/google";
const EXCHANGE: &str = "/api/users/oauth/exchange";
const LINK: &str = "/api/users/oauth/link";
const PAGE: &str = "http://localhost:5173/signed-in?from=google";

/// A service with a provider.
struct Site {
    service: Service,
    provider: Provider,
}

/// A browser that was sent to the provider.
struct Begun {
    cookie: String,
    url: String,
    state: String,
}

impl Site {
    async fn start() -> Self {
        let provider = Provider::start(NOW / 1000).await;
        let service = Service::with(&[
            ("GOOGLE_CLIENT_ID", CLIENT),
            ("GOOGLE_CLIENT_SECRET", SECRET),
            ("GOOGLE_ISSUER", &provider.url),
        ]);
        Self { service, provider }
    }

    async fn begin(&self, query: &str, cookie: &str) -> Answer {
        let request = Request::builder()
            .uri(format!("{PATH}{query}"))
            .header(header::COOKIE, cookie)
            .body(Body::empty())
            .unwrap();
        self.service.send(request).await
    }

    async fn begun(&self, query: &str) -> Begun {
        let answer = self.begin(query, "other=1").await.is(302);
        let cookie = answer.headers[header::SET_COOKIE].to_str().unwrap();
        assert!(cookie.contains("; HttpOnly; SameSite=Lax"), "{cookie}");
        let url = answer.headers[header::LOCATION].to_str().unwrap().to_owned();
        let state = Url::parse(&url).unwrap();
        let (_, state) = state.query_pairs().find(|(name, _)| name == "state").unwrap();
        Begun {
            cookie: cookie.split(';').next().unwrap().to_owned(),
            state: state.into_owned(),
            url,
        }
    }

    async fn back(&self, begun: &Begun, query: &str) -> Answer {
        let path = format!("{PATH}/callback?{query}");
        let request = Request::builder().uri(path).header(header::COOKIE, &begun.cookie);
        self.service.send(request.body(Body::empty()).unwrap()).await
    }

    /// Signs in at the provider and comes back.
    async fn sign_in(&self, query: &str) -> Answer {
        let begun = self.begun(query).await;
        let code = self.provider.sign_in(&begun.url).replace(' ', "%20");
        self.back(&begun, &format!("state={}&code={code}&scope=openid", begun.state))
            .await
    }

    /// The parameters that came to the page.
    async fn to_page(&self) -> Vec<(String, String)> {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("return_to", PAGE)
            .finish();
        let answer = self.sign_in(&format!("?{query}")).await.is(302);
        let url = Url::parse(answer.headers[header::LOCATION].to_str().unwrap()).unwrap();
        assert_eq!(url.origin().ascii_serialization(), "http://localhost:5173");
        let pairs: Vec<_> = url.query_pairs().into_owned().collect();
        assert_eq!(pairs[0], ("from".to_owned(), "google".to_owned()));
        pairs[1..].to_vec()
    }

    fn claim(&self, claims: Value) {
        self.provider.said.lock().claims = claims;
    }
}

#[tokio::test]
async fn who_is_new_gets_an_account_and_is_known_from_then_on() {
    let site = Site::start().await;
    let answer = site.sign_in("?role=organiser").await.is(200);
    assert_eq!(
        (answer.text("role"), answer.body["email_verified"].clone()),
        ("organizer", json!(true))
    );
    assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
    let me = format!("Bearer {}", answer.text("token"));
    let me = site.service.get("/api/users/me", &me).await.is(200);
    assert_eq!(
        (me.text("email"), me.text("name")),
        ("asha@example.org", "Asha Rao")
    );
    // By its subject, whatever its address is by now, and verified or not.
    site.claim(json!({"email": "new@example.org", "email_verified": false}));
    let again = site.sign_in("").await.is(200);
    assert_eq!(again.text("user_id"), answer.text("user_id"));
    assert_eq!(again.text("role"), "organizer");
    // Another subject with the address is somebody else.
    site.claim(json!({"sub": "43"}));
    let other = site.sign_in("").await.fails_with(409, "link_required");
    assert!(other.body["link_token"].is_string());
    // The account has no password: nobody signs in with one, and a letter sets the first.
    site.service
        .login("asha@example.org", PASSWORD)
        .await
        .fails(401, "invalid_credentials");
}

#[tokio::test]
async fn a_page_gets_a_code_that_is_good_once_for_a_minute() {
    let site = Site::start().await;
    let pairs = site.to_page().await;
    let [(name, code)] = pairs.as_slice() else {
        panic!("{pairs:?}")
    };
    assert_eq!(name, "code");
    let body = json!({"code": code});
    site.service.post(EXCHANGE, &body).await.is(200);
    site.service
        .post(EXCHANGE, &body)
        .await
        .fails(401, "code_invalid");
    for nothing in [
        json!({}),
        json!({"code": ""}),
        json!({"code": "🎟"}),
        json!({"totp_token": code, "totp": "1"}),
    ] {
        site.service
            .post(EXCHANGE, &nothing)
            .await
            .fails(401, "code_invalid");
    }
}

#[tokio::test]
async fn browsers_are_sent_to_allowed_pages_only() {
    let site = Site::start().await;
    for page in [
        "https://evil.example/",
        "//evil.example",
        "javascript:alert(1)",
        "http://localhost@evil.example/",
        "http://user:x@localhost/",
        "http://localhost.evil.example/",
        "x",
        "data:text/html,x",
        "blob:http://localhost/x",
        "http://localhost/?code=mine",
        "http://localhost/?a=b&link_token=mine",
        "/path",
    ] {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("return_to", page)
            .finish();
        let answer = site.begin(&format!("?{query}"), "").await;
        assert_eq!(
            answer.fails(422, "validation_failed").fields(),
            ["return_to"],
            "{page}"
        );
    }
    let answer = site.begin("?role=admin", "").await;
    assert_eq!(answer.fails(422, "validation_failed").fields(), ["role"]);
    Service::start()
        .get(PATH, "")
        .await
        .fails(404, "google_sign_in_off");
    let callback = Service::start()
        .get(&format!("{PATH}/callback?state=x&code=x"), "")
        .await;
    callback.fails(404, "google_sign_in_off");
}

#[tokio::test]
async fn a_state_is_good_once_and_in_its_browser_only() {
    let site = Site::start().await;
    let begun = site.begun("").await;
    let code = site.provider.sign_in(&begun.url).replace(' ', "%20");
    let victim = site.begun("").await;
    // An attacker's code in a victim's browser, and none of the two.
    let query = format!("state={}&code={code}", begun.state);
    site.back(&victim, &query).await.fails(403, "oauth_state_invalid");
    // It was taken with that.
    site.back(&begun, &query).await.fails(403, "oauth_state_invalid");
    for query in ["", "state=x&code=x", "code=x", "state="] {
        site.back(&begun, query).await.fails(403, "oauth_state_invalid");
    }
    // Two tabs share the browser's cookie.
    let (one, other) = (site.begun("").await, site.begin("", "").await.is(302));
    let same = site.begin("", &format!("a=b; {}", one.cookie)).await.is(302);
    assert!(
        same.headers[header::SET_COOKIE]
            .to_str()
            .unwrap()
            .starts_with(&one.cookie)
    );
    assert!(
        !other.headers[header::SET_COOKIE]
            .to_str()
            .unwrap()
            .starts_with(&one.cookie)
    );
    let begun = site.begun("").await;
    site.back(&begun, &format!("state={}&error=access_denied", begun.state))
        .await
        .fails(403, "oauth_denied");
}

#[tokio::test]
async fn an_id_token_that_is_not_for_us_opens_nothing() {
    let site = Site::start().await;
    let now = NOW / 1000;
    for (what, claims) in [
        ("another issuer", json!({"iss": "https://accounts.google.com"})),
        ("another audience", json!({"aud": "another-client"})),
        (
            "many audiences and no party",
            json!({"aud": [CLIENT, "another-client"]}),
        ),
        ("another party", json!({"azp": "another-client"})),
        ("expired", json!({"exp": now - 61})),
        ("of tomorrow", json!({"iat": now + 120})),
        ("not good yet", json!({"nbf": now + 120})),
        ("another sign-in's nonce", json!({"nonce": "x"})),
        ("no nonce", json!({"nonce": null})),
        ("no subject", json!({"sub": ""})),
        ("a time that is none", json!({"exp": "tomorrow"})),
    ] {
        site.claim(claims);
        site.sign_in("").await.fails(403, "oauth_failed");
        assert_eq!(site.service.context.clock.now(), from_millis(NOW), "{what}");
    }
    site.claim(json!({}));
    for header in [
        json!({"alg": "none", "kid": "one"}),
        json!({"alg": "HS256", "kid": "one"}),
        json!({"alg": "RS384", "kid": "one"}),
        json!({"alg": "RS256", "kid": "one", "crit": ["x"]}),
        json!({"alg": "RS256", "kid": "unknown"}),
        json!({"alg": "RS256", "kid": "another"}),
    ] {
        site.provider.said.lock().header = header;
        site.sign_in("").await.fails(403, "oauth_failed");
    }
    site.provider.said.lock().header = json!({"alg": "RS256", "kid": "one"});
    site.provider.said.lock().spoil = true;
    site.sign_in("").await.fails(403, "oauth_failed");
    site.provider.said.lock().spoil = false;
    site.sign_in("").await.is(200);
    // A code that was used, and one of another sign-in (PKCE).
    let begun = site.begun("").await;
    site.back(&begun, &format!("state={}&code=x", begun.state))
        .await
        .fails(403, "oauth_failed");
    let (mine, other) = (site.begun("").await, site.begun("").await);
    let code = site.provider.sign_in(&other.url).replace(' ', "%20");
    site.back(&mine, &format!("state={}&code={code}", mine.state))
        .await
        .fails(403, "oauth_failed");
}

#[tokio::test]
async fn a_new_key_is_looked_for_once_a_minute() {
    let site = Site::start().await;
    site.sign_in("").await.is(200);
    let asked = || site.provider.said.lock().key_requests;
    let first = asked();
    site.sign_in("").await.is(200);
    site.provider.said.lock().header = json!({"alg": "RS256", "kid": "two"});
    site.provider.said.lock().kid = "two".to_owned();
    for _ in 0..5 {
        site.sign_in("").await.fails(403, "oauth_failed");
    }
    assert_eq!(asked(), first, "they are fresh");
    site.service.later(TimeDelta::minutes(1));
    site.sign_in("").await.is(200);
    assert_eq!(asked(), first + 1);
    site.provider.said.lock().header = json!({"alg": "RS256", "kid": "invented"});
    for _ in 0..5 {
        site.sign_in("").await.fails(403, "oauth_failed");
    }
    assert_eq!(asked(), first + 1, "an invented one costs nothing");
}

#[tokio::test]
async fn google_away_is_a_503_and_passwords_sign_in() {
    let site = Site::start().await;
    site.service.register("ben@example.org").await;
    let begun = site.begun("").await;
    let code = site.provider.sign_in(&begun.url).replace(' ', "%20");
    site.provider.said.lock().away = true;
    let answer = site
        .back(&begun, &format!("state={}&code={code}", begun.state))
        .await;
    assert!(answer.headers.contains_key(header::RETRY_AFTER));
    answer.fails(503, "unavailable");
    site.service.login("ben@example.org", PASSWORD).await.is(200);
    let unreachable = Service::with(&[
        ("GOOGLE_CLIENT_ID", CLIENT),
        ("GOOGLE_CLIENT_SECRET", SECRET),
        ("GOOGLE_ISSUER", "http://127.0.0.1:1"),
    ]);
    unreachable.get(PATH, "").await.fails(503, "unavailable");
    unreachable.get(PATH, "").await.fails(503, "unavailable");
    unreachable.register("ben@example.org").await;
    unreachable.login("ben@example.org", PASSWORD).await.is(200);
}

impl Answer {
    /// As [`Answer::fails`], with members beyond the shape.
    #[track_caller]
    fn fails_with(self, status: u16, code: &str) -> Self {
        let answer = self.is(status);
        assert_eq!(answer.body["code"], code);
        answer
    }
}

/// Classic-federated merge: the attacker signs up with the victim's address and a password and waits.
#[tokio::test]
async fn attack_a_password_from_before_does_not_open_the_victims_account() {
    let site = Site::start().await;
    site.service.register("asha@example.org").await;
    let victim = site.sign_in("").await.is(200);
    site.service
        .login("asha@example.org", PASSWORD)
        .await
        .fails(401, "invalid_credentials");
    let me = format!("Bearer {}", victim.text("token"));
    let me = site.service.get("/api/users/me", &me).await.is(200);
    assert_eq!(me.body["email_verified"], true);
    // Nor by the letters from before.
    let letters = site.service.letters().await;
    for letter in letters.iter().filter(|letter| letter.email == "asha@example.org") {
        site.service
            .verify(&site.service.link(letter))
            .await
            .fails(403, "token_invalid");
    }
}

/// Unexpired session: the attacker stays signed in from before.
#[tokio::test]
async fn attack_a_session_from_before_ends() {
    let site = Site::start().await;
    let attacker = site.service.signed_in("asha@example.org").await;
    let login = site.service.login("asha@example.org", PASSWORD).await.is(200);
    site.sign_in("").await.is(200);
    site.service
        .get("/api/users/me", &attacker)
        .await
        .fails(401, "session_ended");
    let refresh = json!({"refresh_token": login.text("refresh_token")});
    site.service.post("/api/users/refresh", &refresh).await.is(401);
}

/// Trojan identifier: the attacker adds a way of their own to the account before: a second factor, or their Google account.
#[tokio::test]
async fn attack_what_the_attacker_added_before_is_gone() {
    let site = Site::start().await;
    site.service.with_second_factor().await;
    // Their own Google account is linked with no account whose address they have not proved.
    site.claim(json!({"sub": "attacker", "email": "attacker@example.org"}));
    let attacker = site.sign_in("").await.is(200);
    site.claim(json!({"sub": "attacker", "email": "asha@example.org", "email_verified": false}));
    let again = site.sign_in("").await.is(200);
    assert_eq!(again.text("user_id"), attacker.text("user_id"), "by the subject");
    site.claim(json!({"sub": "attacker-2", "email": "asha@example.org", "email_verified": false}));
    site.sign_in("").await.fails(403, "google_email_unverified");
    // The victim is asked for no code of the attacker's telephone.
    site.claim(json!({}));
    let victim = site.sign_in("").await.is(200);
    let me = format!("Bearer {}", victim.text("token"));
    let me = site.service.get("/api/users/me", &me).await.is(200);
    assert_eq!(me.body["totp"], false);
    assert_ne!(me.body["user_id"], attacker.body["user_id"]);
}

/// Unexpired e-mail change: the attacker asks for another address and confirms it after the victim has come.
#[tokio::test]
async fn attack_a_change_of_the_address_from_before_is_void() {
    let site = Site::start().await;
    let attacker = site.service.signed_in("asha@example.org").await;
    site.service
        .change_email(&attacker, "attacker@example.org")
        .await
        .is(202);
    let change = site
        .service
        .letter("attacker@example.org", AccountLetter::ChangeEmail)
        .await;
    site.sign_in("").await.is(200);
    site.service
        .verify(&site.service.link(&change))
        .await
        .fails(403, "token_invalid");
    assert_eq!(site.sign_in("").await.is(200).body["email_verified"], true);
}

/// Non-verifying provider: the attacker's account elsewhere has the victim's address, which nobody verified there.
#[tokio::test]
async fn attack_an_address_that_the_provider_has_not_verified_opens_nothing() {
    let site = Site::start().await;
    let service = &site.service;
    site.claim(json!({"email_verified": false}));
    site.sign_in("").await.fails(403, "google_email_unverified");
    service.register("asha@example.org").await;
    for claims in [
        json!({"email_verified": false}),
        json!({"email_verified": "false"}),
        json!({"email_verified": null}),
        json!({"email": null}),
        json!({"email": "asha@example.org\r\nbcc: x"}),
    ] {
        site.claim(claims);
        site.sign_in("").await.fails(403, "google_email_unverified");
    }
    let letter = service
        .letter("asha@example.org", AccountLetter::VerifyEmail)
        .await;
    service.verify(&service.link(&letter)).await.is(200);
    site.claim(json!({"email_verified": false}));
    site.sign_in("").await.fails(403, "google_email_unverified");
    service.login("asha@example.org", PASSWORD).await.is(200);
}

#[tokio::test]
async fn an_account_with_a_password_is_linked_by_it() {
    let site = Site::start().await;
    let service = &site.service;
    service.register("asha@example.org").await;
    let letter = service
        .letter("asha@example.org", AccountLetter::VerifyEmail)
        .await;
    service.verify(&service.link(&letter)).await.is(200);
    let pairs = site.to_page().await;
    let [(error, what), (name, token)] = pairs.as_slice() else {
        panic!("{pairs:?}")
    };
    assert_eq!(
        (error.as_str(), what.as_str(), name.as_str()),
        ("error", "link_required", "link_token")
    );
    let link = async |password: &str| {
        service
            .post(LINK, &json!({"link_token": token, "password": password}))
            .await
    };
    link("a wrong guess").await.fails(401, "invalid_credentials");
    let linked = link(PASSWORD).await.is(200);
    link(PASSWORD).await.fails(401, "code_invalid");
    // From now on either opens it.
    let by_google = site.sign_in("").await.is(200);
    assert_eq!(by_google.text("user_id"), linked.text("user_id"));
    service.login("asha@example.org", PASSWORD).await.is(200);
    // Guessing is stopped as at a login.
    site.claim(json!({"sub": "43"}));
    let token = site.sign_in("").await.fails_with(409, "link_required");
    for _ in 0..10 {
        let body = json!({"link_token": token.text("link_token"), "password": "a wrong guess"});
        service.post(LINK, &body).await.fails(401, "invalid_credentials");
    }
    let body = json!({"link_token": token.text("link_token"), "password": PASSWORD});
    service.post(LINK, &body).await.fails(429, "rate_limited");
}

#[tokio::test]
async fn a_second_factor_is_asked_for_after_google_too() {
    let site = Site::start().await;
    let service = &site.service;
    let (app, codes, _) = service.with_second_factor().await;
    let letter = service
        .letter("asha@example.org", AccountLetter::VerifyEmail)
        .await;
    service.verify(&service.link(&letter)).await.is(200);
    let asked = site.sign_in("").await.fails_with(409, "link_required");
    let body = json!({"link_token": asked.text("link_token"), "password": PASSWORD});
    let wanted = service.post(LINK, &body).await.fails_with(401, "totp_required");
    let with = async |token: &str, totp: &str| {
        service
            .post(EXCHANGE, &json!({"totp_token": token, "totp": totp}))
            .await
    };
    let wrong = with(wanted.text("totp_token"), "000000")
        .await
        .fails_with(401, "totp_invalid");
    with(wanted.text("totp_token"), &app.code(service))
        .await
        .fails(401, "code_invalid");
    with(wrong.text("totp_token"), &app.code(service)).await.is(200);
    // And by a page's code.
    let pairs = site.to_page().await;
    let wanted = service
        .post(EXCHANGE, &json!({"code": pairs[0].1}))
        .await
        .fails_with(401, "totp_required");
    with(wanted.text("totp_token"), &codes[0]).await.is(200);
    let direct = site.sign_in("").await.fails_with(401, "totp_required");
    with(direct.text("totp_token"), &codes[1]).await.is(200);
}

#[tokio::test]
async fn without_a_password_a_recent_sign_in_confirms() {
    let site = Site::start().await;
    let service = &site.service;
    let answer = site.sign_in("").await.is(200);
    let me = format!("Bearer {}", answer.text("token"));
    let change = json!({"email": "new@example.org"});
    let ask = async || {
        service
            .as_somebody(&me, post("/api/users/email/change", &change))
            .await
    };
    ask().await.is(202);
    let body = json!({"current_password": "x", "password": "another good one"});
    service
        .as_somebody(&me, post("/api/users/password/change", &body))
        .await
        .fails(409, "no_password");
    service.later(TimeDelta::minutes(10));
    ask().await.fails(403, "reauthentication_required");
    // A letter sets the first password, and then that confirms.
    service.forgot("asha@example.org").await.is(202);
    let letter = service
        .letter("asha@example.org", AccountLetter::PasswordReset)
        .await;
    service.reset(&service.link(&letter), PASSWORD).await.is(200);
    let login = service.login("asha@example.org", PASSWORD).await.is(200);
    let me = format!("Bearer {}", login.text("token"));
    service
        .as_somebody(&me, post("/api/users/email/change", &change))
        .await
        .fails(403, "wrong_password");
    service.change_email(&me, "new@example.org").await.is(202);
    site.claim(json!({"exp": NOW / 1000 + 7200, "iat": NOW / 1000 + 600}));
    site.sign_in("").await.is(200);
}

/// The attacker's Google account opens the account no more once its owner has set a password by a letter.
#[tokio::test]
async fn attack_a_linked_google_account_does_not_outlast_a_reset() {
    let site = Site::start().await;
    let service = &site.service;
    site.claim(json!({"sub": "attacker", "email": "attacker@example.org"}));
    let attacker = site.sign_in("").await.is(200);
    let me = format!("Bearer {}", attacker.text("token"));
    let change = post("/api/users/email/change", &json!({"email": "asha@example.org"}));
    service.as_somebody(&me, change).await.is(202);
    let letter = service
        .letter("asha@example.org", AccountLetter::ChangeEmail)
        .await;
    // The victim presses the button, and finds that her address has an account.
    service.verify(&service.link(&letter)).await.is(200);
    service.forgot("asha@example.org").await.is(202);
    let letter = service
        .letter("asha@example.org", AccountLetter::PasswordReset)
        .await;
    service.reset(&service.link(&letter), PASSWORD).await.is(200);
    // Their address is reserved by their own way back, and their Google account opens nothing.
    site.sign_in("").await.fails(409, "email_taken");
    service.login("asha@example.org", PASSWORD).await.is(200);
}

#[tokio::test]
async fn a_provider_may_say_the_address_at_its_userinfo_endpoint_alone() {
    let site = Site::start().await;
    let userinfo = |said: Value| site.provider.said.lock().userinfo = said;
    site.claim(json!({"email": null, "email_verified": null, "name": null}));
    site.sign_in("").await.fails(403, "google_email_unverified");
    userinfo(json!({"sub": "43", "email": "asha@example.org", "email_verified": true}));
    site.sign_in("").await.fails(403, "oauth_failed");
    userinfo(json!({"sub": "42", "email": "asha@example.org", "email_verified": false}));
    site.sign_in("").await.fails(403, "google_email_unverified");
    userinfo(json!({"sub": "42", "email": "asha@example.org", "email_verified": true, "name": "Asha"}));
    let answer = site.sign_in("").await.is(200);
    let me = format!("Bearer {}", answer.text("token"));
    let me = site.service.get("/api/users/me", &me).await.is(200);
    assert_eq!((me.text("email"), me.text("name")), ("asha@example.org", "Asha"));
}
