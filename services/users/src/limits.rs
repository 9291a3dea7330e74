//! How often one address may sign up and log in, and how often it may guess at one account.

use std::{
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use common::{problem::ApiError, ratelimit::RateLimit};

use crate::domain::Email;

/// Sign-ups, and logins, a minute and address.
const PER_MINUTE: u32 = 500;
const MINUTE: Duration = Duration::from_secs(60);
/// Failed logins per account and address in [`FAILURE_PERIOD`].
const FAILURES: u32 = 10;
const FAILURE_PERIOD: Duration = Duration::from_secs(15 * 60);

/// The limits. Cheap to clone.
#[derive(Clone)]
pub struct Limits {
    register: RateLimit<IpAddr>,
    login: RateLimit<IpAddr>,
    failures: RateLimit<(Email, IpAddr)>,
}

impl Limits {
    /// The limits as documented.
    pub fn on() -> Self {
        Self {
            register: RateLimit::new(PER_MINUTE, MINUTE),
            login: RateLimit::new(PER_MINUTE, MINUTE),
            failures: RateLimit::new(FAILURES, FAILURE_PERIOD),
        }
    }

    /// None.
    pub fn off() -> Self {
        Self {
            register: RateLimit::off(),
            login: RateLimit::off(),
            failures: RateLimit::off(),
        }
    }

    /// Counts a sign-up.
    ///
    /// # Errors
    /// 429.
    pub fn register(&self, address: IpAddr) -> Result<(), ApiError> {
        self.register.take(&network(address)).map_err(|wait| {
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
    pub fn login(&self, address: IpAddr) -> Result<(), ApiError> {
        self.login
            .take(&network(address))
            .map_err(|wait| too_many(wait, "Too many logins from this address. Please try again later."))
    }

    /// The guesses from one address at one account. Whether the account exists makes no difference, so that
    /// the limit does not tell.
    pub fn guesses(&self, email: Email, address: IpAddr) -> Guesses {
        Guesses {
            failures: self.failures.clone(),
            key: (email, network(address)),
        }
    }
}

/// The failed logins of one address at one account. The owner at another address is not held up by them.
#[derive(Clone)]
pub struct Guesses {
    failures: RateLimit<(Email, IpAddr)>,
    key: (Email, IpAddr),
}

impl Guesses {
    /// Asks whether another guess is allowed.
    ///
    /// # Errors
    /// 429.
    pub fn check(&self) -> Result<(), ApiError> {
        self.failures.peek(&self.key).map_err(|wait| {
            too_many(
                wait,
                "Too many failed logins for this account from this address. Please try again later.",
            )
        })
    }

    /// Counts a wrong guess.
    pub fn failed(&self) {
        // One too many is refused at the next check; there is nothing to do about it here.
        let _ = self.failures.take(&self.key);
    }

    /// Forgets the wrong guesses: the right one came.
    pub fn succeeded(&self) {
        self.failures.clear(&self.key);
    }
}

fn too_many(wait: Duration, detail: &'static str) -> ApiError {
    ApiError::too_many_requests(wait.as_secs_f64().ceil() as u64, detail)
}

/// What one party holds: an IPv4 address, or a /64 of IPv6, which is what a single customer is given at least
/// (RFC 6177), so that changing the address within it does not get around a limit.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_is_a_party() {
        assert_eq!(network(ip("2001:db8:1:2:3::4")), network(ip("2001:db8:1:2::5")));
        assert_ne!(network(ip("2001:db8:1:2::4")), network(ip("2001:db8:1:3::4")));
        assert_eq!(network(ip("::ffff:192.0.2.1")), ip("192.0.2.1"));
    }

    #[test]
    fn five_hundred_a_minute_pass() {
        let limits = Limits::on();
        for _ in 0..500 {
            assert!(limits.register(ip("192.0.2.1")).is_ok());
            assert!(limits.login(ip("192.0.2.1")).is_ok());
        }
        // At most a few have been given back while the loop ran.
        let refused = |take: &dyn Fn() -> bool| (0..100).any(|_| !take());
        assert!(refused(&|| limits.register(ip("192.0.2.1")).is_ok()));
        assert!(refused(&|| limits.login(ip("192.0.2.1")).is_ok()));
        assert!(limits.register(ip("192.0.2.2")).is_ok());
        assert!(limits.login(ip("192.0.2.2")).is_ok());
    }

    #[test]
    fn guesses_are_counted_by_account_and_address() {
        let limits = Limits::on();
        let asha = Email::parse("asha@example.org").unwrap();
        let guesses = limits.guesses(asha.clone(), ip("192.0.2.1"));
        for _ in 0..FAILURES {
            assert!(guesses.check().is_ok());
            guesses.failed();
        }
        assert!(guesses.check().is_err());
        assert!(limits.guesses(asha.clone(), ip("192.0.2.2")).check().is_ok());
        let other = Email::parse("ben@example.org").unwrap();
        assert!(limits.guesses(other, ip("192.0.2.1")).check().is_ok());
        guesses.succeeded();
        assert!(guesses.check().is_ok());
        assert!(Limits::off().guesses(asha, ip("192.0.2.1")).check().is_ok());
    }
}
