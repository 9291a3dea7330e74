//! Checking a second factor: each code once, and no more guesses than for passwords.

use common::{ids::UserId, problem::ApiError};

use crate::{
    app::App,
    domain::{SecondFactor, Shown},
    signed_in::refused,
};

/// Checks what a sign-in shows beside the password, when the user has a second factor; whether they have.
///
/// # Errors
/// 401 when it is missing or wrong, 429 after too many wrong ones.
pub async fn pass(app: &App, user: UserId, shown: Option<&Shown>) -> Result<bool, ApiError> {
    let factor = app.store.second_factor(user).await?;
    let Some(factor) = factor.filter(|factor| factor.confirmed) else {
        return Ok(false);
    };
    let shown = shown.ok_or_else(totp_required)?;
    match check(app, user, &factor, shown).await? {
        true => Ok(true),
        false => Err(totp_invalid()),
    }
}

/// Whether this is a code of a confirmed second factor, or one of its recovery codes, and used for the first time.
///
/// # Errors
/// 429 after too many wrong ones.
pub async fn check(app: &App, user: UserId, factor: &SecondFactor, shown: &Shown) -> Result<bool, ApiError> {
    let guesses = app.limits.second_factors(user);
    // Counted before it is checked, because many may be sent at once.
    guesses.take().await?;
    let right = match shown {
        Shown::Code(code) => match factor.secret.step_of(code, app.clock.now()) {
            Some(step) => app.store.use_step(user, step).await?,
            None => false,
        },
        Shown::Recovery(hash) => {
            let used = app.store.use_recovery_code(user, hash.clone()).await?;
            if used {
                tracing::info!(user_id = %user, "recovery code used");
            }
            used
        }
    };
    if right {
        guesses.succeeded();
    }
    Ok(right)
}

/// 401: the password is right, and a code is wanted too.
pub fn totp_required() -> ApiError {
    refused(
        "totp_required",
        "This account has a second factor: send its current code, or a recovery code, as `totp`.",
    )
}

/// 401: it is none of the codes that are good now, or was used before.
pub fn totp_invalid() -> ApiError {
    refused("totp_invalid", WRONG)
}

/// 403: the same, for who is signed in.
pub fn wrong_code() -> ApiError {
    ApiError::forbidden("totp_invalid", WRONG)
}

const WRONG: &str = "The code is wrong, or has been used before. Wait for the next one.";
