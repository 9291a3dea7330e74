//! `POST /api/users/email/change`: another address, once it is verified.

use axum::{extract::State, response::Response};
use common::{
    extract::{self, Caller, ClientIp},
    fields::{Fields, FromFields},
    problem::ApiError,
    wire::AccountLetter,
};
use utoipa::ToSchema;

use super::{
    me::account_gone,
    register::email_taken,
    send_verification::{LetterSent, on_its_way},
};
use crate::{
    app::App,
    credentials::{self, reauthentication_required, wrong_password},
    domain::{Email, Password},
    mailed,
    store::Proved,
};

/// The address as it is to be, and the password.
#[derive(ToSchema)]
pub struct ChangeEmail {
    #[schema(value_type = String, format = "email", max_length = 254, example = "asha@example.net")]
    email: Email,
    /// Unless the account has none: then a sign-in of the last ten minutes counts.
    #[schema(value_type = Option<String>, format = "password", example = "correct horse battery staple")]
    password: Option<Password>,
}

impl FromFields for ChangeEmail {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let email = fields.required("email", |value| Ok(Email::parse(&value.string()?)?));
        let password = fields.optional("password", |value| value.string().map(Password::claimed));
        Some(Self {
            email: email?,
            password,
        })
    }
}

common::problems!(Problems: account_gone(), wrong_password(), reauthentication_required(), email_taken());

/// Asks for another e-mail address. A letter goes there, and the address is the account's once it is verified. The present
/// one is told too, with a way back that is good for a week.
#[utoipa::path(
    post,
    path = "/api/users/email/change",
    operation_id = "changeEmail",
    tag = "users",
    security(("bearer" = [])),
    request_body(content = ChangeEmail, example = json!({
        "email": "asha@example.net", "password": "correct horse battery staple",
    })),
    responses(
        (status = 202, description = "A letter to the new address is on its way.", body = LetterSent),
        Problems,
    ),
)]
pub async fn change_email(
    State(app): State<App>,
    caller: Caller,
    ClientIp(address): ClientIp,
    extract::Json(input): extract::Json<ChangeEmail>,
) -> Result<Response, ApiError> {
    let account = app.store.account(caller.id).await?.ok_or_else(account_gone)?;
    credentials::confirm(&app, &caller, &account, input.password, address).await?;
    let user = account.user;
    if input.email == user.email {
        return Err(ApiError::invalid_field("email", "is your address already"));
    }
    // Sign-up says so too.
    if app.store.by_email(&input.email).await?.is_some() {
        return Err(email_taken());
    }
    app.limits.own_letter(user.id).await?;
    app.limits.change_letter_to(&input.email).await?;
    let now = app.clock.now();
    let new = Some(&input.email);
    let issues = vec![
        mailed::issue(&user, AccountLetter::ChangeEmail, &input.email, new, now),
        mailed::issue(&user, AccountLetter::EmailChanged, &user.email, new, now),
    ];
    let proved = Proved {
        user: user.id,
        email: user.email,
        password_hash: account.password_hash,
    };
    if !app.store.issue_if(proved, issues).await? {
        return Err(ApiError::unavailable(
            "The account is being changed by other requests. Please try again.",
        ));
    }
    tracing::info!(user_id = %user.id, "another e-mail address asked for");
    Ok(on_its_way("A letter to the new address is on its way."))
}
