//! `POST /api/users/logout` and `/logout_all`: ending one's session, or all of them.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use common::{extract::Caller, http::pipeline::private, ids::UserId, problem::ApiError, wire::EndedSession};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{app::App, signed_in};

/// Sessions that are ended in one transaction.
const AT_ONCE: usize = 100;

/// Sessions have ended.
#[derive(Serialize, ToSchema)]
pub struct LoggedOut {
    #[schema(example = "Logged out.")]
    message: &'static str,
    /// How many.
    #[schema(example = 1)]
    ended: usize,
}

/// Ends the session of the token. Its tokens are refused from now on: here at once, everywhere within moments, and in any
/// case within a minute.
#[utoipa::path(
    post,
    path = "/api/users/logout",
    operation_id = "logout",
    tag = "users",
    security(("bearer" = [])),
    responses(
        (status = 200, description = "The session has ended.", body = LoggedOut),
    ),
)]
pub async fn logout(State(app): State<App>, caller: Caller) -> Result<Response, ApiError> {
    end(&app, &caller).await?;
    tracing::info!(user_id = %caller.id, session_id = %caller.session, "signed out");
    Ok(logged_out(1))
}

/// Ends all of your sessions, this one included.
#[utoipa::path(
    post,
    path = "/api/users/logout_all",
    operation_id = "logoutAll",
    tag = "users",
    security(("bearer" = [])),
    responses(
        (status = 200, description = "The sessions have ended.", body = LoggedOut),
    ),
)]
pub async fn logout_all(State(app): State<App>, caller: Caller) -> Result<Response, ApiError> {
    // Its own last: when something fails before, the call can be made again.
    let others = end_all(&app, caller.id, caller.session).await?;
    end(&app, &caller).await?;
    tracing::info!(user_id = %caller.id, ended = others + 1, "signed out everywhere");
    Ok(logged_out(others + 1))
}

async fn end(app: &App, caller: &Caller) -> Result<(), ApiError> {
    let session = EndedSession {
        session_id: caller.session,
        ended_at: app.clock.now(),
        until: caller.until,
    };
    let session = app.store.end_session(session).await?;
    runtime::sessions::ended(&app.shared, &app.ended, session).await;
    Ok(())
}

/// Ends all of a user's stored sessions but one, and returns how many.
///
/// # Errors
/// When they cannot be changed; those that were ended stay so.
async fn end_all(app: &App, user: UserId, except: Uuid) -> Result<usize, ApiError> {
    let mut count = 0;
    loop {
        let now = app.clock.now();
        let ended = app
            .store
            .end_sessions_of(user, Some(except), now, AT_ONCE)
            .await?;
        let last = ended.len() < AT_ONCE;
        count += ended.len();
        signed_in::publish(app, ended).await;
        if last {
            return Ok(count);
        }
    }
}

fn logged_out(ended: usize) -> Response {
    let answer = LoggedOut {
        message: "Logged out.",
        ended,
    };
    private(Json(answer).into_response())
}
