//! What the service answers beside its calls: the protocol of the live room, and pages with the client in `clients/js`: one that follows an
//! event, for development, and one to watch its streams on.

use std::sync::LazyLock;

use axum::{
    extract::State,
    http::{HeaderValue, header},
    response::{Html, IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use sha2::{Digest, Sha256};

use crate::{app::App, streams::mediamtx::MediaMtx};

/// The player of browsers that play no HLS themselves, from a public CDN; the browser takes no other bytes than these.
const HLS_SRC: &str = "https://cdn.jsdelivr.net/npm/hls.js@1.7.4/dist/hls.light.min.js";
const HLS_INTEGRITY: &str = "sha384-vpNtFjJmrPAaL9LfqByx3MxTVjqrtQ6Ue6UVNnFeghNrhE0uvpydDr3tkTVcBgDz";

/// A page with its one script and what it may do.
struct Page {
    html: String,
    policy: Option<HeaderValue>,
}

impl Page {
    fn new(html: &str, style: &str, script: &str, more: &str) -> Self {
        let client = include_str!("../../../clients/js/live.js").replace("export class", "class");
        // In a block, so that neither has to know the names of the other.
        let shared = include_str!("pages/shared.js");
        let script = format!("{client}\n{{\n{shared}\n{script}\n}}");
        let style = format!("{}\n{style}", include_str!("pages/live.css"));
        Self::alone(html, &style, &script, HLS_SRC, more)
    }

    /// With neither the client nor what the others share; `source`: from where a script may come, beside its own.
    fn alone(html: &str, style: &str, script: &str, source: &str, more: &str) -> Self {
        let hash = BASE64_STANDARD.encode(Sha256::digest(script));
        let policy = format!(
            "default-src 'none'; script-src 'sha256-{hash}' {source}; style-src 'unsafe-inline'; form-action 'none'; \
             base-uri 'none'; frame-ancestors 'none'; {more}"
        );
        Self {
            html: html.replace("{{style}}", style).replace("{{script}}", script),
            policy: HeaderValue::try_from(policy).ok(),
        }
    }

    fn response(&'static self) -> Response {
        let mut response = Html(self.html.as_str()).into_response();
        let headers = response.headers_mut();
        if let Some(policy) = &self.policy {
            headers.insert(header::CONTENT_SECURITY_POLICY, policy.clone());
        }
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

/// It talks to this site only.
static LIVE: LazyLock<Page> = LazyLock::new(|| {
    let (html, script) = (include_str!("pages/live.html"), include_str!("pages/live.js"));
    Page::new(html, "", script, "connect-src 'self'")
});

/// It plays from wherever the organizer says, in a frame only what an embedded stream may be.
static WATCH: LazyLock<Page> = LazyLock::new(|| {
    let script = include_str!("pages/watch.js")
        .replace("{{hls_src}}", HLS_SRC)
        .replace("{{hls_integrity}}", HLS_INTEGRITY);
    Page::new(
        include_str!("pages/watch.html"),
        include_str!("pages/watch.css"),
        &script,
        "connect-src 'self' https:; media-src 'self' blob: https:; worker-src blob:; \
         frame-src https://www.youtube-nocookie.com https://player.vimeo.com https://vimeo.com",
    )
});

/// It talks to this site only.
static TEAM: LazyLock<Page> = LazyLock::new(|| {
    Page::alone(
        include_str!("pages/team.html"),
        include_str!("pages/team.css"),
        include_str!("pages/team.js"),
        "",
        "connect-src 'self'",
    )
});

/// `GET /team/accept`: where the letter of an invitation leads when there is no frontend. Opening it changes nothing, because mail scanners
/// open every link; its button does.
pub async fn team() -> Response {
    TEAM.response()
}

/// `GET /asyncapi.json`
pub async fn asyncapi(State(app): State<App>) -> Response {
    let kind = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, kind)], app.live.document()).into_response()
}

/// `GET /live/{event_id}`
pub async fn live() -> Response {
    LIVE.response()
}

/// `GET /watch/{event_id}`
pub async fn watch(State(app): State<App>) -> Response {
    let mut response = WATCH.response();
    let plain = app
        .streams
        .mediamtx()
        .map(MediaMtx::plain_origins)
        .unwrap_or_default();
    if plain.is_empty() {
        return response;
    }
    // A media server on this machine, for trying it out.
    let headers = response.headers_mut();
    let wider = headers
        .get(header::CONTENT_SECURITY_POLICY)
        .and_then(|policy| policy.to_str().ok())
        .map(|policy| policy.replace(" https:;", &format!(" https: {};", plain.join(" "))));
    if let Some(Ok(wider)) = wider.map(HeaderValue::try_from) {
        headers.insert(header::CONTENT_SECURITY_POLICY, wider);
    }
    response
}
