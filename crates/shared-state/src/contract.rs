//! What the shared state must do, in memory, in Redis and in a cluster of Redis; and what becomes of it when Redis is
//! killed, frozen or flushed.

mod logs;

use std::{future::Future, time::Duration};

use tokio::time::{Instant, sleep, timeout};

use super::{
    bus::{Heard, Topic},
    *,
};
use crate::ratelimit::RateLimit;
use test_kit::redis::RedisServer;

/// The processes of a rule: two views of one state. In memory there is one process only.
struct Two {
    one: Shared,
    other: Shared,
    servers: Vec<RedisServer>,
    _dirs: Vec<tempfile::TempDir>,
}

async fn in_memory() -> Two {
    let one = Shared::in_process();
    let other = one.clone();
    two(one, other, Vec::new(), Vec::new())
}

async fn in_redis() -> Two {
    let server = RedisServer::start();
    let url = server.secret_url();
    let (one, other) = (connected(&url).await, connected(&url).await);
    two(one, other, vec![server], Vec::new())
}

/// Three nodes, each with a third of the slots.
async fn in_a_cluster() -> Two {
    let (mut servers, mut dirs) = (Vec::new(), Vec::new());
    for part in 0..3 {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_str().unwrap();
        let node = RedisServer::with(&["--cluster-enabled", "yes", "--dir", path]);
        let slots: Vec<String> = (0..16384)
            .filter(|slot| slot * 3 / 16384 == part)
            .map(|slot| slot.to_string())
            .collect();
        let mut add = vec!["CLUSTER", "ADDSLOTS"];
        add.extend(slots.iter().map(String::as_str));
        assert_eq!(node.command(&add), "ok");
        if let Some(first) = servers.first() {
            let port = RedisServer::port(first).to_string();
            assert_eq!(node.command(&["CLUSTER", "MEET", "127.0.0.1", &port]), "ok");
        }
        servers.push(node);
        dirs.push(dir);
    }
    for server in &servers {
        until("the cluster is whole", async || {
            server.command(&["CLUSTER", "INFO"]).contains("cluster_state:ok")
        })
        .await;
        until("it knows all", async || {
            server
                .command(&["CLUSTER", "INFO"])
                .contains("cluster_known_nodes:3")
        })
        .await;
    }
    let urls: Vec<String> = servers.iter().map(RedisServer::url).collect();
    let urls = urls.join(",").into();
    let (one, other) = (connected(&urls).await, connected(&urls).await);
    two(one, other, servers, dirs)
}

fn two(one: Shared, other: Shared, servers: Vec<RedisServer>, dirs: Vec<tempfile::TempDir>) -> Two {
    Two {
        one,
        other,
        servers,
        _dirs: dirs,
    }
}

async fn until(what: &str, mut ask: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !ask().await {
        assert!(Instant::now() < deadline, "not in time: {what}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// A view that answers, and receives what others publish.
async fn connected(urls: &SecretString) -> Shared {
    let shared = Shared::redis(urls).unwrap();
    let mut bus = shared.subscribe(&Topic::named("payments"));
    until("Redis answers", async || {
        shared.status().await == Some(HealthStatus::Up)
    })
    .await;
    // The first thing received is that the connection is new.
    assert_eq!(hear(&mut bus).await, Heard::Gap);
    shared
}

async fn hear(bus: &mut super::bus::Subscription) -> Heard {
    timeout(Duration::from_secs(20), bus.next())
        .await
        .expect("something to hear")
}

macro_rules! rules {
    ($($rule:ident),+ $(,)?) => {
        mod memory { $(#[tokio::test] async fn $rule() { super::$rule(super::in_memory().await).await; })+ }
        mod redis { $(#[tokio::test] async fn $rule() { super::$rule(super::in_redis().await).await; })+ }
        mod cluster { $(#[tokio::test] async fn $rule() { super::$rule(super::in_a_cluster().await).await; })+ }
    };
}

rules!(
    what_is_cached_is_found_in_order,
    what_is_cached_stays_until_it_is_invalidated,
    an_invalidation_keeps_late_answers_out,
    cached_values_go_by_themselves,
    a_kept_value_is_taken_once,
    a_kept_value_goes_by_itself,
    a_limit_is_counted_by_all,
    asking_does_not_count,
    a_key_is_forgiven,
    a_limit_recovers,
    all_hear_what_is_published,
);

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(100);

fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("thing:{number}")).collect()
}

async fn put(shared: &Shared, key: &str, value: &str, life: Duration) {
    let value = Bytes::from(value.to_owned());
    shared.cache(vec![(key.to_owned(), value, life)]).await.unwrap();
}

async fn got(shared: &Shared, key: &str) -> Option<String> {
    let found = shared.cached(&[key.to_owned()]).await.unwrap();
    found[0]
        .as_ref()
        .map(|value| String::from_utf8(value.to_vec()).unwrap())
}

async fn what_is_cached_is_found_in_order(state: Two) {
    let names = names(500);
    let entries = names
        .iter()
        .step_by(2)
        .map(|name| (name.clone(), Bytes::from(name.clone()), LONG));
    state.one.cache(entries.collect()).await.unwrap();
    let found = state.other.cached(&names).await.unwrap();
    assert_eq!(found.len(), names.len());
    for (index, (name, value)) in names.iter().zip(found).enumerate() {
        assert_eq!(value.is_some(), index % 2 == 0);
        assert!(value.is_none_or(|value| value == *name));
    }
    assert_eq!(
        state.other.cached(&[]).await.unwrap(),
        Vec::<Option<Bytes>>::new()
    );
}

async fn what_is_cached_stays_until_it_is_invalidated(state: Two) {
    put(&state.one, "a", "1", LONG).await;
    put(&state.other, "a", "2", LONG).await;
    assert_eq!(got(&state.one, "a").await.as_deref(), Some("1"));
    state.other.invalidate("a".to_owned(), SHORT).await.unwrap();
    assert_eq!(got(&state.one, "a").await, None);
    until("a new value is taken", async || {
        put(&state.one, "a", "3", LONG).await;
        got(&state.other, "a").await.as_deref() == Some("3")
    })
    .await;
}

async fn an_invalidation_keeps_late_answers_out(state: Two) {
    state.one.invalidate("a".to_owned(), LONG).await.unwrap();
    put(&state.other, "a", "what it was before", LONG).await;
    assert_eq!(got(&state.one, "a").await, None);
}

async fn cached_values_go_by_themselves(state: Two) {
    put(&state.one, "a", "1", SHORT).await;
    until("it is gone", async || got(&state.other, "a").await.is_none()).await;
}

async fn a_kept_value_is_taken_once(state: Two) {
    let value = Bytes::from_static(b"state");
    state
        .one
        .keep_once("x".to_owned(), value.clone(), LONG)
        .await
        .unwrap();
    let tries = (0..10).map(|number| {
        let shared = if number % 2 == 0 { &state.one } else { &state.other };
        shared.take("x")
    });
    let taken: Vec<_> = futures_util::future::join_all(tries).await;
    let taken: Vec<Bytes> = taken.into_iter().filter_map(Result::unwrap).collect();
    assert_eq!(taken, [value]);
    assert_eq!(got(&state.one, "x").await, None, "it is no cached value");
}

async fn a_kept_value_goes_by_itself(state: Two) {
    state
        .one
        .keep_once("x".to_owned(), Bytes::from_static(b"1"), SHORT)
        .await
        .unwrap();
    sleep(SHORT * 2).await; // taking it is the only way to look, and would end it
    assert_eq!(state.other.take("x").await.unwrap(), None);
}

fn limits(state: &Two) -> (RateLimit, RateLimit) {
    let limit = |shared| RateLimit::new(shared, "tries", 4, LONG);
    (limit(&state.one), limit(&state.other))
}

async fn a_limit_is_counted_by_all(state: Two) {
    let (one, other) = limits(&state);
    for _ in 0..2 {
        assert!(one.take("a").await.is_ok() && other.take("a").await.is_ok());
    }
    for limit in [&one, &other] {
        let wait = limit.take("a").await.unwrap_err();
        assert!(wait > Duration::ZERO && wait <= LONG / 4, "{wait:?}");
        assert!(limit.peek("a").await.is_err());
    }
    assert!(other.take("b").await.is_ok(), "keys do not share");
    assert!(
        RateLimit::new(&state.one, "others", 4, LONG)
            .take("a")
            .await
            .is_ok()
    );
    assert!(RateLimit::off().take("a").await.is_ok());
}

async fn asking_does_not_count(state: Two) {
    let (one, other) = limits(&state);
    for _ in 0..10 {
        assert!(one.peek("a").await.is_ok() && one.peek_here("a").is_ok());
    }
    for _ in 0..4 {
        assert!(other.take("a").await.is_ok());
    }
    assert!(one.peek("a").await.is_err());
}

async fn a_key_is_forgiven(state: Two) {
    let (one, other) = limits(&state);
    for _ in 0..4 {
        one.note("a");
    }
    assert!(one.peek_here("a").is_err());
    until("the others have counted too", async || {
        other.peek("a").await.is_err()
    })
    .await;
    one.clear("a");
    assert!(one.peek_here("a").is_ok());
    until("the others have forgiven too", async || {
        other.peek("a").await.is_ok()
    })
    .await;
}

async fn a_limit_recovers(state: Two) {
    let limit = RateLimit::new(&state.one, "fast", 2, SHORT * 2);
    assert!(limit.take("a").await.is_ok() && limit.take("a").await.is_ok());
    until("one is given back", async || limit.take("a").await.is_ok()).await;
}

async fn all_hear_what_is_published(state: Two) {
    let (mut one, mut other) = (
        state.one.subscribe(&Topic::named("sessions")),
        state.other.subscribe(&Topic::named("sessions")),
    );
    state.one.publish(&Topic::named("payments"), "not this").await;
    for text in ["first", "second", ""] {
        state.one.publish(&Topic::named("sessions"), text).await;
        for bus in [&mut one, &mut other] {
            assert_eq!(hear(bus).await, Heard::Message(text.into()));
        }
    }
    // Once each: the next thing received is the next thing published.
    state.other.publish(&Topic::named("sessions"), "last").await;
    for bus in [&mut one, &mut other] {
        assert_eq!(hear(bus).await, Heard::Message("last".into()));
    }
}

/// Each call ends soon and reports that Redis is away; limits hold; what was published meanwhile is a gap.
async fn goes_on_without(shared: &Shared) {
    until("it is noticed", async || {
        shared.status().await == Some(HealthStatus::Degraded)
    })
    .await;
    let started = Instant::now();
    for _ in 0..20 {
        let _ = shared.cached(&["a".to_owned()]).await;
    }
    assert!(
        started.elapsed() < Duration::from_secs(1),
        "calls are not tried one by one: {:?}",
        started.elapsed()
    );
    let limit = RateLimit::new(shared, "without", 3, LONG);
    let mut passed = 0;
    for _ in 0..10 {
        passed += u32::from(limit.take("a").await.is_ok());
    }
    assert_eq!(passed, 3, "this process goes on counting");
    let mut bus = shared.subscribe(&Topic::named("sessions"));
    shared
        .publish(&Topic::named("sessions"), "for this process")
        .await;
    assert_eq!(hear(&mut bus).await, Heard::Message("for this process".into()));
}

async fn comes_back(shared: &Shared) {
    until("Redis is used again", async || {
        shared.status().await == Some(HealthStatus::Up)
    })
    .await;
    put(shared, "again", "1", LONG).await;
    assert_eq!(got(shared, "again").await.as_deref(), Some("1"));
}

async fn without<F: Future<Output = ()>>(fault: impl FnOnce(RedisServer, Shared) -> F) {
    let Two { one, mut servers, .. } = in_redis().await;
    timeout(Duration::from_secs(60), fault(servers.remove(0), one))
        .await
        .unwrap();
}

#[tokio::test]
async fn redis_killed_and_back() {
    without(async |mut server: RedisServer, shared| {
        let mut bus = shared.subscribe(&Topic::named("payments"));
        server.kill();
        goes_on_without(&shared).await;
        server.start_again();
        comes_back(&shared).await;
        assert_eq!(hear(&mut bus).await, Heard::Gap, "something may have been missed");
    })
    .await;
}

#[tokio::test]
async fn redis_frozen_and_thawed() {
    without(async |server: RedisServer, shared| {
        let mut bus = shared.subscribe(&Topic::named("payments"));
        server.freeze();
        goes_on_without(&shared).await;
        // A frozen server drops no connection; the beat of the subscription finds out.
        sleep(Duration::from_secs(7)).await;
        server.thaw();
        comes_back(&shared).await;
        assert_eq!(hear(&mut bus).await, Heard::Gap);
    })
    .await;
}

#[tokio::test]
async fn redis_flushed() {
    without(async |server: RedisServer, shared| {
        put(&shared, "a", "1", LONG).await;
        let limit = RateLimit::new(&shared, "flushed", 3, LONG);
        for _ in 0..3 {
            limit.take("a").await.unwrap();
        }
        server.command(&["FLUSHALL"]);
        assert_eq!(got(&shared, "a").await, None);
        assert!(limit.take("a").await.is_err(), "this process has not forgotten");
    })
    .await;
}

#[tokio::test]
async fn redis_that_was_never_there() {
    let mut server = RedisServer::start();
    server.kill();
    let shared = Shared::redis(&server.secret_url()).unwrap();
    goes_on_without(&shared).await;
    server.start_again();
    comes_back(&shared).await;
}

#[tokio::test]
async fn a_wrong_url_is_refused_and_not_shown() {
    let error = Shared::redis(&"redis://user:hunter2@".into()).err().unwrap();
    assert!(
        error.contains("REDIS_URL") && !error.contains("hunter2"),
        "{error}"
    );
}

/// Addresses cannot be read in Redis, and everything there expires.
#[tokio::test]
async fn keys_hide_addresses_and_expire() {
    let state = in_redis().await;
    put(&state.one, "a", "1", LONG).await;
    state
        .one
        .keep_once("x".to_owned(), Bytes::from_static(b"1"), LONG)
        .await
        .unwrap();
    state.one.invalidate("b".to_owned(), LONG).await.unwrap();
    RateLimit::new(&state.one, "n", 3, LONG)
        .take("asha@example.org")
        .await
        .unwrap();
    let server = &state.servers[0];
    let keys = server.command(&["KEYS", "*"]);
    assert_eq!(keys.matches("organise:").count(), 4, "{keys}");
    assert!(!keys.contains("asha"), "{keys}");
    assert!(server.command(&["INFO", "keyspace"]).contains("keys=4,expires=4"));
}
