//! `GET /api/users/me`: the caller's own details.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use chrono_tz::Tz;
use common::{auth::Role, extract::Caller, http::pipeline::private, ids::UserId, problem::ApiError, time};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::App,
    domain::{Locale, Phone, User},
};

/// An account's details.
#[derive(Serialize, ToSchema)]
pub struct Me {
    #[schema(value_type = String, format = "uuid", example = "019aa2f4-7c1e-7d3a-9b60-1f2e3d4c5b6a")]
    user_id: UserId,
    #[schema(format = "email", example = "asha@example.org")]
    email: String,
    /// Whether you have proved to read what is sent there.
    #[schema(example = true)]
    email_verified: bool,
    role: Role,
    #[schema(required = true, example = "Asha Rao")]
    name: Option<String>,
    /// E.164.
    #[schema(required = true, example = "+919876543210")]
    phone: Option<String>,
    /// IANA time zone.
    #[schema(required = true, example = "Asia/Kolkata")]
    timezone: Option<&'static str>,
    /// Language tag.
    #[schema(required = true, example = "en-IN")]
    locale: Option<String>,
    /// Whether signing in needs a second factor.
    #[schema(example = false)]
    totp: bool,
    /// UTC.
    #[schema(format = DateTime, example = "2026-11-22T13:14:06.000Z")]
    created_at: String,
}

impl Me {
    /// A user's details as they are shown.
    ///
    /// # Errors
    /// A storage error.
    pub async fn of(app: &App, user: User) -> Result<Self, ApiError> {
        let factor = app.store.second_factor(user.id).await?;
        Ok(Self {
            totp: factor.is_some_and(|factor| factor.confirmed),
            user_id: user.id,
            email: user.email.as_str().to_owned(),
            email_verified: user.email_verified,
            role: user.role,
            name: user.name,
            phone: user.phone.as_ref().map(Phone::as_str).map(str::to_owned),
            timezone: user.timezone.map(Tz::name),
            locale: user.locale.as_ref().map(Locale::as_str).map(str::to_owned),
            created_at: time::utc(user.created_at),
        })
    }
}

common::problems!(AccountProblems: account_gone());

/// The caller's own details.
#[utoipa::path(
    get,
    path = "/api/users/me",
    operation_id = "getMe",
    tag = "users",
    security(("bearer" = [])),
    responses(
        (status = 200, description = "The account the token belongs to.", body = Me),
        AccountProblems,
    ),
)]
pub async fn me(State(app): State<App>, caller: Caller) -> Result<Response, ApiError> {
    let user = app.store.by_id(caller.id).await?.ok_or_else(account_gone)?;
    Ok(private(Json(Me::of(&app, user).await?).into_response()))
}

/// The token outlived its account.
pub fn account_gone() -> ApiError {
    ApiError::unauthorized(
        "account_gone",
        "The account that this token was made for no longer exists.",
    )
}
