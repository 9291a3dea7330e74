//! Somebody who uses the system over HTTP.

use std::{
    sync::Once,
    time::{Duration, Instant},
};

use common::{clock::Clock, ids::new_id};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{PATIENCE, secrets};

/// A user, or nobody in particular.
#[derive(Clone)]
pub struct Person {
    http: reqwest::Client,
    url: String,
    /// The account's id; empty for nobody in particular.
    pub id: String,
    /// The account's e-mail address; empty when it has none.
    pub email: String,
    /// The bearer token, when signed in.
    pub token: Option<String>,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: reqwest::header::HeaderMap,
    /// The body as text.
    pub text: String,
}

impl Answer {
    /// The body as JSON; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    /// Requires a status, and gives the body.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self.json()
    }

    /// Requires a failure in the one error shape, with this status and code; gives the body.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> Value {
        let body = self.expect(status);
        assert_eq!(
            self.headers.get("content-type").unwrap(),
            "application/problem+json",
            "{}",
            self.text
        );
        for (member, is_right) in [
            ("type", body["type"].is_string()),
            ("title", body["title"].is_string()),
            ("status", body["status"] == status),
            (
                "detail",
                body["detail"].as_str().is_some_and(|detail| !detail.is_empty()),
            ),
            (
                "message",
                body["message"]
                    .as_str()
                    .is_some_and(|message| !message.is_empty()),
            ),
            ("code", body["code"].is_string()),
            ("errors", body["errors"].is_array()),
            (
                "request_id",
                body["request_id"].as_str() == self.headers["x-request-id"].to_str().ok(),
            ),
        ] {
            assert!(is_right, "{member} of {}", self.text);
        }
        for leak in [
            "rusqlite", "SQLITE", "sqlite", "SELECT ", ".rs:", "panicked", "hyper", "/src/", "serde",
        ] {
            assert!(!self.text.contains(leak), "{leak} leaks in {}", self.text);
        }
        if !code.is_empty() {
            assert_eq!(body["code"], code, "{}", self.text);
        }
        match status {
            401 => assert!(self.headers.contains_key("www-authenticate"), "{}", self.text),
            405 => assert!(self.headers.contains_key("allow"), "{}", self.text),
            429 | 503 => assert!(self.headers.contains_key("retry-after"), "{}", self.text),
            _ => {}
        }
        body
    }
}

/// An HTTP client as the tests use it: no proxy, no redirects, and a new connection for each request, because tests kill
/// servers and a kept connection would be a dead one.
pub fn http_client() -> reqwest::Client {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    reqwest::Client::builder()
        .no_proxy()
        .pool_max_idle_per_host(0)
        .redirect(reqwest::redirect::Policy::none())
        .timeout(std::time::Duration::from_secs(40))
        .build()
        .unwrap()
}

impl Person {
    /// Somebody with an id and token, or without.
    pub fn new(http: reqwest::Client, url: String, signed_in: Option<(String, String)>) -> Self {
        let (id, token) = signed_in.map_or((String::new(), None), |(id, token)| (id, Some(token)));
        Self {
            http,
            url,
            id,
            email: String::new(),
            token,
        }
    }

    pub(crate) async fn sign_up(
        http: reqwest::Client,
        url: String,
        role: &str,
        more: &[(&str, &str)],
    ) -> Self {
        let mut person = Self::new(http, url, None);
        person.email = format!("{}@example.org", new_id().simple());
        let mut body = json!({"email": person.email, "password": "a good one", "role": role});
        for (name, value) in more {
            body[name] = json!(value);
        }
        person.id = person.post("/api/users/register", body).await.expect(201)["user_id"]
            .as_str()
            .unwrap()
            .to_owned();
        let body = json!({"email": person.email, "password": "a good one"});
        let token = person.post("/api/users/login", body).await.expect(200)["token"]
            .as_str()
            .unwrap()
            .to_owned();
        person.token = Some(token);
        person
    }

    /// The base URL this person talks to.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The same client with another bearer token, such as an API key.
    pub fn with_token(&self, token: &str) -> Self {
        Self {
            token: Some(token.to_owned()),
            ..self.clone()
        }
    }

    /// The same person against another base URL.
    pub fn at(&self, url: &str) -> Self {
        Self {
            url: url.to_owned(),
            ..self.clone()
        }
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None, &[]).await.unwrap()
    }

    /// POST of JSON.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, Some(body), &[]).await.unwrap()
    }

    /// POST of JSON with an idempotency key.
    pub async fn post_keyed(&self, path: &str, key: &str, body: Value) -> Answer {
        self.send(Method::POST, path, Some(body), &[("idempotency-key", key)])
            .await
            .unwrap()
    }

    /// PUT of a file, as an encoder sends it.
    pub async fn put(&self, path: &str, body: impl Into<reqwest::Body>) -> Answer {
        let response = self.http.put(format!("{}{path}", self.url)).body(body);
        let response = response.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.unwrap();
        Answer {
            status,
            headers,
            text,
        }
    }

    /// Any request; `Err` when there was no answer.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> Result<Answer, reqwest::Error> {
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        if let Some(token) = &self.token {
            secrets::note(token);
            request = request.bearer_auth(token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            secrets::note_body(&body);
            request = request.json(&body);
        }
        let response = request.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await?;
        if path.starts_with("/api/users/") && status.is_success() {
            secrets::note_body(&serde_json::from_str(&text).unwrap_or_default());
        }
        Ok(Answer {
            status,
            headers,
            text,
        })
    }

    /// GET of a file: its bytes, once it has this media type.
    pub async fn file(&self, path: &str, kind: &str) -> Vec<u8> {
        let mut request = self.http.get(format!("{}{path}", self.url));
        if let Some(token) = &self.token {
            secrets::note(token);
            request = request.bearer_auth(token);
        }
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status(), answer.headers().clone());
        let bytes = answer.bytes().await.unwrap();
        assert_eq!(status, 200, "{path}: {}", String::from_utf8_lossy(&bytes));
        assert_eq!(headers["content-type"], kind, "{path}");
        assert!(
            headers["cache-control"].to_str().unwrap().contains("no-store"),
            "{path}"
        );
        bytes.into()
    }

    /// A stream of server-sent events.
    pub async fn stream(&self, path: &str) -> EventStream {
        let mut request = self.http.get(format!("{}{path}", self.url));
        if let Some(token) = &self.token {
            secrets::note(token);
            request = request.bearer_auth(token);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        EventStream {
            answer,
            text: String::new(),
        }
    }

    /// Creates an event that starts in 30 days; gives its id.
    pub async fn create_event(&self, capacity: Value, fees: Value) -> String {
        let start = common::time::utc(Clock::system().now() + std::time::Duration::from_secs(30 * 24 * 3600));
        self.create_event_at(&start, capacity, fees).await
    }

    /// Creates an event; gives its id.
    pub async fn create_event_at(&self, start: &str, capacity: Value, fees: Value) -> String {
        let body = json!({"e_name": "Rust evening", "e_details": "About things that last.", "event_time": start,
                          "event_add": "Hall 7", "capacity": capacity, "fees": fees});
        let created = self.post("/api/organiser/create_event", body).await.expect(201);
        created["event_id"].as_str().unwrap().to_owned()
    }

    /// Registers for an event.
    pub async fn register(&self, event: &str) -> Answer {
        self.post("/api/reg/register_event", json!({"event_id": event}))
            .await
    }

    /// Pays for an event by UPI.
    pub async fn pay(&self, event: &str, amount: Value) -> Answer {
        self.post("/api/payment/process_payment", self.payment(event, amount))
            .await
    }

    /// Posts as a client should: under a key, and again while the answer is that the system is too busy, or at it still.
    pub async fn post_at_last(&self, path: &str, body: Value) -> Answer {
        let key = new_id().to_string();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.post_keyed(path, &key, body.clone()).await;
            let is_at_it = answer.json()["code"] == "idempotency_key_in_flight";
            if (answer.status != 503 && !is_at_it) || Instant::now() > deadline {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The body of a payment by UPI.
    pub fn payment(&self, event: &str, amount: Value) -> Value {
        json!({"event_id": event, "amount": amount, "user_id": self.id, "payment_method": "upi"})
    }

    /// The status of this person's newest registration for an event; empty when there is none.
    pub async fn status(&self, event: &str) -> String {
        let list = self.get("/api/reg/get_registrevent?status=all").await.expect(200);
        let found = list
            .as_array()
            .unwrap()
            .iter()
            .find(|item| item["event_id"] == event)
            .cloned();
        found
            .map(|item| item["status"].as_str().unwrap().to_owned())
            .unwrap_or_default()
    }

    /// Waits until this person's registration for an event is confirmed. After a payment that was answered it is so at
    /// once as a rule; the answer waits for it, but a second at most.
    pub async fn is_confirmed(&self, event: &str) {
        crate::eventually("the registration is confirmed", crate::PATIENCE, async || {
            (self.status(event).await == "confirmed").then_some(())
        })
        .await;
    }

    /// The messages about events and payments sent to this person, as (kind, channel, status). Everybody has one more, who
    /// signed up.
    pub async fn messages(&self) -> Vec<(String, String, String)> {
        let list = self.get("/api/notifications?limit=100").await.expect(200);
        let text = |item: &Value, name: &str| item[name].as_str().unwrap_or_default().to_owned();
        let items = list.as_array().cloned().unwrap_or_default();
        items
            .iter()
            .filter(|item| item["kind"] != "verify_email")
            .map(|item| (text(item, "kind"), text(item, "channel"), text(item, "status")))
            .collect()
    }
}

/// A stream of server-sent events.
pub struct EventStream {
    answer: reqwest::Response,
    text: String,
}

impl EventStream {
    /// The next event: its type and data.
    pub async fn next(&mut self) -> (String, Value) {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
                let event = field("event:").zip(field("data:"));
                let event = event
                    .map(|(kind, data)| (kind.trim().to_owned(), serde_json::from_str(data.trim()).unwrap()));
                self.text = rest.to_owned();
                match event {
                    Some(event) => return event,
                    None => continue,
                }
            }
            let more = self.answer.chunk().await.unwrap().expect("the stream goes on");
            self.text.push_str(std::str::from_utf8(&more).unwrap());
        }
    }
}
