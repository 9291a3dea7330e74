//! What handlers and workers work with.

use std::{sync::Arc, time::Duration};

use axum::extract::FromRef;
use chrono_tz::Tz;
use common::{auth::Auth, clock::Clock, http::InternalClient};
use runtime::{deliveries::Deliveries, user_directory::UserDirectory};

use crate::{payer_side::PayerSide, razorpay::Razorpay, store::Store};

/// The service's state. Cheap to clone.
#[derive(Clone)]
pub struct App {
    /// Who is calling.
    pub auth: Auth,
    /// Everything that is kept.
    pub store: Arc<dyn Store>,
    /// The time.
    pub clock: Clock,
    /// The events service.
    pub events: InternalClient,
    /// Who the payers are.
    pub directory: UserDirectory,
    /// Razorpay, or its simulator.
    pub razorpay: Razorpay,
    /// How payments are started.
    pub payer_side: Arc<dyn PayerSide>,
    /// The zone of dates in questions.
    pub default_timezone: Tz,
    /// How long a worker may work on an order or refund before another takes over.
    pub lease: Duration,
    /// For who waits until the events service has been told.
    pub deliveries: Deliveries,
}

impl FromRef<App> for Auth {
    fn from_ref(app: &App) -> Self {
        app.auth.clone()
    }
}
