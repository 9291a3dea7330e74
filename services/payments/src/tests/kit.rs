//! What the tests are built from.

use std::{sync::Arc, time::Duration};

use axum::{Router, extract::Request, routing::post};
use chrono::TimeDelta;
use common::{
    auth::Role,
    clock::{Clock, Timestamp, from_millis},
    http::{Pipeline, Upstream},
    ids::{EventId, PaymentId, UserId},
    metrics::Metrics,
    settings::Settings,
    store::StoreError,
    wire::service,
};
use runtime::{
    peers::Peers,
    process::Context,
    relay::{OutboxGauge, Relay},
};
use serde_json::{Value, json};
use sqlite_store::{Sqlite, params};
use tempfile::TempDir;

pub use super::requests::{payment_form, webhook};
use super::{failing_store::FailingStore, fake_events::FakeEvents, fake_razorpay::FakeRazorpay};
use crate::{
    app::App,
    razorpay::signature,
    store::sqlite::{MIGRATIONS, SqliteStore},
};
pub use test_kit::requests::{Answer, Call, Person, eventually};

/// 2030-03-17T17:46:40Z.
const NOW: i64 = 1_900_000_000_000;

/// How long a token of a test lives. Tests move the clock by hours.
const TOKEN_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);

pub const PAY: &str = "/api/payment/process_payment";
pub const VERIFY: &str = "/api/payment/verify";
pub const WEBHOOK: &str = "/api/payment/webhook";

/// With keys of Razorpay, the payer pays in Checkout.
const KEYS: [(&str, &str); 3] = [
    ("RAZORPAY_KEY_ID", "rzp_test_x"),
    ("RAZORPAY_KEY_SECRET", "a secret"),
    ("RAZORPAY_WEBHOOK_SECRET", "another"),
];

/// The service on an empty store, with a clock that the test moves. Of the workers only the relay to events runs
/// before [`Service::work`], because payers' requests wait for it.
pub struct Service {
    pub pipeline: Pipeline,
    pub context: Context,
    pub app: App,
    peers: Peers,
    /// The store that the service uses.
    pub store: Arc<FailingStore>,
    /// The file behind it.
    pub db: Sqlite,
    pub events: FakeEvents,
    pub razorpay: FakeRazorpay,
    _dir: TempDir,
}

impl Service {
    /// A service that starts payments by itself, as with the simulator.
    pub async fn start() -> Self {
        Self::with(&[], |events| events.upstream()).await
    }

    /// A service whose payers pay in Checkout.
    pub async fn with_checkout() -> Self {
        Self::with(&KEYS, |events| events.upstream()).await
    }

    pub async fn with(settings: &[(&str, &str)], upstream: impl FnOnce(&FakeEvents) -> Upstream) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings::read(|name| {
            let set = settings.iter().find(|(of, _)| *of == name);
            let set = set.map(|(_, value)| (*value).to_owned());
            set.or_else(|| (name == "DATA_DIR").then(|| dir.path().to_string_lossy().into_owned()))
        });
        let context = Context::new(settings.unwrap(), Clock::fixed(from_millis(NOW))).unwrap();
        let db = sqlite_store::open(&context.settings, service::PAYMENTS, MIGRATIONS).unwrap();
        let store = Arc::new(FailingStore::new(Arc::new(SqliteStore::new(db.clone()))));
        let (events, razorpay) = (FakeEvents::new(&context), FakeRazorpay::start().await);
        let nobody = || Upstream::local().0;
        let peers = Peers::new([users(), upstream(&events), nobody(), nobody()]);
        let app = crate::app(&context, store.clone(), &peers, razorpay.url()).unwrap();
        let relay = Relay {
            store: app.store.outbox(),
            subscriber: Arc::new(app.events.clone()),
            wake: app.store.wake_signal().listen(),
            deliveries: app.deliveries.clone(),
            clock: app.clock.clone(),
            figures: Arc::default(),
        };
        let outbox = OutboxGauge {
            store: app.store.outbox(),
            clock: app.clock.clone(),
            figures: relay.figures.clone(),
        };
        let stop = context.workers.stop_token();
        context.workers.spawn("payments to events", relay.run(stop));
        Self {
            pipeline: crate::assemble(&context, app.clone(), &peers, outbox),
            context,
            app,
            peers,
            store,
            db,
            events,
            razorpay,
            _dir: dir,
        }
    }

    /// Starts the workers. Notifications does not answer.
    pub fn work(&self) {
        crate::start_workers(&self.context, &self.app, &self.peers);
    }

    pub fn now(&self) -> Timestamp {
        self.context.clock.now()
    }

    /// Moves the clock forward.
    pub fn after(&self, time: TimeDelta) {
        self.context.clock.set(self.now() + time);
    }

    /// Moves the clock past every lease that is held now.
    pub fn after_lease(&self) {
        self.context.clock.set(self.now() + self.app.lease);
    }

    pub fn person(&self, id: UserId, role: Role) -> Person {
        let auth = self.context.auth(service::USERS);
        let token = auth.user_token(id, role, TOKEN_LIFE).unwrap();
        Person { id, token }
    }

    pub fn user(&self) -> Person {
        self.person(UserId::new(), Role::User)
    }

    pub async fn send(&self, request: Request) -> Answer {
        let response = self.pipeline.handle(request).await;
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
            bytes,
        }
    }

    pub async fn get(&self, who: &Person, path: &str) -> Answer {
        self.send(Call::get(path).by(who)).await
    }

    /// Pays for an event.
    pub async fn pay(&self, who: &Person, event: EventId) -> Answer {
        self.send(Call::post(PAY, &payment_form(who, event)).by(who))
            .await
    }

    /// Pays for an event, under a key.
    pub async fn pay_keyed(&self, who: &Person, event: EventId, key: &str) -> Answer {
        self.send(Call::post(PAY, &payment_form(who, event)).key(key).by(who))
            .await
    }

    /// Verifies a result of Checkout, with a valid signature.
    pub async fn verify(&self, who: &Person, order: &str, payment: &str) -> Answer {
        let signed = format!("{order}|{payment}");
        let signature = signature::sign(signed.as_bytes(), &self.app.razorpay.keys().key_secret);
        let body = json!({"razorpay_order_id": order, "razorpay_payment_id": payment,
            "razorpay_signature": signature});
        self.send(Call::post(VERIFY, &body).by(who)).await
    }

    /// A webhook with a valid signature.
    pub async fn webhook(&self, id: &str, body: &[u8]) -> Answer {
        let signature = signature::sign(body, &self.app.razorpay.keys().webhook_secret).unwrap();
        self.send(webhook(id, body, &signature)).await
    }

    /// A call of the events service.
    pub async fn tell(&self, path: &str, body: &Value) -> Answer {
        let auth = self.context.auth(service::EVENTS);
        let token = auth.service_token(service::PAYMENTS).unwrap();
        self.send(Call::post(path, body).bearer(&token)).await
    }

    /// The stored orders, payments and refunds.
    pub async fn books(&self) -> Books {
        let paid = "CASE WHEN paid_by IS NULL THEN 'open' ELSE 'paid' END";
        Books {
            orders: self.rows(format!("SELECT {paid} FROM orders ORDER BY id")).await,
            payments: self
                .rows("SELECT status FROM payments ORDER BY id".to_owned())
                .await,
            owed: self
                .rows("SELECT reason FROM refunds ORDER BY id".to_owned())
                .await,
        }
    }

    pub async fn rows(&self, sql: String) -> Vec<String> {
        let read = self.db.read(move |db| {
            let mut statement = db.prepare_cached(&sql)?;
            Ok::<_, StoreError>(statement.all(params![], |row| row.get(0))?)
        });
        read.await.unwrap()
    }

    /// Runs SQL on the file, bypassing the store.
    pub async fn sql(&self, sql: String) {
        let run = self
            .db
            .write(move |db| Ok::<_, StoreError>(db.execute_batch(&sql)?));
        run.await.unwrap();
    }

    /// Waits until the events service has consumed a capture; returns the payments, repeats included.
    pub async fn told(&self) -> Vec<PaymentId> {
        eventually(async || Some(self.events.captured()).filter(|told| !told.is_empty())).await
    }

    /// The kinds of the messages that wait for notifications, in their order.
    pub async fn letters(&self) -> Vec<String> {
        let outbox = self.app.store.outbox();
        let waiting = outbox.due(service::NOTIFICATIONS, self.now(), 1_000).await;
        let waiting = waiting.unwrap().into_iter();
        waiting.map(|message| message.event.kind).collect()
    }
}

/// Whether each order is paid, the status of each payment, and the reason of each refund.
#[derive(Debug, PartialEq)]
pub struct Books {
    pub orders: Vec<String>,
    pub payments: Vec<String>,
    pub owed: Vec<String>,
}

impl Books {
    #[track_caller]
    pub fn are(&self, orders: &[&str], payments: &[&str], owed: &[&str]) {
        assert_eq!(self.orders, orders, "{self:?}");
        assert_eq!(self.payments, payments, "{self:?}");
        assert_eq!(self.owed, owed, "{self:?}");
    }
}

/// A users service without accounts.
fn users() -> Upstream {
    let (upstream, slot) = Upstream::local();
    let nobody = || async { axum::Json(json!({"users": []})) };
    let router = Router::new().route("/internal/users/lookup", post(nobody));
    let pipeline = Pipeline::new(service::USERS, router, Metrics::new(service::USERS, Vec::new()));
    assert!(slot.set(pipeline).is_ok());
    upstream
}
