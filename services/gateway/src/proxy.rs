//! Passing requests on: what is checked on the way in, and what happens when a service is away. Which service answers
//! which path, and by which bounds, is in [`common::routes`].

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
    extract::{CLIENT_IP, GATEWAY_TOKEN},
    http::client::{ForwardPolicy, UpstreamError},
    problem::{ApiError, body_too_large},
    routes::{Repeat, Route},
    services::Service,
    wire::service,
};
use runtime::{peers::Peers, process::Context};

use self::{
    body::{Fate, Upload},
    client::Client,
    websocket::Sockets,
};
use crate::headers;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Passes requests on to the services.
pub struct Proxy {
    peers: Peers,
    /// The assertion to each service that a request came through us, in the order of [`Service::ALL`].
    assertions: [client::Assertion; Service::ALL.len()],
    client: Client,
    scheme: HeaderValue,
    sockets: Sockets,
}

impl Proxy {
    pub fn new(context: &Context, peers: &Peers) -> Self {
        let settings = &context.settings;
        let auth = context.auth(service::GATEWAY);
        let https = settings
            .public_url
            .as_deref()
            .is_some_and(|url| url.starts_with("https://"));
        let sockets = Sockets::new(context.workers.stop_token());
        context.workers.spawn("websockets", sockets.clone().ended());
        Self {
            peers: peers.clone(),
            assertions: Service::ALL.map(|service| client::Assertion::new(auth.clone(), service.name())),
            client: Client::new(settings.trusted_proxies.clone()),
            scheme: HeaderValue::from_static(if https { "https" } else { "http" }),
            sockets,
        }
    }

    /// Passes a request on, and the answer back. Both bodies flow through as they come.
    ///
    /// # Errors
    /// When the request is too long, breaks off, or gets no answer.
    pub async fn pass(&self, route: &Route, mut request: Request) -> Result<Response, ApiError> {
        if declared_length(request.headers()).is_some_and(|length| length > route.max_body as u64) {
            return Err(body_too_large());
        }
        let upstream = match route.long_lived {
            true => self.peers.live(),
            false => self.peers.of(route.service),
        };
        let websocket = route.upgrade && headers::is_websocket(request.headers());
        self.prepare(route, &mut request)?;
        if websocket {
            headers::mark_websocket(request.headers_mut());
            return websocket::pass(upstream, request, &self.sockets)
                .await
                .map_err(upstream_problem);
        }
        if request.body().is_end_stream() {
            return answer(upstream.call(request).await);
        }
        let fate = Fate::default();
        let request = request.map(|body| Body::new(Upload::new(body, route.max_body, fate.clone())));
        let answered = answer(upstream.call(request).await);
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
        let keyed = request.headers().contains_key("idempotency-key");
        request.extensions_mut().insert(ForwardPolicy {
            answer_time: route.answer_time,
            repeat: keyed && route.repeat == Repeat::Keyed,
        });
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
        headers.insert(GATEWAY_TOKEN, self.assertions[route.service as usize].value()?);
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
