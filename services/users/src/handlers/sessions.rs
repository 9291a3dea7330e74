//! `GET /api/users/sessions` and `DELETE /api/users/sessions/{session_id}`: where one is signed in.

use axum::{
    Json,
    extract::State,
    http::Uri,
    response::{IntoResponse, Response},
};
use common::{
    extract::{Caller, Params, PathId},
    http::{Cursor, Page, page::respond, pipeline::private},
    problem::ApiError,
    schemas::PageParams,
    time,
};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{app::App, domain::Session, signed_in};

/// Where you are signed in.
#[derive(Serialize, ToSchema)]
pub struct SessionView {
    #[schema(value_type = String, format = "uuid", example = "019aa2f4-7c1e-7d3a-9b60-1f2e3d4c5b6b")]
    session_id: Uuid,
    /// Whether it is the session of this request's token.
    current: bool,
    /// UTC.
    #[schema(format = DateTime, example = "2026-11-22T13:14:06.000Z")]
    created_at: String,
    /// When tokens were last given out for it, UTC.
    #[schema(format = DateTime, example = "2026-11-22T14:10:00.000Z")]
    last_used_at: String,
    /// When it ends unless it is refreshed, UTC.
    #[schema(format = DateTime, example = "2026-11-29T14:10:00.000Z")]
    expires_at: String,
    /// What the client called itself at sign-in.
    #[schema(
        required = true,
        example = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    )]
    user_agent: Option<String>,
    /// The network of the address at sign-in.
    #[schema(example = "203.0.113.0/24")]
    address: String,
}

impl SessionView {
    /// Shows a session to its user.
    pub fn of(session: Session, caller: &Caller) -> Self {
        Self {
            session_id: session.id,
            current: session.id == caller.session,
            created_at: time::utc(session.created_at),
            last_used_at: time::utc(session.last_used_at),
            expires_at: time::utc(session.refresh_until),
            user_agent: session.device.user_agent,
            address: session.device.address,
        }
    }
}

/// Where you are signed in, newest first.
#[utoipa::path(
    get,
    path = "/api/users/sessions",
    operation_id = "listSessions",
    tag = "users",
    security(("bearer" = [])),
    params(PageParams),
    responses(
        (status = 200, description = "The sessions; the next page is in Link", body = Vec<SessionView>),
    ),
)]
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    mut params: Params,
    uri: Uri,
) -> Result<Response, ApiError> {
    let page = Page::read(&mut params);
    params.finish()?;
    let found = app.store.sessions(caller.id, page, app.clock.now()).await?;
    let (found, next) = page.cut(found, |session| Cursor {
        key: session.created_at.timestamp_millis(),
        id: session.id,
    });
    let views: Vec<SessionView> = found
        .into_iter()
        .map(|session| SessionView::of(session, &caller))
        .collect();
    Ok(private(respond(views, next, &uri)))
}

/// The session has ended.
#[derive(Serialize, ToSchema)]
pub struct SessionEnded {
    #[schema(example = "Session ended.")]
    message: &'static str,
}

fn session_not_found() -> ApiError {
    ApiError::not_found("session_not_found", "You have no such session.")
}

common::problems!(Problems: session_not_found());

/// Ends one of your sessions, for instance that of a lost telephone.
#[utoipa::path(
    delete,
    path = "/api/users/sessions/{session_id}",
    operation_id = "endSession",
    tag = "users",
    security(("bearer" = [])),
    params(("session_id" = String, Path, description = "The session's id", example = "019aa2f4-7c1e-7d3a-9b60-1f2e3d4c5b6b")),
    responses(
        (status = 200, description = "The session has ended.", body = SessionEnded),
        Problems,
    ),
)]
pub async fn end(State(app): State<App>, caller: Caller, PathId(id): PathId) -> Result<Response, ApiError> {
    let id = Uuid::parse_str(&id).map_err(|_| session_not_found())?;
    let session = app.store.session(id).await?;
    let session = session
        .filter(|session| session.user == caller.id)
        .ok_or_else(session_not_found)?;
    signed_in::end(&app, session.id).await?;
    tracing::info!(user_id = %caller.id, session_id = %session.id, "session ended");
    let answer = SessionEnded {
        message: "Session ended.",
    };
    Ok(private(Json(answer).into_response()))
}
