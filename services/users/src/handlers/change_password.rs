//! `POST /api/users/password/change`: another password.

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
    wire::AccountLetter,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{me::account_gone, register::refuse_common};
use crate::{
    app::App,
    credentials::{PasswordVerdict, judge, wrong_password},
    domain::{Password, PasswordHash},
    hashing::{Kernel, KernelError},
    mailed, signed_in,
    store::PasswordChange,
};

/// Times that the password is checked: once, and again when a sign-in has renewed its hash meanwhile.
const TRIES: u32 = 3;

/// The password as it is and as it is to be.
#[derive(ToSchema)]
pub struct ChangePassword {
    #[schema(value_type = String, format = "password", example = "correct horse battery staple")]
    current_password: Password,
    /// 8 to 256 characters. In production the most common ones are refused.
    #[schema(value_type = String, format = "password", min_length = 8, max_length = 256, example = "incorrect zebra battery staple")]
    password: Password,
}

impl FromFields for ChangePassword {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let current_password =
            fields.required("current_password", |value| value.string().map(Password::claimed));
        let password = fields.required("password", |value| Ok(Password::chosen(value.string()?)?));
        Some(Self {
            current_password: current_password?,
            password: password?,
        })
    }
}

/// The password has changed.
#[derive(Serialize, ToSchema)]
pub struct PasswordChanged {
    #[schema(example = "Password changed.")]
    message: &'static str,
    /// Other sessions that have ended.
    #[schema(example = 2)]
    ended: usize,
}

fn no_password() -> ApiError {
    ApiError::conflict(
        "no_password",
        "This account has no password. POST /api/users/password/forgot sends a letter to set one.",
    )
}

common::problems!(Problems: account_gone(), wrong_password(), no_password());

/// Changes your password, and ends all of your other sessions. Knowing the old one is worth nothing then.
#[utoipa::path(
    post,
    path = "/api/users/password/change",
    operation_id = "changePassword",
    tag = "users",
    security(("bearer" = [])),
    request_body(content = ChangePassword, example = json!({
        "current_password": "correct horse battery staple", "password": "incorrect zebra battery staple",
    })),
    responses(
        (status = 200, description = "The password has changed.", body = PasswordChanged),
        Problems,
    ),
)]
pub async fn change_password(
    State(app): State<App>,
    caller: Caller,
    ClientIp(address): ClientIp,
    extract::Json(input): extract::Json<ChangePassword>,
) -> Result<Response, ApiError> {
    refuse_common(&app, &input.password)?;
    let (current, password) = (input.current_password, input.password);
    let (current, password) = (Arc::new(current), Arc::new(password));
    for _ in 0..TRIES {
        let account = app.store.account(caller.id).await?.ok_or_else(account_gone)?;
        let old = account.password_hash.ok_or_else(no_password)?;
        let guesses = app.limits.guesses(&account.user.email, address);
        guesses.check().await?;
        let (current, password, hash) = (current.clone(), password.clone(), old.clone());
        let work = move |kernel: &mut Kernel| match judge(kernel, &guesses, &current, Some(&hash))? {
            PasswordVerdict::Refused(error) => Ok(Err(error)),
            PasswordVerdict::Wrong => Ok(Err(wrong_password())),
            PasswordVerdict::Right { .. } => Ok::<_, KernelError>(Ok(kernel.hash(&password)?)),
        };
        let new: PasswordHash = app.hashing.run(work).await??;
        let (user, now) = (&account.user, app.clock.now());
        let change = PasswordChange {
            user: caller.id,
            old,
            new,
            keep: caller.session,
            at: now,
            issue: mailed::issue(user, AccountLetter::PasswordChanged, &user.email, None, now),
        };
        app.limits.password_change(caller.id).await?;
        let Some(ended) = app.store.change_password(change).await? else {
            continue;
        };
        tracing::info!(user_id = %caller.id, ended = ended.len(), "password changed");
        let answer = PasswordChanged {
            message: "Password changed.",
            ended: ended.len(),
        };
        signed_in::publish(&app, ended).await;
        return Ok(private(Json(answer).into_response()));
    }
    Err(ApiError::unavailable(
        "The password is being changed by other requests. Please try again.",
    ))
}
