//! The API document: what each service says of its calls, put together.

use std::{sync::Arc, time::Duration};

use axum::{body::Body, extract::Request};
use common::{
    http::{Upstream, client::UpstreamError},
    problem::ApiError,
};
use moka::future::Cache;
use serde_json::{Map, Value, json};

use crate::Upstreams;

/// Services are replaced one by one; a minute later the document is that of the new ones.
const KEPT: Duration = Duration::from_secs(60);

const DESCRIPTION: &str = "Create events, register, pay and be reminded.\n\n\
**Signing in.** `POST /api/users/login` gives a token; send it as `Authorization: Bearer <token>`.\n\n\
**Failures** are `application/problem+json` (RFC 9457) with a stable `code`, a `message`, every wrong field in `errors` and the \
`request_id`.\n\n\
**Safe repeats.** Send `Idempotency-Key` with an unsafe call; for 24 hours a repeat gets the first answer, byte for byte.\n\n\
**Lists** are arrays. The next page is in the `Link` header.\n\n\
**Money** is in rupees with at most two decimals, as a number or a decimal string.";

/// The merged document. Cheap to clone.
#[derive(Clone)]
pub struct Documents {
    upstreams: Arc<[Upstream]>,
    public_url: Arc<str>,
    merged: Cache<(), Arc<Value>>,
}

impl Documents {
    pub fn new(upstreams: &Upstreams, public_url: String) -> Self {
        let Upstreams { users, events, notifications, payments } = upstreams.clone();
        Self {
            upstreams: Arc::new([users, events, payments, notifications]),
            public_url: public_url.into(),
            merged: Cache::builder().max_capacity(1).time_to_live(KEPT).build(),
        }
    }

    /// The document; only a whole one is kept.
    pub async fn merged(&self) -> Result<Arc<Value>, ApiError> {
        self.merged.try_get_with((), self.merge()).await.map_err(|error| {
            ApiError::unavailable("Not every service has told of its calls yet.").because(error.to_string())
        })
    }

    async fn merge(&self) -> Result<Arc<Value>, UpstreamError> {
        let mut paths = Map::new();
        let mut schemas = Map::new();
        let mut tags = Vec::new();
        for upstream in self.upstreams.iter() {
            let mut document = fetch(upstream).await?;
            paths.append(&mut take(&mut document, "/paths"));
            schemas.append(&mut take(&mut document, "/components/schemas"));
            if let Some(Value::Array(more)) = document.get_mut("tags").map(Value::take) {
                tags.extend(more);
            }
        }
        Ok(Arc::new(json!({
            "openapi": "3.1.0",
            "info": {"title": "Organise Event", "version": env!("CARGO_PKG_VERSION"), "description": DESCRIPTION},
            "servers": [{"url": self.public_url}],
            "tags": tags,
            "paths": paths,
            "components": {
                "schemas": schemas,
                "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
            },
        })))
    }
}

fn take(document: &mut Value, pointer: &str) -> Map<String, Value> {
    match document.pointer_mut(pointer).map(Value::take) {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

async fn fetch(upstream: &Upstream) -> Result<Value, UpstreamError> {
    const MAX: usize = 4 * 1024 * 1024;
    let broken = |error: &dyn std::fmt::Display| UpstreamError::Broken(error.to_string());
    let request = Request::builder().uri("/openapi.json").body(Body::empty()).map_err(|error| broken(&error))?;
    let response = upstream.call(request).await?;
    let body = axum::body::to_bytes(response.into_body(), MAX).await.map_err(|error| broken(&error))?;
    serde_json::from_slice(&body).map_err(|error| broken(&error))
}
