//! What handlers work with.

use std::sync::Arc;

use axum::extract::FromRef;
use common::{
    auth::Auth, clock::Clock, http::InternalClient, mailed_tokens::MailedTokens, origin::AllowedOrigins,
    services::Service, sessions::Ended,
};
use runtime::peers::Peers;
use shared_state::Shared;
use tokio::sync::Semaphore;

use crate::{
    browser_cookie::BrowserCookie,
    domain::{Lifetimes, Successors},
    google::Google,
    hashing::Hashing,
    limits::Limits,
    store::Store,
};

/// The state of the service. Cheap to clone.
#[derive(Clone)]
pub struct App {
    /// Makes and checks tokens.
    pub auth: Auth,
    /// The accounts.
    pub store: Arc<dyn Store>,
    /// The time.
    pub clock: Clock,
    /// The other services.
    pub others: Arc<Others>,
    /// Whose turn it is to have everything.
    pub exports: Arc<Semaphore>,
    /// What all processes share.
    pub shared: Shared,
    /// The sessions whose tokens are refused.
    pub ended: Ended,
    /// How often one may sign up, log in and fail.
    pub limits: Limits,
    /// Hashes passwords.
    pub hashing: Hashing,
    /// How long sign-ins last.
    pub lifetimes: Lifetimes,
    /// Derives refresh tokens.
    pub successors: Successors,
    /// Derives and recognises mailed tokens.
    pub mailed_tokens: Arc<MailedTokens>,
    /// Google; `None`: sign-in with it is off.
    pub google: Option<Arc<Google>>,
    /// By which a browser is known again that comes back from there.
    pub cookie: BrowserCookie,
    /// The origins to whose pages browsers may be sent.
    pub origins: AllowedOrigins,
    /// Whether passwords on the list of common ones are refused.
    pub refuse_common_passwords: bool,
}

/// The other services, as this one calls them.
pub struct Others {
    /// Events.
    pub events: InternalClient,
    /// Notifications.
    pub notifications: InternalClient,
    /// Payments.
    pub payments: InternalClient,
}

impl Others {
    /// By these ways. They call this service themselves.
    pub fn new(auth: &Auth, peers: &Peers) -> Self {
        let client =
            |service: Service| InternalClient::new(peers.of(service).back(), auth.clone(), service.name());
        Self {
            events: client(Service::Events),
            notifications: client(Service::Notifications),
            payments: client(Service::Payments),
        }
    }
}

impl FromRef<App> for Auth {
    fn from_ref(app: &App) -> Self {
        app.auth.clone()
    }
}
