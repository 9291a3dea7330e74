//! Accounts: sign-up, login, sessions and their refresh tokens, the caller's own details, and look-ups for the other services.
//!
//! The service owns the passwords. They are hashed with Argon2id on threads of their own (`hashing`), so that
//! nothing else waits for them; guessing is slowed down by `limits`.

mod addresses;
mod app;
mod browser_cookie;
pub mod commands;
mod credentials;
mod deletion;
mod docs;
mod domain;
mod export;
mod google;
mod handlers;
mod hashing;
mod internal;
mod kept;
mod limits;
mod mailed;
mod pages;
mod random;
mod routes;
mod second_factor;
mod sign_in_with_google;
mod signed_in;
pub mod store;

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use common::{
    http::{InternalClient, Pipeline, Upstream},
    mailed_tokens::MailedTokens,
    metrics::Gauge,
    services::Service,
    store::Ping,
};
use runtime::{
    deliveries::Deliveries, guard::Guard, peers::Peers, process::Context, relay::OutboxGauge, service,
};

use crate::{
    app::{App, Others},
    browser_cookie::BrowserCookie,
    domain::{Lifetimes, Successors},
    google::Google,
    hashing::{Bounds, Hashing, HashingGauge},
    limits::Limits,
    store::Store,
};

/// What the service keeps, for the migration from one store to the other.
#[cfg(feature = "mongodb")]
pub mod schema {
    pub use crate::store::{mongo::COLLECTIONS, sqlite::MIGRATIONS};
}

/// What the key of refresh tokens is derived for.
const REFRESH_TOKENS: &str = "refresh tokens v1";

/// Builds the service: opens its store, starts its hashing threads and its relay, and puts its routes into one pipeline.
///
/// # Errors
/// One sentence for the person who started the program.
pub async fn build(context: &Context, peers: &Peers) -> Result<Pipeline, String> {
    let store = store::open(&context.settings).await?;
    if let Err(error) = addresses::unify(&*store).await {
        // Sign-in finds them in their earlier form too; the next start tries again.
        tracing::warn!(%error, "addresses of an earlier release could not be brought into one form");
    }
    let hashing = Hashing::start(Bounds::default())
        .map_err(|error| format!("the threads that hash passwords could not be started: {error}."))?;
    let auth = context.auth(Service::Users.name());
    let wake = store.wake_signal();
    let no_deliveries = |_| Deliveries::default();
    let outbox = service::start_relays(
        context,
        Service::Users,
        &auth,
        peers,
        &store.outbox(),
        &wake,
        no_deliveries,
    );
    // It looks API keys up as the other services do. Another process of this service may end sessions too, so it polls itself
    // as they poll it.
    let (me, slot) = Upstream::local();
    let client = |upstream| InternalClient::new(upstream, auth.clone(), Service::Users.name());
    let (for_keys, me) = (client(me.back()), client(me));
    let recorder = service::recorder(context, store.audit());
    let guard = Guard::new(auth.clone(), for_keys, recorder, context.settings.rate_limits);
    let pipeline = assemble(context, store, peers, hashing, guard, outbox)?;
    // The slot is new and set here only.
    let _ = slot.set(pipeline.clone());
    context.follow_sessions(me).await;
    Ok(pipeline)
}

fn assemble(
    context: &Context,
    store: Arc<dyn Store>,
    peers: &Peers,
    hashing: Hashing,
    guard: Guard,
    outbox: OutboxGauge,
) -> Result<Pipeline, String> {
    let settings = &context.settings;
    let auth = context.auth(Service::Users.name());
    // The settings are bounded by a year.
    let seconds = |time: Duration| TimeDelta::from_std(time).unwrap_or(TimeDelta::MAX);
    let app = App {
        auth: auth.clone(),
        store: store.clone(),
        clock: context.clock.clone(),
        others: Arc::new(Others::new(&auth, peers)),
        exports: Arc::new(tokio::sync::Semaphore::new(1)),
        shared: context.shared.clone(),
        ended: context.ended.clone(),
        limits: if settings.rate_limits {
            Limits::on(&context.shared)
        } else {
            Limits::off()
        },
        hashing: hashing.clone(),
        lifetimes: Lifetimes {
            access: seconds(settings.token_lifetime),
            idle: seconds(settings.refresh_idle),
            absolute: seconds(settings.refresh_lifetime),
        },
        successors: Successors::new(auth.key_for(REFRESH_TOKENS), auth.other_key_for(REFRESH_TOKENS)),
        mailed_tokens: Arc::new(MailedTokens::new(&auth)),
        google: Google::new(settings, context.clock.clone())?.map(Arc::new),
        cookie: BrowserCookie::of(&settings.public_url(settings.gateway_port)),
        origins: settings.allowed_origins(),
        refuse_common_passwords: settings.is_production(),
    };
    let ping: Ping = Box::new(move || {
        let store = store.clone();
        Box::pin(async move { store.ping().await })
    });
    let gauges: Vec<Box<dyn Gauge>> = vec![Box::new(HashingGauge(hashing)), Box::new(outbox)];
    let routes = routes::router(app);
    Ok(service::pipeline(
        context,
        Service::Users,
        guard,
        ping,
        gauges,
        routes,
    ))
}
