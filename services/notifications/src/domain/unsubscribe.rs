//! Links that end a kind of e-mail without signing in (RFC 8058). They are derived, so nothing is stored, and they go on
//! working.

use std::fmt;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use common::{auth::Auth, ids::UserId};
use ring::hmac;
use uuid::Uuid;

use super::preferences::KINDS;

/// What the key is derived for.
const PURPOSE: &str = "unsubscribe";
/// Bytes of the signature that are kept: 128 bits.
const MAC: usize = 16;

/// Signs the links. Cheap to clone.
#[derive(Clone)]
pub struct Unsubscribing {
    key: hmac::Key,
    other: Option<hmac::Key>,
}

impl fmt::Debug for Unsubscribing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unsubscribing")
    }
}

impl Unsubscribing {
    /// By keys of their own, derived from the secrets that sign tokens.
    pub fn new(auth: &Auth) -> Self {
        let key = |key: [u8; 32]| hmac::Key::new(hmac::HMAC_SHA256, &key);
        Self {
            key: key(auth.key_for(PURPOSE)),
            other: auth.other_key_for(PURPOSE).map(key),
        }
    }

    /// What the link of a user and kind proves itself with.
    pub fn token(&self, user: UserId, kind: &str) -> String {
        let mut bytes = user.0.as_bytes().to_vec();
        bytes.extend_from_slice(&hmac::sign(&self.key, &signed(user, kind)).as_ref()[..MAC]);
        bytes.extend_from_slice(kind.as_bytes());
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Whose link it is, and for which kind; `None`: none that was made here.
    pub fn read(&self, token: &str) -> Option<(UserId, &'static str)> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).ok()?;
        let (user, rest) = bytes.split_at_checked(16)?;
        let (mac, kind) = rest.split_at_checked(MAC)?;
        let user = UserId(Uuid::from_slice(user).ok()?);
        let (kind, _) = KINDS
            .iter()
            .find(|(name, optional)| *optional && name.as_bytes() == kind)?;
        let is_ours = |key: &hmac::Key| {
            use subtle::ConstantTimeEq;
            let ours = hmac::sign(key, &signed(user, kind));
            bool::from(ours.as_ref()[..MAC].ct_eq(mac))
        };
        let ours = std::iter::once(&self.key).chain(&self.other).any(is_ours);
        ours.then_some((user, *kind))
    }
}

fn signed(user: UserId, kind: &str) -> Vec<u8> {
    let mut bytes = user.0.as_bytes().to_vec();
    bytes.extend_from_slice(kind.as_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use common::{clock::Clock, wire::service};
    use secrecy::SecretString;

    use super::*;

    fn of(secret: &str) -> Unsubscribing {
        let secret = SecretString::from(secret.repeat(40));
        Unsubscribing::new(&Auth::new(service::NOTIFICATIONS, &secret, Clock::system()))
    }

    #[test]
    fn links_are_for_one_user_and_kind() {
        let (ours, others, user) = (of("s"), of("t"), UserId::new());
        let token = ours.token(user, "reminder");
        assert_eq!(ours.read(&token), Some((user, "reminder")));
        assert_eq!(others.read(&token), None);
        for wrong in [
            "",
            "x",
            &token[1..],
            &ours.token(user, "ticket"),
            &ours.token(user, "nonsense"),
        ] {
            assert_eq!(ours.read(wrong), None, "{wrong}");
        }
        let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(&token).unwrap();
        for place in 0..bytes.len() {
            bytes[place] ^= 1;
            assert_eq!(
                ours.read(&BASE64_URL_SAFE_NO_PAD.encode(&bytes)),
                None,
                "byte {place}"
            );
            bytes[place] ^= 1;
        }
    }
}
