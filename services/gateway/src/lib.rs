//! The gateway: the one public entry point. It knows which service answers which path, and lets nothing else in.

mod compression;
mod cors;
mod documents;
mod edge;
mod headers;
mod health;
mod pages;
mod proxy;

use std::{sync::Arc, time::Duration};

use axum::Router;
use common::{http::Pipeline, metrics::Metrics, wire::service};
use runtime::{peers::Peers, process::Context};

use crate::{edge::Edge, health::Services, proxy::Proxy};

/// How long the head of an answer may take. More than a service may (30 s) and more than the client between them
/// waits (35 s), whose errors are more specific.
const PATIENCE: Duration = Duration::from_secs(40);

/// Builds the gateway.
///
/// # Errors
/// One sentence for the person who started the program.
pub fn build(context: &Context, peers: &Peers) -> Result<Pipeline, String> {
    let settings = &context.settings;
    let metrics = Metrics::new(service::GATEWAY, Vec::new());
    let parts = Services::new(peers.clone(), context.workers.stop_token());
    // On a port that is not chosen yet, the document's own address has to do.
    let public_url = match (&settings.public_url, settings.gateway_port) {
        (None, 0) => "/".to_owned(),
        (_, port) => settings.public_url(port),
    };
    let edge = Edge {
        cors: cors::Cors::new(settings),
        https: public_url.starts_with("https://"),
        pages: pages::router(
            parts,
            documents::Documents::new(peers.clone(), public_url, context.clock.clone()),
        ),
        proxy: Proxy::new(context, peers),
    };
    let router = Router::new().fallback_service(edge::Service(Arc::new(edge)));
    Ok(Pipeline::new(service::GATEWAY, router, metrics)
        .patience(PATIENCE)
        .with_access_log())
}
