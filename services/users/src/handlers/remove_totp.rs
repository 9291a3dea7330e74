//! `DELETE /api/users/totp`: switching the second factor off.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use common::{
    extract::{self, Caller, ClientIp},
    fields::{Fields, FromFields},
    http::pipeline::private,
    problem::ApiError,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::me::account_gone;
use crate::{
    app::App,
    credentials::{self, reauthentication_required, wrong_password},
    domain::{Password, Shown},
    second_factor::{check, wrong_code},
};

fn totp_off() -> ApiError {
    ApiError::not_found("totp_off", "You have no second factor.")
}

/// The password and a code: who has only one of them cannot take the other away.
#[derive(ToSchema)]
pub struct RemoveTotp {
    /// Unless the account has none: then a sign-in of the last ten minutes counts.
    #[schema(value_type = Option<String>, format = "password", example = "correct horse battery staple")]
    password: Option<Password>,
    /// Of the app, or a recovery code.
    #[schema(value_type = String, example = "123456")]
    code: Shown,
}

impl FromFields for RemoveTotp {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let password = fields.optional("password", |value| value.string().map(Password::claimed));
        let code = fields.required("code", |value| value.string());
        Some(Self {
            password,
            code: Shown::read(&code?),
        })
    }
}

/// The second factor is off.
#[derive(Serialize, ToSchema)]
pub struct TotpRemoved {
    #[schema(example = "The second factor is off.")]
    message: &'static str,
}

common::problems!(Problems: account_gone(), totp_off(), wrong_password(), reauthentication_required(), wrong_code());

/// Switches the second factor off. Its recovery codes are void.
#[utoipa::path(
    delete,
    path = "/api/users/totp",
    operation_id = "removeTotp",
    tag = "users",
    security(("bearer" = [])),
    request_body(content = RemoveTotp, example = json!({"password": "correct horse battery staple", "code": "123456"})),
    responses(
        (status = 200, description = "It is off.", body = TotpRemoved),
        Problems,
    ),
)]
pub async fn remove_totp(
    State(app): State<App>,
    caller: Caller,
    ClientIp(address): ClientIp,
    extract::Json(input): extract::Json<RemoveTotp>,
) -> Result<Response, ApiError> {
    let account = app.store.account(caller.id).await?.ok_or_else(account_gone)?;
    let factor = app.store.second_factor(caller.id).await?;
    let factor = factor.filter(|factor| factor.confirmed).ok_or_else(totp_off)?;
    credentials::confirm(&app, &caller, &account, input.password, address).await?;
    if !check(&app, caller.id, &factor, &input.code).await? {
        return Err(wrong_code());
    }
    if !app.store.remove_second_factor(caller.id).await? {
        return Err(totp_off());
    }
    tracing::info!(user_id = %caller.id, "second factor off");
    let answer = TotpRemoved {
        message: "The second factor is off.",
    };
    Ok(private(Json(answer).into_response()))
}
