//! What handlers and workers work with.

use std::{path::Path, sync::Arc};

use axum::extract::FromRef;
use chrono_tz::Tz;
use common::{auth::Auth, clock::Clock, http::InternalClient, metrics::Histogram, settings::SmsProvider};
use runtime::{user_directory::UserDirectory, verified_email::VerifiedEmail};
use tokio::sync::Notify;

use crate::{
    domain::{letters::Reach, message::Channel, unsubscribe::Unsubscribing},
    pages::Pages,
    store::Store,
    templates::Writer,
};

/// What handlers and workers share.
pub struct Parts {
    /// Everything that is kept.
    pub store: Arc<dyn Store>,
    /// Looks the recipients up.
    pub directory: UserDirectory,
    /// The time.
    pub clock: Clock,
    /// Which channels there are.
    pub reach: Reach,
    /// Renders messages.
    pub writer: Writer,
    /// Notified when an event has changed.
    pub changes: Arc<Notify>,
    /// Notified when an organizer has made an announcement.
    pub broadcasts: Arc<Notify>,
    /// From the moment a message is stored to its first try.
    pub lag: Histogram,
    email: Arc<Notify>,
    sms: Arc<Notify>,
}

impl Parts {
    /// Puts the parts together.
    pub fn new(
        store: Arc<dyn Store>,
        directory: UserDirectory,
        clock: Clock,
        reach: Reach,
        writer: Writer,
    ) -> Self {
        let (changes, broadcasts, email, sms) = Default::default();
        Self {
            store,
            directory,
            clock,
            reach,
            writer,
            changes,
            broadcasts,
            lag: Histogram::default(),
            email,
            sms,
        }
    }

    /// Wakes the senders: messages are queued.
    pub fn wake_senders(&self) {
        self.email.notify_one();
        self.sms.notify_one();
    }

    /// Notified when messages of a channel are queued.
    pub fn queued(&self, channel: Channel) -> Arc<Notify> {
        match channel {
            Channel::Email => Arc::clone(&self.email),
            Channel::Sms => Arc::clone(&self.sms),
        }
    }
}

/// Who reports on text messages.
pub struct Reporter {
    /// The provider.
    pub provider: SmsProvider,
    /// The gateway's address, as the provider was told it.
    pub public_url: String,
}

/// The state of the routes. Cheap to clone.
#[derive(Clone)]
pub struct App {
    /// Checks the callers' tokens.
    pub auth: Auth,
    /// What is shared with the workers.
    pub parts: Arc<Parts>,
    /// Who carries text messages, and reports on them.
    pub sms: Arc<Reporter>,
    /// Reads the links that end a kind of e-mail.
    pub unsubscribing: Unsubscribing,
    /// The zone of people whose account names none.
    pub default_timezone: Tz,
    /// The events service, which knows who an event's organizer is.
    pub events: InternalClient,
    /// Who may announce, where that takes a verified address.
    pub verified_email: VerifiedEmail,
    /// The mailbox folder.
    pub mailbox: Arc<Path>,
    /// The pages that show it.
    pub pages: Arc<Pages>,
}

impl FromRef<App> for Auth {
    fn from_ref(app: &App) -> Self {
        app.auth.clone()
    }
}
