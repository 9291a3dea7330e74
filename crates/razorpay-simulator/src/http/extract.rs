//! Ids from the path, and the address under which the caller knows us.

use std::convert::Infallible;

use axum::{
    extract::{FromRequestParts, Path, RawPathParams},
    http::{header, request::Parts},
};

use crate::{app::App, failure::Failure};

/// The last id in the path: the one of what is asked for. Its form is checked by whoever looks it up.
pub(crate) struct Id(pub(crate) String);

/// Two ids in the path.
pub(crate) struct Ids(pub(crate) String, pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        // Fails when the path is no UTF-8.
        let ids = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|_| Failure::no_route())?;
        ids.iter()
            .last()
            .map(|(_, id)| Self(id.to_owned()))
            .ok_or_else(Failure::no_route)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Ids {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let path = Path::from_request_parts(parts, state).await;
        path.map(|Path((one, two))| Self(one, two))
            .map_err(|_| Failure::no_route())
    }
}

/// The base of the URLs in our answers, such as `http://127.0.0.1:3199`: the host that the caller named, so that it
/// works through port mappings too; else the address we listen on.
pub(crate) struct Base(pub(crate) String);

impl FromRequestParts<App> for Base {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        let named = parts
            .headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok());
        let host = named.or(parts.uri.authority().map(|authority| authority.as_str()));
        // It ends up in pages, so it may not be anything.
        let plain = |host: &&str| {
            !host.is_empty()
                && host
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b".:-_[]".contains(&byte))
        };
        Ok(Self(match host.filter(plain) {
            Some(host) => format!("http://{host}"),
            None => app.address.get().map_or_else(
                || "http://127.0.0.1:3199".to_owned(),
                |own| format!("http://{own}"),
            ),
        }))
    }
}
