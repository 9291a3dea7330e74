//! Who a connection belongs to: by an access token, or by a ticket, which browsers need because they can put no header on
//! a socket and a token in an address is read by others.

use std::time::Duration;

use axum::http::{HeaderMap, header};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use common::{
    api_keys::ApiKey,
    auth::Auth,
    clock::{Timestamp, from_millis},
    extract::{Caller, bearer, scope_missing},
    ids::UserId,
    problem::ApiError,
};
use rand::{TryRng, rngs::SysRng};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use shared_state::{Away, Shared};
use uuid::Uuid;

use super::{Live, protocol::Refusal};

/// How long a ticket is good.
pub const TICKET_LIFE: Duration = Duration::from_secs(30);
/// The host that the client asked, as the gateway heard it.
const FORWARDED_HOST: &str = "x-forwarded-host";
/// Bytes of a ticket: 256 bits.
const TICKET_BYTES: usize = 32;

/// A signed-in user.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Identity {
    /// The account.
    pub user: UserId,
    /// The session of the token.
    pub session: Uuid,
    /// When the token runs out; milliseconds since 1970, UTC.
    until: i64,
}

impl Identity {
    /// Whose access token it is.
    ///
    /// # Errors
    /// 401 when it is not good, 403 when it is an API key.
    pub fn of_token(auth: &Auth, token: &str) -> Result<Self, ApiError> {
        if ApiKey::is_meant(token) {
            return Err(scope_missing());
        }
        Caller::of_token(auth, token).map(Self::from)
    }

    /// When the token runs out.
    pub fn until(&self) -> Timestamp {
        from_millis(self.until)
    }
}

impl From<Caller> for Identity {
    fn from(caller: Caller) -> Self {
        Self {
            user: caller.id,
            session: caller.session,
            until: caller.until.timestamp_millis(),
        }
    }
}

/// Issues a ticket, good once.
///
/// # Errors
/// 503 when Redis, which keeps it, is away.
pub async fn issue(shared: &Shared, identity: Identity) -> Result<String, ApiError> {
    let mut secret = [0; TICKET_BYTES];
    SysRng.try_fill_bytes(&mut secret).map_err(ApiError::internal)?;
    let ticket = URL_SAFE_NO_PAD.encode(secret);
    let value = serde_json::to_vec(&identity).map_err(ApiError::internal)?;
    shared
        .keep_once(key(&ticket), Bytes::from(value), TICKET_LIFE)
        .await
        .map_err(|away| {
            ApiError::unavailable("Tickets cannot be given at the moment. Please try again.").because(away)
        })?;
    Ok(ticket)
}

/// Whose ticket it is, which is used up by that; `None`: it is not good, or not any more.
///
/// # Errors
/// When Redis is away.
pub async fn redeem(shared: &Shared, auth: &Auth, ticket: &str) -> Result<Option<Identity>, Away> {
    let kept = shared.take(&key(ticket)).await?;
    let identity = kept.and_then(|value| serde_json::from_slice::<Identity>(&value).ok());
    Ok(identity.filter(|identity| !auth.has_ended(identity.session)))
}

/// What a ticket is kept under: not the ticket itself, which who reads Redis could use.
fn key(ticket: &str) -> String {
    let hash = Sha256::digest(ticket.as_bytes());
    format!("live:ticket:{}", URL_SAFE_NO_PAD.encode(hash))
}

/// Who says so with a request: by its ticket, or its bearer token; `None`: it says nothing.
///
/// # Errors
/// 401 when that is not good, 403 for an API key, 503 when tickets cannot be checked.
pub async fn said(
    live: &Live,
    headers: &HeaderMap,
    ticket: Option<&str>,
) -> Result<Option<Identity>, ApiError> {
    match (ticket, bearer(headers)) {
        (Some(ticket), _) => live.redeem(ticket).await.map(Some),
        (None, Some(token)) => Identity::of_token(live.auth(), token).map(Some),
        (None, None) => Ok(None),
    }
}

/// Refuses browsers' pages of origins that may not call: unlike other requests, a socket is opened by a browser without asking
/// first.
///
/// # Errors
/// 403.
pub fn check_origin(live: &Live, headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return Ok(());
    };
    let host = headers.get(FORWARDED_HOST).or_else(|| headers.get(header::HOST));
    let host = host.and_then(|host| host.to_str().ok());
    match origin.to_str() {
        Ok(origin) if live.allows_origin(origin, host) => Ok(()),
        _ => Err(origin_refused()),
    }
}

/// 403: a page of an origin that may not call.
pub fn origin_refused() -> ApiError {
    ApiError::forbidden("origin_refused", "Pages of this origin may not connect.")
}

/// 401: the ticket is not good.
pub fn ticket_refused() -> ApiError {
    ApiError::unauthorized(
        "ticket_invalid",
        "The ticket is not valid: it is good once, for 30 seconds.",
    )
}

/// The same, and other failed ways to say who one is, as a client of a socket gets it.
pub fn refusal(error: &ApiError) -> Refusal {
    match error.code() {
        "token_expired" => Refusal::new("token_expired", "The token has expired."),
        "scope_missing" => Refusal::new("forbidden", "API keys cannot be used here."),
        "unavailable" => Refusal::unavailable(),
        _ => Refusal::new("unauthorized", "The token or ticket is not valid."),
    }
}
