//! What handlers and workers work with.

use std::{collections::HashMap, sync::Arc, time::Duration};

use axum::extract::FromRef;
use chrono_tz::Tz;
use common::{auth::Auth, clock::Clock, ids::UserId, wire::UserCard};
use runtime::{user_directory::UserDirectory, verified_email::VerifiedEmail};

use crate::{
    invitations::Invitations, live::Live, page_cache::PageCache, store::Store, streams::Streams,
    ticketing::Ticketing,
};

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
    /// Invitations to teams.
    pub invitations: Invitations,
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

impl App {
    /// What is known of these users, for what is of use without it: nothing while the users service is away.
    pub async fn known(&self, users: impl IntoIterator<Item = UserId>) -> HashMap<UserId, Arc<UserCard>> {
        self.directory.find(users).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "users could not be looked up; they are shown without their names");
            HashMap::new()
        })
    }
}

impl FromRef<App> for Auth {
    fn from_ref(app: &App) -> Self {
        app.auth.clone()
    }
}
