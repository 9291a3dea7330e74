//! What handlers and workers work with.

use std::{path::Path, sync::Arc};

use axum::extract::FromRef;
use common::{auth::Auth, clock::Clock, people::People};
use tokio::sync::Notify;

use crate::{
    dev::Pages,
    domain::{letters::Reach, message::Channel},
    store::Store,
    words::Writer,
};

/// What handlers and workers share.
pub struct Parts {
    /// Everything that is kept.
    pub store: Arc<dyn Store>,
    /// Who the recipients are.
    pub people: People,
    /// The time.
    pub clock: Clock,
    /// Which channels there are.
    pub reach: Reach,
    /// Puts messages into words.
    pub writer: Writer,
    /// Rung when an event has changed.
    pub changes: Notify,
    email: Notify,
    sms: Notify,
}

impl Parts {
    /// Puts the parts together.
    pub fn new(store: Arc<dyn Store>, people: People, clock: Clock, reach: Reach, writer: Writer) -> Self {
        let (changes, email, sms) = (Notify::new(), Notify::new(), Notify::new());
        Self {
            store,
            people,
            clock,
            reach,
            writer,
            changes,
            email,
            sms,
        }
    }

    /// Tells the senders that messages are queued.
    pub fn ring(&self) {
        self.email.notify_one();
        self.sms.notify_one();
    }

    /// What wakes a channel's sender.
    pub fn bell(&self, channel: Channel) -> &Notify {
        match channel {
            Channel::Email => &self.email,
            Channel::Sms => &self.sms,
        }
    }
}

/// The state of the routes. Cheap to clone.
#[derive(Clone)]
pub struct App {
    /// Who is calling.
    pub auth: Auth,
    /// What is shared with the workers.
    pub parts: Arc<Parts>,
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
