//! Tokens that are mailed: issued with their message, and shown again.

use std::net::IpAddr;

use chrono_tz::Tz;
use common::{
    clock::Timestamp,
    ids::UserId,
    mailed_tokens::typed_code,
    outbox::NewMessage,
    problem::ApiError,
    wire::{AccountLetter, TokenIssued, kind, service},
};

use crate::{
    app::App,
    credentials::ClaimedEmail,
    domain::{Email, MailedToken, Purpose, User},
    store::Issue,
};

/// A token for `to`, and the message that has it mailed. `new_email` is the address that the account is to have, when that
/// is another one.
pub fn issue(
    user: &User,
    letter: AccountLetter,
    to: &Email,
    new_email: Option<&Email>,
    now: Timestamp,
) -> Issue {
    let purpose = match letter {
        AccountLetter::VerifyEmail => Purpose::VerifyEmail,
        AccountLetter::ChangeEmail => Purpose::ChangeEmail,
        AccountLetter::EmailChanged => Purpose::RestoreEmail,
        AccountLetter::PasswordReset | AccountLetter::PasswordChanged | AccountLetter::Nothing => {
            Purpose::ResetPassword
        }
        AccountLetter::AccountRestored => Purpose::RecoverAccount,
    };
    let token = MailedToken::issue(user.id, purpose, to.clone(), now);
    with_message(token, Some(user), letter, new_email)
}

/// The token that comes with the use of a way back, and the message that has it mailed.
pub fn recover(way_back: &MailedToken, user: &User, now: Timestamp) -> Issue {
    with_message(
        way_back.recover(now),
        Some(user),
        AccountLetter::AccountRestored,
        None,
    )
}

fn with_message(
    token: MailedToken,
    user: Option<&User>,
    letter: AccountLetter,
    new_email: Option<&Email>,
) -> Issue {
    let issued = TokenIssued {
        token_id: token.id,
        letter,
        user_id: token.user,
        email: token.email.as_str().to_owned(),
        name: user.and_then(|user| user.name.clone()),
        timezone: user
            .and_then(|user| user.timezone)
            .map(Tz::name)
            .map(str::to_owned),
        locale: user
            .and_then(|user| user.locale.as_ref())
            .map(|locale| locale.as_str().to_owned()),
        new_email: new_email.map(|email| email.as_str().to_owned()),
        issued_at: token.issued_at,
        expires_at: token.expires_at,
    };
    Issue {
        message: NewMessage::new(
            service::NOTIFICATIONS,
            kind::TOKEN_ISSUED,
            token.user,
            token.issued_at,
            &issued,
        ),
        token,
    }
}

/// A decoy for an address without an account, which costs as much as a token and is good for nothing: whether there is an
/// account must not be told by how long it takes.
pub fn decoy(email: &Email, now: Timestamp) -> Issue {
    let token = MailedToken::issue(UserId::new(), Purpose::ResetPassword, email.clone(), now);
    with_message(token, None, AccountLetter::Nothing, None)
}

/// What somebody shows of a mailed token.
pub struct ShownToken {
    token: String,
    email: Option<ClaimedEmail>,
}

impl ShownToken {
    /// A token or a code, and the address that a code was mailed to.
    pub fn new(token: String, email: Option<ClaimedEmail>) -> Self {
        Self { token, email }
    }

    /// The token, if it is good for one of these purposes.
    ///
    /// # Errors
    /// 403 when it is not, 429 after too many wrong ones.
    pub async fn find(
        &self,
        app: &App,
        address: IpAddr,
        purposes: &[Purpose],
    ) -> Result<MailedToken, ApiError> {
        app.limits.mailed_token(address).await?;
        let now = app.clock.now();
        let (found, as_code) = match (typed_code(&self.token), &self.email) {
            (Some(code), Some(email)) => {
                let guesses = app.limits.mailed_codes(email.canonical());
                // Counted before it is checked, because many may be sent at once.
                guesses.take().await?;
                let mut found = None;
                for email in email.forms() {
                    let sent = app.store.mailed_tokens(email).await?;
                    found = found.or(sent.into_iter().find(|token| {
                        purposes.contains(&token.purpose) && app.mailed_tokens.is_code(token.id, &code)
                    }));
                }
                if found.is_some() {
                    guesses.succeeded();
                }
                (found, true)
            }
            (Some(_), None) => return Err(code_without_email()),
            _ => match app.mailed_tokens.id_of(self.token.trim()) {
                Some(id) => (app.store.mailed_token(id).await?, false),
                None => (None, false),
            },
        };
        found
            .filter(|token| purposes.contains(&token.purpose) && token.is_good(as_code, now))
            .ok_or_else(token_invalid)
    }
}

/// 403: a link or code that is not good, or not any more.
pub fn token_invalid() -> ApiError {
    ApiError::forbidden(
        "token_invalid",
        "This link or code is not good: it was used, has run out, or a newer one took its place. Ask for another one.",
    )
}

fn code_without_email() -> ApiError {
    ApiError::forbidden(
        "token_invalid",
        "A code needs the address to which it was mailed beside it, as `email`.",
    )
}
