//! `POST /api/users/login`: tokens for an e-mail address and a password.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use common::{
    context,
    documented::INVALID_CREDENTIALS,
    extract::{self, ClientIp},
    fields::{Fields, FromFields},
    ids::UserId,
    problem::ApiError,
};
use utoipa::ToSchema;

use crate::{
    app::App,
    credentials::{ClaimedEmail, PasswordVerdict, judge},
    domain::{Account, Password, PasswordHash, Shown},
    second_factor::{self, totp_invalid, totp_required},
    signed_in::{self, CallingDevice, SignedIn},
    store::{NoSession, Proved},
};

/// Times that the password is checked: once, and again when it has been changed, or its hash renewed, meanwhile.
const TRIES: u32 = 3;

/// What one logs in with.
#[derive(ToSchema)]
pub struct Login {
    #[schema(value_type = String, format = "email", example = "asha@example.org")]
    email: ClaimedEmail,
    #[schema(value_type = String, format = "password", example = "correct horse battery staple")]
    password: Password,
    /// With a second factor: the current code of the app, or a recovery code.
    #[schema(value_type = Option<String>, example = "123456")]
    totp: Option<Shown>,
}

impl FromFields for Login {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let email = fields.required("email", |value| Ok(ClaimedEmail::parse(&value.string()?)?));
        let password = fields.required("password", |value| value.string().map(Password::claimed));
        let totp = fields.optional("totp", |value| value.string());
        Some(Self {
            email: email?,
            password: password?,
            // Forms send fields that were left empty.
            totp: totp.as_deref().filter(|code| !code.is_empty()).map(Shown::read),
        })
    }
}

common::problems!(Problems: invalid_credentials(), totp_required(), totp_invalid());

/// Gives tokens for an e-mail address and its password, and a code where the account has a second factor. A wrong password and an unknown address are answered
/// alike.
#[utoipa::path(
    post,
    path = "/api/users/login",
    operation_id = "login",
    tag = "users",
    request_body(content = Login, example = json!({"email": "asha@example.org", "password": "correct horse battery staple"})),
    responses(
        (status = 200, description = "The tokens of a new session.", body = SignedIn),
        Problems,
    ),
)]
pub async fn login(
    State(app): State<App>,
    ClientIp(address): ClientIp,
    CallingDevice(device): CallingDevice,
    extract::Json(input): extract::Json<Login>,
) -> Result<Response, ApiError> {
    app.limits.login(address).await?;
    let guesses = app.limits.guesses(input.email.canonical(), address);
    guesses.check().await?;
    let password = Arc::new(input.password);
    let mut passed = false;
    for _ in 0..TRIES {
        let account = input.email.account(&app).await?;
        if let Some(account) = &account {
            // Also when it is somebody else who tries: the log and the audit trail say at whose door.
            context::note_user(account.user.id);
        }
        let hash = account.as_ref().and_then(|account| account.password_hash.clone());
        let (guesses, password) = (guesses.clone(), password.clone());
        let verdict = app
            .hashing
            .run(move |kernel| judge(kernel, &guesses, &password, hash.as_ref()))
            .await?;
        let (renewed, Account { user, password_hash }) = match (verdict, account) {
            (PasswordVerdict::Right { renewed }, Some(account)) => (renewed, account),
            (PasswordVerdict::Refused(error), _) => return Err(error),
            (PasswordVerdict::Wrong | PasswordVerdict::Right { .. }, _) => return Err(invalid_credentials()),
        };
        let proved = match (renewed, password_hash) {
            (Some(renewed), Some(old)) => Some(renew(&app, user.id, old, renewed).await),
            (_, hash) => hash,
        };
        if let (false, Some(shown)) = (passed, &input.totp) {
            passed = second_factor::pass(&app, user.id, Some(shown)).await?;
        }
        let proved = Proved {
            user: user.id,
            email: user.email.clone(),
            password_hash: proved,
        };
        // A change of the password, and a way back, end the sessions that are stored: none may be stored after that for what was
        // proved before. Whether the account has a second factor is seen in the same commit.
        match signed_in::begin_if(&app, &user, proved, passed, device.clone()).await? {
            Ok((session, token)) => {
                tracing::info!(user_id = %user.id, session_id = %session.id, "signed in");
                return signed_in::answer(&app, "Login successful.", &user, &session, &token);
            }
            Err(NoSession::SecondFactorNeeded) => return Err(totp_required()),
            Err(NoSession::AccountChanged) => {}
        }
    }
    Err(ApiError::unavailable(
        "The password is being changed by other requests. Please try again.",
    ))
}

/// Stores a hash of today's cost, and gives the one that is stored then. The login stands without it: the next one tries
/// again.
async fn renew(app: &App, user: UserId, old: PasswordHash, new: PasswordHash) -> PasswordHash {
    match app
        .store
        .update_password_hash(user, old.clone(), new.clone())
        .await
    {
        Ok(true) => new,
        Ok(false) => old,
        Err(error) => {
            tracing::warn!(user.id = %user, %error, "a renewed password hash could not be stored");
            old
        }
    }
}

fn invalid_credentials() -> ApiError {
    signed_in::refused(
        "invalid_credentials",
        "The e-mail address or the password is wrong.",
    )
    .message(INVALID_CREDENTIALS)
}
