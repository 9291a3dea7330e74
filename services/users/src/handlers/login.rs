//! `POST /api/users/login`: tokens for an e-mail address and a password.

use axum::{
    extract::State,
    http::{HeaderValue, header},
    response::Response,
};
use common::{
    documented::INVALID_CREDENTIALS,
    extract::{self, ClientIp},
    fields::{Fields, FromFields},
    ids::UserId,
    problem::ApiError,
};
use utoipa::ToSchema;

use crate::{
    app::App,
    credentials::{Verdict, judge},
    domain::{Account, Email, Password, PasswordHash},
    signed_in::{self, CallingDevice, SignedIn},
};

/// What one logs in with.
#[derive(ToSchema)]
pub struct Login {
    #[schema(value_type = String, format = "email", example = "asha@example.org")]
    email: Email,
    /// The form in which an earlier release may have kept the address.
    #[schema(ignore)]
    earlier: Option<Email>,
    #[schema(value_type = String, format = "password", example = "correct horse battery staple")]
    password: Password,
}

impl FromFields for Login {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let email = fields.required("email", |value| {
            let text = value.string()?;
            match (Email::parse(&text), Email::as_typed(&text)) {
                (Ok(email), earlier) => Ok((email, earlier)),
                (Err(_), Some(earlier)) => Ok((earlier.clone(), Some(earlier))),
                (Err(why), None) => Err(why.to_owned()),
            }
        });
        let password = fields.required("password", |value| value.string().map(Password::claimed));
        let (email, earlier) = email?;
        Some(Self {
            email,
            earlier,
            password: password?,
        })
    }
}

common::problems!(Problems: invalid_credentials());

/// Gives tokens for an e-mail address and its password. A wrong password and an unknown address are answered
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
    let guesses = app.limits.guesses(&input.email, address);
    guesses.check().await?;
    // Two accounts of an earlier release may be one mailbox: each is found by the form it was signed up with.
    let earlier = match &input.earlier {
        Some(earlier) => app.store.by_email(earlier).await?,
        None => None,
    };
    let account = match earlier {
        Some(account) => Some(account),
        None => app.store.by_email(&input.email).await?,
    };
    let hash = account.as_ref().map(|account| account.password_hash.clone());
    let password = input.password;
    let verdict = app
        .hashing
        .run(move |kernel| judge(kernel, &guesses, &password, hash.as_ref()))
        .await?;
    match (verdict, account) {
        (Verdict::Right { renewed }, Some(Account { user, password_hash })) => {
            if let Some(renewed) = renewed {
                renew(&app, user.id, password_hash, renewed).await;
            }
            signed_in::begin(&app, &user, device).await
        }
        (Verdict::Refused(error), _) => Err(error),
        (Verdict::Wrong | Verdict::Right { .. }, _) => Err(invalid_credentials()),
    }
}

/// Stores a hash of today's cost. The login stands without it: the next one tries again.
async fn renew(app: &App, user: UserId, old: PasswordHash, new: PasswordHash) {
    if let Err(error) = app.store.update_password_hash(user, old, new).await {
        tracing::warn!(user.id = %user, %error, "a renewed password hash could not be stored");
    }
}

fn invalid_credentials() -> ApiError {
    ApiError::unauthorized(
        "invalid_credentials",
        "The e-mail address or the password is wrong.",
    )
    .message(INVALID_CREDENTIALS)
    // No token was sent that could be invalid, so the challenge has no `error`.
    .header(
        header::WWW_AUTHENTICATE,
        HeaderValue::from_static("Bearer realm=\"organise-event\""),
    )
}
