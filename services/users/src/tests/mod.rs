//! The service over its pipeline: requests in, answers out.

mod api_keys;
mod change_password;
mod deletion;
mod failures;
mod google;
mod login;
mod logout;
mod lookup;
mod mailed;
mod me;
mod operations;
mod others;
mod provider;
mod refresh;
mod register;
mod sessions;
mod totp;
mod update_me;

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, Method, StatusCode, header},
};
use common::{
    auth::Auth,
    clock::{Clock, from_millis},
    extract::{CLIENT_IP, GATEWAY_TOKEN},
    http::{InternalClient, Pipeline, Upstream},
    settings::Settings,
};
use runtime::{guard::Guard, peers::Peers, process::Context, relay::OutboxGauge};
use serde_json::{Value, json};
use tempfile::TempDir;

use self::others::Others;
use crate::{
    assemble,
    hashing::{Bounds, Hashing},
    store::{
        Store,
        sqlite::{MIGRATIONS, SqliteStore},
    },
};

/// 2026-11-22T13:14:06.789Z.
const NOW: i64 = 1_795_353_246_789;
const PASSWORD: &str = "correct horse battery staple";

/// The service on an empty store, with a clock that stands still.
struct Service {
    pipeline: Pipeline,
    context: Context,
    others: Others,
    _peers: Peers,
    store: Arc<dyn Store>,
    _dir: TempDir,
}

/// An answer.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    #[track_caller]
    fn is(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        self
    }

    /// Fails unless this is a failure in the one shape, with this code and no member beyond it.
    #[track_caller]
    fn fails(self, status: u16, code: &str) -> Self {
        let answer = self.is(status);
        assert_eq!(answer.headers[header::CONTENT_TYPE], "application/problem+json");
        let body = answer.body.as_object().unwrap();
        let members: Vec<&str> = body.keys().map(String::as_str).collect();
        assert_eq!(
            members,
            [
                "code",
                "detail",
                "errors",
                "message",
                "request_id",
                "status",
                "title",
                "type"
            ]
        );
        assert_eq!(body["code"], code);
        assert_eq!(body["status"], status);
        assert_eq!(body["type"], format!("urn:organise-event:problem:{code}"));
        assert_eq!(
            body["request_id"],
            answer.headers["x-request-id"].to_str().unwrap()
        );
        answer
    }

    /// The fields complained about.
    fn fields(&self) -> Vec<&str> {
        self.body["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|error| error["field"].as_str().unwrap())
            .collect()
    }

    #[track_caller]
    fn text(&self, name: &str) -> &str {
        self.body[name]
            .as_str()
            .unwrap_or_else(|| panic!("no {name} in {}", self.body))
    }
}

fn context(settings: &[(&str, &str)]) -> (Context, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().to_str().unwrap().to_owned();
    let mut settings: Vec<(&str, &str)> = settings.to_vec();
    settings.push(("DATA_DIR", &data_dir));
    let lookup = |name: &str| {
        settings
            .iter()
            .find(|(n, _)| *n == name)
            .map(|(_, value)| (*value).to_owned())
    };
    let settings = Settings::read(lookup).unwrap();
    (
        Context::new(settings, Clock::fixed(from_millis(NOW))).unwrap(),
        dir,
    )
}

/// The service without its relay: what it publishes stays in the outbox.
fn assembled(context: &Context, store: &Arc<dyn Store>, peers: &Peers, hashing: Hashing) -> Pipeline {
    let outbox = OutboxGauge {
        store: store.outbox(),
        clock: context.clock.clone(),
        figures: Arc::default(),
    };
    let auth = context.auth("users");
    let (me, slot) = Upstream::local();
    let me = InternalClient::new(me, auth.clone(), "users");
    let recorder = runtime::service::recorder(context, store.audit());
    let pipeline = assemble(
        context,
        store.clone(),
        peers,
        hashing,
        Guard::new(auth, me, recorder, context.settings.rate_limits),
        outbox,
    )
    .unwrap();
    let _ = slot.set(pipeline.clone());
    pipeline
}

impl Service {
    fn start() -> Self {
        Self::with(&[])
    }

    fn with(settings: &[(&str, &str)]) -> Self {
        Self::with_settings_and_parts(settings, Bounds::default()).0
    }

    /// Production accepts only settings that are meant for it.
    fn in_production() -> Self {
        Self::with(&[
            ("APP_ENV", "production"),
            ("JWT_SECRET", "0123456789abcdef0123456789abcdef"),
            ("TICKET_KEY", "0123456789abcdef0123456789abcdef"),
            ("PUBLIC_URL", "https://events.example.org"),
            ("SMTP_URL", "smtps://mail.example.org"),
            ("RAZORPAY_KEY_ID", "rzp_live_x"),
            ("RAZORPAY_KEY_SECRET", "x"),
            ("RAZORPAY_WEBHOOK_SECRET", "x"),
        ])
    }

    /// With hashing threads, and a store, that the test holds too.
    fn with_parts(bounds: Bounds) -> (Self, Hashing, Arc<dyn Store>) {
        Self::with_settings_and_parts(&[], bounds)
    }

    fn with_settings_and_parts(settings: &[(&str, &str)], bounds: Bounds) -> (Self, Hashing, Arc<dyn Store>) {
        let (context, dir) = context(settings);
        let store: Arc<dyn Store> = Arc::new(SqliteStore::new(
            sqlite_store::open(&context.settings, "users", MIGRATIONS).unwrap(),
        ));
        let hashing = Hashing::start(bounds).unwrap();
        let others = Others::default();
        let peers = others.peers();
        let pipeline = assembled(&context, &store, &peers, hashing.clone());
        (
            Self {
                pipeline,
                context,
                others,
                _peers: peers,
                store: store.clone(),
                _dir: dir,
            },
            hashing,
            store,
        )
    }

    async fn send(&self, request: Request) -> Answer {
        let response = self.pipeline.handle(request).await;
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Answer {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(post(path, body)).await
    }

    /// As the gateway passes on what came from `address`.
    async fn post_from(&self, address: &str, path: &str, body: &Value) -> Answer {
        let address: IpAddr = address.parse().unwrap();
        let mut request = post(path, body);
        let token = self.service("gateway").service_token("users").unwrap();
        request
            .headers_mut()
            .insert(GATEWAY_TOKEN, token.parse().unwrap());
        request
            .headers_mut()
            .insert(CLIENT_IP, address.to_string().parse().unwrap());
        self.send(request).await
    }

    async fn get(&self, path: &str, authorization: &str) -> Answer {
        let mut request = Request::builder().uri(path);
        if !authorization.is_empty() {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        self.send(request.body(Body::empty()).unwrap()).await
    }

    /// Another service.
    fn service(&self, name: &'static str) -> Auth {
        self.context.auth(name)
    }

    async fn register(&self, email: &str) -> Answer {
        let body = json!({"email": email, "password": PASSWORD, "role": "organizer"});
        self.post("/api/users/register", &body).await.is(201)
    }

    /// Signs a user up and in; returns the value of `Authorization`.
    async fn signed_in(&self, email: &str) -> String {
        self.register(email).await;
        format!("Bearer {}", self.login(email, PASSWORD).await.text("token"))
    }

    async fn as_somebody(&self, authorization: &str, mut request: Request) -> Answer {
        let value = authorization.parse().unwrap();
        request.headers_mut().insert(header::AUTHORIZATION, value);
        self.send(request).await
    }

    async fn login(&self, email: &str, password: &str) -> Answer {
        self.post("/api/users/login", &json!({"email": email, "password": password}))
            .await
    }
}

fn post(path: &str, body: &Value) -> Request {
    request(Method::POST, path, "application/json", body.to_string())
}

fn request(method: Method, path: &str, content_type: &str, body: impl Into<Body>) -> Request {
    let builder = Request::builder()
        .method(method)
        .uri(path)
        .header(header::CONTENT_TYPE, content_type);
    builder.body(body.into()).unwrap()
}

/// Bounds under which one caller is served and no other waits.
const ONE_CALLER: Bounds = Bounds {
    threads: 1,
    waiting: 0,
    patience: Duration::from_secs(60),
};
