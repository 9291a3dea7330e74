//! `POST /api/users/password/reset`: another password, by what was mailed.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use common::{
    context,
    extract::{self, ClientIp},
    fields::{Fields, FromFields},
    http::pipeline::private,
    problem::ApiError,
    wire::AccountLetter,
};
use runtime::user_directory;
use serde::Serialize;
use utoipa::ToSchema;

use super::register::refuse_common;
use crate::{
    app::App,
    credentials::ClaimedEmail,
    domain::{Password, Purpose},
    mailed::{self, ShownToken, token_invalid},
    signed_in,
    store::{Redeemed, Redemption},
};

/// What the letter brought, and the password as it is to be.
#[derive(ToSchema)]
pub struct ResetPassword {
    /// The token of the link, or the code.
    #[schema(value_type = String, example = "AZqi9HweeDqbYB8uPUxbavh_SYmCTkbhtPeSrRvh1iM")]
    token: ShownToken,
    /// With a code: the address to which it was mailed.
    #[schema(value_type = Option<String>, format = "email", example = "asha@example.org")]
    #[expect(dead_code, reason = "the document's view; it is part of the token")]
    email: (),
    /// 8 to 256 characters. In production the most common ones are refused.
    #[schema(value_type = String, format = "password", min_length = 8, max_length = 256, example = "incorrect zebra battery staple")]
    password: Password,
}

impl FromFields for ResetPassword {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let token = fields.required("token", |value| value.string());
        let email = fields.optional("email", |value| Ok(ClaimedEmail::parse(&value.string()?)?));
        let password = fields.required("password", |value| Ok(Password::chosen(value.string()?)?));
        Some(Self {
            token: ShownToken::new(token?, email),
            email: (),
            password: password?,
        })
    }
}

/// The password is another one.
#[derive(Serialize, ToSchema)]
pub struct PasswordReset {
    #[schema(example = "Password set. Sign in with it.")]
    message: &'static str,
    /// Sessions and API keys that have ended.
    #[schema(example = 2)]
    ended: usize,
}

common::problems!(Problems: token_invalid());

/// Sets another password by the token or code that was mailed, and ends all sessions. A second factor stays as it is, and is
/// asked for at the next sign-in.
#[utoipa::path(
    post,
    path = "/api/users/password/reset",
    operation_id = "resetPassword",
    tag = "users",
    request_body(content = ResetPassword, example = json!({
        "token": "12345678", "email": "asha@example.org", "password": "incorrect zebra battery staple",
    })),
    responses(
        (status = 200, description = "The password is another one.", body = PasswordReset),
        Problems,
    ),
)]
pub async fn reset_password(
    State(app): State<App>,
    ClientIp(address): ClientIp,
    extract::Json(input): extract::Json<ResetPassword>,
) -> Result<Response, ApiError> {
    refuse_common(&app, &input.password)?;
    let token = input
        .token
        .find(&app, address, &[Purpose::ResetPassword, Purpose::RecoverAccount])
        .await?;
    context::note_user(token.user);
    let user = app.store.by_id(token.user).await?.ok_or_else(token_invalid)?;
    let password = input.password;
    let hash = app.hashing.run(move |kernel| kernel.hash(&password)).await?;
    let now = app.clock.now();
    let redemption = Redemption {
        token: token.id,
        password: Some(hash),
        issue: Some(mailed::issue(
            &user,
            AccountLetter::PasswordChanged,
            &token.email,
            None,
            now,
        )),
        at: now,
    };
    let ended = match app.store.redeem(redemption).await? {
        Redeemed::Done(_, ended) => ended,
        Redeemed::Void | Redeemed::EmailTaken => return Err(token_invalid()),
    };
    tracing::info!(user_id = %user.id, ended = ended.len(), "password reset");
    // Who got a letter there reads what is sent there.
    user_directory::changed(&app.shared, user.id).await;
    let answer = PasswordReset {
        message: "Password set. Sign in with it.",
        ended: ended.len(),
    };
    signed_in::publish(&app, ended).await;
    Ok(private(Json(answer).into_response()))
}
