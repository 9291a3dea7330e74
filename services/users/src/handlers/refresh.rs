//! `POST /api/users/refresh`: further tokens of a session.

use axum::{extract::State, response::Response};
use common::{
    context::{self, Credential},
    extract::{self, ClientIp},
    fields::{Fields, FromFields},
    problem::ApiError,
};
use utoipa::ToSchema;

use crate::{
    app::App,
    domain::{RefreshToken, Session, TokenVerdict},
    signed_in::{self, SignedIn},
};

/// Times that a token is judged: once, and again when another request used it in the meantime.
const TRIES: u32 = 3;

/// The refresh token.
#[derive(ToSchema)]
pub struct Refresh {
    #[schema(value_type = String, format = "password", example = "AZqi9HweeDqbYB8uPUxbagAAAAD4f0mJgk5G4bT3kq0b4dYj0Y2yq1m3VnJ8c5v7x9w2Zg")]
    refresh_token: Option<RefreshToken>,
}

impl FromFields for Refresh {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let refresh_token = fields.required("refresh_token", |value| value.string())?;
        Some(Self {
            refresh_token: RefreshToken::parse(&refresh_token),
        })
    }
}

fn invalid() -> ApiError {
    signed_in::refused(
        "refresh_token_invalid",
        "The refresh token is not valid, or its session is over; please sign in.",
    )
}

fn reused() -> ApiError {
    signed_in::refused(
        "refresh_token_reused",
        "The refresh token has been used before, so somebody else may have it. Its session has been ended; please sign in.",
    )
}

common::problems!(Problems: invalid(), reused());

/// Gives the next tokens of a session. The refresh token is replaced: keep the new one. One that was replaced in the last
/// ten seconds gives the same successor, so that two tabs stay signed in; one that was replaced earlier, or whose
/// successor has been used, ends the session.
#[utoipa::path(
    post,
    path = "/api/users/refresh",
    operation_id = "refresh",
    tag = "users",
    request_body(content = Refresh, example = json!({
        "refresh_token": "AZqi9HweeDqbYB8uPUxbagAAAAD4f0mJgk5G4bT3kq0b4dYj0Y2yq1m3VnJ8c5v7x9w2Zg",
    })),
    responses(
        (status = 200, description = "The next tokens.", body = SignedIn),
        Problems,
    ),
)]
pub async fn refresh(
    State(app): State<App>,
    ClientIp(address): ClientIp,
    extract::Json(input): extract::Json<Refresh>,
) -> Result<Response, ApiError> {
    app.limits.refresh(address).await?;
    let token = input.refresh_token.ok_or_else(invalid)?;
    for _ in 0..TRIES {
        let session = app.store.session(token.session).await?.ok_or_else(invalid)?;
        context::note_user(session.user);
        if app.ended.contains(session.id) {
            // A process of an earlier release, which knows no stored sessions, has signed it out.
            signed_in::end(&app, session.id).await?;
            return Err(invalid());
        }
        // Before the token is replaced: what fails after that would cost the caller the session.
        let user = app.store.by_id(session.user).await?.ok_or_else(invalid)?;
        let (session, next) = match session.judge(&token, &app.successors, app.clock.now(), &app.lifetimes) {
            TokenVerdict::Rotate(next, rotation) => {
                let rotated = app.store.rotate(session.id, session.generation, rotation.clone());
                if !rotated.await? {
                    continue;
                }
                (session.rotated(rotation), next)
            }
            TokenVerdict::Repeat(next) => (session, next),
            TokenVerdict::Reused => return Err(end(&app, &session).await?),
            TokenVerdict::Invalid => return Err(invalid()),
        };
        context::note_credential(Credential::Session(session.id));
        tracing::info!(user_id = %user.id, session_id = %session.id, "session refreshed");
        return signed_in::answer(&app, "Session refreshed.", &user, &session, &next);
    }
    Err(ApiError::unavailable(
        "The session is being refreshed by other requests. Please try again.",
    ))
}

/// Ends the session of a token that was used twice, because one of its users is not the account's.
async fn end(app: &App, session: &Session) -> Result<ApiError, ApiError> {
    signed_in::end(app, session.id).await?;
    tracing::warn!(
        user_id = %session.user,
        session_id = %session.id,
        "a refresh token was used again after it had been replaced; the session has ended"
    );
    Ok(reused())
}
