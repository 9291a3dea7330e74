//! Lists: bare arrays, cut into pages by an opaque cursor, with the next page in `Link` (RFC 8288).

use axum::{
    Json,
    http::{HeaderValue, Uri, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use uuid::Uuid;

use crate::extract::Params;

/// Items of a page when the caller does not say.
pub const DEFAULT_LIMIT: usize = 50;
/// Items of a page at most.
pub const MAX_LIMIT: usize = 100;

/// A place in a list: the sort key and id of the last item before it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Cursor {
    /// The list's sort key, usually a time in milliseconds.
    pub key: i64,
    /// Decides among equal keys.
    pub id: Uuid,
}

impl Cursor {
    /// The cursor as text for a URL.
    pub fn encode(self) -> String {
        let mut bytes = [0u8; 24];
        bytes[..8].copy_from_slice(&self.key.to_be_bytes());
        bytes[8..].copy_from_slice(self.id.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads what [`Cursor::encode`] wrote.
    pub fn decode(text: &str) -> Option<Self> {
        let bytes: [u8; 24] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let (key, id) = bytes.split_at(8);
        Some(Self {
            key: i64::from_be_bytes(key.try_into().ok()?),
            id: Uuid::from_slice(id).ok()?,
        })
    }
}

/// Which part of a list is wanted: `?limit=` (1 to 100, default 50) and `?cursor=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// At most this many items.
    pub limit: usize,
    /// Only what comes after this place.
    pub after: Option<Cursor>,
}

/// What is wrong with a `limit`.
pub(super) fn bad_limit() -> String {
    format!("must be between 1 and {MAX_LIMIT}")
}

impl Page {
    /// Reads the two parameters.
    pub fn read(params: &mut Params) -> Self {
        let limit = params.given("limit", |text| match text.parse() {
            Ok(limit) if (1..=MAX_LIMIT).contains(&limit) => Ok(limit),
            _ => Err(bad_limit()),
        });
        let after = params.given("cursor", |text| {
            Cursor::decode(text).ok_or_else(|| "must come from a Link header of this list".to_owned())
        });
        Self {
            limit: limit.unwrap_or(DEFAULT_LIMIT),
            after,
        }
    }

    /// Whether this is the beginning of the list.
    pub fn is_first(&self) -> bool {
        self.after.is_none()
    }

    /// Cuts rows, of which one more than `limit` was asked for, to a page and the cursor of the next one.
    pub fn cut<T>(&self, mut rows: Vec<T>, place: impl Fn(&T) -> Cursor) -> (Vec<T>, Option<Cursor>) {
        let more = rows.len() > self.limit;
        rows.truncate(self.limit);
        let next = rows.last().filter(|_| more).map(place);
        (rows, next)
    }
}

/// A page as an answer; `uri` is the request's, whose other parameters the next page keeps.
pub fn respond<T: Serialize>(items: Vec<T>, next: Option<Cursor>, uri: &Uri) -> Response {
    let mut response = Json(items).into_response();
    if let Some(value) = next.and_then(|next| link(next, uri)) {
        response.headers_mut().insert(header::LINK, value);
    }
    response
}

/// The value of `Link` for the next page.
pub fn link(next: Cursor, uri: &Uri) -> Option<HeaderValue> {
    let mut query: Vec<String> = uri
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty() && pair.split('=').next() != Some("cursor"))
        .map(encoded)
        .collect();
    query.push(format!(
        "cursor={}",
        utf8_percent_encode(&next.encode(), NON_ALPHANUMERIC)
    ));
    HeaderValue::from_str(&format!(
        "<{}?{}>; rel=\"next\"",
        encoded(uri.path()),
        query.join("&")
    ))
    .ok()
}

/// A part of an address as RFC 3986 writes it. What was sent may hold raw UTF-8, and characters that end the `<...>` of
/// a Link.
fn encoded(part: &str) -> String {
    const NOT_IN_ADDRESSES: &AsciiSet = &CONTROLS
        .add(b' ')
        .add(b'"')
        .add(b'<')
        .add(b'>')
        .add(b'\\')
        .add(b'^')
        .add(b'`')
        .add(b'{')
        .add(b'|')
        .add(b'}');
    utf8_percent_encode(part, NOT_IN_ADDRESSES).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_read_back_and_nothing_else_does() {
        let cursor = Cursor {
            key: -5,
            id: crate::ids::new_id(),
        };
        assert_eq!(Cursor::decode(&cursor.encode()), Some(cursor));
        for text in ["", "x", "////", &"A".repeat(33)] {
            assert_eq!(Cursor::decode(text), None);
        }
    }

    #[test]
    fn the_next_page_keeps_the_filters() {
        let cursor = Cursor {
            key: 1,
            id: Uuid::nil(),
        };
        let link = link(cursor, &"/api/events?q=a%20b&cursor=old&limit=2".parse().unwrap()).unwrap();
        let link = link.to_str().unwrap();
        assert!(link.starts_with("</api/events?q=a%20b&limit=2&cursor="), "{link}");
        assert!(!link.contains("old"));
    }

    #[test]
    fn the_next_page_is_an_address() {
        let cursor = Cursor {
            key: 1,
            id: Uuid::nil(),
        };
        let uri: Uri = "/api/events?q=m\u{fc}sli&from=2031-01-01T00:00:00+05:30&x=%3C"
            .parse()
            .unwrap();
        let link = link(cursor, &uri).unwrap();
        let link = link.to_str().unwrap();
        assert!(
            link.starts_with("</api/events?q=m%C3%BCsli&from=2031-01-01T00:00:00+05:30&x=%3C&cursor="),
            "{link}"
        );
    }
}
