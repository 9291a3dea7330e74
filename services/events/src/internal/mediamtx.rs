//! `POST /internal/media/mediamtx/{secret}/auth`: a MediaMTX asks who may publish and read.
//!
//! It signs nothing, so that the secret in the address tells it from others. The gateway passes nothing below `/internal` on.

use axum::{
    body::Body,
    extract::{Request, State},
    http::{StatusCode, Uri},
};
use common::{extract::asked, problem::ApiError, routes::MEDIAMTX};

use crate::{app::App, streams::mediamtx::ask::Question};

/// What its address begins and ends with, around the secret.
const BEFORE: &str = "/internal/media/mediamtx/";
const BEHIND: &str = "/auth";

/// The secret that stood in the address.
#[derive(Clone)]
pub struct Secret(String);

/// Takes the secret out of the path, which logs and traces show.
pub fn hide_secret(request: &mut Request) {
    let Some(rest) = request.uri().path().strip_prefix(BEFORE) else {
        return;
    };
    let secret = rest.strip_suffix(BEHIND).filter(|secret| !secret.contains('/'));
    let secret = secret.map(|secret| Secret(secret.to_owned()));
    *request.uri_mut() = match &secret {
        Some(_) => Uri::from_static(MEDIAMTX),
        // Whatever it is, it may be the secret.
        None => Uri::from_static("/internal/media"),
    };
    if let Some(secret) = secret {
        request.extensions_mut().insert(secret);
    }
}

/// Handles the question. What it answers besides its status MediaMTX only logs.
///
/// # Errors
/// 404 without the secret, 401 without credentials, and why somebody may not.
pub async fn auth(State(app): State<App>, request: Request) -> Result<StatusCode, ApiError> {
    let (parts, body): (_, Body) = request.into_parts();
    let secret = parts.extensions.get::<Secret>();
    if !secret.is_some_and(|Secret(secret)| app.streams.is_mediamtx(secret)) {
        return Err(ApiError::not_found(
            "route_not_found",
            "There is nothing at this address.",
        ));
    }
    let question: Question = asked(body).await?;
    app.streams.answer_mediamtx(&question).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_stays_in_the_path() {
        for (path, shown, secret) in [
            ("/internal/media/mediamtx/abc/auth?x=1", MEDIAMTX, Some("abc")),
            ("/internal/media/mediamtx//auth", MEDIAMTX, Some("")),
            ("/internal/media/mediamtx/abc", "/internal/media", None),
            ("/internal/media/mediamtx/abc/auth/", "/internal/media", None),
            ("/internal/media/mediamtx/a/c/auth", "/internal/media", None),
            (MEDIAMTX, "/internal/media", None),
            ("/internal/export", "/internal/export", None),
        ] {
            let mut request = Request::builder().uri(path).body(Body::empty()).unwrap();
            hide_secret(&mut request);
            assert_eq!(request.uri(), shown, "{path}");
            let found = request.extensions().get::<Secret>();
            assert_eq!(found.map(|Secret(text)| text.as_str()), secret, "{path}");
        }
    }
}
