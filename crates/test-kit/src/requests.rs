//! Requests to a service in this process, and its answers.

#![expect(clippy::unwrap_used, reason = "tests fail loudly")]

use std::time::Duration;

use axum::{
    body::{Body, Bytes},
    extract::Request,
    http::{HeaderMap, Method, StatusCode, header},
};
use common::ids::UserId;
use serde_json::Value;

/// A signed-in user.
#[derive(Clone)]
pub struct Person {
    /// The account's id.
    pub id: UserId,
    /// The access token.
    pub token: String,
}

/// Builds a request.
pub struct Call(axum::http::request::Builder, String);

impl Call {
    /// With a body, unless it is null.
    pub fn new(method: Method, path: &str, body: &Value) -> Self {
        let request = Request::builder().method(method).uri(path);
        match body {
            Value::Null => Self(request, String::new()),
            body => Self(
                request.header(header::CONTENT_TYPE, "application/json"),
                body.to_string(),
            ),
        }
    }

    /// A GET.
    pub fn get(path: &str) -> Self {
        Self::new(Method::GET, path, &Value::Null)
    }

    /// A POST.
    pub fn post(path: &str, body: &Value) -> Self {
        Self::new(Method::POST, path, body)
    }

    /// With an idempotency key.
    pub fn key(self, key: &str) -> Self {
        Self(self.0.header("idempotency-key", key), self.1)
    }

    /// Under a token.
    pub fn bearer(self, token: &str) -> Request {
        let request = self.0.header(header::AUTHORIZATION, format!("Bearer {token}"));
        request.body(Body::from(self.1)).unwrap()
    }

    /// By a signed-in user.
    pub fn by(self, who: &Person) -> Request {
        self.bearer(&who.token)
    }

    /// Without a token.
    pub fn anybody(self) -> Request {
        self.0.body(Body::from(self.1)).unwrap()
    }
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub bytes: Bytes,
    /// Its body as JSON; null when it is none.
    pub body: Value,
}

impl Answer {
    /// Fails unless it has this status.
    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        self
    }

    /// Fails unless this is a failure in the one shape, with this code and no member beyond it.
    #[track_caller]
    pub fn fails(self, status: u16, code: &str) -> Self {
        self.fails_with(status, code, &[])
    }

    /// The same, with these members beside those of the shape.
    #[track_caller]
    pub fn fails_with(self, status: u16, code: &str, more: &[&str]) -> Self {
        const SHAPE: [&str; 8] = [
            "code",
            "detail",
            "errors",
            "message",
            "request_id",
            "status",
            "title",
            "type",
        ];
        let answer = self.is(status);
        assert_eq!(answer.headers[header::CONTENT_TYPE], "application/problem+json");
        let body = answer.body.as_object().unwrap();
        let members: Vec<&str> = body.keys().map(String::as_str).collect();
        let mut wanted: Vec<&str> = SHAPE.iter().chain(more).copied().collect();
        wanted.sort_unstable();
        assert_eq!(members, wanted, "{body:?}");
        assert_eq!(body["code"], code, "{body:?}");
        assert_eq!(body["status"], status);
        assert_eq!(body["type"], format!("urn:organise-event:problem:{code}"));
        assert_ne!(body["detail"], "");
        assert_eq!(
            body["request_id"],
            answer.headers["x-request-id"].to_str().unwrap()
        );
        answer
    }

    /// Fails unless this is 503 with `Retry-After`, and nothing internal in the text.
    #[track_caller]
    pub fn unavailable(self) -> Self {
        let answer = self.fails(503, "unavailable");
        let again = answer.headers[header::RETRY_AFTER].to_str().unwrap();
        assert!(again.parse::<u32>().unwrap() > 0, "{again}");
        let text = answer.body.to_string().to_lowercase();
        for word in ["sql", "table", ".db", "inside", "trigger", "127.0.0.1", "html"] {
            assert!(!text.contains(word), "{text}");
        }
        answer
    }

    /// A member of the body that is text.
    #[track_caller]
    pub fn text(&self, name: &str) -> &str {
        self.body[name]
            .as_str()
            .unwrap_or_else(|| panic!("no {name} in {}", self.body))
    }

    /// Whether it is the answer to an earlier request with the same key.
    pub fn is_replayed(&self) -> bool {
        self.headers.contains_key("idempotency-replayed")
    }
}

/// Polls until there is an answer, for at most ten seconds.
pub async fn eventually<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let patience = tokio::time::Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(tokio::time::Instant::now() < patience, "nothing came of it");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
