//! Rate limits, counted over all processes when they share Redis, and by each for itself when Redis is away.

use std::{
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use common::{
    context::{Quota, note_quota},
    problem::ApiError,
};

use crate::{Limit, Shared};

/// By what the calls from an address are counted: an IPv4 address, or a /64 of IPv6, which is what a single customer is given
/// at least (RFC 6177), so that changing the address within it does not get around a limit.
pub fn source(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).to_string()
        }
        v4 => v4.to_string(),
    }
}

/// 429, to be tried again after `wait`.
pub fn too_many(wait: Duration, detail: &'static str) -> ApiError {
    ApiError::too_many_requests(wait.as_secs_f64().ceil() as u64, detail)
}

/// Lets `burst` through at once and then one every `period / burst`. Cheap to clone.
#[derive(Clone)]
pub struct RateLimit(Option<Inner>);

#[derive(Clone)]
struct Inner {
    shared: Shared,
    name: &'static str,
    limit: Limit,
}

impl RateLimit {
    /// `burst` per `period`, counted in `shared` under a `name` of its own.
    pub fn new(shared: &Shared, name: &'static str, burst: u32, period: Duration) -> Self {
        Self(Some(Inner {
            shared: shared.clone(),
            name,
            limit: Limit { burst, period },
        }))
    }

    /// No limit, for load tests.
    pub fn off() -> Self {
        Self(None)
    }

    /// Counts one more for `key`.
    ///
    /// # Errors
    /// How long to wait, when it is one too many.
    pub async fn take(&self, key: &str) -> Result<(), Duration> {
        match &self.0 {
            Some(inner) => inner.attempt(key, true).await,
            None => Ok(()),
        }
    }

    /// Checks without counting.
    ///
    /// # Errors
    /// How long to wait, when the next would be one too many.
    pub async fn peek(&self, key: &str) -> Result<(), Duration> {
        match &self.0 {
            Some(inner) => inner.attempt(key, false).await,
            None => Ok(()),
        }
    }

    /// Checks only what this process has counted, without waiting.
    ///
    /// # Errors
    /// How long to wait, when the next would be one too many.
    pub fn peek_here(&self, key: &str) -> Result<(), Duration> {
        match &self.0 {
            Some(inner) => inner.shared.attempt_here(&inner.key(key), inner.limit),
            None => Ok(()),
        }
    }

    /// Counts one more for `key` without checking or waiting.
    pub fn note(&self, key: &str) {
        if let Some(inner) = &self.0 {
            inner.shared.note(&inner.key(key), inner.limit);
        }
    }

    /// Resets a key.
    pub fn clear(&self, key: &str) {
        if let Some(inner) = &self.0 {
            inner.shared.forgive(&inner.key(key));
        }
    }
}

impl Inner {
    /// Counts or checks, and notes for the answer how far the limit is used up.
    async fn attempt(&self, key: &str, count: bool) -> Result<(), Duration> {
        let attempted = self.shared.attempt(&self.key(key), self.limit, count).await;
        let (left, reset) = match attempted {
            Ok(full) => (self.limit.left(full), full),
            Err(wait) => (0, wait),
        };
        note_quota(Quota {
            policy: self.name,
            quota: self.limit.burst,
            window: self.limit.period,
            left,
            reset,
        });
        attempted.map(drop)
    }

    fn key(&self, key: &str) -> String {
        format!("{}:{key}", self.name)
    }
}
