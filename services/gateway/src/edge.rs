//! What every request and answer passes: the refusal of what is never taken, CORS, compression and the headers that
//! belong on all answers.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    Router,
    extract::Request,
    http::{HeaderValue, Method, StatusCode, Uri, header, uri::PathAndQuery},
    response::{IntoResponse, Response},
};
use common::{
    problem::{ApiError, uri_too_long},
    routes::{self, Route},
};
use tower::ServiceExt;

use crate::{compression, cors::Cors, pages, proxy::Proxy};

/// The longest path with query. RFC 9110, 4.1 asks for 8,000 octets at least.
const MAX_URI: usize = 8 * 1024;
/// `Allow` where no service sets it.
const EVERY_METHOD: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
/// How long a browser is to remember that this address is https only.
const A_YEAR: HeaderValue = HeaderValue::from_static("max-age=31536000");

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
            if compression::is_wanted(request.headers()) {
                let inner = |request| {
                    let edge = edge.clone();
                    async move { edge.handle(request).await }
                };
                return Ok(compression::handle(request, inner).await);
            }
            Ok(edge.handle(request).await)
        })
    }
}

impl Edge {
    /// Answers a request, but for compression.
    pub async fn handle(&self, request: Request) -> Response {
        let origin = request.headers().get(header::ORIGIN).cloned();
        let mut response = match &origin {
            Some(origin) if Cors::is_preflight(&request) => self.cors.preflight(origin),
            _ => self
                .route(request)
                .await
                .unwrap_or_else(IntoResponse::into_response),
        };
        let headers = response.headers_mut();
        headers.append(header::VARY, HeaderValue::from_static("origin, accept-encoding"));
        headers.insert(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        );
        if let Some(origin) = origin {
            self.cors.mark(origin, headers);
        }
        if self.https {
            headers.insert(header::STRICT_TRANSPORT_SECURITY, A_YEAR);
        }
        response
    }

    async fn route(&self, mut request: Request) -> Result<Response, ApiError> {
        if request.method() == Method::CONNECT {
            return Err(method_not_allowed(EVERY_METHOD));
        }
        if request
            .uri()
            .path_and_query()
            .is_some_and(|uri| uri.as_str().len() > MAX_URI)
        {
            return Err(uri_too_long());
        }
        // The one address that is a folder: the files of the page lie beside it.
        if request.uri().path() != pages::DOCS {
            drop_trailing_slash(request.uri_mut())?;
        }
        match routes::find(request.uri().path()) {
            Some(route) if request.method() == Method::TRACE => self.traced(route, request).await,
            Some(route) => self.proxy.pass(route, request).await,
            None => match self.pages.clone().oneshot(request).await {
                Ok(response) => Ok(response),
                Err(never) => match never {},
            },
        }
    }
}

impl Edge {
    /// A TRACE is never passed on: it would show what we add. The service's `Allow` is returned in its place.
    async fn traced(&self, route: &Route, mut request: Request) -> Result<Response, ApiError> {
        *request.method_mut() = Method::OPTIONS;
        let told = self.proxy.pass(route, request).await?;
        if told.status().is_success() {
            let allowed = told.headers().get(header::ALLOW).cloned();
            return Err(method_not_allowed(allowed.unwrap_or(EVERY_METHOD)));
        }
        Ok(told)
    }
}

fn method_not_allowed(allowed: HeaderValue) -> ApiError {
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "This method is not taken here.",
    )
    .header(header::ALLOW, allowed)
}

fn drop_trailing_slash(uri: &mut Uri) -> Result<(), ApiError> {
    let Some(path) = uri.path().strip_suffix('/').filter(|path| !path.is_empty()) else {
        return Ok(());
    };
    let path_and_query = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    *uri = PathAndQuery::try_from(path_and_query)
        .map(Uri::from)
        .map_err(ApiError::internal)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_trailing_slash_is_dropped() {
        for (from, to) in [
            ("/api/x/", "/api/x"),
            ("/api/x/?a=1", "/api/x?a=1"),
            ("/api/x", "/api/x"),
            ("/", "/"),
        ] {
            let mut uri: Uri = from.parse().unwrap();
            drop_trailing_slash(&mut uri).unwrap();
            assert_eq!(uri.to_string(), to);
        }
    }
}
