//! `POST /internal/users/ended_sessions`: the sessions whose tokens are to be refused.

use axum::{Json, extract::State};
use common::{
    clock::Timestamp,
    extract,
    fields::{Fields, FromFields},
    problem::ApiError,
    sessions::AT_ONCE,
    wire::EndedSessions,
};
use uuid::Uuid;

use crate::app::App;

/// The request, [`common::wire::ListEndedSessions`].
pub struct Question {
    since: Timestamp,
    after: Option<(Timestamp, Uuid)>,
}

impl FromFields for Question {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let since = fields.required("since", |value| value.object());
        let after = fields.optional("after", |value| value.object());
        Some(Self { since: since?, after })
    }
}

/// Sessions that have ended since then, in the order of time and id.
pub async fn ended_sessions(
    _: extract::CallingService,
    State(app): State<App>,
    extract::Json(question): extract::Json<Question>,
) -> Result<Json<EndedSessions>, ApiError> {
    let sessions = app
        .store
        .ended_sessions(question.since, question.after, AT_ONCE)
        .await?;
    Ok(Json(EndedSessions { sessions }))
}
