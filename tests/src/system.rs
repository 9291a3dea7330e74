//! A whole system: one process, or five and the simulator.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};

use common::{
    auth::{Auth, Role},
    clock::Clock,
    ids::UserId,
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tempfile::TempDir;
use test_kit::redis::RedisServer;
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::{
    PATIENCE, Person, eventually, mongodb::MongoServer, people, ports::free_port, process::Process, secrets,
};

/// How the parts are spread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Topology {
    /// All in `organise-event`.
    One,
    /// A process each.
    Five,
    /// A process each, on MongoDB and Redis.
    Production,
    /// Two processes of each service behind one gateway, on MongoDB and Redis.
    Replicas,
}

/// What differs from the defaults.
#[derive(Default, Clone)]
pub struct Options {
    /// Settings by name.
    pub settings: BTreeMap<String, String>,
}

impl Options {
    /// One setting more.
    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.settings.insert(name.to_owned(), value.to_string());
        self
    }
}

/// A running system.
pub struct System {
    /// How its parts are spread.
    pub topology: Topology,
    processes: BTreeMap<String, Process>,
    settings: BTreeMap<String, String>,
    redis: Option<RedisServer>,
    _mongodb: Option<MongoServer>,
    dir: TempDir,
    http: reqwest::Client,
    _quiet: Quiet,
}

/// Systems run side by side, except one that needs the whole machine.
static MACHINE: RwLock<()> = RwLock::const_new(());

/// Held while a system runs.
#[expect(dead_code, reason = "held for its drop")]
enum Quiet {
    Beside(RwLockReadGuard<'static, ()>),
    Alone(RwLockWriteGuard<'static, ()>),
}

const SECRET: &str = "a secret of the tests, long enough to sign with";
/// The domain services with the setting of their port and of their address.
const SERVICES: [(&str, &str, &str); 4] = [
    ("users", "USERS_PORT", "USERS_URL"),
    ("events", "EVENTS_PORT", "EVENTS_URL"),
    ("notifications", "NOTIFICATIONS_PORT", "NOTIFICATIONS_URL"),
    ("payments", "PAYMENTS_PORT", "PAYMENTS_URL"),
];
/// Where the events service takes what encoders send.
const INGEST: [&str; 2] = ["INGEST_PORT", "RTMP_PORT"];
const PORTS: [&str; 8] = [
    INGEST[0],
    INGEST[1],
    "RAZORPAY_SIMULATOR_PORT",
    "USERS_PORT",
    "EVENTS_PORT",
    "NOTIFICATIONS_PORT",
    "PAYMENTS_PORT",
    "GATEWAY_PORT",
];

impl System {
    /// Starts a system and waits until it is ready.
    pub async fn start(topology: Topology, options: Options) -> Self {
        let quiet = Quiet::Beside(MACHINE.read().await);
        Self::start_in(quiet, topology, options).await
    }

    /// Starts a system once no other runs, and lets none start before it ends: for a load under which the others would
    /// miss their deadlines.
    pub async fn start_alone(topology: Topology, options: Options) -> Self {
        // Not in line: who waits there holds up the second system of a test that has one already.
        let machine = eventually("no other system runs", 40 * PATIENCE, async || {
            MACHINE.try_write().ok()
        })
        .await;
        Self::start_in(Quiet::Alone(machine), topology, options).await
    }

    async fn start_in(quiet: Quiet, topology: Topology, options: Options) -> Self {
        let mut settings: BTreeMap<String, String> = [
            ("JWT_SECRET", SECRET),
            ("TICKET_KEY", SECRET),
            ("RATE_LIMITS", "off"),
            ("LEASE_SECONDS", "2"),
            ("LOG", "info"),
            ("DATA_DIR", "data"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        for name in PORTS {
            settings.insert(name.to_owned(), free_port().to_string());
        }
        if topology == Topology::Replicas {
            for port in INGEST {
                settings.insert(second(port), free_port().to_string());
            }
            for (_, port, url) in SERVICES {
                settings.insert(second(port), free_port().to_string());
                let (one, two) = (&settings[port], &settings[&second(port)]);
                settings.insert(
                    url.to_owned(),
                    format!("http://127.0.0.1:{one},http://127.0.0.1:{two}"),
                );
            }
        }
        let webhook = format!(
            "http://127.0.0.1:{}/api/payment/webhook",
            settings["GATEWAY_PORT"]
        );
        settings.insert("RAZORPAY_WEBHOOK_URL".to_owned(), webhook);
        // With keys the product would ask Razorpay itself.
        if options.settings.contains_key("RAZORPAY_KEY_ID") {
            let simulator = format!("http://127.0.0.1:{}", settings["RAZORPAY_SIMULATOR_PORT"]);
            settings.insert("RAZORPAY_BASE_URL".to_owned(), simulator);
        }
        let (mut redis, mut mongodb) = (None, None);
        if matches!(topology, Topology::Production | Topology::Replicas) {
            mongodb = MongoServer::start().await;
            let uri = mongodb.as_ref().map_or_else(fresh_database, MongoServer::uri);
            settings.insert("MONGODB_URI".to_owned(), uri);
            let server = redis.insert(RedisServer::start());
            settings.insert("REDIS_URL".to_owned(), server.url());
        }
        settings.extend(options.settings);
        let is_secret = |name: &str| name.contains("SECRET") || name.contains("PASSWORD");
        for (_, secret) in settings.iter().filter(|(name, _)| is_secret(name)) {
            secrets::note(secret);
        }
        let dir = tempfile::Builder::new()
            .prefix("organise-event-")
            .tempdir()
            .unwrap();
        let mut system = Self {
            topology,
            processes: BTreeMap::new(),
            settings,
            redis,
            _mongodb: mongodb,
            dir,
            http: people::http_client(),
            _quiet: quiet,
        };
        system.start_again().await;
        system
    }

    /// Starts what is not running, and waits until all is ready.
    pub async fn start_again(&mut self) {
        self.start_without("");
        self.ready().await;
    }

    /// Starts what is not running, except one part, and waits for nothing.
    pub fn start_without(&mut self, part: &str) {
        for (name, program, settings) in self.parts() {
            let runs = self
                .processes
                .get_mut(&name)
                .is_some_and(|process| process.ended().is_none());
            if !runs && name != part {
                let process = Process::start(&name, program, &settings, self.dir.path());
                self.processes.insert(name, process);
            }
        }
    }

    /// Starts on the same data directory and ports, spread otherwise and with these settings more. Nothing of it may run.
    pub async fn start_again_as(&mut self, topology: Topology, more: Options) {
        assert!(self.processes.is_empty(), "it still runs");
        self.topology = topology;
        if matches!(topology, Topology::Production | Topology::Replicas) {
            let server = self.redis.get_or_insert_with(RedisServer::start);
            self.settings.insert("REDIS_URL".to_owned(), server.url());
        }
        self.settings.extend(more.settings);
        self.start_again().await;
    }

    /// Every process by name, with its program and settings.
    fn parts(&self) -> Vec<(String, &'static str, BTreeMap<String, String>)> {
        let part = |name: &'static str| (name.to_owned(), name, self.settings.clone());
        if self.topology == Topology::One {
            return vec![part("organise-event")];
        }
        let mut parts = vec![part("razorpay-simulator")];
        parts.extend(SERVICES.map(|(name, ..)| part(name)));
        if self.topology == Topology::Replicas {
            for (name, port, _) in SERVICES {
                let mut settings = self.settings.clone();
                settings.insert(port.to_owned(), self.settings[&second(port)].clone());
                for port in INGEST {
                    settings.insert(port.to_owned(), self.settings[&second(port)].clone());
                }
                parts.push((second(name), name, settings));
            }
        }
        parts.push(part("gateway"));
        parts
    }

    /// Waits until the gateway says that everything can be used.
    pub async fn ready(&mut self) {
        let url = format!("{}/health/ready", self.url());
        let http = self.http.clone();
        for (name, process) in &mut self.processes {
            assert!(
                process.ended().is_none(),
                "{name} ended at once:\n{}",
                process.log()
            );
        }
        let mut urls = vec![url];
        if self.topology == Topology::Replicas {
            // The gateway asks one of two; a story may need both.
            let ports = SERVICES
                .iter()
                .flat_map(|(_, port, _)| [(*port).to_owned(), second(port)]);
            urls.extend(ports.map(|port| format!("http://127.0.0.1:{}/health/ready", self.settings[&port])));
        }
        for url in urls {
            eventually("the system is ready", PATIENCE, async || {
                let answer = http.get(&url).send().await.ok()?;
                answer.status().is_success().then_some(())
            })
            .await;
        }
    }

    /// kill -9 of everything.
    pub fn kill_all(&mut self) {
        // Signals first and waits second, so that they fall together.
        for process in self.processes.values() {
            process.signal("KILL");
        }
        self.processes.clear();
    }

    /// kill -9 of one part (of the whole, when it is one process).
    pub fn kill(&mut self, part: &str) {
        let name = if self.topology == Topology::One {
            "organise-event"
        } else {
            part
        };
        drop(self.processes.remove(name).expect("a running part"));
    }

    /// kill -9 of a part and, when there are two of it, of the second too.
    pub fn kill_every(&mut self, part: &str) {
        self.kill(part);
        self.processes.remove(&second(part));
    }

    /// The resident memory of a part (of the whole, when it is one process); bytes.
    pub fn resident(&self, part: &str) -> u64 {
        let name = if self.topology == Topology::One {
            "organise-event"
        } else {
            part
        };
        let resident = self.processes[name].status("VmRSS");
        let kibibytes = resident.strip_suffix(" kB").unwrap();
        kibibytes.parse::<u64>().unwrap() << 10
    }

    /// Its Redis, when it has one.
    pub fn redis(&mut self) -> &mut RedisServer {
        self.redis.as_mut().expect("a topology with Redis")
    }

    /// SIGTERM for everything, and how each part ended.
    pub fn terminate(&mut self) -> Vec<ExitStatus> {
        let mut processes = std::mem::take(&mut self.processes);
        for process in processes.values() {
            process.signal("TERM");
        }
        processes
            .values_mut()
            .map(|process| process.terminate(Duration::from_secs(10)))
            .collect()
    }

    /// Where the gateway is.
    pub fn url(&self) -> String {
        self.service_url("GATEWAY_PORT")
    }

    /// Where a part is, by the setting of its port.
    pub fn service_url(&self, port: &str) -> String {
        format!("http://127.0.0.1:{}", self.settings[port])
    }

    /// The gateway's port.
    pub fn port(&self) -> u16 {
        self.settings["GATEWAY_PORT"].parse().unwrap()
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// The folder it runs in.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The settings it was started with.
    pub fn settings(&self) -> &BTreeMap<String, String> {
        &self.settings
    }

    /// Another value of a setting, or none, from the next start on.
    pub fn set(&mut self, name: &str, value: Option<&str>) {
        match value {
            Some(value) => self.settings.insert(name.to_owned(), value.to_owned()),
            None => self.settings.remove(name),
        };
    }

    /// Everything its parts have printed.
    pub fn log(&self) -> String {
        self.processes.values().map(Process::log).collect()
    }

    /// Somebody who is not signed in.
    pub fn anyone(&self) -> Person {
        Person::new(self.http.clone(), self.url(), None)
    }

    /// Signs somebody up, in.
    pub async fn person(&self, role: &str) -> Person {
        self.person_with(role, &[]).await
    }

    /// Signs somebody up, with more fields, and in.
    pub async fn person_with(&self, role: &str, more: &[(&str, &str)]) -> Person {
        Person::sign_up(self.http.clone(), self.url(), role, more).await
    }

    /// Delivers a message to payments, as the events service would.
    pub async fn deliver_to_payments(&self, kind: &str, subject: &Value, data: &Value) {
        let auth = Auth::new("events", &SecretString::from(SECRET), Clock::system());
        let message = json!({"specversion": "1.0", "id": common::ids::new_id(), "source": "/events", "type": kind,
                             "subject": subject, "time": Clock::system().now(), "datacontenttype": "application/json",
                             "data": data});
        let url = format!("{}/internal/messages", self.service_url("PAYMENTS_PORT"));
        let request = self
            .http
            .post(url)
            .bearer_auth(auth.service_token("payments").unwrap());
        let receipts: Value = request
            .json(&[message])
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        assert_eq!(receipts[0]["status"], "accepted", "{receipts}");
    }

    /// Somebody with a valid token whom the users service has never seen: quick to make, for crowds.
    pub fn stranger(&self, role: Role) -> Person {
        let auth = Auth::new("users", &SecretString::from(SECRET), Clock::system());
        let id = UserId::new();
        let token = auth.user_token(id, role, Duration::from_secs(3600)).unwrap();
        Person::new(self.http.clone(), self.url(), Some((id.to_string(), token)))
    }
}

/// The second of two replicas, and what it has for itself.
fn second(name: &str) -> String {
    format!("{name}-2")
}

/// A MongoDB URI with a database name of its own.
pub fn fresh_database() -> String {
    test_kit::mongo::fresh_uri().expose_secret().to_owned()
}
