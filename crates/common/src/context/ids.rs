//! Ids of requests.

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::ids::new_id;

/// Names a request in answers and logs, across services.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The request's id: the one it came with, when it is well formed, else another, which is then put in.
pub(super) fn request_id_or(
    headers: &mut HeaderMap,
    other: impl FnOnce() -> Option<HeaderValue>,
) -> HeaderValue {
    if let Some(id) = headers.get(REQUEST_ID).filter(|id| is_well_formed(id)) {
        return id.clone();
    }
    let id = other().unwrap_or_else(new_request_id);
    headers.insert(REQUEST_ID, id.clone());
    id
}

pub(crate) fn new_request_id() -> HeaderValue {
    let mut text = [0u8; uuid::fmt::Simple::LENGTH];
    HeaderValue::from_str(new_id().simple().encode_lower(&mut text))
        .unwrap_or_else(|_| HeaderValue::from_static("none"))
}

/// Ids go into logs and answers as they are, so only harmless ones of reasonable length are kept.
fn is_well_formed(id: &HeaderValue) -> bool {
    let allowed = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':');
    (1..=128).contains(&id.len()) && id.as_bytes().iter().all(allowed)
}
