//! Credentials: Basic, key id and key secret.

use axum::http::{Method, header, request::Parts};
use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::ExposeSecret;
use subtle::ConstantTimeEq;

use super::form;
use crate::{failure::Failure, settings::Settings};

/// Refuses a call without the right credentials.
pub(super) fn check(request: &Parts, settings: &Settings) -> Result<(), Failure> {
    let refused = || Err(Failure::unauthenticated("Authentication failed"));
    let public = is_public(&request.method, request.uri.path());
    let Some(header) = request.headers.get(header::AUTHORIZATION) else {
        let query = request.uri.query().unwrap_or_default();
        let key_id = form::pairs(query.as_bytes())
            .into_iter()
            .find(|(name, _)| name == "key_id");
        return match key_id {
            Some((_, key_id)) if public && same(&key_id, &settings.key_id) => Ok(()),
            Some(_) => refused(),
            None => Err(Failure::unauthenticated(
                "Please provide your api key for authentication purposes.",
            )),
        };
    };
    // The scheme word must be written exactly so.
    let decoded = header
        .to_str()
        .ok()
        .and_then(|text| text.strip_prefix("Basic "))
        .and_then(|text| {
            let bytes = STANDARD.decode(text.trim()).ok()?;
            String::from_utf8(bytes).ok()
        });
    let Some((key_id, secret)) = decoded.as_deref().and_then(|text| text.split_once(':')) else {
        return refused();
    };
    let (right_id, right_secret) = (
        same(key_id, &settings.key_id),
        same(secret, settings.key_secret.expose_secret()),
    );
    if right_id && (right_secret || public && secret.is_empty()) {
        Ok(())
    } else {
        refused()
    }
}

/// Calls that a browser makes, with the key id alone.
fn is_public(method: &Method, path: &str) -> bool {
    let path = path.trim_end_matches('/');
    match *method {
        Method::GET => path == "/v1/methods" || path == "/methods",
        Method::POST => path.starts_with("/v1/payments/") && path.ends_with("/otp_generate"),
        _ => false,
    }
}

fn same(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}
