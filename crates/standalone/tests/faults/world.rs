//! A world: the product, Razorpay beside it, webhooks on their way, and a clock that both follow.

use std::{
    collections::HashSet,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Weak,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::Request,
    http::{HeaderMap, Method, header},
};
use chrono::{DateTime, TimeDelta, Utc};
use common::{
    auth::{Auth, Role},
    clock::Clock,
    ids::UserId,
    settings::{RazorpayKeys, Settings},
};
use parking_lot::Mutex;
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use razorpay_simulator::Simulator;
use runtime::process::razorpay_keys;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::ServiceExt;

use crate::{
    act::act,
    fault::{Leg, PAST_HOLD},
    product::Product,
    wire::{Outside, Wire},
};

/// Signs everybody's tokens.
const SECRET: &str = "a secret of tests, and long enough";
/// How many times each webhook comes.
const TIMES: usize = 3;
/// Of so many webhooks one is lost.
const LOST: u32 = 100;
/// How long an answer may take, of a product that is alive.
const PATIENCE: Duration = Duration::from_secs(40);
/// How many people there are.
const PEOPLE: usize = 4;
/// The longest body that is read.
const MOST: usize = 16 * 1024 * 1024;

/// A world.
pub struct World {
    /// What goes wrong in it.
    pub wire: Arc<Wire>,
    /// Who acts in it.
    pub people: Vec<Person>,
    /// Who organizes its events: the token.
    pub organizer: String,
    /// Its events.
    pub events: Mutex<Vec<String>>,
    /// What was promised to people: answers of 200, by key.
    pub promises: Mutex<Vec<Promise>>,
    /// What answers should not have said.
    pub violations: Mutex<Vec<String>>,
    /// Whose registrations may have ended for a good reason: person and event.
    pub ended: Mutex<HashSet<(usize, usize)>>,
    /// Payments of which somebody sent money back at Razorpay.
    pub refunded: Mutex<Vec<String>>,
    /// Where its data are.
    pub dir: tempfile::TempDir,
    /// Where Razorpay listens.
    pub port: u16,
    dice: Mutex<StdRng>,
    settings: Settings,
    clock: Clock,
    start: DateTime<Utc>,
    ahead: AtomicI64,
    jumps: AtomicUsize,
    keys: RazorpayKeys,
    razorpay: Router,
    product: Mutex<Option<Product>>,
    turn: tokio::sync::Mutex<()>,
    webhooks: Mutex<Vec<Webhook>>,
    me: Weak<Self>,
    _end: DropGuard,
}

/// Somebody with a token.
pub struct Person {
    /// The id in the token.
    pub id: UserId,
    /// The token.
    pub token: String,
}

/// An answer that said the money was taken.
pub struct Promise {
    /// Whose.
    pub person: usize,
    /// For which event.
    pub event: usize,
    /// When, by the product's clock.
    pub at: DateTime<Utc>,
    /// How often the clock had jumped before it was asked for.
    pub jumps: usize,
    /// Under which key.
    pub key: Option<String>,
    /// The answer.
    pub text: String,
}

/// A webhook on its way.
struct Webhook {
    headers: HeaderMap,
    body: Bytes,
    times: usize,
}

/// An answer of the product.
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body as it came.
    pub text: String,
}

impl Answer {
    /// The body.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }
}

impl World {
    /// Begins one.
    pub async fn begin(seed: u64, wire: Arc<Wire>) -> Arc<Self> {
        let mut dice = StdRng::seed_from_u64(seed);
        let by_itself = dice.random_ratio(3, 4);
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings::read(|name| {
            let text = match name {
                "DATA_DIR" => dir.path().display().to_string(),
                "JWT_SECRET" => SECRET.to_owned(),
                "RATE_LIMITS" => "off".to_owned(),
                "INGEST_PORT" | "RTMP_PORT" => "0".to_owned(),
                "SIMULATOR_AUTO_COMPLETE" if !by_itself => "off".to_owned(),
                _ => return None,
            };
            Some(text)
        })
        .unwrap();
        let start = Clock::system().now();
        let clock = Clock::fixed(start);
        let keys = razorpay_keys(&settings).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let simulator = Simulator::open(razorpay_simulator::Settings {
            key_id: keys.key_id.clone(),
            key_secret: keys.key_secret.clone(),
            webhook_secret: keys.webhook_secret.clone(),
            webhook_url: Some(format!("http://127.0.0.1:{port}/webhooks")),
            data_dir: None,
            auto_complete: by_itself.then_some(Duration::from_millis(1)),
            upi_delay: Duration::from_millis(1),
            controls: true,
        })
        .unwrap();
        let auth = Auth::new("users", &SecretString::from(SECRET), clock.clone());
        let person = |role| {
            let (id, life) = (UserId::new(), Duration::from_secs(400 * 24 * 3600));
            let token = auth.user_token(id, role, life).unwrap();
            Person { id, token }
        };
        let end = CancellationToken::new();
        let world = Arc::new_cyclic(|me: &Weak<Self>| Self {
            people: (0..PEOPLE).map(|_| person(Role::User)).collect(),
            organizer: person(Role::Organizer).token,
            events: Mutex::default(),
            promises: Mutex::default(),
            violations: Mutex::default(),
            ended: Mutex::default(),
            refunded: Mutex::default(),
            dir,
            port,
            dice: Mutex::new(dice),
            settings,
            clock,
            start,
            ahead: AtomicI64::new(0),
            jumps: AtomicUsize::default(),
            keys,
            razorpay: simulator.router(),
            product: Mutex::new(None),
            turn: tokio::sync::Mutex::default(),
            webhooks: Mutex::default(),
            me: me.clone(),
            wire: wire.clone(),
            _end: end.clone().drop_guard(),
        });
        wire.with(Arc::new(OutsideOf(Arc::downgrade(&world))));
        world.listen(listener, end.clone());
        {
            let end = end.clone();
            tokio::spawn(async move { simulator.run_workers(end).await });
        }
        tokio::spawn(Self::follow(Arc::downgrade(&world), end));
        world.restart().await;
        world
    }

    /// Its Razorpay, behind the wire, and the place to which that sends webhooks.
    fn listen(&self, listener: TcpListener, end: CancellationToken) {
        let (wire, razorpay) = (self.wire.clone(), self.razorpay.clone());
        let me = self.me.clone();
        let router = Router::new()
            .route(
                "/webhooks",
                axum::routing::post(move |headers: HeaderMap, body: Bytes| async move {
                    let Some(world) = me.upgrade() else { return };
                    if world.dice.lock().random_ratio(1, LOST) && !world.wire.is_calm() {
                        world.wire.count("webhook lost");
                        return;
                    }
                    world.webhooks.lock().push(Webhook {
                        headers,
                        body,
                        times: TIMES,
                    });
                }),
            )
            .fallback(move |request: Request| {
                let (wire, razorpay) = (wire.clone(), razorpay.clone());
                async move {
                    let forward = move |request| {
                        let answer = razorpay.clone().oneshot(request);
                        Box::pin(async move { answer.await.unwrap_or_else(|never| match never {}) })
                            as Pin<Box<dyn Future<Output = _> + Send>>
                    };
                    wire.pass(Leg::Razorpay, request, forward).await
                }
            });
        tokio::spawn(async move {
            axum::serve(listener, router)
                .with_graceful_shutdown(end.cancelled_owned())
                .await
        });
    }

    /// Delivers webhooks in no order, and kills and starts the product when the wire says so.
    async fn follow(world: Weak<Self>, end: CancellationToken) {
        let Some(wire) = world.upgrade().map(|world| world.wire.clone()) else {
            return;
        };
        loop {
            let killed = tokio::select! {
                () = end.cancelled() => return,
                () = wire.kill.notified() => true,
                () = tokio::time::sleep(Duration::from_millis(4)) => false,
            };
            let Some(world) = world.upgrade() else { return };
            if killed {
                world.restart().await;
            } else {
                world.deliver().await;
            }
        }
    }

    /// Kills the product and starts it again.
    pub async fn restart(&self) {
        let _one_at_a_time = self.turn.lock().await;
        self.product.lock().take();
        let razorpay = format!("http://127.0.0.1:{}", self.port);
        let product = Product::start(
            self.settings.clone(),
            self.clock.clone(),
            razorpay,
            self.wire.clone(),
        );
        let product = product.await;
        *self.product.lock() = Some(product);
    }

    async fn deliver(&self) {
        let webhook = {
            let mut webhooks = self.webhooks.lock();
            if webhooks.is_empty() {
                return;
            }
            let place = self.dice.lock().random_range(0..webhooks.len());
            let mut webhook = webhooks.swap_remove(place);
            webhook.times -= 1;
            let copy = (webhook.headers.clone(), webhook.body.clone());
            if webhook.times > 0 {
                webhooks.push(webhook);
            }
            copy
        };
        let (headers, body) = webhook;
        let mut request = Request::post("/api/payment/webhook")
            .body(Body::from(body.clone()))
            .unwrap();
        *request.headers_mut() = headers.clone();
        if self.send(request).await.is_none_or(|answer| answer.status != 200) {
            // As Razorpay does.
            self.webhooks.lock().push(Webhook {
                headers,
                body,
                times: 1,
            });
        }
    }

    /// How many webhooks are on their way.
    pub fn webhooks(&self) -> usize {
        self.webhooks.lock().len()
    }

    /// Sends a request to the product, once it is up; nothing when it died over it.
    async fn send(&self, request: Request) -> Option<Answer> {
        let (runtime, gateway) = loop {
            if let Some(up) = self.product.lock().as_ref().and_then(Product::up) {
                break up;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        };
        let sent = runtime.spawn(async move {
            let answer = gateway.call(request).await.ok()?;
            let status = answer.status().as_u16();
            let text = to_bytes(answer.into_body(), MOST).await.ok()?;
            let text = String::from_utf8_lossy(&text).into_owned();
            Some(Answer { status, text })
        });
        let answer = tokio::time::timeout(PATIENCE, sent).await;
        answer.expect("an answer in time").ok().flatten()
    }

    /// A call of the product by somebody. A body makes it a POST.
    pub async fn call(
        &self,
        token: &str,
        method: Method,
        path: &str,
        body: Option<Value>,
        key: Option<&str>,
    ) -> Option<Answer> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        self.send(request.body(body).unwrap()).await
    }

    /// A call of Razorpay by a payer's browser, an organizer or the bank: nothing goes wrong with it. A body makes it a
    /// POST.
    pub async fn razorpay(&self, path: &str, body: Option<Value>) -> Value {
        use base64::Engine;
        let secret = self.keys.key_secret.expose_secret();
        let login =
            base64::engine::general_purpose::STANDARD.encode(format!("{}:{secret}", self.keys.key_id));
        let method = if body.is_some() { Method::POST } else { Method::GET };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Basic {login}"))
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::HOST, "127.0.0.1")
            .body(body.map_or_else(Body::empty, |body| Body::from(body.to_string())))
            .unwrap();
        let answer = self.razorpay.clone().oneshot(request).await;
        let answer = answer.unwrap_or_else(|never| match never {});
        let text = to_bytes(answer.into_body(), MOST).await.unwrap();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// What Checkout outside to the browser at the end of a payment.
    pub fn callback(&self, order: &str, payment: &str) -> Value {
        use hmac::{Hmac, KeyInit, Mac};
        let secret = self.keys.key_secret.expose_secret().as_bytes();
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret).unwrap();
        mac.update(format!("{order}|{payment}").as_bytes());
        let signature: String = mac
            .finalize()
            .into_bytes()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        json!({"razorpay_order_id": order, "razorpay_payment_id": payment, "razorpay_signature": signature})
    }

    /// So many seconds pass, or are taken back.
    pub async fn jump(&self, seconds: i64) {
        let ahead = self.ahead.fetch_add(seconds, Ordering::SeqCst) + seconds;
        self.clock.set(self.start + TimeDelta::seconds(ahead));
        if seconds >= PAST_HOLD && !self.wire.is_calm() {
            self.jumps.fetch_add(1, Ordering::SeqCst);
        }
        // Razorpay's clock is right; it is ours that is put back.
        if seconds > 0 {
            let time = json!({"advance_seconds": seconds});
            self.razorpay("/sim/control/clock", Some(time)).await;
        }
    }

    /// How often the clock has jumped past a hold while things could go wrong.
    pub fn jumps(&self) -> usize {
        self.jumps.load(Ordering::SeqCst)
    }

    /// The time by the product's clock.
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Notes what an answer should not have said.
    pub fn violation(&self, what: String) {
        self.violations.lock().push(what);
    }

    /// Notes that a registration may end for a good reason.
    pub fn may_end(&self, person: usize, event: usize) {
        self.ended.lock().insert((person, event));
    }

    /// A number below the other.
    pub fn dice(&self, below: usize) -> usize {
        self.dice.lock().random_range(0..below)
    }

    /// One of them.
    pub fn choose<'a, T>(&self, from: &'a [T]) -> Option<&'a T> {
        from.choose(&mut self.dice.lock())
    }
}

struct OutsideOf(Weak<World>);

impl Outside for OutsideOf {
    fn jump(&self, seconds: i64) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let world = self.0.upgrade();
        Box::pin(async move {
            if let Some(world) = world {
                world.jump(seconds).await;
            }
        })
    }

    fn meanwhile(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        match self.0.upgrade() {
            Some(world) => act(world),
            None => Box::pin(std::future::ready(())),
        }
    }
}
