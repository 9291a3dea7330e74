//! The API document: each service's document of its calls, put together.

mod merge;

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::Request,
};
use chrono::TimeDelta;
use common::{
    clock::{Clock, Timestamp},
    http::Upstream,
    problem::ApiError,
    services::Service,
};
use futures_util::future::join_all;
use runtime::peers::Peers;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use self::merge::Merged;

/// Services are replaced one by one; a minute later the document is that of the new ones.
const KEPT: TimeDelta = TimeDelta::seconds(60);
/// How long a service may take to return its document.
const PATIENCE: Duration = Duration::from_secs(5);
/// In the order in which a client meets them.
const IN_ORDER: [Service; Service::ALL.len()] = [
    Service::Users,
    Service::Events,
    Service::Payments,
    Service::Notifications,
];
/// The largest document of one service, in bytes.
const MAX: usize = 4 * 1024 * 1024;

const DESCRIPTION: &str = "Create events, register, pay and be reminded.\n\n\
**Signing in.** `POST /api/users/login` gives a token; send it as `Authorization: Bearer <token>`.\n\n\
**Failures** are `application/problem+json` (RFC 9457) with a stable `code`, a `message`, every wrong field in `errors` and the \
`request_id`. 429 and 503 say in `Retry-After` when to try again.\n\n\
**Safe repeats.** Send `Idempotency-Key` with an unsafe call; for 24 hours a repeat gets the first answer, byte for byte.\n\n\
**Lists** are arrays, cut into pages with `limit` and `cursor`. The next page is in the `Link` header.\n\n\
**Money** is in rupees with at most two decimals, as a number or a decimal string.";

/// The merged document. Cheap to clone.
#[derive(Clone)]
pub struct Documents(Arc<Inner>);

struct Inner {
    peers: Peers,
    public_url: String,
    clock: Clock,
    /// The last whole document, as bytes. Held while a new one is made, so that concurrent requests cause one round.
    kept: Mutex<Option<(Timestamp, Bytes)>>,
}

impl Documents {
    pub fn new(peers: Peers, public_url: String, clock: Clock) -> Self {
        Self(Arc::new(Inner {
            peers,
            public_url,
            clock,
            kept: Mutex::new(None),
        }))
    }

    /// The document, as JSON. When a service is away it is left out, and what is left is not kept.
    ///
    /// # Errors
    /// When no service answers.
    pub async fn merged(&self) -> Result<Bytes, ApiError> {
        let mut kept = self.0.kept.lock().await;
        if let Some((made, document)) = kept.as_ref()
            && (self.0.clock.now() - *made).abs() < KEPT
        {
            return Ok(document.clone());
        }
        let asked = IN_ORDER.map(|service| async move {
            let document = tokio::time::timeout(PATIENCE, fetch(self.0.peers.of(service)))
                .await
                .ok()
                .flatten();
            (service.name(), document)
        });
        let mut merged = Merged::default();
        let mut missing = Vec::new();
        for (name, document) in join_all(asked).await {
            match document {
                Some(document) => merged.add(name, document),
                None => missing.push(name),
            }
        }
        if missing.len() == IN_ORDER.len() {
            return Err(ApiError::unavailable(
                "No service has told of its calls yet. Please try again in a moment.",
            ));
        }
        let mut document = merged.into_document(json!({
            "title": "Organise Event",
            "version": env!("CARGO_PKG_VERSION"),
            "description": DESCRIPTION,
            "license": {"name": "MIT or Apache 2.0", "identifier": env!("CARGO_PKG_LICENSE")},
        }));
        document["servers"] = json!([{"url": self.0.public_url}]);
        let whole = missing.is_empty();
        if !whole {
            document["x-missing"] = json!(missing);
        }
        let document = Bytes::from(document.to_string());
        if whole {
            *kept = Some((self.0.clock.now(), document.clone()));
        }
        Ok(document)
    }
}

async fn fetch(upstream: &Upstream) -> Option<Value> {
    let request = Request::builder().uri("/openapi.json").body(Body::empty()).ok()?;
    let response = upstream
        .call(request)
        .await
        .ok()
        .filter(|response| response.status().is_success())?;
    let body = axum::body::to_bytes(response.into_body(), MAX).await.ok()?;
    serde_json::from_slice(&body).ok()
}
