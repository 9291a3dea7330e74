//! The shared state in Redis, one node or a cluster.
//!
//! Keys: `organise:cache:KEY` (a look-up; empty: just invalidated), `organise:once:KEY` (a value for one use),
//! `organise:limit:HASH` (a count of attempts; addresses are hashed, so that they cannot be read there). Channels:
//! `organise:bus:TOPIC`. Every key has a time to live. Redis may lose all of it at any time.
//! [`crate::channel_log`] has keys of its own, of which those of marks have none: they go when they are settled.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, future::try_join_all};
use redis::{
    Client, Cmd, FromRedisValue, RedisResult,
    aio::{ConnectionManager, ConnectionManagerConfig, PubSub},
    cluster::{ClusterClient, ClusterConfig},
    cluster_async::ClusterConnection,
    cmd,
};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use tokio::{
    runtime::Handle,
    task::AbortHandle,
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use uuid::Uuid;

use super::{
    Away, Limit, PREFIX,
    breaker::Breaker,
    bus::{Hub, Topic},
    gcra,
};
use common::metrics::{Gauge, Histogram};

/// How long one call may take. Redis answers within a millisecond; what it is asked for can be had without it.
pub const PATIENCE: Duration = Duration::from_millis(100);
/// How long a connection may take to be made.
pub const CONNECT: Duration = Duration::from_secs(1);
/// How often a quiet subscription is checked to be alive.
pub const BEAT: Duration = Duration::from_secs(5);
/// Between two tries to subscribe.
pub const AGAIN: Duration = Duration::from_secs(1);
/// Calls waiting to be written on the one connection.
const PIPELINE: usize = 1024;

/// A client of Redis.
pub struct Redis {
    clients: Vec<Client>,
    connection: Connection,
    health: Arc<Health>,
    runtime: Handle,
    listener: AbortHandle,
}

#[derive(Clone)]
enum Connection {
    One(ConnectionManager),
    Cluster(ClusterConnection),
}

/// How the calls go.
struct Health {
    breaker: Breaker,
    took: Histogram,
    failures: AtomicU64,
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

impl Redis {
    pub fn open(urls: &SecretString, process: Uuid, hub: Arc<Hub>) -> Result<Self, String> {
        // TLS to the server needs a provider of cryptography; the first one to be named stays.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let wrong = |_| "REDIS_URL is not a URL such as redis://user:password@host:6379/0".to_owned();
        let urls: Vec<&str> = urls.expose_secret().split(',').map(str::trim).collect();
        let clients = urls
            .iter()
            .map(|url| Client::open(*url))
            .collect::<RedisResult<Vec<_>>>()
            .map_err(wrong)?;
        let connection = match clients.as_slice() {
            [client] => Connection::One(one(client.clone()).map_err(wrong)?),
            _ => Connection::Cluster(cluster(&urls).map_err(wrong)?),
        };
        let runtime = Handle::current();
        let listener = runtime
            .spawn(listen(clients.clone(), process, Arc::downgrade(&hub)))
            .abort_handle();
        Ok(Self {
            clients,
            connection,
            health: Arc::new(Health {
                breaker: Breaker::new(),
                took: Histogram::default(),
                failures: AtomicU64::new(0),
            }),
            runtime,
            listener,
        })
    }

    /// A client of each node that was named.
    pub fn clients(&self) -> &[Client] {
        &self.clients
    }

    pub fn runtime(&self) -> &Handle {
        &self.runtime
    }

    pub async fn cached(&self, keys: &[String]) -> Result<Vec<Option<Bytes>>, Away> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut get = cmd("MGET");
        for key in keys {
            get.arg(cache_key(key));
        }
        let values: Vec<Option<Vec<u8>>> = self.ask(&get).await?;
        let filled = |value: Vec<u8>| (!value.is_empty()).then(|| Bytes::from(value));
        Ok(values.into_iter().map(|value| value.and_then(filled)).collect())
    }

    pub async fn cache(&self, entries: Vec<(String, Bytes, Duration)>) -> Result<(), Away> {
        let sets: Vec<Cmd> = entries
            .into_iter()
            .map(|(key, value, life)| {
                let mut set = cmd("SET");
                set.arg(cache_key(&key))
                    .arg(&value[..])
                    .arg("NX")
                    .arg("PX")
                    .arg(millis(life));
                set
            })
            .collect();
        // One connection carries them all, one behind the other, without waiting for the answers in between.
        self.all(&sets).await
    }

    pub async fn invalidate(&self, key: String, quiet: Duration) -> Result<(), Away> {
        let mut set = cmd("SET");
        set.arg(cache_key(&key)).arg("").arg("PX").arg(millis(quiet));
        self.ask(&set).await
    }

    pub async fn keep_once(&self, key: String, value: Bytes, life: Duration) -> Result<(), Away> {
        let mut set = cmd("SET");
        set.arg(once_key(&key))
            .arg(&value[..])
            .arg("PX")
            .arg(millis(life));
        self.ask(&set).await
    }

    pub async fn take(&self, key: &str) -> Result<Option<Bytes>, Away> {
        let value: Option<Vec<u8>> = self.ask(cmd("GETDEL").arg(once_key(key))).await?;
        Ok(value.map(Bytes::from))
    }

    pub async fn attempt(
        &self,
        key: &str,
        limit: Limit,
        count: bool,
    ) -> Result<Result<Duration, Duration>, Away> {
        let mut script = cmd("EVAL");
        script.arg(gcra::SCRIPT).arg(1).arg(limit_key(key));
        script.arg(limit.one().as_micros() as u64);
        script.arg(limit.period.as_micros() as u64);
        script.arg(u8::from(count));
        let wait: i64 = self.ask(&script).await?;
        let time = Duration::from_micros(wait.unsigned_abs());
        Ok(if wait > 0 { Err(time) } else { Ok(time) })
    }

    pub async fn forgive(&self, key: &str) -> Result<(), Away> {
        self.ask(cmd("DEL").arg(limit_key(key))).await
    }

    pub async fn publish(&self, process: Uuid, topic: &Topic, message: &str) -> Result<(), Away> {
        let message = format!("{}{message}", process.simple());
        self.ask(cmd("PUBLISH").arg(channel(topic.as_str())).arg(message))
            .await
    }

    pub async fn ping(&self) -> Result<(), Away> {
        self.ask(&cmd("PING")).await
    }

    pub fn gauge(&self) -> Box<dyn Gauge> {
        Box::new(Figures(self.health.clone()))
    }

    pub async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Away> {
        self.bounded(self.connection.clone().query(command)).await
    }

    /// Several commands at once, in their order.
    pub async fn ask_all<T: FromRedisValue>(&self, commands: &[Cmd]) -> Result<Vec<T>, Away> {
        let each = commands
            .iter()
            .map(|command| self.connection.clone().query(command));
        self.bounded(try_join_all(each)).await
    }

    async fn all(&self, commands: &[Cmd]) -> Result<(), Away> {
        self.ask_all::<()>(commands).await.map(drop)
    }

    async fn bounded<T>(&self, call: impl Future<Output = RedisResult<T>>) -> Result<T, Away> {
        let health = &self.health;
        if !health.breaker.admits() {
            return Err(Away);
        }
        let started = Instant::now();
        let outcome = timeout(PATIENCE, call).await;
        health.took.observe(started.elapsed());
        let why = match outcome {
            Ok(Ok(value)) => {
                if health.breaker.succeeded() {
                    tracing::info!("Redis answers again");
                }
                return Ok(value);
            }
            // Redis's message may repeat a key, so only the kind of error is logged.
            Ok(Err(error)) => format!("{:?}", error.kind()),
            Err(_) => "no answer in time".to_owned(),
        };
        health.failures.fetch_add(1, Ordering::Relaxed);
        if health.breaker.failed() {
            tracing::warn!(why, "Redis cannot be used; going on without it");
        } else {
            tracing::debug!(why, "a call of Redis failed");
        }
        Err(Away)
    }
}

impl Connection {
    async fn query<T: FromRedisValue>(self, command: &Cmd) -> RedisResult<T> {
        match self {
            Self::One(mut connection) => command.query_async(&mut connection).await,
            Self::Cluster(mut connection) => command.query_async(&mut connection).await,
        }
    }
}

fn one(client: Client) -> RedisResult<ConnectionManager> {
    let config = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(CONNECT))
        .set_response_timeout(Some(PATIENCE))
        .set_pipeline_buffer_size(PIPELINE)
        .set_number_of_retries(1);
    ConnectionManager::new_lazy_with_config(client, config)
}

fn cluster(urls: &[&str]) -> RedisResult<ClusterConnection> {
    let client = ClusterClient::builder(urls.iter().copied()).retries(1).build()?;
    let config = ClusterConfig::new()
        .set_connection_timeout(CONNECT)
        .set_response_timeout(PATIENCE);
    Ok(client.get_pending_async_connection_with_config(config))
}

fn millis(time: Duration) -> u64 {
    (time.as_millis() as u64).max(1)
}

fn cache_key(key: &str) -> String {
    format!("{PREFIX}cache:{key}")
}

fn once_key(key: &str) -> String {
    format!("{PREFIX}once:{key}")
}

fn limit_key(key: &str) -> String {
    use std::fmt::Write;
    let hash = Sha256::digest(key.as_bytes());
    let mut text = format!("{PREFIX}limit:");
    for byte in &hash[..16] {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn channel(topic: &str) -> String {
    format!("{PREFIX}bus:{topic}")
}

/// Receives what the other processes publish, over a connection of its own that is made again whenever it breaks.
async fn listen(clients: Vec<Client>, process: Uuid, hub: Weak<Hub>) {
    for client in clients.iter().cycle() {
        if let Ok(Ok(subscription)) = timeout(CONNECT, subscribe(client)).await {
            // What was published before is lost.
            let Some(hub) = hub.upgrade() else { return };
            hub.gap();
            hear(subscription, process, &hub).await;
        }
        sleep(AGAIN.mul_f64(rand::random_range(0.5..1.5))).await;
    }
}

async fn subscribe(client: &Client) -> RedisResult<PubSub> {
    let mut subscription = client.get_async_pubsub().await?;
    subscription.psubscribe(channel("*")).await?;
    Ok(subscription)
}

/// Until the connection breaks.
async fn hear(subscription: PubSub, process: Uuid, hub: &Hub) {
    let (mut sink, mut messages) = subscription.split();
    let mine = process.simple().to_string();
    let mut beat = interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            message = messages.next() => {
                let Some(message) = message else { return };
                let Ok(text) = message.get_payload::<String>() else { continue };
                let topic = message.get_channel_name().strip_prefix(&channel("")).map(Topic::read);
                // 32 digits of the process that published it, and the message.
                if let (Some(topic), Some((from, text))) = (topic, text.split_at_checked(mine.len()))
                    && from != mine
                {
                    hub.publish(&topic, text);
                }
            }
            _ = beat.tick() => match timeout(CONNECT, sink.ping::<redis::Value>()).await {
                Ok(Ok(_)) => {}
                Ok(Err(_)) | Err(_) => return,
            }
        }
    }
}

struct Figures(Arc<Health>);

#[async_trait]
impl Gauge for Figures {
    async fn read(&self) -> Vec<(&'static str, &'static str, f64)> {
        let Health {
            breaker, failures, ..
        } = &*self.0;
        vec![
            (
                "redis_up",
                "1 while Redis is used, 0 while it is gone without.",
                f64::from(u8::from(!breaker.is_open())),
            ),
            (
                "redis_failures_total",
                "Calls of Redis that failed or took too long.",
                failures.load(Ordering::Relaxed) as f64,
            ),
        ]
    }

    fn histograms(&self) -> Vec<(&'static str, &'static str, &Histogram)> {
        vec![("redis_call_seconds", "Time a call of Redis took.", &self.0.took)]
    }
}
