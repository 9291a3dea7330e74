//! A running simulator, a receiver of webhooks, and waiting for what comes by itself.

use std::{
    future::Future,
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use razorpay_simulator::{Settings, Simulator};
use reqwest::{Client, Method, RequestBuilder};
use secrecy::SecretString;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::{CancellationToken, DropGuard};

pub const KEY_ID: &str = "rzp_test_key";
pub const KEY_SECRET: &str = "key secret";
pub const WEBHOOK_SECRET: &str = "webhook secret";

/// Whatever comes by itself comes within this, or does not come.
const PATIENCE: Duration = Duration::from_secs(20);

/// Settings of most tests: in memory, everything at once, controls on.
pub fn settings() -> Settings {
    Settings {
        key_id: KEY_ID.to_owned(),
        key_secret: SecretString::from(KEY_SECRET),
        webhook_secret: SecretString::from(WEBHOOK_SECRET),
        webhook_url: None,
        data_dir: None,
        auto_complete: Some(Duration::ZERO),
        upi_delay: Duration::ZERO,
        controls: true,
    }
}

/// A running simulator.
pub struct Sim {
    pub base: String,
    pub client: Client,
    settings: Settings,
    dir: Option<TempDir>,
    stop: DropGuard,
    task: JoinHandle<()>,
}

impl Sim {
    /// With the usual settings.
    pub async fn start() -> Self {
        Self::with(settings()).await
    }

    pub async fn with(settings: Settings) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let simulator = Simulator::open(settings.clone()).unwrap();
        let stop = CancellationToken::new();
        let task = tokio::spawn({
            let stop = stop.clone();
            async move { simulator.serve(listener, stop).await }
        });
        // Opening has installed the TLS provider that the client wants.
        let client = Client::builder().no_proxy().build().unwrap();
        Self {
            base,
            client,
            settings,
            dir: None,
            stop: stop.drop_guard(),
            task,
        }
    }

    /// With its state on disk, so that it can be started again.
    pub async fn durable(mut settings: Settings) -> Self {
        let dir = tempfile::tempdir().unwrap();
        settings.data_dir = Some(dir.path().to_owned());
        let mut sim = Self::with(settings).await;
        sim.dir = Some(dir);
        sim
    }

    /// Stops it in an orderly way and starts it again.
    pub async fn restart(self) -> Self {
        let Self {
            settings,
            dir,
            stop,
            task,
            ..
        } = self;
        drop(stop);
        task.await.unwrap();
        let mut sim = Self::with(settings).await;
        sim.dir = dir;
        sim
    }

    pub fn data_dir(&self) -> &Path {
        self.dir.as_ref().unwrap().path()
    }

    /// A request with the right credentials.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, format!("{}{path}", self.base))
            .basic_auth(KEY_ID, Some(KEY_SECRET))
    }

    pub async fn get(&self, path: &str) -> Value {
        ok(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Value {
        ok(self.request(Method::POST, path).json(&body)).await
    }

    /// The status and the `error` of a call that must fail.
    pub async fn refused(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let (status, mut answer) = answer(self.request(method, path).json(&body)).await;
        assert!(status >= 400, "{path} succeeded: {answer}");
        (status, answer["error"].take())
    }

    /// An order over 500 rupees; `more` is merged in.
    pub async fn order(&self, more: Value) -> Value {
        let mut body = json!({ "amount": 50000, "currency": "INR" });
        merge(&mut body, more);
        self.post("/v1/orders", body).await
    }

    /// An order that is not captured by itself.
    pub async fn manual_order(&self) -> Value {
        self.order(json!({ "payment": { "capture": "manual" } })).await
    }

    /// Starts a payment of an order with an instrument; gives its id.
    pub async fn pay(&self, order: &Value, instrument: Value) -> String {
        let answer = self
            .post("/v1/payments/create/json", payment(order, instrument))
            .await;
        text(&answer["razorpay_payment_id"])
    }

    /// An authorized payment of a new order with manual capture.
    pub async fn authorized(&self) -> String {
        let order = self.manual_order().await;
        let payment = self.pay(&order, upi("success@razorpay")).await;
        self.reaches(&payment, "authorized").await;
        payment
    }

    /// A captured payment of 500 rupees.
    pub async fn captured(&self) -> String {
        let order = self.order(json!({})).await;
        let payment = self.pay(&order, upi("success@razorpay")).await;
        self.reaches(&payment, "captured").await;
        payment
    }

    /// Waits until a payment has a status; gives the payment.
    pub async fn reaches(&self, payment: &str, status: &str) -> Value {
        eventually(&format!("payment {payment} to be {status}"), async || {
            let payment = self.get(&format!("/v1/payments/{payment}")).await;
            (payment["status"] == status).then_some(payment)
        })
        .await
    }
}

/// The body of a payment request.
pub fn payment(order: &Value, instrument: Value) -> Value {
    let mut body = json!({
        "amount": order["amount"], "currency": "INR", "order_id": order["id"], "email": "asha@example.com",
        "contact": "9000090000", "ip": "127.0.0.1", "user_agent": "tests",
    });
    merge(&mut body, instrument);
    body
}

pub fn upi(vpa: &str) -> Value {
    json!({ "method": "upi", "upi": { "flow": "collect", "vpa": vpa } })
}

pub fn card(number: &str) -> Value {
    json!({
        "method": "card",
        "card": { "number": number, "name": "Asha", "expiry_month": 12, "expiry_year": "2099", "cvv": "123" },
    })
}

pub fn merge(into: &mut Value, more: Value) {
    if let (Value::Object(into), Value::Object(more)) = (into, more) {
        into.extend(more);
    }
}

pub fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("no text: {value}"))
        .to_owned()
}

/// The status and the JSON of an answer.
pub async fn answer(request: RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let bytes = response.bytes().await.unwrap();
    let json = serde_json::from_slice(&bytes);
    (
        status,
        json.unwrap_or_else(|_| panic!("no JSON: {status} {}", String::from_utf8_lossy(&bytes))),
    )
}

/// The JSON of an answer that must be 200.
pub async fn ok(request: RequestBuilder) -> Value {
    let (status, answer) = answer(request).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

/// Waits for a condition.
pub async fn eventually<T, F, Fut>(what: &str, mut look: F) -> T
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let start = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A webhook as it arrived.
#[derive(Clone, Debug)]
pub struct Hook {
    pub id: String,
    pub signature: String,
    pub content_type: String,
    pub bytes: Bytes,
    pub body: Value,
}

impl Hook {
    pub fn event(&self) -> &str {
        self.body["event"].as_str().unwrap()
    }
}

/// What a receiver answers, and what it got.
type Received = Arc<Mutex<(StatusCode, Vec<Hook>)>>;

/// A receiver of webhooks, whose answer can be set.
#[derive(Clone)]
pub struct Receiver {
    pub url: String,
    state: Received,
}

impl Receiver {
    pub async fn start() -> Self {
        let state: Received = Arc::new(Mutex::new((StatusCode::OK, Vec::new())));
        let router = Router::new().fallback(receive).with_state(state.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hooks", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, state }
    }

    pub fn answer(&self, status: StatusCode) {
        self.state.lock().unwrap().0 = status;
    }

    pub fn hooks(&self) -> Vec<Hook> {
        self.state.lock().unwrap().1.clone()
    }

    pub fn events(&self) -> Vec<String> {
        self.hooks().iter().map(|hook| hook.event().to_owned()).collect()
    }

    /// Waits until so many have arrived.
    pub async fn has(&self, count: usize) -> Vec<Hook> {
        eventually(&format!("{count} webhooks"), async || {
            let hooks = self.hooks();
            (hooks.len() >= count).then_some(hooks)
        })
        .await
    }

    /// Waits until an event has arrived.
    pub async fn hears(&self, event: &str) -> Hook {
        eventually(event, async || {
            self.hooks().into_iter().find(|hook| hook.event() == event)
        })
        .await
    }
}

async fn receive(State(state): State<Received>, headers: HeaderMap, bytes: Bytes) -> StatusCode {
    let header = |name: &str| {
        headers
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned())
            .unwrap_or_default()
    };
    let mut state = state.lock().unwrap();
    state.1.push(Hook {
        id: header("x-razorpay-event-id"),
        signature: header("x-razorpay-signature"),
        content_type: header("content-type"),
        body: serde_json::from_slice(&bytes).unwrap(),
        bytes,
    });
    state.0
}
