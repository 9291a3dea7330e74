//! `PATCH /api/users/me`: changing one's own details.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use chrono_tz::Tz;
use common::{
    extract::{self, Caller},
    fields::{Fields, FromFields},
    http::pipeline::private,
    problem::ApiError,
    schemas,
};
use runtime::user_directory;
use serde::Serialize;
use utoipa::ToSchema;

use super::me::{AccountProblems, Me, account_gone};
use crate::{
    app::App,
    domain::{Details, Locale, MAX_NAME, Phone},
};

/// What to change; what is left out stays as it is, and null takes it away.
#[derive(ToSchema)]
#[schema(min_properties = 1)]
#[expect(dead_code, reason = "the document's view of Details")]
pub struct UpdateMe {
    /// What to call you.
    #[schema(min_length = 1, max_length = 200, example = "Asha Rao")]
    name: Option<String>,
    /// Kept as E.164. Text messages go there.
    #[schema(value_type = Option<schemas::Phone>)]
    phone: Option<Phone>,
    /// IANA time zone.
    #[schema(value_type = Option<schemas::TimeZone>)]
    timezone: Option<Tz>,
    /// Language tag (BCP 47).
    #[schema(value_type = Option<schemas::LanguageTag>)]
    locale: Option<Locale>,
}

impl FromFields for Details {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        const ALL: [&str; 4] = ["name", "phone", "timezone", "locale"];
        if !ALL.iter().any(|name| fields.has(name)) {
            fields.error("body", format!("must change at least one of {}", ALL.join(", ")));
        }
        // Obeying nothing of a request to change one's password would look like having changed it.
        for (name, why) in [
            ("email", "is changed by POST /api/users/email/change"),
            ("password", "is changed by POST /api/users/password/change"),
            ("role", "cannot be changed: it stays as it was at sign-up"),
        ] {
            if fields.has(name) {
                fields.error(name, why);
            }
        }
        Some(Self {
            name: fields.nullable("name", |value| value.line(MAX_NAME)),
            phone: fields.nullable("phone", |value| Ok(Phone::parse(&value.string()?)?)),
            timezone: fields.nullable("timezone", |value| value.zone()),
            locale: fields.nullable("locale", |value| Ok(Locale::parse(&value.string()?)?)),
        })
    }
}

/// The account after the change.
#[derive(Serialize, ToSchema)]
pub struct UpdatedMe {
    #[schema(example = "User updated successfully.")]
    message: &'static str,
    #[serde(flatten)]
    me: Me,
}

/// Changes the caller's own details. Messages that are written from now on go by them.
#[utoipa::path(
    patch,
    path = "/api/users/me",
    operation_id = "updateMe",
    tag = "users",
    security(("bearer" = [])),
    request_body(content = UpdateMe, example = json!({"name": "Asha Rao", "phone": "+91 98765 43210", "timezone": "Asia/Kolkata"})),
    responses(
        (status = 200, description = "The account as it is now.", body = UpdatedMe),
        AccountProblems,
    ),
)]
pub async fn update_me(
    State(app): State<App>,
    caller: Caller,
    extract::Json(details): extract::Json<Details>,
) -> Result<Response, ApiError> {
    let changed = app.store.update_details(caller.id, details).await?;
    let user = changed.ok_or_else(account_gone)?;
    tracing::info!(user_id = %user.id, "account changed");
    user_directory::changed(&app.shared, user.id).await;
    let answer = UpdatedMe {
        message: "User updated successfully.",
        me: Me::of(&app, user).await?,
    };
    Ok(private(Json(answer).into_response()))
}
