//! What handlers and workers work with.

use std::{sync::Arc, time::Duration};

use axum::extract::FromRef;
use chrono_tz::Tz;
use common::{auth::Auth, clock::Clock};
use runtime::{user_directory::UserDirectory, verified_email::VerifiedEmail};

use crate::{live::Live, page_cache::PageCache, store::Store, streams::Streams, ticketing::Ticketing};

/// The service's state. Cheap to clone.
#[derive(Clone)]
pub struct App {
    /// Checks the callers' tokens.
    pub auth: Auth,
    /// Everything that is kept.
    pub store: Arc<dyn Store>,
    /// The time.
    pub clock: Clock,
    /// How long a hold lasts.
    pub hold: Duration,
    /// How long a seat is held that is offered to the first in line.
    pub offer: Duration,
    /// The zone of event times sent without one.
    pub default_timezone: Tz,
    /// Who may create events.
    pub verified_email: VerifiedEmail,
    /// Looks users up.
    pub directory: UserDirectory,
    /// Signs and renders tickets.
    pub tickets: Ticketing,
    /// The gateway's address.
    pub public_url: Arc<str>,
    /// Cached pages of organizers' events, for stores that can report whether anything has changed.
    pub pages: Arc<PageCache>,
    /// The live room.
    pub live: Live,
    /// The streams.
    pub streams: Streams,
}

impl FromRef<App> for Auth {
    fn from_ref(app: &App) -> Self {
        app.auth.clone()
    }
}
