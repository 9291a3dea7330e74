//! `GET /api/users/api_keys` and `DELETE /api/users/api_keys/{id}`: the keys of one's machines.

use axum::{
    Json,
    extract::State,
    http::Uri,
    response::{IntoResponse, Response},
};
use common::{
    api_keys::Scope,
    extract::{Caller, Params, PathId},
    http::{Cursor, Page, page::respond, pipeline::private},
    problem::ApiError,
    schemas::PageParams,
    time,
};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{app::App, domain::StoredKey, signed_in};

/// An API key, without its secret.
#[derive(Serialize, ToSchema)]
pub struct ApiKeyView {
    #[schema(value_type = String, format = "uuid", example = "019aa2f4-7c1e-7d3a-9b60-1f2e3d4c5b6b")]
    api_key_id: Uuid,
    #[schema(example = "Ticket office")]
    name: String,
    /// What it may be used for.
    scopes: Vec<Scope>,
    /// UTC.
    #[schema(format = DateTime, example = "2026-11-22T13:14:06.000Z")]
    created_at: String,
    /// From then on it is void; null: never. UTC.
    #[schema(required = true, format = DateTime, example = "2031-01-01T00:00:00.000Z")]
    expires_at: Option<String>,
    /// To the minute; null: it was never used. UTC.
    #[schema(required = true, format = DateTime, example = "2026-11-22T14:10:00.000Z")]
    last_used_at: Option<String>,
}

impl ApiKeyView {
    /// Shows a key.
    pub fn of(key: StoredKey) -> Self {
        Self {
            api_key_id: key.id,
            name: key.name,
            scopes: key.scopes,
            created_at: time::utc(key.created_at),
            expires_at: key.expires_at.map(time::utc),
            last_used_at: key.last_used_at.map(time::utc),
        }
    }
}

/// Your API keys, newest first.
#[utoipa::path(
    get,
    path = "/api/users/api_keys",
    operation_id = "listApiKeys",
    tag = "users",
    security(("bearer" = [])),
    params(PageParams),
    responses(
        (status = 200, description = "The keys; the next page is in Link", body = Vec<ApiKeyView>),
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
    let found = app.store.api_keys(caller.id, page).await?;
    let (found, next) = page.cut(found, |key| Cursor {
        key: key.created_at.timestamp_millis(),
        id: key.id,
    });
    let views: Vec<ApiKeyView> = found.into_iter().map(ApiKeyView::of).collect();
    Ok(private(respond(views, next, &uri)))
}

/// The key is deleted.
#[derive(Serialize, ToSchema)]
pub struct ApiKeyDeleted {
    #[schema(example = "API key deleted.")]
    message: &'static str,
}

fn api_key_not_found() -> ApiError {
    ApiError::not_found("api_key_not_found", "You have no such API key.")
}

common::problems!(Problems: api_key_not_found());

/// Deletes one of your API keys. Every service refuses it at once as a rule, and within a minute in any case.
#[utoipa::path(
    delete,
    path = "/api/users/api_keys/{id}",
    operation_id = "deleteApiKey",
    tag = "users",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "The key's id", example = "019aa2f4-7c1e-7d3a-9b60-1f2e3d4c5b6b")),
    responses(
        (status = 200, description = "It is deleted.", body = ApiKeyDeleted),
        Problems,
    ),
)]
pub async fn delete(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<Response, ApiError> {
    let id = Uuid::parse_str(&id).map_err(|_| api_key_not_found())?;
    let deleted = app.store.delete_api_key(caller.id, id, app.clock.now()).await?;
    let deleted = deleted.ok_or_else(api_key_not_found)?;
    signed_in::publish(&app, vec![deleted]).await;
    tracing::info!(user_id = %caller.id, api_key_id = %id, "API key deleted");
    let answer = ApiKeyDeleted {
        message: "API key deleted.",
    };
    Ok(private(Json(answer).into_response()))
}
