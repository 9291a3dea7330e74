//! Headers on their way through: what belongs to one hop only, and what only we may say.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

/// Headers of one connection (RFC 9110, 7.6.1), beside those that `Connection` names.
const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::UPGRADE,
];

/// Whether a client wants to speak WebSocket.
pub fn is_websocket(headers: &HeaderMap) -> bool {
    let has = |name: HeaderName, token: &str| {
        let values = headers.get_all(name);
        values.iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).any(|item| {
            item.trim().eq_ignore_ascii_case(token)
        })
    };
    has(header::CONNECTION, "upgrade") && has(header::UPGRADE, "websocket")
}

/// Removes what belongs to the hop it came over.
pub fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
    headers.remove(header::TRANSFER_ENCODING);
}

/// Removes what a client may not say: who it is to the services, and how its request came here.
pub fn strip_claims(headers: &mut HeaderMap) {
    let claims: Vec<HeaderName> = headers.keys().filter(|name| is_claim(name.as_str())).cloned().collect();
    for name in claims {
        headers.remove(name);
    }
}

fn is_claim(name: &str) -> bool {
    name == "forwarded"
        || name.strip_prefix("x-").is_some_and(|rest| {
            rest == "real-ip"
                || rest == "client-ip"
                || rest == "gateway-token"
                || rest.starts_with("forwarded-")
                || rest.starts_with("user-")
                || rest.starts_with("internal-")
        })
}

/// Puts WebSocket's two headers back.
pub fn mark_websocket(headers: &mut HeaderMap) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
}
