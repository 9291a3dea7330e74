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
    http::front::private,
    people,
    problem::{ApiError, Problem},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    me::{Me, account_gone},
    register::MAX_NAME,
};
use crate::{
    app::App,
    docs::{BodyProblems, Unavailable},
    domain::{Details, Locale, Phone},
};

/// What to change; what is left out stays as it is, and null takes it away.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the document's view of Details")]
pub struct UpdateMe {
    /// What to call you.
    #[schema(max_length = 200, example = "Asha Rao")]
    name: Option<String>,
    /// With country code. Blanks, hyphens, dots and parentheses are dropped, a leading `00` is `+`; kept as E.164. Text messages go there.
    #[schema(value_type = Option<String>, example = "+919876543210")]
    phone: Option<Phone>,
    /// IANA time zone.
    #[schema(value_type = Option<String>, example = "Asia/Kolkata")]
    timezone: Option<Tz>,
    /// Language tag (BCP 47).
    #[schema(value_type = Option<String>, example = "en-IN")]
    locale: Option<Locale>,
}

impl FromFields for Details {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        const ALL: [&str; 4] = ["name", "phone", "timezone", "locale"];
        if !ALL.iter().any(|name| fields.has(name)) {
            fields.error("body", format!("must change at least one of {}", ALL.join(", ")));
        }
        // Obeying nothing of a request to change one's password would look like having changed it.
        for name in ["email", "password", "role"] {
            if fields.has(name) {
                fields.error(name, "cannot be changed here: it stays as it was at sign-up");
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
    operation_id = "update_me",
    tag = "users",
    security(("bearer" = [])),
    request_body = UpdateMe,
    responses(
        (status = 200, description = "The account as it is now.", body = UpdatedMe),
        (status = 401, description = "No valid token, or the account no longer exists.",
         body = Problem, content_type = "application/problem+json"),
        BodyProblems,
        Unavailable,
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
    people::changed(&app.shared, user.id).await;
    let answer = UpdatedMe {
        message: "User updated successfully.",
        me: Me::from(user),
    };
    Ok(private(Json(answer).into_response()))
}
