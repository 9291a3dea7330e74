//! A cache whose entries have a bounded age.

use std::{hash::Hash, time::Duration};

use moka::future::Cache as Moka;

/// An in-process cache. Cheap to clone.
#[derive(Clone)]
pub struct Cache<K, V>(Moka<K, V>)
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static;

impl<K, V> Cache<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// At most `entries`, none served longer than `ttl` after it was loaded.
    pub fn new(entries: u64, ttl: Duration) -> Self {
        Self(Moka::builder().max_capacity(entries).time_to_live(ttl).build())
    }

    /// What is kept under `key`.
    pub async fn get(&self, key: &K) -> Option<V> {
        self.0.get(key).await
    }

    /// Keeps a value.
    pub async fn put(&self, key: K, value: V) {
        self.0.insert(key, value).await;
    }
}
