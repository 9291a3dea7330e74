//! `POST /api/users/api_keys`: a key for a machine.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use chrono_tz::Tz;
use common::{
    api_keys::{ApiKey, Scope},
    clock::Timestamp,
    context,
    extract::{self, Caller},
    fields::{Fields, FromFields},
    http::pipeline::private,
    ids::new_id,
    problem::ApiError,
    time::EventTime,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::api_keys::ApiKeyView;
use crate::{
    app::App,
    domain::{MAX_KEYS, MAX_NAME, StoredKey},
    random::random,
    store::KeyAdded,
};

/// What the key is for.
#[derive(ToSchema)]
pub struct CreateApiKey {
    /// By which you know it again.
    #[schema(value_type = String, min_length = 1, max_length = 200, example = "Ticket office")]
    name: String,
    /// What it may be used for; nothing else.
    #[schema(min_items = 1)]
    scopes: Vec<Scope>,
    /// From then on it is void. Without it the key is good until it is deleted.
    #[schema(value_type = Option<String>, format = DateTime, example = "2031-01-01T00:00:00Z")]
    expires_at: Option<Timestamp>,
}

impl FromFields for CreateApiKey {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let name = fields.required("name", |value| value.line(MAX_NAME));
        let scopes = fields.required("scopes", |value| {
            let names: Vec<String> = value.object().map_err(|_| not_scopes())?;
            let mut scopes = names
                .iter()
                .map(|name| Scope::parse(name).ok_or_else(not_scopes))
                .collect::<Result<Vec<_>, _>>()?;
            scopes.sort_unstable();
            scopes.dedup();
            if scopes.is_empty() {
                Err(not_scopes())
            } else {
                Ok(scopes)
            }
        });
        let expires_at = fields.optional("expires_at", |value| {
            let at = EventTime::parse(&value.string()?, Tz::UTC).map_err(str::to_owned)?;
            Ok(at.at)
        });
        Some(Self {
            name: name?,
            scopes: scopes?,
            expires_at,
        })
    }
}

fn not_scopes() -> String {
    let names = Scope::ALL.map(Scope::name).join(", ");
    format!("must be a list of one or more of {names}")
}

/// The key is made.
#[derive(Serialize, ToSchema)]
pub struct ApiKeyCreated {
    #[schema(example = "API key created. It is shown only now.")]
    message: &'static str,
    /// To be sent as `Authorization: Bearer <api_key>`. Nobody can show it again.
    #[schema(example = "oe_019aa2f47c1e7d3a9b601f2e3d4c5b6b_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8")]
    api_key: String,
    #[serde(flatten)]
    key: ApiKeyView,
}

fn too_many() -> ApiError {
    ApiError::conflict(
        "too_many_api_keys",
        format!("You have {MAX_KEYS} API keys, which is the most; delete one first."),
    )
}

fn session_ended() -> ApiError {
    extract::refused(common::auth::TokenError::Ended)
}

fn expired_already() -> ApiError {
    ApiError::conflict(
        "expired_already",
        "`expires_at` lies in the past; the key would be good for nothing.",
    )
}

common::problems!(Problems: too_many(), expired_already());

/// Makes a key with which a machine calls in your name, within its scopes, until it expires or is deleted. Signing out does
/// not end it.
#[utoipa::path(
    post,
    path = "/api/users/api_keys",
    operation_id = "createApiKey",
    tag = "users",
    security(("bearer" = [])),
    request_body(content = CreateApiKey, example = json!({
        "name": "Ticket office", "scopes": ["events:read", "registrations:read"], "expires_at": "2031-01-01T00:00:00Z"
    })),
    responses(
        (status = 201, description = "The key, shown only now.", body = ApiKeyCreated),
        Problems,
    ),
)]
pub async fn create_api_key(
    State(app): State<App>,
    caller: Caller,
    extract::Json(input): extract::Json<CreateApiKey>,
) -> Result<Response, ApiError> {
    let now = app.clock.now();
    if input.expires_at.is_some_and(|at| at <= now) {
        return Err(expired_already());
    }
    app.limits.api_key(caller.id).await?;
    let id = new_id();
    let key = ApiKey::new(id, &random()?);
    let stored = StoredKey {
        id,
        user: caller.id,
        name: input.name,
        scopes: input.scopes,
        hash: key.hash(),
        created_at: now,
        expires_at: input.expires_at,
        last_used_at: None,
    };
    context::note_subject(id);
    match app.store.add_api_key(stored.clone(), caller.session).await? {
        KeyAdded::Added => {}
        KeyAdded::TooMany => return Err(too_many()),
        KeyAdded::SessionEnded => return Err(session_ended()),
    }
    tracing::info!(user_id = %caller.id, api_key_id = %id, scopes = ?stored.scopes, "API key created");
    let answer = ApiKeyCreated {
        message: "API key created. It is shown only now.",
        api_key: key.reveal().to_owned(),
        key: ApiKeyView::of(stored),
    };
    Ok(private((StatusCode::CREATED, Json(answer)).into_response()))
}
