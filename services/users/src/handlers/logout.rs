//! `POST /api/users/logout`: ends a session.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use common::{extract::Caller, http::pipeline::private, problem::ApiError, wire::EndedSession};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;

/// The session has ended.
#[derive(Serialize, ToSchema)]
pub struct LoggedOut {
    #[schema(example = "Logged out.")]
    message: &'static str,
}

/// Ends the session of the token, which is refused from now on: here at once, everywhere within moments, and in any
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
    let session = EndedSession {
        session_id: caller.session,
        ended_at: app.clock.now(),
        until: caller.until,
    };
    app.store.end_session(session.clone()).await?;
    runtime::sessions::ended(&app.shared, &app.ended, session).await;
    tracing::info!(user_id = %caller.id, session_id = %caller.session, "signed out");
    let answer = LoggedOut {
        message: "Logged out.",
    };
    Ok(private(Json(answer).into_response()))
}
