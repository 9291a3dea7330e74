//! Notifications: confirmations, tickets and reminders by e-mail and SMS.
//!
//! Facts come in from the other services as messages and become rows: one per recipient, kind and channel, and
//! reminders to be found by due time. The workers carry the rows out. Nothing is sent that is not a row first, and
//! no row is written twice, which is what makes repeats, crashes and a second process harmless.

mod app;
mod channels;
pub mod commands;
mod dev;
mod docs;
mod domain;
mod gauges;
mod handlers;
mod internal;
mod live;
mod pages;
mod routes;
mod store;
mod templates;
mod workers;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use common::{
    audit::AuditStore, auth::Auth, http::InternalClient, http::Pipeline, mailed_tokens::MailedTokens,
    metrics::Gauge, outbox::OutboxStore, services::Service, settings::Settings, store::Ping,
};
use runtime::{
    deliveries::Deliveries, live::OwnChannels, peers::Peers, process::Context, relay::OutboxGauge, service,
    user_directory::UserDirectory, verified_email::VerifiedEmail,
};

use crate::{
    app::{App, Parts, Reporter},
    channels::{Channels, mailbox_dir, mime::FromAddress},
    domain::{letters::Reach, message::Channel, unsubscribe::Unsubscribing},
    gauges::Queues,
    pages::Pages,
    store::Store,
    templates::{Links, Writer},
    workers::{
        announcements::Announcements, attaching::Attaching, broadcasts::Broadcasts, housekeeping,
        reminders::Reminders, sender::Sender,
    },
};

/// What the service keeps, for the migration from one store to the other.
#[cfg(feature = "mongodb")]
pub mod schema {
    pub use crate::store::{
        mongo::{COLLECTIONS, event_id, schedule_id},
        sqlite::MIGRATIONS,
    };
}

/// The service's audit trail, for operators' commands.
///
/// # Errors
/// One sentence for the person who started the program.
pub async fn audit_trail(settings: &Settings) -> Result<Arc<dyn AuditStore>, String> {
    Ok(store::open(settings).await?.audit())
}

/// The service's outbox, for operators' commands.
///
/// # Errors
/// One sentence for the person who started the program.
pub async fn outbox(settings: &Settings) -> Result<Arc<dyn OutboxStore>, String> {
    Ok(store::open(settings).await?.outbox())
}

/// Builds the service and starts its workers.
///
/// # Errors
/// One sentence for the person who started the program.
pub async fn build(context: &Context, peers: &Peers) -> Result<Pipeline, String> {
    let channels = Channels::new(context)?;
    let store = store::open(&context.settings).await?;
    service::follow_sessions(context, &context.auth(Service::Notifications.name()), peers).await;
    assemble(context, store, peers, &channels)
}

fn assemble(
    context: &Context,
    store: Arc<dyn Store>,
    peers: &Peers,
    channels: &Channels,
) -> Result<Pipeline, String> {
    let broken = |error: minijinja::Error| format!("A template is wrong: {error}.");
    let auth = context.auth(Service::Notifications.name());
    let unsubscribing = Unsubscribing::new(&auth);
    let parts = Arc::new(Parts::new(
        store.clone(),
        UserDirectory::new(
            InternalClient::new(
                peers.of(Service::Users).clone(),
                auth.clone(),
                Service::Users.name(),
            ),
            context.shared.clone(),
            context.clock.clone(),
        ),
        context.clock.clone(),
        Reach {
            sms: channels::texted(context),
        },
        Writer::new(
            Links::new(&context.settings),
            MailedTokens::new(&auth),
            unsubscribing.clone(),
        )
        .map_err(broken)?,
    ));
    let events = peers.of(Service::Events).clone();
    let events = InternalClient::new(events, auth.clone(), Service::Events.name());
    let attaching = Attaching {
        events: events.clone(),
        sender: FromAddress::new(&context.settings.mail_from)?,
    };
    start_workers(context, &parts, &attaching, channels);
    let outbox = start_relay(context, &auth, peers, &parts);
    let guard = service::guard(context, &auth, peers, store.audit());
    let ping: Ping = Box::new(move || {
        let store = store.clone();
        Box::pin(async move { store.ping().await })
    });
    let gauges: Vec<Box<dyn Gauge>> = vec![
        Box::new(outbox),
        Box::new(Queues(parts.clone())),
        parts.directory.gauge(),
    ];
    let app = App {
        auth,
        events,
        verified_email: VerifiedEmail::new(&context.settings, parts.directory.clone()),
        parts,
        sms: Arc::new(Reporter {
            provider: context.settings.sms.clone(),
            public_url: context.settings.public_url(context.settings.gateway_port),
        }),
        unsubscribing,
        default_timezone: context.settings.default_timezone,
        mailbox: mailbox_dir(context).into(),
        pages: Arc::new(Pages::new().map_err(broken)?),
    };
    let routes = routes::routes(app, dev::allowed(&context.settings));
    Ok(service::pipeline(
        context,
        Service::Notifications,
        guard,
        ping,
        gauges,
        routes,
    ))
}

/// Notifications has no other service to tell, only people who watch.
fn start_relay(context: &Context, auth: &Auth, peers: &Peers, parts: &Arc<Parts>) -> OutboxGauge {
    let store = &parts.store;
    let wake = store.wake_signal();
    let outbox = service::start_relays(
        context,
        Service::Notifications,
        auth,
        peers,
        &store.outbox(),
        &wake,
        |_| Deliveries::default(),
    );
    let events = peers.of(Service::Events).clone();
    let events = InternalClient::new(events, auth.clone(), Service::Events.name());
    let channels = OwnChannels::new(live::Notifications(Arc::clone(parts)), events);
    service::start_relay(
        context,
        Service::Notifications,
        &outbox,
        &wake,
        Arc::new(channels),
        Deliveries::default(),
    );
    outbox
}

/// E-mail and text messages have a sender each, so that a slow provider of the one does not hold up the other.
fn start_workers(context: &Context, parts: &Arc<Parts>, attaching: &Attaching, channels: &Channels) {
    let (workers, stop) = (&context.workers, || context.workers.stop_token());
    for (channel, mailer) in channels.all() {
        let sender = Sender::new(parts.clone(), channel, mailer, context.settings.lease);
        let sender = match channel {
            Channel::Email => sender.attaching(attaching.clone()),
            Channel::Sms => sender,
        };
        workers.spawn("message sender", sender.run(stop()));
    }
    workers.spawn("reminders", Reminders { parts: parts.clone() }.run(stop()));
    workers.spawn(
        "announcements",
        Announcements { parts: parts.clone() }.run(stop()),
    );
    let broadcasts = Broadcasts {
        parts: parts.clone(),
        events: attaching.events.clone(),
    };
    workers.spawn("organizers' announcements", broadcasts.run(stop()));
    workers.spawn(
        "notifications housekeeping",
        housekeeping::run(parts.clone(), stop()),
    );
}
