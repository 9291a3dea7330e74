//! An OpenID provider over sockets, which can be wrong in every way.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD as URL_SAFE},
};
use parking_lot::Mutex;
use ring::{rand::SystemRandom, rsa::KeyPair, signature::RSA_PKCS1_SHA256};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Made for these tests; it signs nothing else.
const KEY: &[u8] = include_bytes!("provider_key.der");

pub const CLIENT: &str = "this-client";
pub const SECRET: &str = "secret with / and +";

/// A running provider.
#[derive(Clone)]
pub struct Provider {
    pub url: String,
    pub said: Arc<Mutex<Said>>,
}

/// What it answers from now on.
pub struct Said {
    /// Claims, beside those that are right.
    pub claims: Value,
    /// The header of id tokens.
    pub header: Value,
    /// The id of the key that it publishes.
    pub kid: String,
    /// What the userinfo endpoint says.
    pub userinfo: Value,
    /// Whether it answers at all.
    pub away: bool,
    /// How the signature is spoilt.
    pub spoil: bool,
    /// How often its keys were asked for.
    pub key_requests: usize,
    /// What was asked at the authorization endpoint, by the code that was given.
    authorized: HashMap<String, HashMap<String, String>>,
    now: i64,
}

impl Provider {
    pub async fn start(now: i64) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let provider = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            said: Arc::new(Mutex::new(Said {
                claims: json!({}),
                header: json!({"alg": "RS256", "kid": "one"}),
                kid: "one".to_owned(),
                userinfo: json!({"sub": "42"}),
                away: false,
                spoil: false,
                key_requests: 0,
                authorized: HashMap::new(),
                now,
            })),
        };
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/keys", get(keys))
            .route("/token", post(token))
            .route("/userinfo", get(userinfo))
            .with_state(provider.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        provider
    }

    /// Somebody signs in at the address to which the browser was sent; gives the code.
    pub fn sign_in(&self, url: &str) -> String {
        let url = url::Url::parse(url).unwrap();
        let asked: HashMap<String, String> = url.query_pairs().into_owned().collect();
        assert_eq!(
            (asked["client_id"].as_str(), asked["response_type"].as_str()),
            (CLIENT, "code")
        );
        assert_eq!(asked["code_challenge_method"], "S256");
        let mut said = self.said.lock();
        let code = format!("code {}", said.authorized.len());
        said.authorized.insert(code.clone(), asked);
        code
    }
}

async fn discovery(State(provider): State<Provider>) -> Response {
    if provider.said.lock().away {
        return StatusCode::BAD_GATEWAY.into_response();
    }
    let url = &provider.url;
    Json(json!({
        "issuer": url, "authorization_endpoint": format!("{url}/authorize"), "token_endpoint": format!("{url}/token"),
        "jwks_uri": format!("{url}/keys"), "userinfo_endpoint": format!("{url}/userinfo"),
    }))
    .into_response()
}

async fn keys(State(provider): State<Provider>) -> Response {
    let mut said = provider.said.lock();
    said.key_requests += 1;
    let key = KeyPair::from_pkcs8(KEY).unwrap();
    let public: &ring::rsa::PublicKey = key.public();
    let public = ring::rsa::PublicKeyComponents::<Vec<u8>>::from(public);
    Json(json!({"keys": [
        {"kty": "EC", "kid": "another"},
        {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": said.kid, "n": URL_SAFE.encode(public.n), "e": URL_SAFE.encode(public.e)},
    ]}))
    .into_response()
}

async fn userinfo(State(provider): State<Provider>, headers: axum::http::HeaderMap) -> Json<Value> {
    assert_eq!(headers["authorization"], "Bearer an access token");
    Json(provider.said.lock().userinfo.clone())
}

async fn token(State(provider): State<Provider>, headers: axum::http::HeaderMap, form: String) -> Response {
    let form: HashMap<String, String> = url::form_urlencoded::parse(form.as_bytes())
        .into_owned()
        .collect();
    let mut said = provider.said.lock();
    if said.away {
        return StatusCode::BAD_GATEWAY.into_response();
    }
    let basic = headers["authorization"]
        .to_str()
        .unwrap()
        .trim_start_matches("Basic ");
    let basic = String::from_utf8(BASE64_STANDARD.decode(basic).unwrap()).unwrap();
    assert_eq!(basic, "this-client:secret+with+%2F+and+%2B");
    let refused = || (StatusCode::BAD_REQUEST, Json(json!({"error": "invalid_grant"}))).into_response();
    let Some(asked) = said.authorized.remove(&form["code"]) else {
        return refused();
    };
    let challenge = URL_SAFE.encode(Sha256::digest(&form["code_verifier"]));
    if challenge != asked["code_challenge"] || form["redirect_uri"] != asked["redirect_uri"] {
        return refused();
    }
    let mut claims = json!({
        "iss": provider.url, "aud": CLIENT, "sub": "42", "exp": said.now + 3600, "iat": said.now, "nonce": asked["nonce"],
        "email": "asha@example.org", "email_verified": true, "name": "Asha Rao",
    });
    for (name, value) in said.claims.as_object().unwrap() {
        claims[name] = value.clone();
    }
    Json(json!({
        "access_token": "an access token", "token_type": "Bearer", "expires_in": 3600, "id_token": said.sign(&claims),
    }))
    .into_response()
}

impl Said {
    fn sign(&self, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE.encode(value.to_string());
        let message = format!("{}.{}", part(&self.header), part(claims));
        let key = KeyPair::from_pkcs8(KEY).unwrap();
        let mut signature = vec![0; key.public().modulus_len()];
        key.sign(
            &RSA_PKCS1_SHA256,
            &SystemRandom::new(),
            message.as_bytes(),
            &mut signature,
        )
        .unwrap();
        if self.spoil {
            signature[7] ^= 1;
        }
        format!("{message}.{}", URL_SAFE.encode(signature))
    }
}
