//! The payments service: orders, payments and refunds through Razorpay.

pub mod app;
pub mod commands;
pub mod domain;
pub mod flow;
pub mod handlers;
pub mod internal;
mod live;
pub mod payer_side;
pub mod problems;
pub mod razorpay;
pub mod routes;
pub mod store;
pub mod views;
pub mod workers;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use common::{
    clock::Clock,
    http::{InternalClient, Pipeline},
    metrics::Gauge,
    services::Service,
    store::Ping,
};
use runtime::{
    deliveries::Deliveries, live::OwnChannels, peers::Peers, process::Context, relay::OutboxGauge, service,
    user_directory::UserDirectory, verified_email::VerifiedEmail,
};
use shared_state::bus::Topic;

use crate::{app::App, razorpay::Razorpay, store::Store};

/// The stored data, for the migration from one store to the other.
#[cfg(feature = "mongodb")]
pub mod schema {
    pub use crate::store::{mongo::COLLECTIONS, sqlite::MIGRATIONS};
}

/// Builds the service and starts its workers. `razorpay` is the base URL of Razorpay or its simulator.
///
/// # Errors
/// One sentence for the person who started the program.
pub async fn build(context: &Context, peers: &Peers, razorpay: &str) -> Result<Pipeline, String> {
    let app = app(context, store::open(&context.settings).await?, peers, razorpay)?;
    service::follow_sessions(context, &app.auth, peers).await;
    let outbox = start_workers(context, &app, peers);
    Ok(assemble(context, app, peers, outbox))
}

fn app(context: &Context, store: Arc<dyn Store>, peers: &Peers, razorpay: &str) -> Result<App, String> {
    let auth = context.auth(Service::Payments.name());
    let client =
        |service: Service| InternalClient::new(peers.of(service).clone(), auth.clone(), service.name());
    let directory = UserDirectory::new(
        client(Service::Users),
        context.shared.clone(),
        context.clock.clone(),
    );
    let razorpay = Razorpay::new(razorpay, context.razorpay_keys().clone())?;
    Ok(App {
        store,
        clock: context.clock.clone(),
        events: client(Service::Events),
        payer_side: payer_side::of(&context.settings, &razorpay, &directory),
        verified_email: VerifiedEmail::new(&context.settings, directory.clone()),
        directory,
        razorpay,
        default_timezone: context.settings.default_timezone,
        lease: context.settings.lease,
        deliveries: Deliveries::new(&context.shared, Topic::named("payments"), |effect| {
            domain::refund::parse_reason(effect).is_some()
        }),
        auth,
    })
}

fn assemble(context: &Context, app: App, peers: &Peers, outbox: OutboxGauge) -> Pipeline {
    let store = app.store.clone();
    let to_look_at = ToLookAt {
        store: store.clone(),
        clock: context.clock.clone(),
    };
    let gauges: Vec<Box<dyn Gauge>> = vec![Box::new(outbox), Box::new(to_look_at), app.directory.gauge()];
    let ping: Ping = Box::new(move || {
        let store = store.clone();
        Box::pin(async move { store.ping().await })
    });
    let guard = service::guard(context, &app.auth, peers, app.store.audit());
    let routes = routes::routes(app);
    service::pipeline(context, Service::Payments, guard, ping, gauges, routes)
}

fn start_workers(context: &Context, app: &App, peers: &Peers) -> OutboxGauge {
    let (workers, stop) = (&context.workers, || context.workers.stop_token());
    let wake = app.store.wake_signal();
    let outbox = service::start_relays(
        context,
        Service::Payments,
        &app.auth,
        peers,
        &app.store.outbox(),
        &wake,
        // A payer's request waits for the receipt of events for a capture.
        |to| match to {
            Service::Events => app.deliveries.clone(),
            _ => Deliveries::default(),
        },
    );
    let channels = OwnChannels::new(live::Payments(app.store.clone()), app.events.clone());
    service::start_relay(
        context,
        Service::Payments,
        &outbox,
        &wake,
        Arc::new(channels),
        Deliveries::default(),
    );
    workers.spawn(
        "payments to each other",
        app.deliveries.clone().hear(wake.clone(), stop()),
    );
    workers.spawn(
        "reconciler",
        workers::reconcile_orders(app.clone(), wake.listen(), stop()),
    );
    workers.spawn(
        "refunds",
        workers::make_refunds(app.clone(), wake.listen(), stop()),
    );
    workers.spawn("released payments", workers::follow_releases(app.clone(), stop()));
    workers.spawn("refund sweep", workers::sweep_refunds(app.clone(), stop()));
    workers.spawn("tidy payments", workers::tidy(app.clone(), stop()));
    outbox
}

/// The gauges of what an operator should look at.
struct ToLookAt {
    store: Arc<dyn Store>,
    clock: Clock,
}

/// A capture takes seconds; after this an operator should look.
const STUCK_AFTER: chrono::TimeDelta = chrono::TimeDelta::minutes(5);

#[async_trait]
impl Gauge for ToLookAt {
    async fn read(&self) -> Vec<(&'static str, &'static str, f64)> {
        let since = self.clock.now() - STUCK_AFTER;
        let Ok(stuck) = self.store.stuck(since).await else {
            return Vec::new();
        };
        vec![
            (
                "payments_stuck",
                "Payments authorized for more than five minutes and neither captured nor released.",
                stuck.payments as f64,
            ),
            (
                "refunds_stuck",
                "Refunds tried in vain more than three times.",
                stuck.refunds as f64,
            ),
            (
                "webhooks_parked",
                "Webhooks that Razorpay signed and that could not be understood.",
                stuck.webhooks as f64,
            ),
        ]
    }
}
