//! The pipeline of a service: what every request passes on its way in and out, from any caller.
//!
//! It gives the request an id, bounds the handler's time, turns panics and every failed answer into the one error
//! shape, counts, and logs. It wraps the router from outside, so axum's own answers pass it too.

use std::{
    borrow::Cow,
    convert::Infallible,
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::{MatchedPath, Request},
    http::{HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;
use tower::{Service, ServiceExt};
use tracing::Instrument;

use crate::{
    context::{self, Context as RequestContext, LOG_CODE, LOG_ROUTE, LOG_USER, REQUEST_ID, traces},
    extract::GATEWAY_TOKEN,
    metrics::Metrics,
    problem::{self, ApiError},
    routes::without_secrets,
};

/// How long a handler may take until the head of its answer.
const HANDLER_TIME: Duration = Duration::from_secs(30);
/// A request that takes longer than this is worth a line in the log.
const SLOW: Duration = Duration::from_secs(1);

/// A service ready to be called, over a socket or directly. Cheap to clone.
#[derive(Clone)]
pub struct Pipeline {
    service: &'static str,
    router: Router,
    metrics: Metrics,
    patience: Duration,
    access_log: bool,
    prepare: Option<fn(&mut Request)>,
}

impl Pipeline {
    /// Wraps a service's router.
    pub fn new(service: &'static str, router: Router, metrics: Metrics) -> Self {
        Self {
            service,
            router: noting_route(router),
            metrics,
            patience: HANDLER_TIME,
            access_log: false,
            prepare: None,
        }
    }

    /// Changes how long a handler may take until the head of its answer. For one that waits for other parts, whose
    /// own bounds give the better answer.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Has it write a line for each request. For the one pipeline that every request from outside passes.
    pub fn with_access_log(mut self) -> Self {
        self.access_log = true;
        self
    }

    /// Has each request changed before anything else looks at it, the log included.
    pub fn preparing(mut self, prepare: fn(&mut Request)) -> Self {
        self.prepare = Some(prepare);
        self
    }

    /// The service's name.
    pub fn service(&self) -> &'static str {
        self.service
    }

    /// Answers a request that no handler is to see.
    pub fn refuse(&self, mut request: Request, error: ApiError) -> Response {
        let started = Instant::now();
        if let Some(prepare) = self.prepare {
            prepare(&mut request);
        }
        let context = RequestContext::of(request.headers_mut());
        let id = context.id().clone();
        let (method, path) = (request.method(), &*without_secrets(request.uri().path()));
        let mut response = self.failed(error.into_response(), method, path, &id);
        if self.access_log {
            self.log_request(&context, method, path, None, &mut response, started);
        }
        let headers = response.headers_mut();
        headers.insert(REQUEST_ID, id);
        headers.insert(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        );
        self.metrics
            .request(request.method(), None, response.status(), Duration::ZERO);
        response
    }

    /// Handles one request.
    pub async fn handle(&self, mut request: Request) -> Response {
        let started = Instant::now();
        if let Some(prepare) = self.prepare {
            prepare(&mut request);
        }
        let context = RequestContext::of(request.headers_mut());
        let id = context.id().clone();
        let for_gateway = request.headers().contains_key(GATEWAY_TOKEN);
        // Only a failed answer needs these, but then the request is gone. Method and Uri are cheap to clone.
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let path = &*without_secrets(uri.path());
        let in_log = context.span();
        let span = traces::served(self.service, request.headers(), &in_log);
        let call = self.router.clone().oneshot(request);
        let call = context
            .clone()
            .scope(call.instrument(span.clone()).instrument(in_log));
        let call = tokio::time::timeout(self.patience, AssertUnwindSafe(call).catch_unwind());
        let mut response = match call.await {
            Ok(Ok(Ok(response))) => response,
            Ok(Ok(Err(never))) => match never {},
            // The panic hook has logged where and why.
            Ok(Err(_)) => ApiError::internal("the handler panicked").into_response(),
            Err(_) => problem::timeout().into_response(),
        };
        if response.status() == StatusCode::METHOD_NOT_ALLOWED {
            response = allowing_options(response, &method);
        }
        let route = Route::of(&mut response);
        let route = route.as_ref().and_then(Route::text);
        let status = response.status();
        if status.is_client_error() || status.is_server_error() {
            response = self.failed(response, &method, path, &id);
        }
        if self.access_log {
            self.log_request(&context, &method, path, route, &mut response, started);
        } else if for_gateway {
            let headers = response.headers_mut();
            if let Some(Ok(user)) = context.user().map(|user| HeaderValue::try_from(user.to_string())) {
                headers.insert(LOG_USER, user);
            }
            if let Some(Ok(route)) = route.map(HeaderValue::from_str) {
                headers.insert(LOG_ROUTE, route);
            }
        }
        super::quota::mark(response.headers_mut(), &context.quotas());
        response.headers_mut().insert(REQUEST_ID, id.clone());
        let took = started.elapsed();
        self.metrics.request(&method, route, status, took);
        traces::answered(&span, &method, route, status, context.user());
        if took > SLOW && !self.access_log {
            let (id, millis) = (id.to_str().unwrap_or_default(), took.as_millis());
            tracing::info!(service = self.service, request_id = id, %method, path, millis, "a slow request");
        }
        response
    }

    /// The line of a request in the log: caller, route and outcome. No query, which may name people.
    fn log_request(
        &self,
        context: &RequestContext,
        method: &Method,
        path: &str,
        route: Option<&str>,
        response: &mut Response,
        started: Instant,
    ) {
        // The service's notes on the request are for the log alone.
        let headers = response.headers_mut();
        let (code, user) = (headers.remove(LOG_CODE), headers.remove(LOG_USER));
        let code = code.as_ref().and_then(|code| code.to_str().ok());
        let user = user.as_ref().and_then(|user| user.to_str().ok());
        let route = route.map_or_else(|| Cow::Owned(context::route(path)), Cow::Borrowed);
        let route = route.as_ref();
        let (request_id, status) = (context.text(), response.status().as_u16());
        let client = context.client().map(tracing::field::display);
        let millis = started.elapsed().as_millis() as u64;
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    request_id, %method, route, status, code, user_id = user, millis, client, "request"
                )
            };
        }
        match status {
            // Polled every few seconds by monitoring.
            _ if path.starts_with("/health") => line!(debug),
            500.. => line!(warn),
            _ => line!(info),
        }
    }

    fn failed(
        &self,
        response: Response,
        method: &axum::http::Method,
        path: &str,
        id: &HeaderValue,
    ) -> Response {
        let id = id.to_str().unwrap_or_default();
        if problem::is_problem(&response) {
            return response; // written, and logged, by the service behind this one
        }
        let (mut response, error) = problem::render(response, method, path, id);
        if let Ok(code) = HeaderValue::from_str(error.code()) {
            response.headers_mut().insert(LOG_CODE, code);
        }
        // Polled every few seconds by monitoring; the part that is wrong logs it.
        if error.status().is_server_error() && !path.starts_with("/health") {
            tracing::error!(service = self.service, request_id = id, %method, path, ?error, "a request failed");
        } else {
            tracing::debug!(service = self.service, request_id = id, %method, path, ?error, "a request was refused");
        }
        response
    }
}

impl Service<Request> for Pipeline {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let pipeline = self.clone();
        Box::pin(async move { Ok(pipeline.handle(request).await) })
    }
}

/// axum knows which methods an address has; that OPTIONS is answered everywhere, by the same list, it does not.
fn allowing_options(mut response: Response, method: &Method) -> Response {
    let allow = response
        .headers()
        .get(header::ALLOW)
        .and_then(|allow| allow.to_str().ok());
    let Some(allow) = allow.filter(|allow| !allow.is_empty()) else {
        return response;
    };
    let mut methods: Vec<&str> = allow.split(',').map(str::trim).collect();
    if !methods.contains(&"OPTIONS") {
        methods.push("OPTIONS");
    }
    let Ok(allow) = HeaderValue::from_str(&methods.join(", ")) else {
        return response;
    };
    if method == Method::OPTIONS {
        return (StatusCode::NO_CONTENT, [(header::ALLOW, allow)]).into_response();
    }
    response.headers_mut().insert(header::ALLOW, allow);
    response
}

/// Marks a router's answers with the route they are of, for the pipeline around it.
pub fn noting_route(router: Router) -> Router {
    async fn note(matched: Option<MatchedPath>, request: Request, next: Next) -> Response {
        let mut response = next.run(request).await;
        if let Some(matched) = matched {
            response.extensions_mut().insert(matched);
        }
        response
    }
    router.layer(middleware::from_fn(note))
}

/// The template of the path that answered.
enum Route {
    Here(MatchedPath),
    /// In the service behind this one.
    Behind(HeaderValue),
}

impl Route {
    fn of(response: &mut Response) -> Option<Self> {
        let behind = response.headers_mut().remove(LOG_ROUTE);
        let here = response.extensions_mut().remove::<MatchedPath>();
        behind.map(Self::Behind).or(here.map(Self::Here))
    }

    fn text(&self) -> Option<&str> {
        match self {
            Self::Here(matched) => Some(matched.as_str()),
            Self::Behind(told) => told.to_str().ok(),
        }
    }
}

/// Marks an answer as not to be kept by any cache: it is about one person.
pub fn private(mut response: Response) -> Response {
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
