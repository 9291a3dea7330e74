//! The one error shape: `application/problem+json` (RFC 9457) with a stable `code`.
//!
//! Handlers return [`ApiError`]. Turned into a response it carries only its status; the text is written once, by
//! [`render`], at the outer edge of each service, where the request id and the documented text of the route are
//! known. An error's internal half ([`ApiError::because`]) is logged there and never leaves the process.

use std::{borrow::Cow, error::Error, fmt, sync::Arc};

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};

use crate::{documented, store::StoreError};

/// The body of every failure, for the API documents. [`render`] writes it.
#[derive(serde::Serialize, utoipa::ToSchema)]
pub struct Problem {
    /// Names the kind of problem: `urn:organise-event:problem:` and the code.
    #[serde(rename = "type")]
    #[schema(example = "urn:organise-event:problem:email_taken")]
    pub kind: String,
    /// The status in words.
    #[schema(example = "Conflict")]
    pub title: String,
    /// The HTTP status.
    #[schema(example = 409)]
    pub status: u16,
    /// What went wrong, for a person.
    pub detail: String,
    /// The documented text of the route, where there is one; else the detail.
    #[schema(example = "Error registering user.")]
    pub message: String,
    /// What went wrong, for a program. Never changes.
    #[schema(example = "email_taken")]
    pub code: String,
    /// Every field that is missing or wrong.
    pub errors: Vec<FieldError>,
    /// The request's id, as in the `X-Request-Id` header and the logs.
    pub request_id: String,
}

/// The members that every [`Problem`] has.
pub(crate) const MEMBERS: [&str; 8] = [
    "type",
    "title",
    "status",
    "detail",
    "message",
    "code",
    "errors",
    "request_id",
];

/// What is wrong with one field of a request body or query.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct FieldError {
    /// The field's name as sent.
    pub field: String,
    /// What is wrong, in words that follow the name ("must be a string").
    pub message: String,
}

/// A failure as the caller will see it, with an internal half that only the log sees.
#[derive(Clone)]
pub struct ApiError(Box<Inner>);

#[derive(Clone)]
struct Inner {
    status: StatusCode,
    code: Cow<'static, str>,
    detail: Cow<'static, str>,
    message: Option<&'static str>,
    errors: Vec<FieldError>,
    extra: Map<String, Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
    cause: Option<Arc<dyn Error + Send + Sync>>,
}

impl ApiError {
    /// An error with a status, a stable machine-readable code and a sentence for the person.
    pub fn new(
        status: StatusCode,
        code: impl Into<Cow<'static, str>>,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self(Box::new(Inner {
            status,
            code: code.into(),
            detail: detail.into(),
            message: None,
            errors: Vec::new(),
            extra: Map::new(),
            headers: Vec::new(),
            cause: None,
        }))
    }

    /// 422 with every field that is missing or wrong.
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [only] => format!("{} {}.", only.field, only.message),
            many => format!("{} fields are missing or not valid.", many.len()),
        };
        let mut error = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "validation_failed", detail);
        error.0.errors = errors;
        error
    }

    /// 422 about one field.
    pub fn invalid_field(field: &str, message: impl Into<String>) -> Self {
        Self::invalid(vec![FieldError {
            field: field.to_owned(),
            message: message.into(),
        }])
    }

    /// 401 with the challenge that RFC 6750 asks for.
    pub fn unauthorized(code: &'static str, detail: &'static str) -> Self {
        let challenge = if code == "missing_token" {
            HeaderValue::from_static("Bearer realm=\"organise-event\"")
        } else {
            HeaderValue::from_static("Bearer realm=\"organise-event\", error=\"invalid_token\"")
        };
        Self::new(StatusCode::UNAUTHORIZED, code, detail).header(header::WWW_AUTHENTICATE, challenge)
    }

    /// 403.
    pub fn forbidden(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, detail)
    }

    /// 404, also for what the caller may not know of.
    pub fn not_found(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, detail)
    }

    /// 409.
    pub fn conflict(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// 429 with `Retry-After` in seconds.
    pub fn too_many_requests(seconds: u64, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", detail).retry_after(seconds)
    }

    /// 503 with `Retry-After`: something this request needs is overloaded or away; trying again is right.
    pub fn unavailable(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail).retry_after(1)
    }

    /// 500. The cause goes to the log only.
    pub fn internal(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal_error",
            "Something went wrong on our side. The request id helps us find out what.",
        )
        .because(cause)
    }

    /// Fixes the `message`, for the failures whose text is documented by case and not by route.
    pub fn message(mut self, message: &'static str) -> Self {
        self.0.message = Some(message);
        self
    }

    /// Adds a member beside the standard ones, such as `registration_id`.
    pub fn with(mut self, name: &str, value: impl serde::Serialize) -> Self {
        self.0.extra.insert(
            name.to_owned(),
            serde_json::to_value(value).unwrap_or(Value::Null),
        );
        self
    }

    /// Adds a response header.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// Adds `Retry-After` in seconds.
    pub fn retry_after(self, seconds: u64) -> Self {
        self.header(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)))
    }

    /// Adds what the log should say and the caller should not see.
    pub fn because(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.0.cause = Some(Arc::from(cause.into()));
        self
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// An extension member that is text.
    pub fn extra(&self, name: &str) -> Option<String> {
        self.0.extra.get(name)?.as_str().map(str::to_owned)
    }

    /// The stable code.
    pub fn code(&self) -> &str {
        &self.0.code
    }

    /// The headers that come with it.
    pub fn header_names(&self) -> impl Iterator<Item = &str> {
        self.0.headers.iter().map(|(name, _)| name.as_str())
    }

    /// The body, for the API documents.
    pub fn example(&self) -> Value {
        Value::Object(self.body(None, "0193696ff0c77aa0a0d2b8a7f2f1c9d4"))
    }

    fn body(&self, message: Option<&'static str>, request_id: &str) -> Map<String, Value> {
        let inner = &self.0;
        let message = inner.message.or(message).unwrap_or(&inner.detail);
        let values = [
            json!(format!("urn:organise-event:problem:{}", inner.code)),
            json!(inner.status.canonical_reason().unwrap_or("Error")),
            json!(inner.status.as_u16()),
            json!(inner.detail),
            json!(message),
            json!(inner.code),
            json!(inner.errors),
            json!(request_id),
        ];
        let mut body = inner.extra.clone();
        body.extend(MEMBERS.map(str::to_owned).into_iter().zip(values));
        body
    }

    fn text(&self, message: Option<&'static str>, request_id: &str) -> Vec<u8> {
        Value::Object(self.body(message, request_id))
            .to_string()
            .into_bytes()
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Overloaded | StoreError::Unavailable(_) => {
                Self::unavailable("The service is busy. Please try again in a moment.").because(error)
            }
            StoreError::ReadOnly(_) => {
                Self::unavailable("Nothing can be stored at the moment, only read. Please try again later.")
                    .because(error)
            }
            StoreError::Corrupt(_) => Self::internal(error),
        }
    }
}

impl fmt::Debug for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.0.status.as_u16(), self.0.code, self.0.detail)?;
        let mut cause = self.0.cause.as_deref().map(|c| c as &dyn Error);
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.detail)
    }
}

impl Error for ApiError {}

/// Whether a response already is a problem document (one that a service behind us has written).
pub fn is_problem(response: &Response) -> bool {
    response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value == PROBLEM_JSON)
}

/// The media type of RFC 9457.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// Writes a failed response in the one shape. A response that is no [`ApiError`] (axum's own 404 and 405, an
/// upstream's error page) loses its body, because its content cannot be trusted, and keeps its headers.
pub fn render(response: Response, method: &Method, path: &str, request_id: &str) -> (Response, ApiError) {
    let (mut parts, _) = response.into_parts();
    let error = parts
        .extensions
        .remove::<ApiError>()
        .unwrap_or_else(|| by_status(parts.status));
    let body = error.text(documented::failure_message(method, path), request_id);
    parts.status = error.status();
    for name in [
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::CONTENT_ENCODING,
    ] {
        parts.headers.remove(name);
    }
    parts
        .headers
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
    parts
        .headers
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    for (name, value) in &error.0.headers {
        parts.headers.insert(name, value.clone());
    }
    (Response::from_parts(parts, Body::from(body)), error)
}

/// 404 for a section of an export that a service has not.
pub fn no_such_section() -> ApiError {
    by_status(StatusCode::NOT_FOUND)
}

/// The error for a response of which only the status is known.
pub(crate) fn by_status(status: StatusCode) -> ApiError {
    match status {
        StatusCode::NOT_FOUND => ApiError::not_found("route_not_found", "There is nothing at this address."),
        StatusCode::METHOD_NOT_ALLOWED => ApiError::new(
            status,
            "method_not_allowed",
            "This address does not take this method; see Allow.",
        ),
        StatusCode::PAYLOAD_TOO_LARGE => body_too_large(),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => unsupported_media_type(),
        StatusCode::REQUEST_TIMEOUT => request_timeout(),
        StatusCode::HTTP_VERSION_NOT_SUPPORTED => ApiError::new(
            status,
            "http_version_not_supported",
            "Only HTTP/1.1 is spoken here. HTTP/2 is for the proxy that ends TLS before this.",
        ),
        StatusCode::URI_TOO_LONG => uri_too_long(),
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => ApiError::new(
            status,
            "headers_too_large",
            "The request's headers are too large.",
        ),
        StatusCode::UNAUTHORIZED => ApiError::unauthorized("unauthorized", "Please sign in."),
        StatusCode::TOO_MANY_REQUESTS => ApiError::too_many_requests(1, "Too many requests."),
        StatusCode::SERVICE_UNAVAILABLE => ApiError::unavailable("The service is not available right now."),
        status if status.is_server_error() => {
            let code = if status == StatusCode::INTERNAL_SERVER_ERROR {
                "internal_error"
            } else {
                "upstream_failed"
            };
            ApiError::new(status, code, "Something went wrong on our side.")
        }
        status => ApiError::new(status, "bad_request", "The request cannot be handled."),
    }
}

/// The document for a request that could not even be parsed, of which nothing but the status is known.
pub(crate) fn unparsed(status: StatusCode, request_id: &str) -> Vec<u8> {
    let error = match status {
        StatusCode::BAD_REQUEST => malformed_request("This is not a well-formed HTTP request."),
        status => by_status(status),
    };
    error.text(None, request_id)
}

/// 414.
pub fn uri_too_long() -> ApiError {
    ApiError::new(
        StatusCode::URI_TOO_LONG,
        "uri_too_long",
        "The address is too long.",
    )
}

/// 413.
pub fn body_too_large() -> ApiError {
    ApiError::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "body_too_large",
        "The request body is too large.",
    )
}

/// 415.
pub fn unsupported_media_type() -> ApiError {
    ApiError::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        "Send the body as JSON in UTF-8, with Content-Type: application/json.",
    )
}

/// 415 for a body that is compressed. RFC 9110, 15.5.16 names the header that says what is taken.
pub fn unsupported_content_encoding() -> ApiError {
    ApiError::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_content_encoding",
        "Send the body as it is, without Content-Encoding.",
    )
    .header(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"))
}

/// 400: the request breaks a rule of HTTP itself.
pub fn malformed_request(detail: &'static str) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, "malformed_request", detail)
}

/// 400: no `Host`, or two.
pub fn not_one_host() -> ApiError {
    malformed_request("A request names its host in one Host header (RFC 9112, 3.2).")
}

/// 408: the body did not arrive within its deadline.
pub fn request_timeout() -> ApiError {
    ApiError::new(
        StatusCode::REQUEST_TIMEOUT,
        "request_timeout",
        "The request did not arrive in time.",
    )
}

/// 400: the client went away in the middle of the body.
pub fn body_incomplete() -> ApiError {
    ApiError::new(
        StatusCode::BAD_REQUEST,
        "body_incomplete",
        "The request body ended before it was complete.",
    )
}

/// 504.
pub fn timeout() -> ApiError {
    ApiError::new(
        StatusCode::GATEWAY_TIMEOUT,
        "timeout",
        "This took too long and was given up.",
    )
}

/// 400 for a body that is not JSON.
pub fn not_json() -> ApiError {
    ApiError::new(
        StatusCode::BAD_REQUEST,
        "not_json",
        "The request body is not valid JSON.",
    )
}
