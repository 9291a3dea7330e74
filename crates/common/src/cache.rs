//! A read-through cache: one load per key at a time, entries of bounded age.

use std::{future::Future, hash::Hash, sync::Arc, time::Duration};

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

    /// The value of `key`, loaded by the first who asks while the others wait. A failed load is not kept.
    ///
    /// # Errors
    /// What the load returns, shared among all who waited for it.
    pub async fn get_or_load<E: Send + Sync + 'static>(
        &self,
        key: K,
        load: impl Future<Output = Result<V, E>>,
    ) -> Result<V, Arc<E>> {
        self.0.try_get_with(key, load).await
    }

    /// Drops a value that has changed.
    pub async fn forget(&self, key: &K) {
        self.0.invalidate(key).await;
    }
}
