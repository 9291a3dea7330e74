//! Tokens that are mailed: who shows one reads the mail of an address. What each is good for, and what its use changes.
//!
//! An address is trusted by who has proved it, the earliest first: the way back to an earlier address outlives whatever is
//! done under a later one (decision 026).

use chrono::TimeDelta;
use common::{
    clock::Timestamp,
    ids::{UserId, new_id},
    mailed_tokens::CODE_LIFE,
};
use uuid::Uuid;

use super::{Account, Email};

/// What a token is good for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// The account's address is its user's.
    VerifyEmail,
    /// The account's address becomes this one.
    ChangeEmail,
    /// The account's address becomes this one again, and everybody is signed out.
    RestoreEmail,
    /// Another password.
    ResetPassword,
    /// Another password for an account that was taken back, and the end of what was added to it since the thief came.
    RecoverAccount,
}

impl Purpose {
    const ALL: [Self; 5] = [
        Self::VerifyEmail,
        Self::ChangeEmail,
        Self::RestoreEmail,
        Self::ResetPassword,
        Self::RecoverAccount,
    ];

    /// The name in stores.
    pub fn name(self) -> &'static str {
        match self {
            Self::VerifyEmail => "verify_email",
            Self::ChangeEmail => "change_email",
            Self::RestoreEmail => "restore_email",
            Self::ResetPassword => "reset_password",
            Self::RecoverAccount => "recover_account",
        }
    }

    /// The purpose of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.name() == name)
    }

    /// How long a token is good. A password is reset at once, or asked for again; a taken account is noticed later.
    fn life(self) -> TimeDelta {
        match self {
            Self::VerifyEmail | Self::ChangeEmail => TimeDelta::days(1),
            Self::RestoreEmail | Self::RecoverAccount => TimeDelta::days(7),
            Self::ResetPassword => TimeDelta::hours(1),
        }
    }

    /// Whether an earlier token of the same user and purpose is void once this one is issued. Not the way back and what
    /// comes of it: a thief could void them by asking for more.
    pub fn replaces(self) -> bool {
        !matches!(self, Self::RestoreEmail | Self::RecoverAccount)
    }

    /// Whether it sets a password.
    pub fn sets_password(self) -> bool {
        matches!(self, Self::ResetPassword | Self::RecoverAccount)
    }
}

/// A token that was mailed. The token itself, and its code, are derived from the id.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MailedToken {
    /// What it is derived from.
    pub id: Uuid,
    /// The account.
    pub user: UserId,
    /// What it is good for.
    pub purpose: Purpose,
    /// Where it was mailed to.
    pub email: Email,
    /// When.
    pub issued_at: Timestamp,
    /// From then on it is void.
    pub expires_at: Timestamp,
    /// With [`Purpose::RecoverAccount`]: since when it undoes what was added to the account.
    pub undoes_since: Option<Timestamp>,
}

impl MailedToken {
    /// A new one.
    pub fn issue(user: UserId, purpose: Purpose, email: Email, now: Timestamp) -> Self {
        Self {
            id: new_id(),
            user,
            purpose,
            email,
            issued_at: now,
            expires_at: now + purpose.life(),
            undoes_since: None,
        }
    }

    /// What comes with the use of a way back.
    pub fn recover(&self, now: Timestamp) -> Self {
        Self {
            undoes_since: Some(self.issued_at),
            ..Self::issue(self.user, Purpose::RecoverAccount, self.email.clone(), now)
        }
    }

    /// Whether it is good at `now`, shown as a token or as a code.
    pub fn is_good(&self, as_code: bool, now: Timestamp) -> bool {
        let until = if as_code {
            self.expires_at.min(self.issued_at + CODE_LIFE)
        } else {
            self.expires_at
        };
        now < until
    }

    /// What its use changes, with another password or without; `None`: it is not good for that, or the account has another
    /// address by now.
    pub fn effect(&self, account: &Account, sets_password: bool) -> Option<Effect> {
        let user = &account.user;
        let is_current = user.email == self.email;
        // Nobody had proved the address before: nothing that was prepared until now counts.
        let first = !user.email_verified;
        let all = Effect {
            ends_sessions: false,
            drops_password: false,
            undoes_since: None,
            drops_keys: Dropped::Nothing,
            unlinks: Dropped::Nothing,
            voids: &[Purpose::VerifyEmail, Purpose::ChangeEmail, Purpose::ResetPassword],
            voids_ways_back_since: None,
        };
        if sets_password != self.purpose.sets_password() {
            return None;
        }
        match self.purpose {
            Purpose::VerifyEmail => is_current.then_some(Effect {
                voids: &[Purpose::VerifyEmail],
                ..all
            }),
            Purpose::ChangeEmail => Some(all),
            Purpose::RestoreEmail => Some(Effect {
                ends_sessions: true,
                // Who proves the address first says that whoever signed up with it was somebody else.
                drops_password: first,
                undoes_since: Some(self.issued_at),
                drops_keys: Dropped::All,
                voids_ways_back_since: Some(self.issued_at),
                ..all
            }),
            Purpose::ResetPassword | Purpose::RecoverAccount => is_current.then_some(Effect {
                ends_sessions: true,
                undoes_since: self.undoes_since,
                // Machines of whoever had proved this address go on.
                drops_keys: match self.purpose {
                    Purpose::ResetPassword if !first => Dropped::OfOtherAddresses,
                    _ => Dropped::All,
                },
                // Whoever knew the password before, or had given the account another address, may have linked them.
                unlinks: match account.password_hash {
                    Some(_) => Dropped::All,
                    None => Dropped::OfOtherAddresses,
                },
                voids_ways_back_since: first.then_some(Timestamp::UNIX_EPOCH),
                ..all
            }),
        }
    }
}

/// What the use of a token changes: the account has the token's address from now on, which is verified.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Effect {
    /// Whether all of the user's sessions end.
    pub ends_sessions: bool,
    /// Whether the account has no password from then on.
    pub drops_password: bool,
    /// Other ways to sign in (a second factor, Google) that were added then or later are taken away.
    pub undoes_since: Option<Timestamp>,
    /// The API keys that are deleted, whenever they were made.
    pub drops_keys: Dropped,
    /// The linked identities that are taken away, whenever they were linked.
    pub unlinks: Dropped,
    /// The user's tokens of these purposes are void.
    pub voids: &'static [Purpose],
    /// And the ways back that were issued then or later.
    pub voids_ways_back_since: Option<Timestamp>,
}

/// What is taken away of what was added to an account: linked identities, or API keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dropped {
    /// None.
    Nothing,
    /// What was added while the account had another address; of keys also what was made before the address was verified.
    OfOtherAddresses,
    /// All.
    All,
}

#[cfg(test)]
mod tests {
    use common::{auth::Role, clock::from_millis};

    use super::*;
    use crate::domain::{PasswordHash, User};

    fn account(email: &str, email_verified: bool) -> Account {
        let user = User {
            id: UserId::new(),
            email: Email::parse(email).unwrap(),
            email_verified,
            role: Role::User,
            name: None,
            phone: None,
            timezone: None,
            locale: None,
            created_at: from_millis(0),
        };
        Account {
            user,
            password_hash: Some(PasswordHash::new("x".to_owned())),
        }
    }

    fn effect_of(token: &MailedToken, account: &Account) -> Option<Effect> {
        let sets_password = token.purpose.sets_password();
        assert_eq!(
            token.effect(account, !sets_password),
            None,
            "it is good for nothing else"
        );
        token.effect(account, sets_password)
    }

    fn token(purpose: Purpose, email: &str) -> MailedToken {
        MailedToken::issue(
            UserId::new(),
            purpose,
            Email::parse(email).unwrap(),
            from_millis(1_000),
        )
    }

    #[test]
    fn names_read_back() {
        for purpose in Purpose::ALL {
            assert_eq!(Purpose::parse(purpose.name()), Some(purpose));
        }
        assert_eq!(Purpose::parse(""), None);
    }

    #[test]
    fn a_code_is_void_before_its_token() {
        let token = token(Purpose::ResetPassword, "asha@example.org");
        let after = |minutes| token.issued_at + TimeDelta::minutes(minutes);
        assert!(token.is_good(true, after(9)) && !token.is_good(true, after(10)));
        assert!(token.is_good(false, after(59)) && !token.is_good(false, after(60)));
    }

    #[test]
    fn what_proves_an_address_that_the_account_has_left_proves_nothing() {
        let account = account("new@example.org", true);
        for (purpose, counts) in [
            (Purpose::VerifyEmail, false),
            (Purpose::ResetPassword, false),
            (Purpose::ChangeEmail, true),
            (Purpose::RestoreEmail, true),
        ] {
            assert_eq!(
                effect_of(&token(purpose, "old@example.org"), &account).is_some(),
                counts,
                "{purpose:?}"
            );
        }
    }

    #[test]
    fn a_thief_with_a_later_address_cannot_void_the_way_back() {
        let thief = account("thief@example.org", true);
        for purpose in [Purpose::VerifyEmail, Purpose::ChangeEmail, Purpose::ResetPassword] {
            let effect = effect_of(&token(purpose, "thief@example.org"), &thief).unwrap();
            assert_eq!(effect.voids_ways_back_since, None, "{purpose:?}");
        }
        let way_back = token(Purpose::RestoreEmail, "asha@example.org");
        let effect = effect_of(&way_back, &thief).unwrap();
        assert!(effect.ends_sessions);
        assert_eq!(effect.undoes_since, Some(way_back.issued_at));
        assert!(!effect.drops_password);
        // Nor what comes with it, which a thief's own requests do not replace, and which undoes as much.
        let recover = way_back.recover(from_millis(2_000));
        assert!(!recover.purpose.replaces());
        let restored = account("asha@example.org", true);
        assert_eq!(
            effect_of(&recover, &restored).unwrap().undoes_since,
            Some(way_back.issued_at)
        );
        assert_eq!(effect.voids_ways_back_since, Some(way_back.issued_at));
        assert_eq!(effect.drops_keys, Dropped::All);
        assert!(effect.voids.contains(&Purpose::ResetPassword));
    }

    #[test]
    fn the_first_to_prove_an_address_is_not_bound_by_who_signed_up_with_it() {
        let squatted = account("asha@example.org", false);
        let effect = effect_of(&token(Purpose::ResetPassword, "asha@example.org"), &squatted).unwrap();
        assert!(effect.ends_sessions);
        assert!(
            effect
                .voids_ways_back_since
                .is_some_and(|since| since <= from_millis(0))
        );
        assert!(effect.voids.contains(&Purpose::ChangeEmail));
        assert_eq!(effect.drops_keys, Dropped::All);
        let not_me = effect_of(&token(Purpose::RestoreEmail, "asha@example.org"), &squatted).unwrap();
        assert!(not_me.ends_sessions && not_me.drops_password);
        assert_eq!(not_me.drops_keys, Dropped::All);
        let own = account("asha@example.org", true);
        let effect = effect_of(&token(Purpose::ResetPassword, "asha@example.org"), &own).unwrap();
        assert_eq!(effect.drops_keys, Dropped::OfOtherAddresses, "machines go on");
    }
}
