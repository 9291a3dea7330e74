//! What a service that keeps something needs to be ready.

use async_trait::async_trait;
use common::{
    health::{Check, Health, Status},
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

    async fn check(&self) -> Status {
        match (self.0)().await {
            Ok(()) => Status::Up,
            Err(error @ StoreError::ReadOnly(_)) => {
                tracing::error!(%error, "what is stored can only be read");
                Status::Degraded
            }
            Err(error) => {
                tracing::warn!(%error, "the store does not answer");
                Status::Down
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

    async fn check(&self) -> Status {
        self.0.status().await.unwrap_or(Status::Up)
    }
}

struct SessionsCheck(Ended);

#[async_trait]
impl Check for SessionsCheck {
    fn name(&self) -> &'static str {
        "ended_sessions"
    }

    async fn check(&self) -> Status {
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
