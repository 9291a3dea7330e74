//! Who a user is elsewhere, and whether that opens an account here.

use serde::{Deserialize, Serialize};

use super::{Email, User};

/// Somebody, as an OpenID provider knows them. Never the address, which may belong to somebody else tomorrow.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Identity {
    /// The provider.
    pub issuer: String,
    /// The provider's name for them.
    pub subject: String,
}

/// What a provider says of somebody who has just signed in there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claims {
    /// Who it is.
    pub identity: Identity,
    /// Their address, if the provider has one that could be an account's.
    pub email: Option<Email>,
    /// Whether the provider has verified that.
    pub email_verified: bool,
    /// What to call them.
    pub name: Option<String>,
}

/// What a sign-in elsewhere comes to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Admission {
    /// The account that this identity is linked with.
    Known(User),
    /// A new account of this address, which the provider has verified.
    New(Email),
    /// An account whose address nobody had proved goes to who proves it now: its password, sessions and all that is pending
    /// are void.
    Claimed(User, Email),
    /// The account of this address belongs to who has proved the address here; its password is asked for before the two are
    /// linked.
    LinkRequired(User),
    /// The provider has not verified the address, so it proves nothing.
    Unverified,
}

impl Claims {
    /// Decides, given the account that the identity is linked with and the account of its address. No account is opened by
    /// an address that was not verified on both sides.
    pub fn admit(&self, linked: Option<User>, of_address: Option<User>) -> Admission {
        if let Some(user) = linked {
            return Admission::Known(user);
        }
        let Some(email) = self.email.clone().filter(|_| self.email_verified) else {
            return Admission::Unverified;
        };
        match of_address {
            None => Admission::New(email),
            Some(user) if user.email_verified => Admission::LinkRequired(user),
            Some(user) => Admission::Claimed(user, email),
        }
    }
}

#[cfg(test)]
mod tests {
    use common::{auth::Role, clock::from_millis, ids::UserId};

    use super::*;

    fn email() -> Email {
        Email::parse("asha@example.org").unwrap()
    }

    fn user(email_verified: bool) -> User {
        User {
            id: UserId::new(),
            email: email(),
            email_verified,
            role: Role::User,
            name: None,
            phone: None,
            timezone: None,
            locale: None,
            created_at: from_millis(0),
        }
    }

    fn claims(email_verified: bool) -> Claims {
        Claims {
            identity: Identity {
                issuer: "https://accounts.google.com".to_owned(),
                subject: "1".to_owned(),
            },
            email: Some(email()),
            email_verified,
            name: None,
        }
    }

    #[test]
    fn an_address_opens_an_account_only_when_both_sides_have_verified_it() {
        let (proved, squatted) = (user(true), user(false));
        let is_proved = |admission| matches!(admission, Admission::LinkRequired(user) if user == proved);
        assert!(is_proved(claims(true).admit(None, Some(proved.clone()))));
        let claimed = claims(true).admit(None, Some(squatted.clone()));
        assert_eq!(claimed, Admission::Claimed(squatted.clone(), email()));
        assert_eq!(claims(true).admit(None, None), Admission::New(email()));
        // A provider that does not verify proves nothing, whoever has the address here, or nobody.
        for account in [None, Some(proved.clone()), Some(squatted)] {
            assert_eq!(claims(false).admit(None, account), Admission::Unverified);
        }
        let without = Claims {
            email: None,
            ..claims(true)
        };
        assert_eq!(without.admit(None, None), Admission::Unverified);
    }

    #[test]
    fn who_is_linked_is_known_whatever_the_address_is_by_now() {
        let (mine, other) = (user(false), user(true));
        for verified in [true, false] {
            let known = claims(verified).admit(Some(mine.clone()), Some(other.clone()));
            assert_eq!(known, Admission::Known(mine.clone()));
        }
    }
}
