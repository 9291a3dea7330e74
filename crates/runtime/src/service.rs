//! What every service is put together from, beside its own routes and workers.

use std::sync::Arc;

use axum::{Router, middleware};
use common::{
    audit::AuditStore,
    auth::Auth,
    health,
    http::{self, InternalClient, Pipeline},
    metrics::{Gauge, Metrics},
    outbox::OutboxStore,
    services::Service,
    store::Ping,
    workers::WakeSignal,
};
use utoipa::openapi::OpenApi;

use crate::{
    audit::Recorder,
    deliveries::Deliveries,
    guard::Guard,
    health::of_store,
    peers::Peers,
    process::Context,
    relay::{OutboxGauge, Relay, Subscriber},
};

/// What checks the callers of a service, and writes into its audit trail.
pub fn guard(context: &Context, auth: &Auth, peers: &Peers, trail: Arc<dyn AuditStore>) -> Guard {
    let users = InternalClient::new(
        peers.of(Service::Users).clone(),
        auth.clone(),
        Service::Users.name(),
    );
    Guard::new(
        auth.clone(),
        users,
        recorder(context, trail),
        context.settings.rate_limits,
    )
}

/// What writes into the audit trail of a service.
pub fn recorder(context: &Context, trail: Arc<dyn AuditStore>) -> Recorder {
    let recorder = Recorder::default();
    let work = recorder
        .clone()
        .run(trail, context.clock.clone(), context.workers.stop_token());
    context.workers.spawn("audit trail", work);
    recorder
}

/// The pipeline of a service: its routes, each behind the guard, with their document, health, and figures (its own `gauges`
/// and those of the shared state).
pub fn pipeline(
    context: &Context,
    service: Service,
    guard: Guard,
    ping: Ping,
    gauges: Vec<Box<dyn Gauge>>,
    (routes, document): (Router, OpenApi),
) -> Pipeline {
    let gauges = gauges
        .into_iter()
        .chain(context.shared.gauge())
        .chain([guard.recorder().gauge()]);
    let metrics = Metrics::new(service.name(), gauges.collect());
    let health = of_store(service.name(), ping, context);
    let router = routes
        .route_layer(middleware::from_fn_with_state(guard, Guard::check))
        .merge(health::routes(health, metrics.clone()))
        .merge(http::document(document));
    Pipeline::new(service.name(), router, metrics)
}

/// Keeps the list of ended sessions up to date where the users service is in another process; where it is in this one, it
/// does so for all.
pub async fn follow_sessions(context: &Context, auth: &Auth, peers: &Peers) {
    let users = peers.of(Service::Users);
    if !users.is_local() {
        let users = InternalClient::new(users.clone(), auth.clone(), Service::Users.name());
        context.follow_sessions(users).await;
    }
}

/// Starts a relay from the outbox of `service` to each service that it publishes to, and gives the outbox's figures.
/// `deliveries` gives what notifies the requests that wait for a message to be delivered.
pub fn start_relays(
    context: &Context,
    service: Service,
    auth: &Auth,
    peers: &Peers,
    store: &Arc<dyn OutboxStore>,
    wake: &WakeSignal,
    deliveries: impl Fn(Service) -> Deliveries,
) -> OutboxGauge {
    let outbox = OutboxGauge {
        store: Arc::clone(store),
        clock: context.clock.clone(),
        figures: Arc::default(),
    };
    for to in service.publishes_to() {
        let client = InternalClient::new(peers.of(*to).clone(), auth.clone(), to.name());
        start_relay(context, service, &outbox, wake, Arc::new(client), deliveries(*to));
    }
    outbox
}

/// Starts a relay from the outbox of `service` to one subscriber.
pub fn start_relay(
    context: &Context,
    service: Service,
    outbox: &OutboxGauge,
    wake: &WakeSignal,
    subscriber: Arc<dyn Subscriber>,
    deliveries: Deliveries,
) {
    let relay = Relay {
        store: Arc::clone(&outbox.store),
        subscriber,
        wake: wake.listen(),
        deliveries,
        clock: context.clock.clone(),
        figures: Arc::clone(&outbox.figures),
    };
    context
        .workers
        .spawn(service.outbox(), relay.run(context.workers.stop_token()));
}
