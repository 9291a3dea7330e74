//! Passing requests on: the path map, what is checked on the way in, and what becomes of a service that is away.

mod body;
mod client;
mod websocket;

use axum::{
    body::{Body, HttpBody},
    extract::{OriginalUri, Request},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header},
    response::Response,
};
use common::{
    context,
    extract::{CLIENT_IP, GATEWAY_TOKEN, MAX_BODY},
    http::{Upstream, client::UpstreamError},
    problem::{ApiError, body_too_large},
    wire::service,
};
use runtime::process::Context;
use tokio_util::sync::CancellationToken;

use self::{
    body::{Fate, Upload},
    client::Client,
};
use crate::{Upstreams, headers};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// The path map: whole segments, first match.
const MAP: [(&str, Target); 9] = [
    ("/api/users", Target::Users),
    ("/api/organiser", Target::Events),
    ("/api/reg", Target::Events),
    ("/api/events", Target::Events),
    ("/api/live", Target::Events),
    ("/api/notifications", Target::Notifications),
    ("/dev/mailbox", Target::Notifications),
    ("/dev/mailbox.json", Target::Notifications),
    ("/api/payment", Target::Payments),
];

/// What belongs to an event and another service than events: the path after the event's id.
const OF_EVENT: [(&str, Target); 1] = [("payments", Target::Payments)];

/// The target of `/api/organiser/events/{id}/{what}`, where it is not the events service.
fn of_event(path: &str) -> Option<Target> {
    let rest = path.strip_prefix("/api/organiser/events/")?;
    let (_, what) = rest.split_once('/')?;
    OF_EVENT
        .iter()
        .find(|(of, _)| *of == what)
        .map(|(_, target)| *target)
}

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
    assertion: client::Assertion,
}

/// Passes requests on to the services.
pub struct Proxy {
    users: Route,
    events: Route,
    notifications: Route,
    payments: Route,
    client: Client,
    scheme: HeaderValue,
    stop: CancellationToken,
}

impl Proxy {
    pub fn new(context: &Context, upstreams: Upstreams) -> Self {
        let settings = &context.settings;
        let auth = context.auth(service::GATEWAY);
        let route = |upstream, audience| Route {
            upstream,
            assertion: client::Assertion::new(auth.clone(), audience),
        };
        let https = settings
            .public_url
            .as_deref()
            .is_some_and(|url| url.starts_with("https://"));
        Self {
            users: route(upstreams.users, service::USERS),
            events: route(upstreams.events, service::EVENTS),
            notifications: route(upstreams.notifications, service::NOTIFICATIONS),
            payments: route(upstreams.payments, service::PAYMENTS),
            client: Client::new(settings.trusted_proxies.clone()),
            scheme: HeaderValue::from_static(if https { "https" } else { "http" }),
            stop: context.workers.stop_token(),
        }
    }

    /// The service that answers a path. Paths that could mean something else to somebody else are nobody's: no dots
    /// to climb with, no slashes in disguise, no empty segments.
    pub fn target(path: &str) -> Option<Target> {
        let (_, target) = MAP.iter().find(|(prefix, _)| {
            path.strip_prefix(prefix)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })?;
        let tricky = path.contains("//")
            || path.contains('\\')
            || path.split('/').any(|segment| matches!(segment, "." | ".."))
            || (path.contains('%') && is_disguised(path));
        (!tricky).then_some(of_event(path).unwrap_or(*target))
    }

    /// Passes a request on, and the answer back. Both bodies flow through as they come.
    ///
    /// # Errors
    /// When the request is too long, breaks off, or gets no answer.
    pub async fn pass(&self, target: Target, mut request: Request) -> Result<Response, ApiError> {
        if declared_length(request.headers()).is_some_and(|length| length > MAX_BODY as u64) {
            return Err(body_too_large());
        }
        let route = match target {
            Target::Users => &self.users,
            Target::Events => &self.events,
            Target::Notifications => &self.notifications,
            Target::Payments => &self.payments,
        };
        let websocket = headers::is_websocket(request.headers());
        self.prepare(route, &mut request)?;
        if websocket {
            headers::mark_websocket(request.headers_mut());
            return websocket::pass(&route.upstream, request, self.stop.clone())
                .await
                .map_err(upstream_problem);
        }
        if request.body().is_end_stream() {
            return answer(route.upstream.call(request).await);
        }
        let fate = Fate::default();
        let request = request.map(|body| Body::new(Upload::new(body, MAX_BODY, fate.clone())));
        let answered = answer(route.upstream.call(request).await);
        // What broke on its way in explains a failure better than whatever was made of the part that came.
        match fate.fault() {
            Some(fault)
                if !answered
                    .as_ref()
                    .is_ok_and(|response| response.status().is_success()) =>
            {
                Err(fault)
            }
            _ => answered,
        }
    }

    fn prepare(&self, route: &Route, request: &mut Request) -> Result<(), ApiError> {
        let address = self.client.address(request);
        context::note_client(address);
        // What axum noted of the address is from before the trailing slash was dropped.
        request.extensions_mut().remove::<OriginalUri>();
        // A client of HTTP/1.0 is no reason to speak it to our own services.
        *request.version_mut() = Version::HTTP_11;
        let host = request.headers().get(header::HOST).cloned();
        let headers = request.headers_mut();
        headers::clean_request(headers);
        let address = HeaderValue::try_from(address.to_string()).map_err(ApiError::internal)?;
        headers.insert(FORWARDED_FOR, address.clone());
        headers.insert(CLIENT_IP, address);
        headers.insert(FORWARDED_PROTO, self.scheme.clone());
        if let Some(host) = host {
            headers.insert(FORWARDED_HOST, host);
        }
        headers.insert(GATEWAY_TOKEN, route.assertion.value()?);
        context::mark(headers);
        Ok(())
    }
}

fn answer(answered: Result<Response, UpstreamError>) -> Result<Response, ApiError> {
    let mut response = answered.map_err(upstream_problem)?;
    *response.version_mut() = Version::HTTP_11;
    headers::clean_answer(response.headers_mut());
    Ok(response)
}

/// Dots, slashes and backslashes as `%2e`, `%2f`, `%5c`, and NUL.
fn is_disguised(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    ["%2e", "%2f", "%5c", "%00", "%25"]
        .iter()
        .any(|code| lower.contains(code))
}

fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn upstream_problem(error: UpstreamError) -> ApiError {
    match error {
        UpstreamError::Unreachable(_) => ApiError::unavailable(
            "This part of the system is not available right now. Please try again in a moment.",
        ),
        UpstreamError::Broken(_) => ApiError::new(
            StatusCode::BAD_GATEWAY,
            "upstream_failed",
            "The answer was lost on the way. The request may have had its effect.",
        ),
        UpstreamError::Timeout => ApiError::new(
            StatusCode::GATEWAY_TIMEOUT,
            "timeout",
            "There was no answer in time. The request may have had its effect.",
        ),
    }
    .because(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_go_where_they_belong_and_tricks_nowhere() {
        for (path, target) in [
            ("/api/users/register", Some(Target::Users)),
            ("/api/organiser/events", Some(Target::Events)),
            ("/api/organiser/events/x", Some(Target::Events)),
            ("/api/organiser/events/x/cancel", Some(Target::Events)),
            ("/api/organiser/events/x/payments", Some(Target::Payments)),
            ("/api/organiser/events/x/payments/y", Some(Target::Events)),
            ("/api/organiser/events/payments", Some(Target::Events)),
            ("/api/organiser/events//payments", None),
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
    fn each_way_of_not_answering_has_its_status() {
        for (error, status) in [
            (UpstreamError::Unreachable(String::new()), 503),
            (UpstreamError::Broken(String::new()), 502),
            (UpstreamError::Timeout, 504),
        ] {
            assert_eq!(upstream_problem(error).status(), status);
        }
    }
}
