//! `POST /api/users/email/verify/send`: another letter to verify the account's address.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use common::{extract::Caller, http::pipeline::private, problem::ApiError, wire::AccountLetter};
use serde::Serialize;
use utoipa::ToSchema;

use super::me::account_gone;
use crate::{app::App, mailed};

/// A letter is on its way.
#[derive(Serialize, ToSchema)]
pub struct LetterSent {
    #[schema(example = "A letter is on its way.")]
    message: &'static str,
}

/// 202.
pub fn on_its_way(message: &'static str) -> Response {
    private((StatusCode::ACCEPTED, Json(LetterSent { message })).into_response())
}

fn already_verified() -> ApiError {
    ApiError::conflict("email_verified", "Your e-mail address is verified already.")
}

common::problems!(Problems: account_gone(), already_verified());

/// Mails another token and code to your address, in place of the earlier ones.
#[utoipa::path(
    post,
    path = "/api/users/email/verify/send",
    operation_id = "sendVerification",
    tag = "users",
    security(("bearer" = [])),
    responses(
        (status = 202, description = "A letter is on its way.", body = LetterSent),
        Problems,
    ),
)]
pub async fn send_verification(State(app): State<App>, caller: Caller) -> Result<Response, ApiError> {
    let user = app.store.by_id(caller.id).await?.ok_or_else(account_gone)?;
    if user.email_verified {
        return Err(already_verified());
    }
    app.limits.own_letter(user.id).await?;
    let issue = mailed::issue(
        &user,
        AccountLetter::VerifyEmail,
        &user.email,
        None,
        app.clock.now(),
    );
    app.store.issue(vec![issue]).await?;
    tracing::info!(user_id = %user.id, "verification of the e-mail address asked for");
    Ok(on_its_way("A letter is on its way."))
}
