//! `Idempotency-Key`: what makes it safe to send an unsafe request again.
//!
//! A key belongs to its caller and route. The answer to a request is stored in the same commit as its effect, so a
//! repeat gets the first answer byte for byte, whichever process crashed when. Draft:
//! draft-ietf-httpapi-idempotency-key-header-07.

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use sha2::{Digest, Sha256};

use crate::{
    clock::{Timestamp, latest_end},
    ids::UserId,
    problem::ApiError,
};

/// How long an answer is kept, in seconds.
pub const KEPT_FOR_SECONDS: i64 = 24 * 3600;

/// Marks an answer that was given before.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// A request's idempotency key, made specific to its caller and route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Whose key it is.
    pub caller: UserId,
    /// Method and path.
    pub route: String,
    /// The header's value.
    pub key: String,
    /// SHA-256 of the request body in canonical form.
    pub fingerprint: [u8; 32],
}

impl Key {
    /// A fingerprint that does not change with white space or the order of fields.
    pub fn fingerprint(body: &[u8]) -> [u8; 32] {
        let canonical = serde_json::from_slice::<serde_json::Value>(body).map(|value| value.to_string());
        match canonical {
            Ok(text) => Sha256::digest(text.as_bytes()).into(),
            Err(_) => Sha256::digest(body).into(),
        }
    }
}

/// A successful answer, in the form in which it is stored and sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// A 2xx status.
    pub status: u16,
    /// JSON.
    pub body: Vec<u8>,
}

impl Answer {
    /// An answer with a JSON body.
    pub fn json(status: StatusCode, body: &impl serde::Serialize) -> Self {
        // Our answers are structs of strings and numbers; writing them to memory cannot fail.
        Self {
            status: status.as_u16(),
            body: serde_json::to_vec(body).unwrap_or_default(),
        }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::OK);
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}

/// Why a request with a key is not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It was carried out before; here is the answer.
    Replay(Answer),
    /// The key was used with another body.
    OtherBody,
    /// The first request with this key is still being worked on.
    InFlight,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Replay(answer) => {
                let mut response = answer.into_response();
                response
                    .headers_mut()
                    .insert(REPLAYED, HeaderValue::from_static("true"));
                response
            }
            Self::OtherBody => key_reused().into_response(),
            Self::InFlight => key_in_flight().into_response(),
        }
    }
}

/// A change that may carry a key: what a store needs in order to keep the answer with the effect.
pub struct Keyed<T> {
    /// The caller's key, when there is one.
    pub key: Option<Key>,
    /// The answer to the outcome. A pure function, because it runs inside the commit.
    pub answer: fn(&T) -> Answer,
}

impl<T> Clone for Keyed<T> {
    fn clone(&self) -> Self {
        Self {
            key: self.key.clone(),
            answer: self.answer,
        }
    }
}

impl<T> Keyed<T> {
    /// A change without a key.
    pub fn none(answer: fn(&T) -> Answer) -> Self {
        Self { key: None, answer }
    }
}

/// 422 for a key that came with another body before.
pub fn key_reused() -> ApiError {
    ApiError::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "idempotency_key_reused",
        "This Idempotency-Key was used with another request body.",
    )
}

/// 409 for a key whose first request has no answer yet.
pub fn key_in_flight() -> ApiError {
    ApiError::conflict(
        "idempotency_key_in_flight",
        "The first request with this Idempotency-Key is still being worked on.",
    )
    .retry_after(1)
}

/// What a keyed change came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<T> {
    /// It was carried out now.
    Done(T),
    /// It was not, because of its key.
    Refused(Refusal),
}

impl<T> Outcome<T> {
    /// The outcome as a response.
    pub fn respond(self, answer: fn(&T) -> Answer) -> Response {
        match self {
            Self::Done(value) => answer(&value).into_response(),
            Self::Refused(refusal) => refusal.into_response(),
        }
    }
}

/// Whether the request that claimed its key at `since` until `until` may still be at work. A claim whose end is further
/// ahead than [`latest_end`] was made before the clock was set back.
pub fn is_in_flight(since: Timestamp, until: Timestamp, now: Timestamp) -> bool {
    now < until && until <= latest_end(now, now + (until - since))
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::clock::from_millis;

    #[test]
    fn a_claim_never_outlasts_its_length() {
        let since = from_millis(1_800_000_000_000);
        let until = since + TimeDelta::seconds(20);
        for (seconds, in_flight) in [
            (0, true),
            (19, true),
            (20, false),
            (3600, false),
            (-1, true), // clocks of two machines
            (-19, true),
            (-21, false), // the clock was set back
            (-3600, false),
            (-86_400, false),
        ] {
            assert_eq!(
                is_in_flight(since, until, since + TimeDelta::seconds(seconds)),
                in_flight,
                "{seconds}"
            );
        }
    }
}
