//! What handlers and workers work with.

use std::{sync::Arc, time::Duration};

use axum::extract::FromRef;
use chrono_tz::Tz;
use common::{auth::Auth, clock::Clock, http::InternalClient};
use runtime::{deliveries::Deliveries, user_directory::UserDirectory, verified_email::VerifiedEmail};

use crate::{payer_side::PayerSide, razorpay::Razorpay, store::Store};

/// The service's state. Cheap to clone.
#[derive(Clone)]
pub struct App {
    /// Checks the callers' tokens.
    pub auth: Auth,
    /// Everything that is kept.
    pub store: Arc<dyn Store>,
    /// The time.
    pub clock: Clock,
    /// The events service.
    pub events: InternalClient,
    /// Who may pay.
    pub verified_email: VerifiedEmail,
    /// Looks the payers up.
    pub directory: UserDirectory,
    /// Razorpay, or its simulator.
    pub razorpay: Razorpay,
    /// Starts payments.
    pub payer_side: Arc<dyn PayerSide>,
    /// The zone of dates in queries.
    pub default_timezone: Tz,
    /// The lease of an order or refund, after which another worker takes over.
    pub lease: Duration,
    /// Lets requests wait until the events service has consumed a message.
    pub deliveries: Deliveries,
}

impl FromRef<App> for Auth {
    fn from_ref(app: &App) -> Self {
        app.auth.clone()
    }
}
