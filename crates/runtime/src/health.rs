//! What a service that keeps something needs to be ready.

use async_trait::async_trait;
use common::{
    health::{Check, Health, HealthStatus},
    sessions::Ended,
    store::{Ping, StoreError},
};
use shared_state::Shared;

use crate::process::Context;

struct StoreCheck(Ping);

#[async_trait]
impl Check for StoreCheck {
    fn name(&self) -> &'static str {
        "store"
    }

    async fn check(&self) -> HealthStatus {
        match (self.0)().await {
            Ok(()) => HealthStatus::Up,
            Err(error @ StoreError::ReadOnly(_)) => {
                tracing::error!(%error, "what is stored can only be read");
                HealthStatus::Degraded
            }
            Err(error) => {
                tracing::warn!(%error, "the store does not answer");
                HealthStatus::Down
            }
        }
    }
}

struct RedisCheck(Shared);

#[async_trait]
impl Check for RedisCheck {
    fn name(&self) -> &'static str {
        "redis"
    }

    async fn check(&self) -> HealthStatus {
        self.0.status().await.unwrap_or(HealthStatus::Up)
    }
}

struct SessionsCheck(Ended);

#[async_trait]
impl Check for SessionsCheck {
    fn name(&self) -> &'static str {
        "ended_sessions"
    }

    async fn check(&self) -> HealthStatus {
        self.0.status()
    }
}

/// Readiness of a service that cannot do without its store, has to know which sessions have ended, and is only slower
/// without Redis, when it uses that.
pub fn of_store(service: &'static str, ping: Ping, context: &Context) -> Health {
    let sessions = SessionsCheck(context.ended.clone());
    let mut checks: Vec<Box<dyn Check>> = vec![Box::new(StoreCheck(ping)), Box::new(sessions)];
    if !context.shared.is_in_process() {
        checks.push(Box::new(RedisCheck(context.shared.clone())));
    }
    Health::new(service, checks, context.workers.stop_token())
}
