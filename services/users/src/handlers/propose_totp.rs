//! `POST /api/users/totp`: the secret of a second factor.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use common::{extract::Caller, http::pipeline::private, problem::ApiError};
use qrcode::{QrCode, render::svg};
use serde::Serialize;
use utoipa::ToSchema;

use super::me::account_gone;
use crate::{app::App, domain::TotpSecret, random::random};

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

/// 409.
pub fn totp_on() -> ApiError {
    ApiError::conflict("totp_on", "The second factor is on already; switch it off first.")
}

common::problems!(Problems: account_gone(), totp_on());

/// Gives the secret of a second factor, for an authenticator app. An earlier one that was not confirmed is void.
#[utoipa::path(
    post,
    path = "/api/users/totp",
    operation_id = "proposeTotp",
    tag = "users",
    security(("bearer" = [])),
    responses(
        (status = 200, description = "The secret, to be confirmed by a code.", body = TotpProposed),
        Problems,
    ),
)]
pub async fn propose_totp(State(app): State<App>, caller: Caller) -> Result<Response, ApiError> {
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
