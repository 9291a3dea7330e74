//! gzip for answers that gain from it, when the client takes it. Requests without `Accept-Encoding` pay one look-up.

use std::convert::Infallible;

use axum::{
    body::{Body, HttpBody},
    extract::Request,
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};
use tower::ServiceExt;
use tower_http::{
    CompressionLevel,
    compression::{Compression, Predicate},
};

/// Below this, in bytes, compressing costs more than it saves: the answer fits one packet anyway.
const WORTH: u64 = 1024;

/// Whether the client takes gzip (RFC 9110, 12.5.3).
pub fn is_wanted(headers: &HeaderMap) -> bool {
    let mut any = false;
    let values = headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok());
    for item in values.flat_map(|value| value.split(',')) {
        let (coding, weight) = item.split_once(';').unwrap_or((item, ""));
        let coding = coding.trim();
        if coding.eq_ignore_ascii_case("gzip") || coding.eq_ignore_ascii_case("x-gzip") {
            return is_taken(weight);
        }
        any |= coding == "*" && is_taken(weight);
    }
    any
}

/// Whether a weight (`q=0.5`) is more than nothing. No weight is 1; one that is no number is nothing.
fn is_taken(weight: &str) -> bool {
    let weight = weight.trim();
    weight.is_empty()
        || weight.split_once('=').is_some_and(|(name, value)| {
            name.trim().eq_ignore_ascii_case("q")
                && value.trim().parse::<f32>().is_ok_and(|weight| weight > 0.0)
        })
}

/// Answers a request of a client that takes gzip, with what `inner` answers.
pub async fn handle<F>(mut request: Request, inner: impl Fn(Request) -> F + Clone) -> Response
where
    F: Future<Output = Response>,
{
    // The choice is made. The layer would make it again, and when a client takes neither gzip nor plain text it turns
    // the answer into a 406: after the service has done its work.
    request
        .headers_mut()
        .insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    let inner = tower::service_fn(move |request: Request| {
        let answer = inner(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let compression = Compression::new(inner)
        .quality(CompressionLevel::Fastest)
        .compress_when(Worth);
    match compression.oneshot(request).await {
        Ok(response) => response.map(Body::new),
        Err(never) => match never {},
    }
}

/// Which answers are compressed. One of unknown length is not: it may be a live stream, whose chunks must not wait
/// in a compressor for more. (Encoded answers and ranges are left alone by the layer.)
#[derive(Clone)]
struct Worth;

impl Predicate for Worth {
    fn should_compress<B: HttpBody>(&self, response: &axum::http::Response<B>) -> bool {
        let text = |name| {
            response
                .headers()
                .get(name)
                .and_then(|value: &HeaderValue| value.to_str().ok())
        };
        response
            .body()
            .size_hint()
            .exact()
            .is_some_and(|size| size >= WORTH)
            && text(header::CONTENT_TYPE).is_some_and(is_text)
            && !text(header::CACHE_CONTROL).is_some_and(|value| value.contains("no-transform"))
    }
}

fn is_text(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    match essence.split_once('/') {
        Some(("text", kind)) => kind != "event-stream",
        Some((_, kind)) => {
            matches!(kind, "json" | "javascript" | "xml") || kind.ends_with("+json") || kind.ends_with("+xml")
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_wish_is_read() {
        let wanted = |value: &'static str| {
            is_wanted(&HeaderMap::from_iter([(
                header::ACCEPT_ENCODING,
                HeaderValue::from_static(value),
            )]))
        };
        for value in [
            "gzip",
            "br, GZIP;q=0.1",
            "x-gzip",
            "*",
            "identity;q=0, gzip",
            "deflate, *;q=0.5",
            "gzip; q=1.0",
        ] {
            assert!(wanted(value), "{value}");
        }
        for value in [
            "",
            "br",
            "identity",
            "gzip;q=0",
            "gzip;q=0.000, *",
            "*;q=0",
            "gzip;q=x",
            "gzipped",
        ] {
            assert!(!wanted(value), "{value}");
        }
        assert!(!is_wanted(&HeaderMap::new()));
    }

    #[test]
    fn text_is_known_by_its_type() {
        for kind in [
            "text/html; charset=utf-8",
            "application/json",
            "application/problem+json",
            "image/svg+xml",
        ] {
            assert!(is_text(kind), "{kind}");
        }
        for kind in [
            "text/event-stream",
            "image/png",
            "application/octet-stream",
            "video/mp4",
            "application/gzip",
            "",
        ] {
            assert!(!is_text(kind), "{kind}");
        }
    }
}
