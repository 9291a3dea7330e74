//! The pages to which letters about an account lead where there is no frontend. Opening one changes nothing, because mail
//! scanners open every link; its button does.

use axum::{
    http::{HeaderValue, header},
    response::{Html, IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use sha2::{Digest, Sha256};

const STYLE: &str = include_str!("pages/page.css");
const SCRIPT: &str = include_str!("pages/page.js");

/// `GET /verify-email`
pub async fn verify_email() -> Response {
    page(include_str!("pages/verify.html"))
}

/// `GET /reset-password`
pub async fn reset_password() -> Response {
    page(include_str!("pages/reset.html"))
}

fn page(html: &str) -> Response {
    let html = html.replace("{{style}}", STYLE).replace("{{script}}", SCRIPT);
    let mut response = Html(html).into_response();
    let headers = response.headers_mut();
    if let Ok(policy) = HeaderValue::try_from(policy()) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Nothing but the page's own script runs, and it talks to this site only.
fn policy() -> String {
    let hash = BASE64_STANDARD.encode(Sha256::digest(SCRIPT));
    format!(
        "default-src 'none'; script-src 'sha256-{hash}'; connect-src 'self'; style-src 'unsafe-inline'; \
         form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    )
}
