//! What the service answers beside its calls: the protocol of the live room, and for development a page that follows an event with
//! the client in `clients/js`.

use std::sync::LazyLock;

use axum::{
    extract::State,
    http::{HeaderValue, header},
    response::{Html, IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use sha2::{Digest, Sha256};

use crate::app::App;

/// The client and the page's own script, as one.
static SCRIPT: LazyLock<String> = LazyLock::new(|| {
    let client = include_str!("../../../clients/js/live.js").replace("export class", "class");
    // In a block, so that neither has to know the names of the other.
    format!("{client}\n{{\n{}\n}}", include_str!("pages/live.js"))
});

static PAGE: LazyLock<String> = LazyLock::new(|| {
    include_str!("pages/live.html")
        .replace("{{style}}", include_str!("pages/live.css"))
        .replace("{{script}}", &SCRIPT)
});

/// Nothing but the page's own script runs, and it talks to this site only.
static POLICY: LazyLock<Option<HeaderValue>> = LazyLock::new(|| {
    let hash = BASE64_STANDARD.encode(Sha256::digest(&*SCRIPT));
    let policy = format!(
        "default-src 'none'; script-src 'sha256-{hash}'; connect-src 'self'; style-src 'unsafe-inline'; \
         form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    );
    HeaderValue::try_from(policy).ok()
});

/// `GET /asyncapi.json`
pub async fn asyncapi(State(app): State<App>) -> Response {
    let kind = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, kind)], app.live.document()).into_response()
}

/// `GET /live/{event_id}`
pub async fn live() -> Response {
    let mut response = Html(PAGE.as_str()).into_response();
    let headers = response.headers_mut();
    if let Some(policy) = &*POLICY {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy.clone());
    }
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
