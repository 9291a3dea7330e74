//! The events service: events, registrations, seats and tickets.

pub mod app;
pub mod domain;
pub mod handlers;
pub mod internal;
pub mod routes;
pub mod store;
pub mod views;
pub mod workers;

use common::{
    health,
    http::{InternalClient, Pipeline, Upstream},
    metrics::Metrics,
    store::Ping,
    wire::service,
};
use runtime::relay::OutboxGauge;
use runtime::{deliveries::Deliveries, process::Context, relay::Relay};

use crate::app::App;

/// What the service keeps, for the migration from one store to the other.
pub mod schema {
    pub use crate::store::{mongo::COLLECTIONS, sqlite::MIGRATIONS};
}

/// Builds the service and starts its workers.
///
/// # Errors
/// One sentence for the person who started the program.
pub async fn build(
    context: &Context,
    users: Upstream,
    notifications: Upstream,
    payments: Upstream,
) -> Result<Pipeline, String> {
    let store = store::open(&context.settings).await?;
    let auth = context.auth(service::EVENTS);
    if !users.is_local() {
        let users = InternalClient::new(users, auth.clone(), service::USERS);
        context.follow_sessions(users).await;
    }
    let app = App {
        auth,
        store: store.clone(),
        clock: context.clock.clone(),
        hold: context.settings.hold,
        default_timezone: context.settings.default_timezone,
    };
    start_workers(context, &app, notifications, payments);
    let outbox = OutboxGauge {
        store: store.outbox(),
        clock: context.clock.clone(),
    };
    let gauges = [Some(Box::new(outbox) as _), context.shared.gauge()];
    let metrics = Metrics::new(service::EVENTS, gauges.into_iter().flatten().collect());
    let ping: Ping = Box::new(move || {
        let store = store.clone();
        Box::pin(async move { store.ping().await })
    });
    let health = runtime::health::of_store(service::EVENTS, ping, context);
    let (router, document) = routes::routes(app);
    Ok(Pipeline::new(
        service::EVENTS,
        router
            .merge(health::routes(health, metrics.clone()))
            .merge(common::http::document(document)),
        metrics,
    ))
}

fn start_workers(context: &Context, app: &App, notifications: Upstream, payments: Upstream) {
    let (workers, stop) = (&context.workers, || context.workers.stop_token());
    workers.spawn("expire holds", workers::expire_holds(app.clone(), stop()));
    workers.spawn(
        "end registrations",
        workers::end_registrations(app.clone(), stop()),
    );
    workers.spawn("tidy events", workers::tidy(app.clone(), stop()));
    workers.spawn("index events", workers::index_events(app.clone(), stop()));
    let wake = app.store.wake_signal();
    for (upstream, audience) in [
        (notifications, service::NOTIFICATIONS),
        (payments, service::PAYMENTS),
    ] {
        let relay = Relay {
            store: app.store.outbox(),
            client: InternalClient::new(upstream, app.auth.clone(), audience),
            wake: wake.listen(),
            deliveries: Deliveries::default(),
            clock: app.clock.clone(),
        };
        workers.spawn("relay from events", relay.run(stop()));
    }
}
