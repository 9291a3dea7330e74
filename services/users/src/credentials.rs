//! Checking a password: within the limits on guessing, and in the same time whether or not there is an account.

use std::net::IpAddr;

use chrono::TimeDelta;
use common::{extract::Caller, problem::ApiError};

use crate::{
    app::App,
    domain::{Account, Email, Password, PasswordHash},
    hashing::{Kernel, KernelError},
    limits::Guesses,
};

/// An address that somebody says to have an account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClaimedEmail {
    email: Email,
    /// The form in which an earlier release may have kept it.
    earlier: Option<Email>,
}

impl ClaimedEmail {
    /// Reads an address, also one that only earlier releases took.
    ///
    /// # Errors
    /// The rest of the sentence "`email` ...".
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        match (Email::parse(text), Email::as_typed(text)) {
            (Ok(email), earlier) => Ok(Self { email, earlier }),
            (Err(_), Some(earlier)) => Ok(Self {
                email: earlier.clone(),
                earlier: Some(earlier),
            }),
            (Err(why), None) => Err(why),
        }
    }

    /// The form by which it is counted.
    pub fn canonical(&self) -> &Email {
        &self.email
    }

    /// All of its forms, the most probable one last.
    pub fn forms(&self) -> impl Iterator<Item = &Email> {
        self.earlier.iter().chain(std::iter::once(&self.email))
    }

    /// Its account. Two accounts of an earlier release may be one mailbox: each is found by the form it was signed up with.
    ///
    /// # Errors
    /// A storage error.
    pub async fn account(&self, app: &App) -> Result<Option<Account>, ApiError> {
        for email in self.forms() {
            if let Some(account) = app.store.by_email(email).await? {
                return Ok(Some(account));
            }
        }
        Ok(None)
    }
}

/// What came of comparing a password.
pub enum PasswordVerdict {
    /// Too many wrong ones came before it.
    Refused(ApiError),
    /// It is not the account's, or there is no account.
    Wrong,
    /// It is the account's.
    Right {
        /// The password hashed anew, when the stored hash was made at another cost or of another form of it.
        renewed: Option<PasswordHash>,
    },
}

/// Compares a password with the hash of an account, if there is one. For a hashing thread.
///
/// The limit is checked again here, because many guesses sent at once have all passed the first
/// check by the time the first of them turns out wrong. So at most as many as there are threads get past the
/// limit. It also counts the guesses of callers who do not wait for the answer.
pub fn judge(
    kernel: &mut Kernel,
    guesses: &Guesses,
    password: &Password,
    hash: Option<&PasswordHash>,
) -> Result<PasswordVerdict, KernelError> {
    if let Err(error) = guesses.check_here() {
        return Ok(PasswordVerdict::Refused(error));
    }
    let mut is = |password: &Password| match hash {
        Some(hash) => kernel.verify(password, hash),
        None => kernel.verify_nobody(password).map(|()| false),
    };
    let right = is(password)?;
    // Earlier releases hashed passwords as they were typed. For an account that does not exist it takes as long.
    let as_typed = match password.as_typed() {
        Some(typed) if !right => is(&typed)?,
        _ => false,
    };
    if !(right || as_typed) {
        guesses.failed();
        return Ok(PasswordVerdict::Wrong);
    }
    guesses.succeeded();
    let renewed = match hash {
        Some(hash) if as_typed || Kernel::is_outdated(hash)? => Some(kernel.hash(password)?),
        _ => None,
    };
    Ok(PasswordVerdict::Right { renewed })
}

/// Sign-ins no older than this confirm dangerous calls of accounts without a password.
const RECENT: TimeDelta = TimeDelta::minutes(10);

/// Makes sure that it is the account's user who asks for something dangerous: by the password, or where there is none by a
/// sign-in of the last ten minutes.
///
/// # Errors
/// 403 when it may be somebody else, 429 after too many wrong passwords, 503 when too many wait to be checked.
pub async fn confirm(
    app: &App,
    caller: &Caller,
    account: &Account,
    password: Option<Password>,
    address: IpAddr,
) -> Result<(), ApiError> {
    let Some(hash) = account.password_hash.clone() else {
        let session = app.store.session(caller.session).await?;
        let is_recent = session.is_some_and(|session| app.clock.now() - session.created_at < RECENT);
        return if is_recent {
            Ok(())
        } else {
            Err(reauthentication_required())
        };
    };
    let password = password.ok_or_else(wrong_password)?;
    let guesses = app.limits.guesses(&account.user.email, address);
    guesses.check().await?;
    let verdict = app
        .hashing
        .run(move |kernel| judge(kernel, &guesses, &password, Some(&hash)))
        .await?;
    match verdict {
        PasswordVerdict::Refused(error) => Err(error),
        PasswordVerdict::Wrong => Err(wrong_password()),
        PasswordVerdict::Right { .. } => Ok(()),
    }
}

/// 403.
pub fn wrong_password() -> ApiError {
    ApiError::forbidden("wrong_password", "The current password is wrong.")
}

/// 403: there is no password to ask for.
pub fn reauthentication_required() -> ApiError {
    ApiError::forbidden(
        "reauthentication_required",
        "This account has no password. Sign in again and repeat the call within ten minutes, or set a password by password/forgot.",
    )
}
