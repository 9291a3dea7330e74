//! `POST /api/users/password/forgot`: a letter to set another password with.

use axum::{extract::State, response::Response};
use common::{
    context,
    extract::{self, ClientIp},
    fields::{Fields, FromFields},
    problem::ApiError,
    wire::AccountLetter,
};
use utoipa::ToSchema;

use super::send_verification::{LetterSent, on_its_way};
use crate::{
    app::App,
    credentials::ClaimedEmail,
    mailed::{self, decoy},
};

/// Whose password.
#[derive(ToSchema)]
pub struct ForgotPassword {
    #[schema(value_type = String, format = "email", example = "asha@example.org")]
    email: ClaimedEmail,
}

impl FromFields for ForgotPassword {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let email = fields.required("email", |value| Ok(ClaimedEmail::parse(&value.string()?)?));
        Some(Self { email: email? })
    }
}

/// Mails a token and a code to set another password with, if the address has an account. The answer is the same, and takes
/// as long, if it has none.
#[utoipa::path(
    post,
    path = "/api/users/password/forgot",
    operation_id = "forgotPassword",
    tag = "users",
    request_body(content = ForgotPassword, example = json!({"email": "asha@example.org"})),
    responses(
        (status = 202, description = "If the address has an account, a letter is on its way.", body = LetterSent),
    ),
)]
pub async fn forgot_password(
    State(app): State<App>,
    ClientIp(address): ClientIp,
    extract::Json(input): extract::Json<ForgotPassword>,
) -> Result<Response, ApiError> {
    app.limits.mailed_token(address).await?;
    app.limits.reset_letter_to(input.email.canonical()).await?;
    let now = app.clock.now();
    let account = input.email.account(&app).await?;
    let issue = match &account {
        Some(account) => mailed::issue(
            &account.user,
            AccountLetter::PasswordReset,
            &account.user.email,
            None,
            now,
        ),
        None => decoy(input.email.canonical(), now),
    };
    app.store.issue(vec![issue]).await?;
    match account {
        Some(account) => {
            context::note_user(account.user.id);
            tracing::info!(user_id = %account.user.id, "reset of the password asked for");
        }
        None => tracing::info!("reset of a password asked for an address without an account"),
    }
    Ok(on_its_way(
        "If this address has an account, a letter is on its way.",
    ))
}
