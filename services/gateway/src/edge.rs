//! What every request and answer passes: CORS, compression and the headers that belong on all answers.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{HeaderValue, Method, header},
    response::{IntoResponse, Response},
};
use common::problem::ApiError;
use tower::ServiceExt;
use tower_http::compression::{
    Compression,
    predicate::{NotForContentType, Predicate, SizeAbove},
};

use crate::{cors::Cors, proxy::Proxy};

/// Below this, compressing costs more than it saves: the answer fits one packet anyway.
const WORTH_COMPRESSING: u64 = 1024;

/// The gateway's parts.
pub struct Edge {
    /// Which browsers' pages may call.
    pub cors: Cors,
    /// Whether the public URL is https.
    pub https: bool,
    /// What the gateway answers itself.
    pub pages: Router,
    /// What it passes on.
    pub proxy: Proxy,
}

/// The gateway as a tower service. Written by hand and not stacked from layers, because every layer costs each
/// request something and this is the path that all of them take.
#[derive(Clone)]
pub struct Service(pub Arc<Edge>);

impl tower::Service<Request> for Service {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let edge = self.0.clone();
        Box::pin(async move {
            if !request.headers().contains_key(header::ACCEPT_ENCODING) {
                return Ok(edge.handle(request).await);
            }
            let inner = tower::service_fn(move |request: Request| {
                let edge = edge.clone();
                async move { Ok::<_, Infallible>(edge.handle(request).await) }
            });
            let worth = SizeAbove::new(WORTH_COMPRESSING)
                .and(NotForContentType::SSE)
                .and(NotForContentType::IMAGES)
                .and(NotForContentType::const_new("video/"));
            let compressed = Compression::new(inner).compress_when(worth).oneshot(request).await?;
            Ok(compressed.map(Body::new))
        })
    }
}

impl Edge {
    async fn handle(&self, request: Request) -> Response {
        let origin = request.headers().get(header::ORIGIN).cloned();
        let mut response = match &origin {
            Some(origin) if Cors::is_preflight(&request) => self.cors.preflight(origin),
            _ => self.route(request).await,
        };
        let headers = response.headers_mut();
        self.cors.mark(origin.as_ref(), headers);
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if self.https {
            let a_year = HeaderValue::from_static("max-age=31536000; includeSubDomains");
            headers.insert(header::STRICT_TRANSPORT_SECURITY, a_year);
        }
        response
    }

    async fn route(&self, request: Request) -> Response {
        if matches!(*request.method(), Method::TRACE | Method::CONNECT) {
            return method_not_allowed();
        }
        match Proxy::target(request.uri().path()) {
            Some(target) => self.proxy.pass(target, request).await,
            None => match self.pages.clone().oneshot(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            },
        }
    }
}

fn method_not_allowed() -> Response {
    ApiError::new(
        axum::http::StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "This method is not taken here.",
    )
    .header(header::ALLOW, HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"))
    .into_response()
}
