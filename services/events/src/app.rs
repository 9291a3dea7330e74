//! What handlers and workers work with.

use std::{sync::Arc, time::Duration};

use axum::extract::FromRef;
use chrono_tz::Tz;
use common::{auth::Auth, clock::Clock};

use crate::{page_cache::PageCache, store::Store};

/// The service's state. Cheap to clone.
#[derive(Clone)]
pub struct App {
    /// Who is calling.
    pub auth: Auth,
    /// Everything that is kept.
    pub store: Arc<dyn Store>,
    /// The time.
    pub clock: Clock,
    /// How long a seat is held unpaid.
    pub hold: Duration,
    /// The zone of event times sent without one.
    pub default_timezone: Tz,
    /// Organizers' pages, as long as the store can tell that nothing has changed.
    pub pages: Arc<PageCache>,
}

impl FromRef<App> for Auth {
    fn from_ref(app: &App) -> Self {
        app.auth.clone()
    }
}
