//! `POST /api/users/oauth/link`: the password of the account that has the address of a sign-in with Google.

use axum::{extract::State, response::Response};
use common::{
    context,
    extract::{self, ClientIp},
    fields::{Fields, FromFields},
    problem::ApiError,
};
use utoipa::ToSchema;

use crate::{
    app::App,
    credentials::{PasswordVerdict, judge},
    domain::{Email, Password, Shown},
    kept::{self, Kept},
    second_factor::{totp_invalid, totp_required},
    sign_in_with_google::{Waiting, code_invalid, enter, wrong_link_password},
    signed_in::{CallingDevice, SignedIn},
};

/// What came with `link_required`, and the account's password.
#[derive(ToSchema)]
pub struct LinkGoogle {
    #[schema(example = "Vv2wJ1kq0b4dYj0Y2yq1m3VnJ8c5v7x9w2ZgbG9uZyBl")]
    link_token: String,
    #[schema(value_type = String, format = "password", example = "correct horse battery staple")]
    password: Password,
    /// With a second factor: the current code of the app, or a recovery code.
    #[schema(value_type = Option<String>, example = "123456")]
    totp: Option<Shown>,
}

impl FromFields for LinkGoogle {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let link_token = fields.required("link_token", |value| value.string());
        let password = fields.required("password", |value| value.string().map(Password::claimed));
        let totp = fields.optional("totp", |value| value.string());
        Some(Self {
            link_token: link_token?,
            password: password?,
            totp: totp.as_deref().filter(|code| !code.is_empty()).map(Shown::read),
        })
    }
}

common::problems!(
    Problems:
    code_invalid(), wrong_link_password(), totp_invalid(),
    totp_required().with("totp_token", "Vv2wJ1kq0b4dYj0Y2yq1m3VnJ8c5v7x9w2ZgbG9uZyBl"),
);

/// Links a sign-in with Google with the account of its address, by that account's password, and signs in. From then on either
/// opens it. A second factor is asked for as at `/api/users/oauth/exchange`.
#[utoipa::path(
    post,
    path = "/api/users/oauth/link",
    operation_id = "linkGoogle",
    tag = "users",
    request_body(content = LinkGoogle, example = json!({
        "link_token": "Vv2wJ1kq0b4dYj0Y2yq1m3VnJ8c5v7x9w2ZgbG9uZyBl", "password": "correct horse battery staple",
    })),
    responses(
        (status = 200, description = "The tokens of a new session.", body = SignedIn),
        Problems,
    ),
)]
pub async fn link_google(
    State(app): State<App>,
    ClientIp(address): ClientIp,
    CallingDevice(device): CallingDevice,
    extract::Json(input): extract::Json<LinkGoogle>,
) -> Result<Response, ApiError> {
    app.limits.login(address).await?;
    let waiting: Option<Waiting> = kept::take(&app, Kept::Link, &input.link_token).await?;
    let now = app.clock.now();
    let waiting = waiting
        .filter(|waiting| now < waiting.until)
        .ok_or_else(code_invalid)?;
    let email = Email::stored(waiting.email.clone());
    let guesses = app.limits.guesses(&email, address);
    if let Err(error) = guesses.check().await {
        kept::keep_under(&app, Kept::Link, &input.link_token, kept::Value::of(&waiting)).await?;
        return Err(error);
    }
    context::note_user(waiting.user);
    let account = app.store.account(waiting.user).await?;
    let hash = account.and_then(|account| account.password_hash);
    let (password, proved) = (input.password, hash.clone());
    let verdict = app
        .hashing
        .run(move |kernel| judge(kernel, &guesses, &password, hash.as_ref()))
        .await;
    let proved = match (verdict, proved) {
        (Ok(PasswordVerdict::Right { .. }), Some(proved)) => proved,
        (verdict, _) => {
            // The password was mistyped, or could not be checked: the token is good for another try.
            kept::keep_under(&app, Kept::Link, &input.link_token, kept::Value::of(&waiting)).await?;
            return Err(match verdict {
                Ok(PasswordVerdict::Refused(error)) => error,
                Ok(_) => wrong_link_password(),
                Err(error) => error.into(),
            });
        }
    };
    let (identity, at) = (waiting.identity.clone(), app.clock.now());
    if !app.store.link(identity, waiting.user, email, proved, at).await? {
        return Err(code_invalid());
    }
    tracing::info!(user_id = %waiting.user, "linked with Google");
    enter(&app, &waiting.identity, input.totp.as_ref(), device).await
}
