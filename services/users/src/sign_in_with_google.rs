//! What a sign-in at Google comes to here: an account, its second factor, and a session.

use axum::response::Response;
use common::{
    auth::Role, clock::Timestamp, context, documented::INVALID_CREDENTIALS, ids::UserId, problem::ApiError,
};
use runtime::user_directory;
use serde::{Deserialize, Serialize};

use crate::{
    app::App,
    domain::{Admission, Claims, Device, Email, Identity, Shown, User},
    google::GoogleError,
    kept::{self, Kept},
    second_factor,
    signed_in::{self, refused},
    store::{Claim, InsertError},
};

/// Times that an account is looked for: another request may make it, or change it, meanwhile.
const TRIES: u32 = 3;

/// A sign-in that waits for the password of the account of its address.
#[derive(Serialize, Deserialize)]
pub struct Waiting {
    /// Who it is.
    pub identity: Identity,
    /// The account.
    pub user: UserId,
    /// The address that both have verified.
    pub email: String,
    /// Wrong passwords do not make it last longer.
    pub until: Timestamp,
}

/// Finds the account of somebody who has just signed in at Google, or makes it.
///
/// # Errors
/// 409 when the password of an account is wanted first, 403 when the address is not verified there.
pub async fn admit(app: &App, claims: &Claims, role: Role) -> Result<Identity, ApiError> {
    let mut reserved = false;
    for _ in 0..TRIES {
        let linked = app.store.by_identity(&claims.identity).await?;
        let of_address = match &claims.email {
            Some(email) => app.store.by_email(email).await?,
            None => None,
        };
        let has_password = of_address
            .as_ref()
            .is_some_and(|account| account.password_hash.is_some());
        match claims.admit(linked, of_address.map(|account| account.user)) {
            Admission::Known(_) => return Ok(claims.identity.clone()),
            Admission::Unverified => return Err(email_unverified()),
            Admission::LinkRequired(user) => {
                let waiting = Waiting {
                    identity: claims.identity.clone(),
                    email: user.email.as_str().to_owned(),
                    user: user.id,
                    until: app.clock.now() + Kept::Link.life(),
                };
                let token = kept::keep(app, Kept::Link, kept::Value::of(&waiting)).await?;
                let wanted = if has_password {
                    link_required()
                } else {
                    link_needs_password()
                };
                return Err(wanted.with("link_token", token));
            }
            Admission::New(email) => {
                if insert(app, claims, email, role).await? {
                    return Ok(claims.identity.clone());
                }
                reserved = true;
            }
            Admission::Claimed(user, email) => {
                let claim = Claim {
                    user: user.id,
                    email,
                    identity: claims.identity.clone(),
                    name: claims.name.clone(),
                    // Events of the account may need the role that it has.
                    role: (role == Role::Organizer).then_some(role),
                    at: app.clock.now(),
                };
                if let Some(ended) = app.store.claim(claim).await? {
                    let ended_sessions = ended.len();
                    tracing::info!(user_id = %user.id, ended_sessions, "account claimed by who proved its address");
                    user_directory::changed(&app.shared, user.id).await;
                    signed_in::publish(app, ended).await;
                    return Ok(claims.identity.clone());
                }
            }
        }
    }
    if reserved {
        return Err(address_reserved());
    }
    Err(ApiError::unavailable(
        "The account is being changed by other requests. Please try again.",
    ))
}

/// `false`: the address or the identity has an account by now.
async fn insert(app: &App, claims: &Claims, email: Email, role: Role) -> Result<bool, ApiError> {
    let user = User {
        id: UserId::new(),
        email,
        email_verified: true,
        role,
        name: claims.name.clone(),
        phone: None,
        timezone: None,
        locale: None,
        created_at: app.clock.now(),
    };
    let (id, role) = (user.id, user.role.name());
    match app.store.insert_linked(user, claims.identity.clone()).await {
        Ok(()) => {
            tracing::info!(user_id = %id, role, "account created by sign-in with Google");
            Ok(true)
        }
        Err(InsertError::EmailTaken) => Ok(false),
        Err(InsertError::Store(error)) => Err(error.into()),
    }
}

/// Signs in who has arrived, after the second factor where there is one.
///
/// # Errors
/// 401 when a second factor is wanted, with the token to show with it, or when the account is not linked any more.
pub async fn enter(
    app: &App,
    identity: &Identity,
    shown: Option<&Shown>,
    device: Device,
) -> Result<Response, ApiError> {
    let user = app.store.by_identity(identity).await?.ok_or_else(code_invalid)?;
    context::note_user(user.id);
    if let Err(error) = second_factor::pass(app, user.id, shown).await {
        // Not for a failure of ours, nor after too many.
        return Err(match error.code() {
            "totp_required" | "totp_invalid" => {
                let token = kept::keep(app, Kept::SecondFactor, kept::Value::of(identity)).await?;
                error.with("totp_token", token)
            }
            _ => error,
        });
    }
    let (session, token) = signed_in::begin(app, &user, device).await?;
    // A way back takes the link away and ends the sessions that are stored; this one may have been stored a moment later.
    if app.store.by_identity(identity).await?.map(|user| user.id) != Some(user.id) {
        signed_in::end(app, session.id).await?;
        return Err(code_invalid());
    }
    tracing::info!(user_id = %user.id, session_id = %session.id, "signed in with Google");
    signed_in::answer(app, "Login successful.", &user, &session, &token)
}

impl From<GoogleError> for ApiError {
    fn from(error: GoogleError) -> Self {
        match error {
            GoogleError::Away(_) => Self::unavailable(
                "Google does not answer at the moment. Please try again, or sign in with your password.",
            )
            .because(error),
            GoogleError::Refused(_) => google_refused().because(error),
            GoogleError::Misconfigured(_) => Self::unavailable(
                "Sign-in with Google is not set up rightly. Please sign in with your password.",
            )
            .because(error),
        }
    }
}

/// 404.
pub fn off() -> ApiError {
    ApiError::not_found("google_sign_in_off", "Sign-in with Google is not set up here.")
}

/// 403: somebody else's sign-in, or one that has taken too long.
pub fn state_invalid() -> ApiError {
    ApiError::forbidden(
        "oauth_state_invalid",
        "This sign-in was not begun in this browser, is over, or took too long. Begin again.",
    )
}

/// 403: the user has said no, or Google has.
pub fn denied() -> ApiError {
    ApiError::forbidden("oauth_denied", "The sign-in was cancelled at Google.")
}

/// 403.
pub fn google_refused() -> ApiError {
    ApiError::forbidden("oauth_failed", "What Google said proves nothing. Begin again.")
}

/// 403.
pub fn email_unverified() -> ApiError {
    ApiError::forbidden(
        "google_email_unverified",
        "Google has not verified the e-mail address of this account, so it opens none here. Sign up with a password instead.",
    )
}

/// 409.
pub fn link_required() -> ApiError {
    ApiError::conflict(
        "link_required",
        "This e-mail address has an account with a password. Send that and the link_token to /api/users/oauth/link to link the two.",
    )
}

/// 409: the account of this address has no password that could be asked for.
fn link_needs_password() -> ApiError {
    ApiError::conflict(
        "link_required",
        "This e-mail address has an account, which another Google account opens. Set a password by password/forgot, and send it and the link_token to /api/users/oauth/link to link this one.",
    )
}

/// 409: an account has left the address, and can come back to it.
pub fn address_reserved() -> ApiError {
    ApiError::conflict(
        "email_taken",
        "An account has left this e-mail address less than a week ago, and the letter that told so can put it back. Until then nobody else gets the address.",
    )
}

/// 401: a code, or a token, that is none, or not any more.
pub fn code_invalid() -> ApiError {
    refused(
        "code_invalid",
        "This sign-in was finished already, or took too long. Begin again.",
    )
}

/// 401.
pub fn wrong_link_password() -> ApiError {
    refused("invalid_credentials", "The password is wrong.").message(INVALID_CREDENTIALS)
}
