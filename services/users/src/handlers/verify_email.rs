//! `POST /api/users/email/verify`: what was mailed to an address comes back.

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
};
use runtime::user_directory;
use serde::Serialize;
use utoipa::ToSchema;

use super::register::email_taken;
use crate::{
    app::App,
    credentials::ClaimedEmail,
    domain::Purpose,
    mailed::{self, ShownToken, token_invalid},
    signed_in,
    store::{Redeemed, Redemption},
};

/// What the letter brought.
#[derive(ToSchema)]
pub struct VerifyEmail {
    /// The token of the link, or the code.
    #[schema(value_type = String, example = "AZqi9HweeDqbYB8uPUxbavh_SYmCTkbhtPeSrRvh1iM")]
    token: ShownToken,
    /// With a code: the address to which it was mailed.
    #[schema(value_type = Option<String>, format = "email", example = "asha@example.org")]
    #[expect(dead_code, reason = "the document's view; it is part of the token")]
    email: (),
}

impl FromFields for VerifyEmail {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let token = fields.required("token", |value| value.string());
        let email = fields.optional("email", |value| Ok(ClaimedEmail::parse(&value.string()?)?));
        Some(Self {
            token: ShownToken::new(token?, email),
            email: (),
        })
    }
}

/// The address is verified.
#[derive(Serialize, ToSchema)]
pub struct EmailVerified {
    #[schema(example = "E-mail address verified.")]
    message: &'static str,
    /// The account's address.
    #[schema(format = "email", example = "asha@example.org")]
    email: String,
    #[schema(example = true)]
    email_verified: bool,
    /// Sessions that have ended: all of them, when an earlier address was put back.
    #[schema(example = 0)]
    ended: usize,
}

common::problems!(Problems: token_invalid(), email_taken());

/// Verifies an e-mail address by the token or code that was mailed to it: after sign-up, when another address is to be the
/// account's, or to take an account back whose address was changed. That puts the earlier address back, ends all
/// sessions, and sends a letter to set another password with.
#[utoipa::path(
    post,
    path = "/api/users/email/verify",
    operation_id = "verifyEmail",
    tag = "users",
    request_body(content = VerifyEmail, example = json!({"token": "12345678", "email": "asha@example.org"})),
    responses(
        (status = 200, description = "The account has this address, and it is verified.", body = EmailVerified),
        Problems,
    ),
)]
pub async fn verify_email(
    State(app): State<App>,
    ClientIp(address): ClientIp,
    extract::Json(input): extract::Json<VerifyEmail>,
) -> Result<Response, ApiError> {
    const PURPOSES: &[Purpose] = &[Purpose::VerifyEmail, Purpose::ChangeEmail, Purpose::RestoreEmail];
    let token = input.token.find(&app, address, PURPOSES).await?;
    let now = app.clock.now();
    // Whoever had the account may know the password.
    let issue = match token.purpose {
        Purpose::RestoreEmail => {
            let user = app.store.by_id(token.user).await?.ok_or_else(token_invalid)?;
            Some(mailed::recover(&token, &user, now))
        }
        _ => None,
    };
    let redemption = Redemption {
        token: token.id,
        password: None,
        issue,
        at: now,
    };
    let (user, ended) = match app.store.redeem(redemption).await? {
        Redeemed::Done(user, ended) => (user, ended),
        Redeemed::Void => return Err(token_invalid()),
        Redeemed::EmailTaken => return Err(email_taken()),
    };
    let purpose = token.purpose.name();
    context::note_user(user.id);
    tracing::info!(user_id = %user.id, purpose, ended = ended.len(), "e-mail address verified");
    user_directory::changed(&app.shared, user.id).await;
    let answer = EmailVerified {
        message: "E-mail address verified.",
        email: user.email.as_str().to_owned(),
        email_verified: user.email_verified,
        ended: ended.len(),
    };
    signed_in::publish(&app, ended).await;
    Ok(private(Json(answer).into_response()))
}
