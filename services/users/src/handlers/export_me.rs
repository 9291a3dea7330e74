//! `GET /api/users/me/export`: all that is held of the caller.

use axum::{
    Json,
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use common::{extract::Caller, http::pipeline::private, problem::ApiError, time};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{
    api_keys::ApiKeyView,
    me::{Me, account_gone},
    sessions::SessionView,
};
use crate::{app::App, export};

/// All that is held of you.
#[derive(Serialize, ToSchema)]
pub struct Export {
    /// UTC.
    #[schema(format = DateTime, example = "2026-11-22T13:14:06.000Z")]
    exported_at: String,
    account: Me,
    /// Accounts elsewhere that you sign in with.
    sign_in_with: Vec<LinkedIdentity>,
    /// Where you are signed in.
    sessions: Vec<SessionView>,
    api_keys: Vec<ApiKeyView>,
    #[serde(flatten)]
    #[schema(inline)]
    others: OfOthers,
}

/// What the other services hold.
#[derive(Serialize, ToSchema)]
pub struct OfOthers {
    /// The events you organise, registrations with their tickets, what you said and voted for beside events (`posts`, `votes`), payments, and messages to you, each as its own list shows
    /// them; and in `activity` what you did, and what was tried at your account, for 400 days. Of each part, and of what was done in each service, 10,000 at most, the newest.
    #[serde(flatten)]
    #[schema(value_type = Object, additional_properties)]
    parts: Map<String, Value>,
}

/// An account elsewhere.
#[derive(Serialize, ToSchema)]
pub struct LinkedIdentity {
    #[schema(example = "https://accounts.google.com")]
    issuer: String,
    #[schema(example = "110169484474386276334")]
    subject: String,
    /// UTC.
    #[schema(format = DateTime, example = "2026-11-22T13:14:06.000Z")]
    linked_at: String,
}

common::problems!(Problems: account_gone());

/// All that is held of you, as one document: account, sessions, API keys, events, registrations, payments, messages, and what
/// you did. Ten a day.
#[utoipa::path(
    get,
    path = "/api/users/me/export",
    operation_id = "exportMe",
    tag = "users",
    security(("bearer" = [])),
    responses(
        (status = 200, description = "The document.", body = Export),
        Problems,
    ),
)]
pub async fn export_me(State(app): State<App>, caller: Caller) -> Result<Response, ApiError> {
    let user = app.store.by_id(caller.id).await?.ok_or_else(account_gone)?;
    app.limits.export(caller.id).await?;
    // It is put together in memory, so one at a time.
    let _turn = app.exports.acquire().await.map_err(ApiError::internal)?;
    let now = app.clock.now();
    let sessions = export::sessions(&app, caller.id, now).await?;
    let keys = export::api_keys(&app, caller.id).await?;
    let identities = app.store.identities(caller.id).await?;
    let document = Export {
        exported_at: time::utc(now),
        account: Me::of(&app, user).await?,
        sign_in_with: identities
            .into_iter()
            .map(|(identity, linked_at)| LinkedIdentity {
                issuer: identity.issuer,
                subject: identity.subject,
                linked_at: time::utc(linked_at),
            })
            .collect(),
        sessions: sessions
            .into_iter()
            .map(|session| SessionView::of(session, &caller))
            .collect(),
        api_keys: keys.into_iter().map(ApiKeyView::of).collect(),
        others: OfOthers {
            parts: export::of_others(&app, caller.id).await?,
        },
    };
    tracing::info!(user_id = %caller.id, "account exported");
    let mut response = private(Json(document).into_response());
    response.headers_mut().insert(
        header::CONTENT_DISPOSITION,
        HeaderValue::from_static("attachment; filename=\"organise-event-export.json\""),
    );
    Ok(response)
}
