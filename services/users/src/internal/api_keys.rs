//! `POST /internal/users/api_keys`: what API keys are good for, by their hashes.

use axum::{Json, extract::State};
use common::{
    api_keys::{AT_ONCE, KeyHash},
    extract,
    fields::{Fields, FromFields},
    problem::ApiError,
    wire::FoundApiKeys,
};

use crate::app::App;

/// The request, read by hand from [`common::wire::LookupApiKeys`]' form to bound it.
pub struct Lookup {
    hashes: Vec<KeyHash>,
}

impl FromFields for Lookup {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let hashes = fields.required("hashes", |value| {
            let hashes: Vec<KeyHash> = value
                .object()
                .map_err(|_| "must be a list of hashes".to_owned())?;
            if hashes.len() <= AT_ONCE {
                Ok(hashes)
            } else {
                Err(format!("must be at most {AT_ONCE} hashes"))
            }
        });
        Some(Self { hashes: hashes? })
    }
}

/// What these keys are good for, and notes that they are used. Those that do not exist are left out.
pub async fn lookup(
    _: extract::CallingService,
    State(app): State<App>,
    extract::Json(question): extract::Json<Lookup>,
) -> Result<Json<FoundApiKeys>, ApiError> {
    let api_keys = app.store.use_api_keys(question.hashes, app.clock.now()).await?;
    Ok(Json(FoundApiKeys { api_keys }))
}
