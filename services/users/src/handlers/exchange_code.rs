//! `POST /api/users/oauth/exchange`: tokens for the code of a sign-in with Google.

use axum::{extract::State, response::Response};
use common::{
    extract::{self, ClientIp},
    fields::{Fields, FromFields},
    problem::ApiError,
};
use utoipa::ToSchema;

use crate::{
    app::App,
    domain::{Identity, Shown},
    kept::{self, Kept},
    second_factor::{totp_invalid, totp_required},
    sign_in_with_google::{code_invalid, enter},
    signed_in::{CallingDevice, SignedIn},
};

/// The code, or where a second factor is wanted the token that was given for it, with the factor's code.
#[derive(ToSchema)]
pub struct ExchangeCode {
    /// What came to `return_to`.
    #[schema(example = "Vv2wJ1kq0b4dYj0Y2yq1m3VnJ8c5v7x9w2ZgbG9uZyBl")]
    code: Option<String>,
    /// What came with `totp_required`.
    #[schema(example = "Vv2wJ1kq0b4dYj0Y2yq1m3VnJ8c5v7x9w2ZgbG9uZyBl")]
    totp_token: Option<String>,
    /// The current code of the app, or a recovery code.
    #[schema(value_type = Option<String>, example = "123456")]
    totp: Option<Shown>,
}

impl FromFields for ExchangeCode {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let code = fields.optional("code", |value| value.string());
        let totp_token = fields.optional("totp_token", |value| value.string());
        let totp = fields.optional("totp", |value| value.string());
        Some(Self {
            code,
            totp_token,
            totp: totp.as_deref().filter(|code| !code.is_empty()).map(Shown::read),
        })
    }
}

common::problems!(
    Problems:
    code_invalid(), totp_invalid(),
    totp_required().with("totp_token", "Vv2wJ1kq0b4dYj0Y2yq1m3VnJ8c5v7x9w2ZgbG9uZyBl"),
);

/// Gives the tokens of a sign-in with Google, once, within a minute of it. Where the account has a second factor the answer is
/// 401 `totp_required` with a `totp_token`, to be sent with `totp`; a wrong code gives another `totp_token`.
#[utoipa::path(
    post,
    path = "/api/users/oauth/exchange",
    operation_id = "exchangeCode",
    tag = "users",
    request_body(content = ExchangeCode, example = json!({"code": "Vv2wJ1kq0b4dYj0Y2yq1m3VnJ8c5v7x9w2ZgbG9uZyBl"})),
    responses(
        (status = 200, description = "The tokens of a new session.", body = SignedIn),
        Problems,
    ),
)]
pub async fn exchange_code(
    State(app): State<App>,
    ClientIp(address): ClientIp,
    CallingDevice(device): CallingDevice,
    extract::Json(input): extract::Json<ExchangeCode>,
) -> Result<Response, ApiError> {
    app.limits.login(address).await?;
    let identity: Option<Identity> = match (&input.code, &input.totp_token) {
        (Some(code), _) => kept::take(&app, Kept::Code, code).await?,
        (None, Some(token)) => kept::take(&app, Kept::SecondFactor, token).await?,
        (None, None) => None,
    };
    let identity = identity.ok_or_else(code_invalid)?;
    enter(&app, &identity, input.totp.as_ref(), device).await
}
