//! Calls for which an operator may want a verified e-mail address.

use common::{ids::UserId, problem::ApiError, settings::Settings};

use crate::user_directory::UserDirectory;

/// Lets those pass who have verified their address, or everybody. Cheap to clone.
#[derive(Clone)]
pub struct VerifiedEmail(Option<UserDirectory>);

impl VerifiedEmail {
    /// As the settings want it.
    pub fn new(settings: &Settings, directory: UserDirectory) -> Self {
        Self(settings.require_verified_email.then_some(directory))
    }

    /// Checks a user.
    ///
    /// # Errors
    /// 403 when it is wanted and missing, 503 when the users service does not answer.
    pub async fn check(&self, user: UserId) -> Result<(), ApiError> {
        let Some(directory) = &self.0 else {
            return Ok(());
        };
        let found = directory.find([user]).await.map_err(|error| {
            ApiError::unavailable("Accounts cannot be looked up at the moment.").because(error)
        })?;
        match found.get(&user) {
            Some(card) if card.email_verified => Ok(()),
            _ => Err(email_not_verified()),
        }
    }
}

/// 403.
pub fn email_not_verified() -> ApiError {
    ApiError::forbidden(
        "email_not_verified",
        "Verify your e-mail address first: the letter from your sign-up says how, and POST /api/users/email/verify/send sends another one.",
    )
}
