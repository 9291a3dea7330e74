//! Look-ups read through the shared cache: what is not there is loaded, once for all concurrent callers, and kept for
//! a while.

use std::{
    collections::{HashMap, hash_map::Entry},
    fmt::Display,
    hash::Hash,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::sync::watch;

use crate::Shared;
use common::{
    clock::{Clock, Timestamp, from_millis},
    metrics::{Gauge, Histogram},
};

/// Nothing older is served, whatever the shared cache says.
const OLDEST: chrono::TimeDelta = chrono::TimeDelta::seconds(60);
/// How long a look-up lives in Redis, from which a change removes it.
const LIFE: Duration = Duration::from_secs(45);
/// How long it lives in the memory of one process, which a change in another one does not invalidate.
const LIFE_HERE: Duration = Duration::from_secs(5);
/// How long it is remembered that there is nothing.
const LIFE_OF_NOTHING: Duration = Duration::from_secs(5);
/// After a change, for how long loads that began before it may not be stored: longer than a look-up may take
/// ([`common::http::InternalClient::post`]).
const QUIET: Duration = Duration::from_secs(12);

/// Where look-ups come from.
#[async_trait]
pub trait Loader<K, V>: Send + Sync {
    /// Why nothing could be looked up.
    type Error: Clone + Send + Sync;

    /// Looks all of these up; what does not exist is left out.
    async fn load(&self, keys: Vec<K>) -> Result<Vec<(K, V)>, Self::Error>;
}

/// A kind of look-ups, such as users by id. Cheap to clone.
pub struct ReadThrough<K, V, S: Loader<K, V>>(Arc<Inner<K, V, S>>);

impl<K, V, S: Loader<K, V>> Clone for ReadThrough<K, V, S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

struct Inner<K, V, S: Loader<K, V>> {
    life: Duration,
    shared: Shared,
    clock: Clock,
    name: &'static str,
    source: S,
    flights: Mutex<HashMap<K, Flight<V, S::Error>>>,
    stats: Arc<Stats>,
}

/// What came of a look-up under way; `None`: nothing yet.
type Landed<V, E> = Option<Result<Option<V>, E>>;
/// A look-up under way, for the callers that wait for it.
type Flight<V, E> = watch::Receiver<Landed<V, E>>;
/// The same for the caller that carries it out.
type Land<V, E> = watch::Sender<Landed<V, E>>;

#[derive(Default)]
struct Stats {
    hits: AtomicU64,
    misses: AtomicU64,
    loads: Histogram,
}

/// What is stored.
#[derive(Serialize, Deserialize)]
struct Stored<V> {
    /// When it was asked for, in milliseconds since 1970.
    at: i64,
    /// `None`: there is no such thing.
    value: Option<V>,
}

impl<K, V, S> ReadThrough<K, V, S>
where
    K: Copy + Eq + Hash + Display + Send + Sync,
    V: Clone + Send + Sync + Serialize + DeserializeOwned,
    S: Loader<K, V>,
{
    /// Look-ups of `source`, under keys that begin with `name`.
    pub fn new(shared: Shared, clock: Clock, name: &'static str, source: S) -> Self {
        let life = if shared.is_in_process() { LIFE_HERE } else { LIFE };
        Self::living(life, shared, clock, name, source)
    }

    /// Likewise, of what others publish the end of, so that it may live as long in memory as in Redis.
    pub fn of_what_is_revoked(shared: Shared, clock: Clock, name: &'static str, source: S) -> Self {
        Self::living(LIFE, shared, clock, name, source)
    }

    fn living(life: Duration, shared: Shared, clock: Clock, name: &'static str, source: S) -> Self {
        Self(Arc::new(Inner {
            life,
            shared,
            clock,
            name,
            source,
            flights: Mutex::default(),
            stats: Arc::default(),
        }))
    }

    /// Looks these up; what does not exist is missing from the answer. Nothing in it is older than a minute.
    ///
    /// # Errors
    /// When the source failed for one of them.
    pub async fn find(&self, keys: impl IntoIterator<Item = K>) -> Result<HashMap<K, V>, S::Error> {
        self.look(keys, true).await
    }

    /// Likewise, for whoever goes through very many: what is loaded is not stored, so that it pushes nothing out that others
    /// need again.
    ///
    /// # Errors
    /// When the source failed for one of them.
    pub async fn find_in_passing(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<HashMap<K, V>, S::Error> {
        self.look(keys, false).await
    }

    async fn look(&self, keys: impl IntoIterator<Item = K>, stores: bool) -> Result<HashMap<K, V>, S::Error> {
        let inner = &self.0;
        let mut wanted: Vec<K> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        wanted.extend(keys.into_iter().filter(|key| seen.insert(*key)));
        let now = inner.clock.now();
        let mut found = HashMap::with_capacity(wanted.len());
        let names: Vec<String> = wanted.iter().map(|key| cache_key(inner.name, key)).collect();
        let cached = inner.shared.cached(&names).await.unwrap_or_default();
        let mut cached = cached.into_iter();
        // Redis may be away or have fewer answers than were asked for; the rest is loaded.
        wanted.retain(
            |key| match cached.next().flatten().and_then(|bytes| read(&bytes, now)) {
                Some(value) => {
                    found.extend(value.map(|value| (*key, value)));
                    false
                }
                None => true,
            },
        );
        inner
            .stats
            .hits
            .fetch_add((seen.len() - wanted.len()) as u64, Ordering::Relaxed);
        inner
            .stats
            .misses
            .fetch_add(wanted.len() as u64, Ordering::Relaxed);
        while !wanted.is_empty() {
            wanted = self.load(wanted, stores, &mut found).await?;
        }
        Ok(found)
    }

    /// Loads what is not being loaded yet and waits for what other callers load. Returns what is still not known,
    /// because the caller that was loading it gave up.
    async fn load(
        &self,
        wanted: Vec<K>,
        stores: bool,
        found: &mut HashMap<K, V>,
    ) -> Result<Vec<K>, S::Error> {
        let inner = &self.0;
        let (mut mine, mut theirs) = (
            Flights {
                inner,
                taken: Vec::new(),
            },
            Vec::new(),
        );
        {
            let mut flights = inner.flights.lock();
            for key in wanted {
                match flights.entry(key) {
                    Entry::Occupied(flight) => theirs.push((key, flight.get().clone())),
                    Entry::Vacant(free) => {
                        let (land, flight) = watch::channel(None);
                        free.insert(flight);
                        mine.taken.push((key, land));
                    }
                }
            }
        }
        if !mine.taken.is_empty() {
            found.extend(self.load_mine(&mine, stores).await?);
        }
        drop(mine);
        let mut unknown = Vec::new();
        for (key, mut flight) in theirs {
            match flight
                .wait_for(Option::is_some)
                .await
                .ok()
                .and_then(|landed| landed.clone())
            {
                Some(Ok(value)) => found.extend(value.map(|value| (key, value))),
                Some(Err(error)) => return Err(error),
                None => unknown.push(key),
            }
        }
        Ok(unknown)
    }

    async fn load_mine(&self, mine: &Flights<'_, K, V, S>, stores: bool) -> Result<HashMap<K, V>, S::Error> {
        let inner = &self.0;
        let (at, started) = (inner.clock.now(), tokio::time::Instant::now());
        let keys = mine.taken.iter().map(|(key, _)| *key).collect();
        let loaded = inner.source.load(keys).await;
        inner.stats.loads.observe(started.elapsed());
        let loaded: HashMap<K, V> = match loaded {
            Ok(loaded) => loaded.into_iter().collect(),
            Err(error) => {
                mine.land(|_| Err(error.clone()));
                return Err(error);
            }
        };
        mine.land(|key| Ok(loaded.get(key).cloned()));
        if !stores {
            return Ok(loaded);
        }
        let entries = mine.taken.iter().filter_map(|(key, _)| {
            let value = loaded.get(key);
            let life = if value.is_some() {
                inner.life
            } else {
                LIFE_OF_NOTHING
            };
            let stored = Stored {
                at: at.timestamp_millis(),
                value,
            };
            // Not all at once are to be loaded again.
            let life = life.mul_f64(rand::random_range(0.7..1.0));
            let bytes = serde_json::to_vec(&stored).ok()?;
            Some((cache_key(inner.name, key), Bytes::from(bytes), life))
        });
        // With Redis away it is loaded again next time.
        let _ = inner.shared.cache(entries.collect()).await;
        Ok(loaded)
    }

    /// The figures of these look-ups.
    pub fn gauge(&self) -> Box<dyn Gauge> {
        Box::new(Figures(self.0.stats.clone()))
    }
}

/// Notifies every process that what is kept under this key has changed. To be called after the change is durable.
pub async fn invalidate(shared: &Shared, name: &str, key: impl Display) {
    if shared.invalidate(cache_key(name, key), QUIET).await.is_err() {
        tracing::debug!(
            name,
            "a change could not be told to the cache; the old value goes by itself"
        );
    }
}

fn cache_key(name: &str, key: impl Display) -> String {
    format!("{name}:{key}")
}

/// A stored look-up, unless it is unreadable or too old.
fn read<V: DeserializeOwned>(bytes: &[u8], now: Timestamp) -> Option<Option<V>> {
    let stored: Stored<V> = serde_json::from_slice(bytes).ok()?;
    ((now - from_millis(stored.at)).abs() < OLDEST).then_some(stored.value)
}

/// What one caller loads for all. However it ends, no caller waits for it afterwards.
struct Flights<'a, K: Eq + Hash, V, S: Loader<K, V>> {
    inner: &'a Inner<K, V, S>,
    taken: Vec<(K, Land<V, S::Error>)>,
}

impl<K: Eq + Hash, V, S: Loader<K, V>> Flights<'_, K, V, S> {
    fn land(&self, outcome: impl Fn(&K) -> Result<Option<V>, S::Error>) {
        for (key, land) in &self.taken {
            land.send_replace(Some(outcome(key)));
        }
    }
}

impl<K: Eq + Hash, V, S: Loader<K, V>> Drop for Flights<'_, K, V, S> {
    fn drop(&mut self) {
        let mut flights = self.inner.flights.lock();
        for (key, _) in &self.taken {
            flights.remove(key);
        }
    }
}

struct Figures(Arc<Stats>);

#[async_trait]
impl Gauge for Figures {
    async fn read(&self) -> Vec<(&'static str, &'static str, f64)> {
        vec![
            (
                "user_lookup_hits_total",
                "User look-ups answered by the cache.",
                self.0.hits.load(Ordering::Relaxed) as f64,
            ),
            (
                "user_lookup_misses_total",
                "User look-ups that were not in the cache.",
                self.0.misses.load(Ordering::Relaxed) as f64,
            ),
        ]
    }

    fn histograms(&self) -> Vec<(&'static str, &'static str, &Histogram)> {
        vec![(
            "user_lookup_load_seconds",
            "Time the users service took to answer look-ups.",
            &self.0.loads,
        )]
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use futures_util::future::join_all;
    use tokio::sync::Notify;

    use super::*;
    use test_kit::redis::RedisServer;

    /// Even numbers are there, as text with the number of the load; the gate lets a load go on.
    #[derive(Clone, Default)]
    struct Numbers {
        loads: Arc<AtomicUsize>,
        keys: Arc<Mutex<Vec<u32>>>,
        gate: Option<Arc<Notify>>,
        fails: Arc<AtomicUsize>,
    }

    #[async_trait]
    impl Loader<u32, String> for Numbers {
        type Error = &'static str;

        async fn load(&self, keys: Vec<u32>) -> Result<Vec<(u32, String)>, &'static str> {
            let load = self.loads.fetch_add(1, Ordering::SeqCst) + 1;
            self.keys.lock().extend(&keys);
            if let Some(gate) = &self.gate {
                gate.notified().await;
            }
            if self.fails.load(Ordering::SeqCst) >= load {
                return Err("not now");
            }
            let even = keys.into_iter().filter(|key| key % 2 == 0);
            Ok(even.map(|key| (key, format!("{key} of {load}"))).collect())
        }
    }

    fn cache(source: &Numbers) -> (ReadThrough<u32, String, Numbers>, Shared, Clock) {
        let (shared, clock) = (Shared::in_process(), Clock::fixed(from_millis(1_700_000_000_000)));
        let cache = ReadThrough::new(shared.clone(), clock.clone(), "number", source.clone());
        (cache, shared, clock)
    }

    #[tokio::test]
    async fn what_is_there_and_what_is_not_are_remembered() {
        let numbers = Numbers::default();
        let (cache, shared, _) = cache(&numbers);
        let first = cache.find([1, 2, 3, 4, 2]).await.unwrap();
        assert_eq!(first.len(), 2);
        assert_eq!(cache.find([4, 3, 2, 1]).await.unwrap(), first);
        assert_eq!(*numbers.keys.lock(), [1, 2, 3, 4]);
        assert_eq!(cache.find([1, 6]).await.unwrap()[&6], "6 of 2");
        invalidate(&shared, "number", 2).await;
        for load in [3, 4] {
            // What has just changed is loaded from the source each time.
            assert_eq!(cache.find([2, 4]).await.unwrap()[&2], format!("2 of {load}"));
        }
        assert_eq!(cache.find([]).await.unwrap(), HashMap::new());
    }

    #[tokio::test]
    async fn what_is_loaded_in_passing_is_not_kept() {
        let numbers = Numbers::default();
        let (cache, ..) = cache(&numbers);
        cache.find([2]).await.unwrap();
        for load in [2, 3] {
            let found = cache.find_in_passing([1, 2, 4]).await.unwrap();
            assert_eq!(found.len(), 2);
            assert_eq!(
                (found[&2].as_str(), &found[&4]),
                ("2 of 1", &format!("4 of {load}"))
            );
        }
        assert_eq!(*numbers.keys.lock(), [2, 1, 4, 1, 4]);
    }

    #[tokio::test]
    async fn nothing_older_than_a_minute_is_served() {
        let numbers = Numbers::default();
        let (cache, _, clock) = cache(&numbers);
        cache.find([2]).await.unwrap();
        clock.set(from_millis(1_700_000_059_999));
        assert_eq!(cache.find([2]).await.unwrap()[&2], "2 of 1");
        clock.set(from_millis(1_700_000_060_000));
        assert_eq!(cache.find([2]).await.unwrap()[&2], "2 of 2");
    }

    #[tokio::test]
    async fn many_who_ask_at_once_load_once() {
        let gate = Arc::new(Notify::new());
        let numbers = Numbers {
            gate: Some(gate.clone()),
            ..Numbers::default()
        };
        let (cache, ..) = cache(&numbers);
        let everybody = join_all((0..100).map(|_| cache.find([2, 4, 5])));
        let (found, ()) = tokio::join!(everybody, async {
            tokio::task::yield_now().await;
            gate.notify_one();
        });
        assert!(found.into_iter().all(|found| found.unwrap()[&4] == "4 of 1"));
        assert_eq!(numbers.loads.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_failure_is_told_to_all_and_not_remembered() {
        let gate = Arc::new(Notify::new());
        let numbers = Numbers {
            gate: Some(gate.clone()),
            ..Numbers::default()
        };
        numbers.fails.store(1, Ordering::SeqCst);
        let (cache, ..) = cache(&numbers);
        let both = join_all([cache.find([2]), cache.find([2])]);
        let (found, ()) = tokio::join!(both, async { gate.notify_one() });
        assert_eq!(found, [Err("not now"), Err("not now")]);
        gate.notify_one();
        assert_eq!(cache.find([2]).await.unwrap()[&2], "2 of 2");
    }

    #[tokio::test]
    async fn nobody_waits_for_who_has_given_up() {
        let gate = Arc::new(Notify::new());
        let numbers = Numbers {
            gate: Some(gate.clone()),
            ..Numbers::default()
        };
        let (cache, ..) = cache(&numbers);
        let gives_up = {
            let cache = cache.clone();
            tokio::spawn(async move { cache.find([2]).await })
        };
        while numbers.loads.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        let waits = cache.find([2]);
        let (found, ()) = tokio::join!(waits, async {
            tokio::task::yield_now().await;
            gives_up.abort();
            let _ = gives_up.await;
            gate.notify_one();
        });
        assert_eq!(found.unwrap()[&2], "2 of 2");
        assert!(cache.0.flights.lock().is_empty());
    }

    #[tokio::test]
    async fn without_redis_everything_is_loaded() {
        let mut server = RedisServer::start();
        let (numbers, clock) = (Numbers::default(), Clock::fixed(from_millis(1_700_000_000_000)));
        let shared = Shared::redis(&server.secret_url()).unwrap();
        let cache = ReadThrough::new(shared, clock, "number", numbers.clone());
        while cache.find([2]).await.unwrap()[&2] != "2 of 1" || numbers.loads.load(Ordering::SeqCst) != 1 {
            numbers.loads.store(0, Ordering::SeqCst); // until the connection is there, each is a load
        }
        server.kill();
        for load in 2..5 {
            assert_eq!(cache.find([2]).await.unwrap()[&2], format!("2 of {load}"));
        }
    }
}
