//! What every way to sign in ends with: a session, and its tokens as an answer.

use axum::{
    Json,
    extract::FromRequestParts,
    http::{HeaderValue, header, request::Parts},
    response::{IntoResponse, Response},
};
use common::{
    auth::Role,
    context::{self, Credential},
    extract::ClientIp,
    http::pipeline::private,
    ids::{UserId, new_id},
    problem::ApiError,
    wire::EndedSession,
};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    app::App,
    domain::{Device, RefreshToken, Session, User},
    random::random,
    store::{NoSession, Proved},
};

/// Tokens of a session.
#[derive(Serialize, ToSchema)]
pub struct SignedIn {
    #[schema(example = "Login successful.")]
    message: &'static str,
    /// JWT, to be sent as `Authorization: Bearer <token>`.
    #[schema(example = "eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl")]
    token: String,
    #[schema(example = "Bearer")]
    token_type: &'static str,
    /// Seconds for which the token is good.
    #[schema(example = 3600)]
    expires_in: i64,
    /// Gives the next tokens at `/api/users/refresh`, once: it is replaced each time.
    #[schema(example = "AZqi9HweeDqbYB8uPUxbagAAAAD4f0mJgk5G4bT3kq0b4dYj0Y2yq1m3VnJ8c5v7x9w2Zg")]
    refresh_token: String,
    /// Seconds for which the refresh token is good.
    #[schema(example = 604_800)]
    refresh_expires_in: i64,
    #[schema(value_type = String, format = "uuid", example = "019aa2f4-7c1e-7d3a-9b60-1f2e3d4c5b6a")]
    user_id: UserId,
    role: Role,
    /// Whether the account's address was verified.
    #[schema(example = true)]
    email_verified: bool,
}

/// 401 for a sign-in. No bearer token was sent that could be invalid, so the challenge has no `error`.
pub fn refused(code: &'static str, detail: &'static str) -> ApiError {
    ApiError::unauthorized(code, detail).header(
        header::WWW_AUTHENTICATE,
        HeaderValue::from_static("Bearer realm=\"organise-event\""),
    )
}

/// The device of a request.
pub struct CallingDevice(pub Device);

impl FromRequestParts<App> for CallingDevice {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Self::Rejection> {
        let ClientIp(address) = ClientIp::from_request_parts(parts, app).await?;
        let user_agent = parts.headers.get(header::USER_AGENT);
        let user_agent = user_agent.and_then(|value| std::str::from_utf8(value.as_bytes()).ok());
        Ok(Self(Device::of(address, user_agent)))
    }
}

/// Begins a session of a user who has proved to be one, and gives it with its refresh token.
///
/// # Errors
/// When the session cannot be stored, or no random bytes can be had.
pub async fn begin(app: &App, user: &User, device: Device) -> Result<(Session, RefreshToken), ApiError> {
    let (session, first) = new(app, user, device)?;
    app.store.begin_session(session.clone()).await?;
    context::note_credential(Credential::Session(session.id));
    Ok((session, first))
}

/// Likewise, if the account is still as it was when that was proved, or why not. `passed`: its second factor was shown.
///
/// # Errors
/// As [`begin`].
pub async fn begin_if(
    app: &App,
    user: &User,
    proved: Proved,
    passed: bool,
    device: Device,
) -> Result<Result<(Session, RefreshToken), NoSession>, ApiError> {
    let (session, first) = new(app, user, device)?;
    let begun = app
        .store
        .begin_session_if(proved, passed, session.clone())
        .await?;
    Ok(begun.map(|()| {
        context::note_credential(Credential::Session(session.id));
        (session, first)
    }))
}

fn new(app: &App, user: &User, device: Device) -> Result<(Session, RefreshToken), ApiError> {
    let first = RefreshToken::first(new_id(), random()?);
    let session = Session::begin(user.id, device, &first, app.clock.now(), &app.lifetimes);
    Ok((session, first))
}

/// Ends a stored session, here and everywhere.
///
/// # Errors
/// When that cannot be stored.
pub async fn end(app: &App, session: Uuid) -> Result<(), ApiError> {
    let now = app.clock.now();
    let ended = EndedSession {
        session_id: session,
        ended_at: now,
        until: now,
    };
    let ended = app.store.end_session(ended).await?;
    runtime::sessions::ended(&app.shared, &app.ended, ended).await;
    Ok(())
}

/// Notifies every process that sessions have ended, if any of their access tokens is still good.
pub async fn publish(app: &App, ended: Vec<EndedSession>) {
    for session in ended {
        if session.until > session.ended_at {
            runtime::sessions::ended(&app.shared, &app.ended, session).await;
        }
    }
}

/// The tokens of a session whose live refresh token is `token`.
///
/// # Errors
/// Only if the JWT library refuses to sign.
pub fn answer(
    app: &App,
    message: &'static str,
    user: &User,
    session: &Session,
    token: &RefreshToken,
) -> Result<Response, ApiError> {
    let now = app.clock.now();
    // No later than the session says, because that is for how long its end is remembered.
    let until = session.access_until.min(now + app.lifetimes.access);
    let signed = app
        .auth
        .session_token(user.id, user.role, session.id, until)
        .map_err(ApiError::internal)?;
    let answer = SignedIn {
        message,
        token: signed,
        token_type: "Bearer",
        expires_in: until.timestamp() - now.timestamp(),
        refresh_token: token.encode(),
        refresh_expires_in: (session.refresh_until - now).num_seconds(),
        user_id: user.id,
        role: user.role,
        email_verified: user.email_verified,
    };
    Ok(private(Json(answer).into_response()))
}
