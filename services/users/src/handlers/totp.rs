//! `POST /api/users/totp`, `POST /api/users/totp/confirm`, `DELETE /api/users/totp`: a second factor, on and off.

use std::sync::Arc;

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
use qrcode::{QrCode, render::svg};
use rand::{TryRng, rngs::SysRng};
use serde::Serialize;
use utoipa::ToSchema;

use super::{change_password::wrong_password, me::account_gone};
use crate::{
    app::App,
    credentials,
    domain::{Password, RECOVERY_CODES, Shown, TotpSecret, recovery_code},
    second_factor::{check, wrong_code},
};

/// The longest code that is read, in characters.
const MAX_CODE: usize = 100;

/// What an authenticator app needs. It counts from when a code of it has been confirmed.
#[derive(Serialize, ToSchema)]
pub struct TotpProposed {
    /// To be typed into apps that cannot scan (base 32).
    #[schema(example = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")]
    secret: String,
    /// The same for apps on this device.
    #[schema(
        example = "otpauth://totp/Organise%20Event:asha%40example.org?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Organise%20Event"
    )]
    otpauth_url: String,
    /// The same as a QR code, an SVG document.
    #[schema(example = "<svg xmlns=\"http://www.w3.org/2000/svg\"/>")]
    qr_svg: String,
}

fn totp_on() -> ApiError {
    ApiError::conflict("totp_on", "The second factor is on already; switch it off first.")
}

fn totp_not_begun() -> ApiError {
    ApiError::conflict(
        "totp_not_begun",
        "There is no secret to confirm; ask for one first.",
    )
}

fn totp_off() -> ApiError {
    ApiError::not_found("totp_off", "You have no second factor.")
}

common::problems!(ProposeProblems: account_gone(), totp_on());

/// Gives the secret of a second factor, for an authenticator app. An earlier one that was not confirmed is void.
#[utoipa::path(
    post,
    path = "/api/users/totp",
    operation_id = "proposeTotp",
    tag = "users",
    security(("bearer" = [])),
    responses(
        (status = 200, description = "The secret, to be confirmed by a code.", body = TotpProposed),
        ProposeProblems,
    ),
)]
pub async fn propose(State(app): State<App>, caller: Caller) -> Result<Response, ApiError> {
    let user = app.store.by_id(caller.id).await?.ok_or_else(account_gone)?;
    let secret = TotpSecret::new(random()?);
    let url = secret.url(&user.email).map_err(ApiError::internal)?;
    let code = QrCode::new(&url).map_err(ApiError::internal)?;
    if !app.store.propose_second_factor(user.id, secret.clone()).await? {
        return Err(totp_on());
    }
    tracing::info!(user_id = %user.id, "second factor proposed");
    let answer = TotpProposed {
        secret: secret.to_base32(),
        otpauth_url: url,
        qr_svg: code.render::<svg::Color<'_>>().min_dimensions(200, 200).build(),
    };
    Ok(private(Json(answer).into_response()))
}

/// A code of the app.
#[derive(ToSchema)]
pub struct ConfirmTotp {
    #[schema(value_type = String, example = "123456")]
    code: Shown,
}

impl FromFields for ConfirmTotp {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let code = fields.required("code", |value| value.line(MAX_CODE))?;
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

common::problems!(ConfirmProblems: totp_on(), totp_not_begun(), wrong_code());

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
        ConfirmProblems,
    ),
)]
pub async fn confirm(
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
        .confirm_second_factor(caller.id, factor.secret, step, hashes)
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

/// The password and a code: who has only one of them cannot take the other away.
#[derive(ToSchema)]
pub struct RemoveTotp {
    #[schema(value_type = String, format = "password", example = "correct horse battery staple")]
    password: Password,
    /// Of the app, or a recovery code.
    #[schema(value_type = String, example = "123456")]
    code: Shown,
}

impl FromFields for RemoveTotp {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let password = fields.required("password", |value| value.string().map(Password::claimed));
        let code = fields.required("code", |value| value.line(MAX_CODE));
        Some(Self {
            password: password?,
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

common::problems!(RemoveProblems: account_gone(), totp_off(), wrong_password(), wrong_code());

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
        RemoveProblems,
    ),
)]
pub async fn remove(
    State(app): State<App>,
    caller: Caller,
    ClientIp(address): ClientIp,
    extract::Json(input): extract::Json<RemoveTotp>,
) -> Result<Response, ApiError> {
    let account = app.store.account(caller.id).await?.ok_or_else(account_gone)?;
    let factor = app.store.second_factor(caller.id).await?;
    let factor = factor.filter(|factor| factor.confirmed).ok_or_else(totp_off)?;
    let guesses = app.limits.guesses(&account.user.email, address);
    if !credentials::is_right(&app, guesses, Arc::new(input.password), account.password_hash).await? {
        return Err(wrong_password());
    }
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

fn random<const N: usize>() -> Result<[u8; N], ApiError> {
    let mut bytes = [0; N];
    SysRng.try_fill_bytes(&mut bytes).map_err(ApiError::internal)?;
    Ok(bytes)
}
