//! The shared state of a single process, in memory.

use std::time::{Duration, Instant};

use bytes::Bytes;
use moka::{Expiry, future::Cache};

/// The most entries; the least used go first.
const ENTRIES: u64 = 50_000;

#[derive(Clone)]
struct Entry {
    /// Empty: invalidated.
    value: Bytes,
    made: Instant,
    life: Duration,
}

impl Entry {
    fn new(value: Bytes, life: Duration) -> Self {
        Self {
            value,
            made: Instant::now(),
            life,
        }
    }
}

struct Life;

impl Expiry<String, Entry> for Life {
    fn expire_after_create(&self, _: &String, entry: &Entry, _: Instant) -> Option<Duration> {
        Some(entry.life)
    }

    fn expire_after_update(
        &self,
        _: &String,
        entry: &Entry,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(entry.life)
    }
}

/// Cached values, and those for one use.
pub struct Memory {
    cached: Cache<String, Entry>,
    once: Cache<String, Entry>,
}

impl Memory {
    pub fn new() -> Self {
        let cache = || Cache::builder().max_capacity(ENTRIES).expire_after(Life).build();
        Self {
            cached: cache(),
            once: cache(),
        }
    }

    pub async fn cached(&self, keys: &[String]) -> Vec<Option<Bytes>> {
        let mut values = Vec::with_capacity(keys.len());
        for key in keys {
            let entry = self.cached.get(key).await;
            values.push(entry.map(|entry| entry.value).filter(|value| !value.is_empty()));
        }
        values
    }

    pub async fn cache(&self, entries: Vec<(String, Bytes, Duration)>) {
        for (key, value, life) in entries {
            self.cached.entry(key).or_insert(Entry::new(value, life)).await;
        }
    }

    pub async fn invalidate(&self, key: String, quiet: Duration) {
        let nothing = Entry::new(Bytes::new(), quiet);
        self.cached.insert(key, nothing).await;
    }

    pub async fn keep_once(&self, key: String, value: Bytes, life: Duration) {
        self.once.insert(key, Entry::new(value, life)).await;
    }

    pub async fn take(&self, key: &str) -> Option<Bytes> {
        // What is removed may have outlived its time.
        let entry = self.once.remove(key).await?;
        (entry.made.elapsed() < entry.life).then_some(entry.value)
    }
}
