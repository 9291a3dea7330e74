//! Headers on their way through: what belongs to one hop only, and what only we may set.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use common::context::REQUEST_ID;

/// Whether a client wants to speak WebSocket (RFC 6455, 4.1).
pub fn is_websocket(headers: &HeaderMap) -> bool {
    headers.contains_key(header::UPGRADE)
        && items(headers, header::UPGRADE).any(|item| item.eq_ignore_ascii_case("websocket"))
        && items(headers, header::CONNECTION).any(|item| item.eq_ignore_ascii_case("upgrade"))
}

/// Puts WebSocket's two headers back.
pub fn mark_websocket(headers: &mut HeaderMap) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
}

/// Removes from a request what belongs to the hop it came over, and what a client may not set: its identity to the
/// services, and how its request came here.
pub fn clean_request(headers: &mut HeaderMap) {
    remove(headers, |name| is_of_hop(name) || is_claim(name));
}

/// Removes from an answer what belongs to the hop it came over.
pub fn clean_answer(headers: &mut HeaderMap) {
    remove(headers, is_of_hop);
}

/// One pass over the names, because most requests have nothing to remove; and whatever `Connection` names.
fn remove(headers: &mut HeaderMap, unwanted: impl Fn(&str) -> bool) {
    let named = items(headers, header::CONNECTION).filter_map(|item| item.parse().ok());
    // The request's id is ours as soon as it has come in; no client can have it removed.
    let mut names: Vec<HeaderName> = named.filter(|name| name != REQUEST_ID).collect();
    names.extend(headers.keys().filter(|name| unwanted(name.as_str())).cloned());
    for name in names {
        headers.remove(name);
    }
}

fn items(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let values = headers
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

/// Headers of one connection (RFC 9110, 7.6.1). `Expect` is answered by the reader of the body, which is us.
fn is_of_hop(name: &str) -> bool {
    match name {
        "connection" | "expect" | "http2-settings" | "keep-alive" | "te" | "trailer"
        | "transfer-encoding" | "upgrade" => true,
        _ => name.starts_with("proxy-"),
    }
}

fn is_claim(name: &str) -> bool {
    match name.strip_prefix("x-") {
        Some("client-ip" | "gateway-token" | "real-ip") => true,
        Some(rest) => ["forwarded-", "internal-", "user-"]
            .iter()
            .any(|prefix| rest.starts_with(prefix)),
        None => name == "forwarded",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        pairs.iter().map(pair).collect()
    }

    fn left(mut headers: HeaderMap, clean: impl Fn(&mut HeaderMap)) -> Vec<String> {
        clean(&mut headers);
        headers.keys().map(ToString::to_string).collect()
    }

    #[test]
    fn what_belongs_to_one_hop_goes_no_further() {
        let hop = [
            ("connection", "keep-alive, X-Mine"),
            ("keep-alive", "timeout=5"),
            ("proxy-authorization", "Basic x"),
            ("proxy-connection", "keep-alive"),
            ("te", "trailers"),
            ("trailer", "x"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("http2-settings", "x"),
            ("x-mine", "1"),
            ("accept", "*/*"),
        ];
        assert_eq!(left(headers(&hop), clean_request), ["accept"]);
        assert_eq!(left(headers(&hop), clean_answer), ["accept"]);
    }

    #[test]
    fn clients_do_not_speak_for_us() {
        let claims = [
            ("forwarded", "for=1.2.3.4"),
            ("x-forwarded-for", "1.2.3.4"),
            ("x-forwarded-user", "root"),
            ("x-real-ip", "1.2.3.4"),
            ("x-client-ip", "1.2.3.4"),
            ("x-gateway-token", "x"),
            ("x-user-id", "1"),
            ("x-internal-call", "1"),
            ("x-requested-with", "fetch"),
        ];
        assert_eq!(left(headers(&claims), clean_request), ["x-requested-with"]);
    }

    #[test]
    fn the_request_id_cannot_be_removed() {
        let kept = left(
            headers(&[("connection", "x-request-id, close"), ("x-request-id", "a")]),
            clean_request,
        );
        assert_eq!(kept, ["x-request-id"]);
    }

    #[test]
    fn websockets_are_known_by_both_headers() {
        assert!(is_websocket(&headers(&[
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "WebSocket")
        ])));
        assert!(!is_websocket(&headers(&[
            ("connection", "keep-alive"),
            ("upgrade", "websocket")
        ])));
        assert!(!is_websocket(&headers(&[
            ("connection", "upgrade"),
            ("upgrade", "h2c")
        ])));
        assert!(!is_websocket(&headers(&[])));
    }
}
