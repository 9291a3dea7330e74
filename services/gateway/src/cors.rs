//! Which browsers' pages may call, by their origin (WHATWG Fetch, "CORS protocol").

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use common::{origin::AllowedOrigins, settings::Settings};

/// The allowed origins.
pub struct Cors(AllowedOrigins);

impl Cors {
    /// `CORS_ORIGINS`, and in development this machine.
    pub fn new(settings: &Settings) -> Self {
        Self(settings.allowed_origins())
    }

    /// Whether it is a browser's preflight request.
    pub fn is_preflight(request: &Request) -> bool {
        request.method() == Method::OPTIONS
            && request
                .headers()
                .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
    }

    /// The answer to that. Without the headers, which a foreign origin does not get, the browser takes it as a refusal.
    pub fn preflight(&self, origin: &HeaderValue) -> Response {
        if !self.allows(origin) {
            tracing::debug!(
                ?origin,
                "a page of an origin that CORS_ORIGINS does not name asked whether it may call"
            );
            return StatusCode::NO_CONTENT.into_response();
        }
        let fixed = [
            (
                header::ACCESS_CONTROL_ALLOW_METHODS,
                "GET, HEAD, POST, PUT, PATCH, DELETE",
            ),
            (
                header::ACCESS_CONTROL_ALLOW_HEADERS,
                "authorization, content-type, idempotency-key, last-event-id, x-request-id",
            ),
            (header::ACCESS_CONTROL_MAX_AGE, "600"),
            (
                header::VARY,
                "access-control-request-method, access-control-request-headers",
            ),
        ];
        (StatusCode::NO_CONTENT, fixed).into_response()
    }

    /// Marks an answer for the page that asked. The origin is named, never `*`, so that nothing is ever open to all.
    pub fn mark(&self, origin: HeaderValue, headers: &mut HeaderMap) {
        if !self.allows(&origin) {
            tracing::debug!(
                ?origin,
                "a page of an origin that CORS_ORIGINS does not name called"
            );
            return;
        }
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static("link, retry-after, ratelimit, ratelimit-policy, x-request-id, idempotency-replayed, location"),
        );
    }

    fn allows(&self, origin: &HeaderValue) -> bool {
        origin.to_str().is_ok_and(|origin| self.0.allows(origin))
    }
}
