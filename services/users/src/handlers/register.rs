//! `POST /api/users/register`: signing up.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use chrono_tz::Tz;
use common::{
    auth::Role,
    context,
    extract::{self, ClientIp},
    fields::{Fields, FromFields},
    http::pipeline::private,
    ids::UserId,
    problem::ApiError,
    schemas,
    wire::AccountLetter,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::App,
    domain::{Account, Email, Locale, MAX_NAME, Password, Phone, User},
    mailed,
    store::InsertError,
};

/// What one signs up with.
#[derive(ToSchema)]
pub struct RegisterUser {
    /// Kept in one form: trimmed, in lower case, its domain as UTS 46 maps it.
    #[schema(value_type = String, format = "email", max_length = 254, example = "asha@example.org")]
    email: Email,
    /// 8 to 256 characters. In production the most common ones are refused.
    #[schema(value_type = String, format = "password", min_length = 8, max_length = 256, example = "correct horse battery staple")]
    password: Password,
    /// `organizer` (or `organiser`) or `user`, in any case.
    #[schema(value_type = RoleInput, example = "organizer")]
    role: Role,
    /// What to call you.
    #[schema(min_length = 1, max_length = 200, example = "Asha Rao")]
    name: Option<String>,
    /// Kept as E.164. Text messages go there.
    #[schema(value_type = Option<schemas::Phone>)]
    phone: Option<Phone>,
    /// IANA time zone.
    #[schema(value_type = Option<schemas::TimeZone>)]
    timezone: Option<Tz>,
    /// Language tag (BCP 47).
    #[schema(value_type = Option<schemas::LanguageTag>)]
    locale: Option<Locale>,
}

impl FromFields for RegisterUser {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let email = fields.required("email", |value| Ok(Email::parse(&value.string()?)?));
        let password = fields.required("password", |value| Ok(Password::chosen(value.string()?)?));
        let role = fields.required("role", |value| {
            Role::parse(&value.string()?).ok_or_else(|| "must be organizer or user".to_owned())
        });
        let name = fields.optional("name", |value| value.line(MAX_NAME));
        let phone = fields.optional("phone", |value| Ok(Phone::parse(&value.string()?)?));
        let timezone = fields.optional("timezone", |value| value.zone());
        let locale = fields.optional("locale", |value| Ok(Locale::parse(&value.string()?)?));
        Some(Self {
            email: email?,
            password: password?,
            role: role?,
            name,
            phone,
            timezone,
            locale,
        })
    }
}

/// The new account.
#[derive(Serialize, ToSchema)]
pub struct RegisteredUser {
    #[schema(example = "User registered successfully.")]
    message: &'static str,
    #[schema(value_type = String, format = "uuid", example = "019aa2f4-7c1e-7d3a-9b60-1f2e3d4c5b6a")]
    user_id: UserId,
    role: Role,
    /// In the form in which it is kept.
    #[schema(format = "email", example = "asha@example.org")]
    email: String,
    /// A letter to verify it is on its way.
    #[schema(example = false)]
    email_verified: bool,
}

/// `organiser` is `organizer`.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "the document's view of what Role::parse takes")]
enum RoleInput {
    Organizer,
    Organiser,
    User,
}

/// 409.
pub fn email_taken() -> ApiError {
    ApiError::conflict(
        "email_taken",
        "This e-mail address has an account already; log in instead.",
    )
}

/// Refuses the most common passwords, in production.
///
/// # Errors
/// 422.
pub fn refuse_common(app: &App, password: &Password) -> Result<(), ApiError> {
    if app.refuse_common_passwords && password.is_common() {
        return Err(ApiError::invalid_field(
            "password",
            "is one of the first that anybody would guess; choose another",
        ));
    }
    Ok(())
}

common::problems!(Problems: email_taken());

/// Creates an account. One e-mail address has one account.
#[utoipa::path(
    post,
    path = "/api/users/register",
    operation_id = "registerUser",
    tag = "users",
    request_body(content = RegisterUser, example = json!({
        "email": "asha@example.org", "password": "correct horse battery staple", "role": "organizer", "name": "Asha Rao",
    })),
    responses(
        (status = 201, description = "The account exists.", body = RegisteredUser),
        Problems,
    ),
)]
pub async fn register(
    State(app): State<App>,
    ClientIp(address): ClientIp,
    extract::Json(input): extract::Json<RegisterUser>,
) -> Result<Response, ApiError> {
    app.limits.register(address).await?;
    refuse_common(&app, &input.password)?;
    let password = input.password;
    let password_hash = app.hashing.run(move |kernel| kernel.hash(&password)).await?;
    let user = User {
        id: UserId::new(),
        email: input.email,
        email_verified: false,
        role: input.role,
        name: input.name,
        phone: input.phone,
        timezone: input.timezone,
        locale: input.locale,
        created_at: app.clock.now(),
    };
    let answer = RegisteredUser {
        message: "User registered successfully.",
        user_id: user.id,
        role: user.role,
        email: user.email.as_str().to_owned(),
        email_verified: user.email_verified,
    };
    let letter = AccountLetter::VerifyEmail;
    let issue = mailed::issue(&user, letter, &user.email, None, user.created_at);
    // One party cannot have letters sent to very many; who gets none can ask for one after signing in.
    let issue = app.limits.sign_up_letter(address).await.then_some(issue);
    app.store
        .insert(
            Account {
                user,
                password_hash: Some(password_hash),
            },
            issue,
        )
        .await
        .map_err(|error| match error {
            InsertError::EmailTaken => email_taken(),
            InsertError::Store(error) => error.into(),
        })?;
    context::note_user(answer.user_id);
    tracing::info!(user_id = %answer.user_id, role = answer.role.name(), "account created");
    Ok(private((StatusCode::CREATED, Json(answer)).into_response()))
}
