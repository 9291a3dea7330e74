//! The gateway: the one public door. It knows which service answers which path, and lets nothing else in.

mod cors;
mod documents;
mod edge;
mod headers;
mod health;
mod pages;
mod proxy;

use std::sync::Arc;

use axum::Router;
use common::{
    http::{Front, Upstream},
    metrics::Metrics,
    process::Context,
    wire::service,
};

use crate::{edge::Edge, health::Parts, proxy::Proxy};

/// The services behind the gateway.
#[derive(Clone)]
pub struct Upstreams {
    /// Accounts.
    pub users: Upstream,
    /// Events, registrations and tickets.
    pub events: Upstream,
    /// E-mail and SMS.
    pub notifications: Upstream,
    /// Payments and refunds.
    pub payments: Upstream,
}

/// Builds the gateway.
///
/// # Errors
/// One sentence for the person who started the program.
pub fn build(context: &Context, upstreams: Upstreams) -> Result<Front, String> {
    let settings = &context.settings;
    let metrics = Metrics::new(service::GATEWAY, Vec::new());
    let parts = Parts::new(&upstreams, context.workers.stop_token());
    let public_url = settings.public_url(settings.gateway_port);
    let edge = Edge {
        cors: cors::Cors::new(settings),
        https: public_url.starts_with("https://"),
        pages: pages::router(parts, documents::Documents::new(&upstreams, public_url)),
        proxy: Proxy::new(context, upstreams),
    };
    Ok(Front::new(service::GATEWAY, Router::new().fallback_service(edge::Service(Arc::new(edge))), metrics))
}
