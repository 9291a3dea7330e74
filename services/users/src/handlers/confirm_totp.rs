//! `POST /api/users/totp/confirm`: switching the second factor on.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use common::{
    extract::{self, Caller},
    fields::{Fields, FromFields},
    http::pipeline::private,
    problem::ApiError,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::propose_totp::totp_on;
use crate::{
    app::App,
    domain::{RECOVERY_CODES, Shown, recovery_code},
    random::random,
    second_factor::wrong_code,
};

fn totp_not_begun() -> ApiError {
    ApiError::conflict(
        "totp_not_begun",
        "There is no secret to confirm; ask for one first.",
    )
}

/// A code of the app.
#[derive(ToSchema)]
pub struct ConfirmTotp {
    #[schema(value_type = String, example = "123456")]
    code: Shown,
}

impl FromFields for ConfirmTotp {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let code = fields.required("code", |value| value.string())?;
        Some(Self {
            code: Shown::read(&code),
        })
    }
}

/// The second factor is on.
#[derive(Serialize, ToSchema)]
pub struct TotpConfirmed {
    #[schema(example = "The second factor is on.")]
    message: &'static str,
    /// Each signs in once in place of a code. They are shown only here.
    #[schema(example = json!(["k3vd-7qpa-x2mn-c4ht"]))]
    recovery_codes: Vec<String>,
}

common::problems!(Problems: totp_on(), totp_not_begun(), wrong_code());

/// Switches the second factor on: from now on a sign-in needs a code of the app too.
#[utoipa::path(
    post,
    path = "/api/users/totp/confirm",
    operation_id = "confirmTotp",
    tag = "users",
    security(("bearer" = [])),
    request_body(content = ConfirmTotp, example = json!({"code": "123456"})),
    responses(
        (status = 200, description = "It is on.", body = TotpConfirmed),
        Problems,
    ),
)]
pub async fn confirm_totp(
    State(app): State<App>,
    caller: Caller,
    extract::Json(input): extract::Json<ConfirmTotp>,
) -> Result<Response, ApiError> {
    let factor = app
        .store
        .second_factor(caller.id)
        .await?
        .ok_or_else(totp_not_begun)?;
    if factor.confirmed {
        return Err(totp_on());
    }
    app.limits.second_factors(caller.id).take().await?;
    let Shown::Code(code) = input.code else {
        return Err(wrong_code());
    };
    let step = factor
        .secret
        .step_of(&code, app.clock.now())
        .ok_or_else(wrong_code)?;
    let mut codes = Vec::with_capacity(RECOVERY_CODES);
    let mut hashes = Vec::with_capacity(RECOVERY_CODES);
    for _ in 0..RECOVERY_CODES {
        let (code, hash) = recovery_code(random()?);
        codes.push(code);
        hashes.push(hash);
    }
    if !app
        .store
        .confirm_second_factor(caller.id, factor.secret, step, hashes, app.clock.now())
        .await?
    {
        // Another secret has been asked for in the meantime, or this one confirmed.
        return Err(totp_not_begun());
    }
    app.limits.second_factors(caller.id).succeeded();
    tracing::info!(user_id = %caller.id, "second factor on");
    let answer = TotpConfirmed {
        message: "The second factor is on.",
        recovery_codes: codes,
    };
    Ok(private(Json(answer).into_response()))
}
