//! The events service: events, registrations, seats and tickets.

pub mod accounts;
pub mod app;
pub mod commands;
pub mod domain;
pub mod handlers;
pub mod internal;
pub mod live;
pub mod page_cache;
mod pages;
pub mod problems;
mod routes;
pub mod store;
pub mod streams;
pub mod ticketing;
pub mod views;
pub mod workers;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use common::{
    auth::Auth,
    http::{InternalClient, Pipeline},
    metrics::Gauge,
    services::Service,
    store::Ping,
};
use runtime::{
    deliveries::Deliveries, peers::Peers, process::Context, relay::OutboxGauge, service,
    user_directory::UserDirectory, verified_email::VerifiedEmail,
};

use crate::{
    app::App,
    live::{Live, Publisher},
    store::Store,
    streams::{IngestPorts, Streams},
    ticketing::Ticketing,
};

/// The stored data, for the migration from one store to the other.
#[cfg(feature = "mongodb")]
pub mod schema {
    pub use crate::store::{
        mongo::{COLLECTIONS, count_id, segment_id},
        sqlite::MIGRATIONS,
    };
}

/// Builds the service and starts its workers.
///
/// # Errors
/// One sentence for the person who started the program.
pub async fn build(context: &Context, peers: &Peers) -> Result<Pipeline, String> {
    let (encoders, address) = context.bind("ingest", context.settings.ingest_port).await?;
    let rtmp = match context.settings.rtmp_port {
        0 => None,
        port => Some(context.bind("rtmp", port).await?),
    };
    let ports = IngestPorts {
        http: address.port(),
        rtmp: rtmp.as_ref().map(|(_, address)| address.port()),
    };
    let app = app(context, store::open(&context.settings).await?, peers, ports)?;
    context.serve_within(
        encoders,
        streams::ingest::pipeline(app.streams.clone()),
        streams::ingest::LIMITS,
    );
    if let Some((listener, _)) = rtmp {
        let stop = context.workers.stop_token();
        let serving = streams::ingest::rtmp::serve(app.streams.clone(), listener, stop);
        context.workers.spawn("rtmp", serving);
    }
    service::follow_sessions(context, &app.auth, peers).await;
    let outbox = start_workers(context, &app, peers);
    Ok(assemble(context, app, peers, outbox))
}

fn directory(context: &Context, auth: &Auth, peers: &Peers) -> UserDirectory {
    let upstream = peers.of(Service::Users).clone();
    let users = InternalClient::new(upstream, auth.clone(), Service::Users.name());
    UserDirectory::new(users, context.shared.clone(), context.clock.clone())
}

fn app(context: &Context, store: Arc<dyn Store>, peers: &Peers, ports: IngestPorts) -> Result<App, String> {
    let auth = context.auth(Service::Events.name());
    let directory = directory(context, &auth, peers);
    let tickets = Ticketing::new(context)?;
    let live = Live::new(context, &auth, &store, &directory, &tickets);
    let streams = Streams::new(context, &auth, &store, &live, ports)?;
    Ok(App {
        auth,
        verified_email: VerifiedEmail::new(&context.settings, directory.clone()),
        directory,
        tickets,
        public_url: context.settings.public_url(context.settings.gateway_port).into(),
        store,
        clock: context.clock.clone(),
        hold: context.settings.hold,
        offer: context.settings.offer,
        default_timezone: context.settings.default_timezone,
        pages: Arc::default(),
        live,
        streams,
    })
}

fn assemble(context: &Context, app: App, peers: &Peers, outbox: OutboxGauge) -> Pipeline {
    let store = app.store.clone();
    let ping: Ping = Box::new(move || {
        let store = store.clone();
        Box::pin(async move { store.ping().await })
    });
    let gauges: Vec<Box<dyn Gauge>> = vec![Box::new(outbox), app.live.gauge()];
    let guard = service::guard(context, &app.auth, peers, app.store.audit());
    let routes = routes::routes(app, routes::Pages::of(&context.settings));
    service::pipeline(context, Service::Events, guard, ping, gauges, routes)
        .preparing(internal::mediamtx::hide_secret)
}

fn start_workers(context: &Context, app: &App, peers: &Peers) -> OutboxGauge {
    let (workers, stop) = (&context.workers, || context.workers.stop_token());
    workers.spawn("expire holds", workers::expire_holds(app.clone(), stop()));
    workers.spawn(
        "end registrations",
        workers::end_registrations(app.clone(), stop()),
    );
    workers.spawn(
        "advance waitlists",
        workers::waitlist::advance_lines(app.clone(), stop()),
    );
    app.live.work(workers);
    app.streams.work(workers);
    workers.spawn("tidy events", workers::tidy(app.clone(), stop()));
    workers.spawn("index events", workers::index_events(app.clone(), stop()));
    let wake = app.store.wake_signal();
    let outbox = service::start_relays(
        context,
        Service::Events,
        &app.auth,
        peers,
        &app.store.outbox(),
        &wake,
        |_| Deliveries::default(),
    );
    let live = Arc::new(Publisher(app.live.clone()));
    service::start_relay(
        context,
        Service::Events,
        &outbox,
        &wake,
        live,
        Deliveries::default(),
    );
    outbox
}
