//! How often one address may sign up, log in and refresh, and how often it may guess at one account.

use std::{net::IpAddr, time::Duration};

use common::{ids::UserId, problem::ApiError};
use shared_state::{
    Shared,
    ratelimit::{RateLimit, source, too_many},
};

use crate::domain::Email;

/// Sign-ups, logins, and refreshes, a minute and address.
const PER_MINUTE: u32 = 500;
/// Tokens shown and letters asked for, a minute and address.
const TOKENS_PER_MINUTE: u32 = 60;
/// Letters of one kind that one account, or for one address anybody, can have sent a day, and changes of a password.
const LETTERS_PER_DAY: u32 = 10;
/// Letters that the sign-ups of one address bring, a minute.
const SIGN_UP_LETTERS: u32 = 60;
/// How often an account can have all that is held of it a day.
const EXPORTS_PER_DAY: u32 = 10;
/// API keys that one account can make a day.
const KEYS_PER_DAY: u32 = 100;
const DAY: Duration = Duration::from_secs(24 * 3600);
const MINUTE: Duration = Duration::from_secs(60);
/// Failed logins per account and address, and wrong codes per account, in [`FAILURE_PERIOD`].
const FAILURES: u32 = 10;
const FAILURE_PERIOD: Duration = Duration::from_secs(15 * 60);

/// The limits. Cheap to clone.
#[derive(Clone)]
pub struct Limits {
    register: RateLimit,
    login: RateLimit,
    refresh: RateLimit,
    failures: RateLimit,
    second_factors: RateLimit,
    mailed_tokens: RateLimit,
    mailed_codes: RateLimit,
    reset_letters: RateLimit,
    change_letters: RateLimit,
    own_letters: RateLimit,
    sign_up_letters: RateLimit,
    password_changes: RateLimit,
    api_keys: RateLimit,
    exports: RateLimit,
}

impl Limits {
    /// The limits as documented, counted in `shared`.
    pub fn on(shared: &Shared) -> Self {
        Self {
            register: RateLimit::new(shared, "register", PER_MINUTE, MINUTE),
            login: RateLimit::new(shared, "login", PER_MINUTE, MINUTE),
            refresh: RateLimit::new(shared, "refresh", PER_MINUTE, MINUTE),
            failures: RateLimit::new(shared, "failures", FAILURES, FAILURE_PERIOD),
            second_factors: RateLimit::new(shared, "second_factors", FAILURES, FAILURE_PERIOD),
            mailed_tokens: RateLimit::new(shared, "mailed_tokens", TOKENS_PER_MINUTE, MINUTE),
            mailed_codes: RateLimit::new(shared, "mailed_codes", FAILURES, FAILURE_PERIOD),
            reset_letters: RateLimit::new(shared, "reset_letters", LETTERS_PER_DAY, DAY),
            change_letters: RateLimit::new(shared, "change_letters", LETTERS_PER_DAY, DAY),
            own_letters: RateLimit::new(shared, "own_letters", LETTERS_PER_DAY, DAY),
            sign_up_letters: RateLimit::new(shared, "sign_up_letters", SIGN_UP_LETTERS, MINUTE),
            password_changes: RateLimit::new(shared, "password_changes", LETTERS_PER_DAY, DAY),
            exports: RateLimit::new(shared, "exports", EXPORTS_PER_DAY, DAY),
            api_keys: RateLimit::new(shared, "api_keys", KEYS_PER_DAY, DAY),
        }
    }

    /// None.
    pub fn off() -> Self {
        Self {
            register: RateLimit::off(),
            login: RateLimit::off(),
            refresh: RateLimit::off(),
            failures: RateLimit::off(),
            second_factors: RateLimit::off(),
            mailed_tokens: RateLimit::off(),
            mailed_codes: RateLimit::off(),
            reset_letters: RateLimit::off(),
            change_letters: RateLimit::off(),
            own_letters: RateLimit::off(),
            sign_up_letters: RateLimit::off(),
            password_changes: RateLimit::off(),
            api_keys: RateLimit::off(),
            exports: RateLimit::off(),
        }
    }

    /// Counts a sign-up.
    ///
    /// # Errors
    /// 429.
    pub async fn register(&self, address: IpAddr) -> Result<(), ApiError> {
        let taken = self.register.take(&source(address)).await;
        taken.map_err(|wait| {
            too_many(
                wait,
                "Too many sign-ups from this address. Please try again later.",
            )
        })
    }

    /// Counts a login, whether or not it succeeds.
    ///
    /// # Errors
    /// 429.
    pub async fn login(&self, address: IpAddr) -> Result<(), ApiError> {
        let taken = self.login.take(&source(address)).await;
        taken.map_err(|wait| too_many(wait, "Too many logins from this address. Please try again later."))
    }

    /// Counts a use of a refresh token.
    ///
    /// # Errors
    /// 429.
    pub async fn refresh(&self, address: IpAddr) -> Result<(), ApiError> {
        let taken = self.refresh.take(&source(address)).await;
        taken.map_err(|wait| {
            too_many(
                wait,
                "Too many refreshes from this address. Please try again later.",
            )
        })
    }

    /// Counts a mailed token that is shown, or asked for.
    ///
    /// # Errors
    /// 429.
    pub async fn mailed_token(&self, address: IpAddr) -> Result<(), ApiError> {
        let taken = self.mailed_tokens.take(&source(address)).await;
        taken.map_err(|wait| too_many(wait, "Too many tries from this address. Please try again later."))
    }

    /// Counts a letter for a lost password, which anybody can have sent, whether or not the address has an account.
    ///
    /// # Errors
    /// 429.
    pub async fn reset_letter_to(&self, email: &Email) -> Result<(), ApiError> {
        letter(self.reset_letters.take(email.as_str()).await)
    }

    /// Counts a letter to an address that somebody wants for their account.
    ///
    /// # Errors
    /// 429.
    pub async fn change_letter_to(&self, email: &Email) -> Result<(), ApiError> {
        letter(self.change_letters.take(email.as_str()).await)
    }

    /// Counts a letter that a signed-in user asks for. Others cannot use these up.
    ///
    /// # Errors
    /// 429.
    pub async fn own_letter(&self, user: UserId) -> Result<(), ApiError> {
        letter(self.own_letters.take(&user.to_string()).await)
    }

    /// Counts a change of the password, which is told in a letter.
    ///
    /// # Errors
    /// 429.
    pub async fn password_change(&self, user: UserId) -> Result<(), ApiError> {
        letter(self.password_changes.take(&user.to_string()).await)
    }

    /// Counts an export.
    ///
    /// # Errors
    /// 429.
    pub async fn export(&self, user: UserId) -> Result<(), ApiError> {
        let taken = self.exports.take(&user.to_string()).await;
        taken.map_err(|wait| too_many(wait, "Too many exports today. Please try again later."))
    }

    /// Counts an API key that is made.
    ///
    /// # Errors
    /// 429.
    pub async fn api_key(&self, user: UserId) -> Result<(), ApiError> {
        let taken = self.api_keys.take(&user.to_string()).await;
        taken.map_err(|wait| too_many(wait, "Too many API keys today. Please try again later."))
    }

    /// Counts the letter of a sign-up; `false`: it is one too many from there, and none is sent.
    pub async fn sign_up_letter(&self, address: IpAddr) -> bool {
        let key = source(address);
        self.sign_up_letters.take(&key).await.is_ok()
    }

    /// The guesses at codes that were mailed to one address.
    pub fn mailed_codes(&self, email: &Email) -> CodeGuesses {
        CodeGuesses {
            codes: self.mailed_codes.clone(),
            key: email.as_str().to_owned(),
        }
    }

    /// The guesses at one account's second factor.
    pub fn second_factors(&self, user: UserId) -> CodeGuesses {
        CodeGuesses {
            codes: self.second_factors.clone(),
            key: user.to_string(),
        }
    }

    /// The guesses from one address at one account. Whether the account exists makes no difference, so that
    /// the limit does not reveal it.
    pub fn guesses(&self, email: &Email, address: IpAddr) -> Guesses {
        Guesses {
            failures: self.failures.clone(),
            key: format!("{} {}", source(address), email.as_str()),
        }
    }
}

/// The codes that were shown since the last right one, from anywhere: as one account's second factor, where whoever guesses
/// has the password already, or as mailed to one address.
pub struct CodeGuesses {
    codes: RateLimit,
    key: String,
}

impl CodeGuesses {
    /// Counts one.
    ///
    /// # Errors
    /// 429.
    pub async fn take(&self) -> Result<(), ApiError> {
        let taken = self.codes.take(&self.key).await;
        taken.map_err(|wait| {
            too_many(
                wait,
                "Too many wrong codes for this account. Please try again later.",
            )
        })
    }

    /// Forgets them after a right one.
    pub fn succeeded(&self) {
        self.codes.clear(&self.key);
    }
}

/// The failed logins of one address at one account. The owner at another address is not held up by them.
#[derive(Clone)]
pub struct Guesses {
    failures: RateLimit,
    key: String,
}

impl Guesses {
    /// Checks whether another guess is allowed.
    ///
    /// # Errors
    /// 429.
    pub async fn check(&self) -> Result<(), ApiError> {
        self.failures.peek(&self.key).await.map_err(too_many_guesses)
    }

    /// Checks again, on a hashing thread, which cannot wait for other processes' counts.
    ///
    /// # Errors
    /// 429.
    pub fn check_here(&self) -> Result<(), ApiError> {
        self.failures.peek_here(&self.key).map_err(too_many_guesses)
    }

    /// Counts a wrong guess.
    pub fn failed(&self) {
        self.failures.note(&self.key);
    }

    /// Forgets the wrong guesses after a right one.
    pub fn succeeded(&self) {
        self.failures.clear(&self.key);
    }
}

fn letter(taken: Result<(), Duration>) -> Result<(), ApiError> {
    taken.map_err(|wait| {
        too_many(
            wait,
            "Too many letters about this account or address. Please try again later.",
        )
    })
}

fn too_many_guesses(wait: Duration) -> ApiError {
    too_many(
        wait,
        "Too many failed logins for this account from this address. Please try again later.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn five_hundred_a_minute_pass() {
        let limits = Limits::on(&Shared::in_process());
        for _ in 0..500 {
            assert!(limits.register(ip("192.0.2.1")).await.is_ok());
            assert!(limits.login(ip("192.0.2.1")).await.is_ok());
        }
        // At most a few have been given back while the loop ran.
        let (mut registered, mut logged_in) = (0, 0);
        for _ in 0..100 {
            registered += u32::from(limits.register(ip("192.0.2.1")).await.is_ok());
            logged_in += u32::from(limits.login(ip("192.0.2.1")).await.is_ok());
        }
        assert!(registered < 100 && logged_in < 100, "{registered} {logged_in}");
        assert!(limits.register(ip("192.0.2.2")).await.is_ok());
        assert!(limits.login(ip("192.0.2.2")).await.is_ok());
    }

    #[tokio::test]
    async fn very_many_sign_ups_bring_no_letters() {
        let limits = Limits::on(&Shared::in_process());
        for _ in 0..60 {
            assert!(limits.sign_up_letter(ip("192.0.2.1")).await);
        }
        // At most a few have been given back while the loop ran.
        let mut sent = 0;
        for _ in 0..100 {
            sent += u32::from(limits.sign_up_letter(ip("192.0.2.1")).await);
        }
        assert!(sent < 100, "{sent}");
        assert!(limits.sign_up_letter(ip("192.0.2.2")).await);
    }

    #[tokio::test]
    async fn guesses_are_counted_by_account_and_address() {
        let limits = Limits::on(&Shared::in_process());
        let asha = Email::parse("asha@example.org").unwrap();
        let guesses = limits.guesses(&asha, ip("192.0.2.1"));
        for _ in 0..FAILURES {
            assert!(guesses.check().await.is_ok());
            guesses.failed();
        }
        assert!(guesses.check().await.is_err());
        assert!(guesses.check_here().is_err());
        assert!(limits.guesses(&asha, ip("192.0.2.2")).check().await.is_ok());
        let other = Email::parse("ben@example.org").unwrap();
        assert!(limits.guesses(&other, ip("192.0.2.1")).check().await.is_ok());
        guesses.succeeded();
        assert!(guesses.check().await.is_ok());
        assert!(
            Limits::off()
                .guesses(&asha, ip("192.0.2.1"))
                .check()
                .await
                .is_ok()
        );
    }
}
