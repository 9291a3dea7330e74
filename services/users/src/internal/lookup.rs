//! `POST /internal/users/lookup`: users by their ids.

use axum::{Json, extract::State};
use common::{
    extract,
    fields::{Fields, FromFields},
    ids::UserId,
    problem::ApiError,
    wire::FoundUsers,
};
use runtime::user_directory::AT_ONCE;

use crate::app::App;

/// The request, read by hand from [`common::wire::LookupUsers`]' form to bound it.
pub struct Lookup {
    user_ids: Vec<UserId>,
}

impl FromFields for Lookup {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let user_ids = fields.required("user_ids", |value| {
            let ids: Vec<UserId> = value.object().map_err(|_| "must be a list of ids".to_owned())?;
            if ids.len() <= AT_ONCE {
                Ok(ids)
            } else {
                Err(format!("must be at most {AT_ONCE} ids"))
            }
        });
        Some(Self { user_ids: user_ids? })
    }
}

/// How to reach and address up to 500 users. Those that do not exist are left out.
pub async fn lookup(
    _: extract::CallingService,
    State(app): State<App>,
    extract::Json(question): extract::Json<Lookup>,
) -> Result<Json<FoundUsers>, ApiError> {
    let users = app.store.cards(question.user_ids).await?;
    Ok(Json(FoundUsers { users }))
}
