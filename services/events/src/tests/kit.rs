//! What the tests are built from.

use std::{sync::Arc, time::Duration};

use axum::extract::Request;
use chrono::TimeDelta;
use common::{
    auth::Role,
    clock::{Clock, Timestamp, from_millis},
    http::Pipeline,
    ids::UserId,
    settings::Settings,
    store::StoreError,
    wire::service,
};
use runtime::{peers::Peers, process::Context, relay::OutboxGauge};
use serde_json::{Value, json};
use sqlite_store::{Sqlite, params};
use tempfile::TempDir;

use super::failing_store::FailingStore;
use crate::{
    app::App,
    store::sqlite::{MIGRATIONS, SqliteStore},
};
pub use test_kit::requests::{Answer, Call, Person, eventually};

/// 2030-03-17T17:46:40Z.
const NOW: i64 = 1_900_000_000_000;

/// How long a token of a test lives. Tests move the clock by hours.
const TOKEN_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);

pub const CREATE: &str = "/api/organiser/create_event";
pub const REGISTER: &str = "/api/reg/register_event";

/// The service on an empty store, with a clock that the test moves. No worker runs before [`Service::work`].
pub struct Service {
    pub pipeline: Pipeline,
    pub context: Context,
    pub app: App,
    /// The store that the service uses.
    pub store: Arc<FailingStore>,
    /// The file behind it.
    pub db: Sqlite,
    _dir: TempDir,
}

impl Service {
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// With settings; the last of a name counts.
    pub fn with(settings: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data_dir = dir.path().to_str().unwrap().to_owned();
        let settings = Settings::read(|name| {
            let set = settings.iter().rfind(|(known, _)| *known == name);
            let set = set.map(|(_, value)| (*value).to_owned());
            set.or_else(|| (name == "DATA_DIR").then(|| data_dir.clone()))
        });
        let settings = settings.unwrap();
        let context = Context::new(settings, Clock::fixed(from_millis(NOW))).unwrap();
        let db = sqlite_store::open(&context.settings, service::EVENTS, MIGRATIONS).unwrap();
        let store = Arc::new(FailingStore::new(Arc::new(SqliteStore::new(db.clone()))));
        let app = crate::app(&context, store.clone(), &Peers::local().0, Default::default()).unwrap();
        let outbox = OutboxGauge {
            store: app.store.outbox(),
            clock: app.clock.clone(),
            figures: Arc::default(),
        };
        Self {
            pipeline: crate::assemble(&context, app.clone(), &Peers::local().0, outbox),
            context,
            app,
            store,
            db,
            _dir: dir,
        }
    }

    /// Starts again on the same store, without a MediaMTX.
    pub fn forget_mediamtx(&mut self) {
        Arc::make_mut(&mut self.context.settings).mediamtx = None;
        let peers = Peers::local().0;
        self.app = crate::app(&self.context, self.store.clone(), &peers, Default::default()).unwrap();
        let outbox = OutboxGauge {
            store: self.app.store.outbox(),
            clock: self.app.clock.clone(),
            figures: Arc::default(),
        };
        self.pipeline = crate::assemble(&self.context, self.app.clone(), &peers, outbox);
    }

    /// Starts the workers. The other services do not answer.
    pub fn work(&self) {
        crate::start_workers(&self.context, &self.app, &Peers::local().0);
    }

    pub fn now(&self) -> Timestamp {
        self.context.clock.now()
    }

    /// Moves the clock forward.
    pub fn after(&self, time: TimeDelta) {
        self.context.clock.set(self.now() + time);
    }

    pub fn person(&self, role: Role) -> Person {
        let id = UserId::new();
        let auth = self.context.auth(service::USERS);
        let token = auth.user_token(id, role, TOKEN_LIFE).unwrap();
        Person { id, token }
    }

    pub fn user(&self) -> Person {
        self.person(Role::User)
    }

    pub fn organizer(&self) -> Person {
        self.person(Role::Organizer)
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

    pub async fn post(&self, who: &Person, path: &str, body: &Value) -> Answer {
        self.send(Call::post(path, body).by(who)).await
    }

    pub async fn register(&self, who: &Person, event: &str) -> Answer {
        self.post(who, REGISTER, &json!({"event_id": event})).await
    }

    /// A new event of `organizer`, a day ahead; returns its id.
    pub async fn event(&self, organizer: &Person, capacity: Option<u32>, fees: u32) -> String {
        let body = self.draft(capacity, fees);
        let created = self.post(organizer, CREATE, &body).await.is(201);
        created.text("event_id").to_owned()
    }

    pub fn draft(&self, capacity: Option<u32>, fees: u32) -> Value {
        let start = (self.now() + TimeDelta::days(1)).to_rfc3339();
        json!({"e_name": "Rust evening", "e_details": "Talks.", "event_time": start, "event_add": "Hall 7",
               "capacity": capacity, "fees": fees})
    }

    /// A call of another service.
    pub async fn ask(&self, path: &str, body: &Value) -> Answer {
        let token = self.context.auth(service::PAYMENTS);
        let token = token.service_token(service::EVENTS).unwrap();
        self.send(Call::post(path, body).bearer(&token)).await
    }

    /// The live registrations and free seats of an event, as the public API shows them.
    pub async fn seats(&self, event: &str) -> (Value, Value) {
        let request = Call::get(&format!("/api/events/{event}")).anybody();
        let event = self.send(request).await.is(200).body;
        (event["registered"].clone(), event["seats_left"].clone())
    }

    /// The kinds of the messages that wait for `destination`, in their order.
    pub async fn messages(&self, destination: &str) -> Vec<String> {
        let waiting = self.app.store.outbox().due(destination, self.now(), 1_000).await;
        let waiting = waiting.unwrap().into_iter();
        waiting.map(|message| message.event.kind).collect()
    }

    /// Runs SQL on the file, bypassing the store.
    pub async fn sql(&self, sql: String) {
        let run = self
            .db
            .write(move |db| Ok::<_, StoreError>(db.execute_batch(&sql)?));
        run.await.unwrap();
    }

    /// The content of every table, to compare states.
    pub async fn everything(&self) -> Vec<(String, Vec<String>)> {
        const TABLES: &str = "SELECT name, (SELECT group_concat('quote(' || c.name || ')', '||'',''||')
                FROM pragma_table_info(m.name) AS c)
            FROM sqlite_schema AS m WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name NOT IN ('alive', 'audit') ORDER BY name";
        let read = self.db.read(|db| {
            let text = |row: &sqlite_store::Row<'_>, at| row.get::<_, String>(at);
            let tables = db
                .prepare_cached(TABLES)?
                .all(params![], |row| Ok((text(row, 0)?, text(row, 1)?)))?;
            let mut everything = Vec::new();
            for (table, columns) in tables {
                let rows = format!("SELECT {columns} FROM {table} ORDER BY 1");
                let rows = db.prepare_cached(&rows)?.all(params![], |row| text(row, 0))?;
                everything.push((table, rows));
            }
            Ok::<_, StoreError>(everything)
        });
        read.await.unwrap()
    }
}
