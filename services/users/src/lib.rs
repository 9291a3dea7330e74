//! Accounts: sign-up, login, the caller's own details, and look-ups for the other services.
//!
//! The service owns the passwords. They are hashed with Argon2id on threads of their own (`hashing`), so that
//! nothing else waits for them; who guesses is slowed down by `limits`.

mod app;
mod docs;
mod domain;
mod handlers;
mod hashing;
mod internal;
mod limits;
mod routes;
mod store;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use common::{
    http::{self, Front, health},
    metrics::Metrics,
    process::Context,
    store::Ping,
    wire::service,
};

use crate::{
    app::App,
    hashing::{Bounds, Hashing, HashingGauge},
    limits::Limits,
    store::Store,
};

/// Builds the service: opens its store, starts its hashing threads and puts its routes behind one front.
///
/// # Errors
/// One sentence for the person who started the program.
pub async fn build(context: &Context) -> Result<Front, String> {
    let store = store::open(context).await?;
    let hashing = Hashing::start(Bounds::default())
        .map_err(|error| format!("the threads that hash passwords could not be started: {error}."))?;
    Ok(assemble(context, store, hashing))
}

fn assemble(context: &Context, store: Arc<dyn Store>, hashing: Hashing) -> Front {
    let settings = &context.settings;
    let app = App {
        auth: context.auth(service::USERS),
        store: store.clone(),
        clock: context.clock.clone(),
        limits: if settings.rate_limits {
            Limits::on()
        } else {
            Limits::off()
        },
        hashing: hashing.clone(),
        token_lifetime: settings.token_lifetime,
        refuse_common_passwords: settings.is_production(),
    };
    let metrics = Metrics::new(service::USERS, vec![Box::new(HashingGauge(hashing))]);
    let ping: Ping = Box::new(move || {
        let store = store.clone();
        Box::pin(async move { store.ping().await })
    });
    let health = health::of_store(service::USERS, ping, context.workers.stop_token());
    let (router, document) = routes::router(app);
    let router = router
        .merge(health::routes(health, metrics.clone()))
        .merge(http::document(document));
    Front::new(service::USERS, router, metrics)
}
