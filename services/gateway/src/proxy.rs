//! Passing requests on: the path map, what is checked on the way in, and what becomes of a service that is away.

mod body;
mod client;
mod websocket;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header, uri::PathAndQuery},
    response::{IntoResponse, Response},
};
use common::{
    extract::{CLIENT_IP, GATEWAY_TOKEN, MAX_BODY},
    http::{Upstream, client::UpstreamError},
    problem::{ApiError, body_too_large},
    process::Context,
    wire::service,
};
use http_body::Body as _;

use self::{body::Counted, client::Client};
use crate::{Upstreams, headers};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// The path map: whole segments, first match.
const MAP: [(&str, Target); 8] = [
    ("/api/users", Target::Users),
    ("/api/organiser", Target::Events),
    ("/api/reg", Target::Events),
    ("/api/events", Target::Events),
    ("/api/live", Target::Events),
    ("/api/notifications", Target::Notifications),
    ("/dev/mailbox", Target::Notifications),
    ("/api/payment", Target::Payments),
];

/// Where a request goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    Users,
    Events,
    Notifications,
    Payments,
}

/// A service and our word to it that a request came through us.
struct Route {
    upstream: Upstream,
    pass: client::Pass,
}

/// Passes requests on to the services.
pub struct Proxy {
    users: Route,
    events: Route,
    notifications: Route,
    payments: Route,
    client: Client,
    scheme: HeaderValue,
}

impl Proxy {
    pub fn new(context: &Context, upstreams: Upstreams) -> Self {
        let settings = &context.settings;
        let auth = context.auth(service::GATEWAY);
        let route = |upstream, audience| Route { upstream, pass: client::Pass::new(auth.clone(), audience) };
        let https = settings.public_url.as_deref().is_some_and(|url| url.starts_with("https://"));
        Self {
            users: route(upstreams.users, service::USERS),
            events: route(upstreams.events, service::EVENTS),
            notifications: route(upstreams.notifications, service::NOTIFICATIONS),
            payments: route(upstreams.payments, service::PAYMENTS),
            client: Client::new(settings.trusted_proxies.clone()),
            scheme: HeaderValue::from_static(if https { "https" } else { "http" }),
        }
    }

    /// The service that answers a path. Paths that could mean something else to somebody else are nobody's: no dots
    /// to climb with, no slashes in disguise, no empty segments.
    pub fn target(path: &str) -> Option<Target> {
        let path = path.strip_suffix('/').unwrap_or(path);
        let (_, target) = MAP.iter().find(|(prefix, _)| {
            path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })?;
        let tricky = path.contains("//")
            || path.contains('\\')
            || path.split('/').any(|segment| matches!(segment, "." | ".."))
            || (path.contains('%') && is_disguised(path));
        (!tricky).then_some(*target)
    }

    /// Passes a request on, and the answer back.
    pub async fn pass(&self, target: Target, mut request: Request) -> Response {
        if let Err(error) = drop_trailing_slash(request.uri_mut()) {
            return error.into_response();
        }
        if declared_length(request.headers()).is_some_and(|length| length > MAX_BODY as u64) {
            return body_too_large().into_response();
        }
        let route = match target {
            Target::Users => &self.users,
            Target::Events => &self.events,
            Target::Notifications => &self.notifications,
            Target::Payments => &self.payments,
        };
        let websocket = headers::is_websocket(request.headers());
        if let Err(error) = self.prepare(route, &mut request) {
            return error.into_response();
        }
        if websocket {
            headers::mark_websocket(request.headers_mut());
            return websocket::pass(&route.upstream, request).await.unwrap_or_else(upstream_problem);
        }
        let too_long = Arc::new(AtomicBool::new(false));
        if !request.body().is_end_stream() {
            let counting = too_long.clone();
            request = request.map(|body| Body::new(Counted::new(body, MAX_BODY as u64, counting)));
        }
        let answer = route.upstream.call(request).await;
        if too_long.load(Ordering::Relaxed) {
            return body_too_large().into_response(); // whatever the service made of the part it got
        }
        let mut response = answer.unwrap_or_else(upstream_problem);
        if !route.upstream.is_local() {
            headers::strip_hop_by_hop(response.headers_mut());
        }
        response
    }

    fn prepare(&self, route: &Route, request: &mut Request) -> Result<(), ApiError> {
        let address = self.client.address(request);
        let host = request.headers().get(header::HOST).cloned();
        let headers = request.headers_mut();
        headers::strip_hop_by_hop(headers);
        headers::strip_claims(headers);
        let address = HeaderValue::from_str(&address.to_string()).map_err(ApiError::internal)?;
        headers.insert(FORWARDED_FOR, address.clone());
        headers.insert(CLIENT_IP, address);
        headers.insert(FORWARDED_PROTO, self.scheme.clone());
        if let Some(host) = host {
            headers.insert(FORWARDED_HOST, host);
        }
        headers.insert(GATEWAY_TOKEN, route.pass.value()?);
        Ok(())
    }
}

/// Dots, slashes and backslashes as `%2e`, `%2f`, `%5c`, and NUL.
fn is_disguised(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    ["%2e", "%2f", "%5c", "%00", "%25"].iter().any(|code| lower.contains(code))
}

fn drop_trailing_slash(uri: &mut Uri) -> Result<(), ApiError> {
    let Some(path) = uri.path().strip_suffix('/').filter(|path| !path.is_empty()) else { return Ok(()) };
    let path_and_query = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    *uri = PathAndQuery::try_from(path_and_query).map(Uri::from).map_err(ApiError::internal)?;
    Ok(())
}

fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn upstream_problem(error: UpstreamError) -> Response {
    match error {
        UpstreamError::Unreachable(_) => {
            ApiError::unavailable("This part of the system is not available right now. Please try again in a moment.")
        }
        UpstreamError::Broken(_) => {
            ApiError::new(StatusCode::BAD_GATEWAY, "upstream_failed", "The answer was lost on the way. It may have had its effect.")
        }
        UpstreamError::Timeout => ApiError::new(
            StatusCode::GATEWAY_TIMEOUT,
            "timeout",
            "There was no answer in time. The request may have had its effect.",
        ),
    }
    .because(error)
    .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_go_where_they_belong_and_tricks_nowhere() {
        for (path, target) in [
            ("/api/users/register", Some(Target::Users)),
            ("/api/users/register/", Some(Target::Users)),
            ("/api/organiser/events", Some(Target::Events)),
            ("/api/events", Some(Target::Events)),
            ("/api/payment/payments/x", Some(Target::Payments)),
            ("/dev/mailbox", Some(Target::Notifications)),
            ("/api/usersx", None),
            ("/api", None),
            ("/internal/messages", None),
            ("/api/users/../../internal/messages", None),
            ("/api/users/%2e%2e/internal", None),
            ("/api/users/..%2Finternal", None),
            ("/api/users//internal", None),
            ("/api/users/\\internal", None),
            ("/api/users/%252e%252e", None),
            ("//api/users", None),
            ("/metrics", None),
        ] {
            assert_eq!(Proxy::target(path), target, "{path}");
        }
    }

    #[test]
    fn one_trailing_slash_is_dropped() {
        for (from, to) in [("/api/x/", "/api/x"), ("/api/x/?a=1", "/api/x?a=1"), ("/api/x", "/api/x"), ("/", "/")] {
            let mut uri: Uri = from.parse().unwrap();
            drop_trailing_slash(&mut uri).unwrap();
            assert_eq!(uri.to_string(), to);
        }
    }
}
