//! What is mailed to prove that an e-mail address is read: a token for a link and a code to type, both derived from the id
//! under which the users service keeps them, or the events service an invitation, so that no store and no message between services
//! holds either.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use ring::hmac;
use uuid::Uuid;

use crate::auth::Auth;

/// How long a code is good: it can be guessed, so not for long (ASVS 5.0, 6.5.5).
pub const CODE_LIFE: TimeDelta = TimeDelta::minutes(10);
/// Digits of a code.
pub const CODE_DIGITS: usize = 8;

const PURPOSE: &str = "mailed tokens v1";
const MAC: usize = 16;
/// What is derived: an account's token, or an invitation's.
const TOKEN: &[u8] = b"token";
const INVITATION: &[u8] = b"invitation";

/// Derives tokens and codes, and recognises them. While `JWT_SECRET` is replaced, both secrets' are recognised.
pub struct MailedTokens {
    key: hmac::Key,
    other: Option<hmac::Key>,
}

impl fmt::Debug for MailedTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MailedTokens")
    }
}

impl MailedTokens {
    /// By keys of their own, derived from the secrets that sign tokens.
    pub fn new(auth: &Auth) -> Self {
        let key = |key: [u8; 32]| hmac::Key::new(hmac::HMAC_SHA256, &key);
        Self {
            key: key(auth.key_for(PURPOSE)),
            other: auth.other_key_for(PURPOSE).map(key),
        }
    }

    /// The token for the link: 43 characters of base64url, 128 bits of which nobody can guess.
    pub fn token(&self, id: Uuid) -> String {
        token(&self.key, TOKEN, id)
    }

    /// The token for the link of an invitation, which is another one than the account's of the same id.
    pub fn invitation(&self, id: Uuid) -> String {
        token(&self.key, INVITATION, id)
    }

    /// The id of an invitation's token that was derived here. `None`: it was not.
    pub fn id_of_invitation(&self, token: &str) -> Option<Uuid> {
        self.derived(INVITATION, token)
    }

    /// The code to type.
    pub fn code(&self, id: Uuid) -> String {
        code(&self.key, id)
    }

    /// The id of a token that was derived here. `None`: it was not.
    pub fn id_of(&self, token: &str) -> Option<Uuid> {
        self.derived(TOKEN, token)
    }

    fn derived(&self, what: &[u8], token: &str) -> Option<Uuid> {
        let bytes: [u8; 16 + MAC] = URL_SAFE_NO_PAD.decode(token).ok()?.try_into().ok()?;
        let id = Uuid::from_slice(&bytes[..16]).ok()?;
        self.keys()
            .any(|key| same(&mac(key, what, id)[..MAC], &bytes[16..]))
            .then_some(id)
    }

    /// Whether this is the code of the id.
    pub fn is_code(&self, id: Uuid, digits: &str) -> bool {
        self.keys()
            .any(|key| same(code(key, id).as_bytes(), digits.as_bytes()))
    }

    fn keys(&self) -> impl Iterator<Item = &hmac::Key> {
        std::iter::once(&self.key).chain(&self.other)
    }
}

/// The digits of what somebody typed as a code, with or without spaces and hyphens between; `None`: it is no code.
pub fn typed_code(text: &str) -> Option<String> {
    let digits: String = text
        .chars()
        .filter(|c| !matches!(c, ' ' | '-' | '\u{a0}'))
        .collect();
    let is_code = digits.len() == CODE_DIGITS && digits.bytes().all(|b| b.is_ascii_digit());
    is_code.then_some(digits)
}

fn token(key: &hmac::Key, what: &[u8], id: Uuid) -> String {
    let mut bytes = [0; 16 + MAC];
    bytes[..16].copy_from_slice(id.as_bytes());
    bytes[16..].copy_from_slice(&mac(key, what, id)[..MAC]);
    URL_SAFE_NO_PAD.encode(bytes)
}

fn mac(key: &hmac::Key, what: &[u8], id: Uuid) -> [u8; 32] {
    let mut context = hmac::Context::with_key(key);
    context.update(what);
    context.update(id.as_bytes());
    let mut mac = [0; 32];
    mac.copy_from_slice(context.sign().as_ref());
    mac
}

fn code(key: &hmac::Key, id: Uuid) -> String {
    let [a, b, c, d, e, f, g, h, ..] = mac(key, b"code", id);
    let number = u64::from_be_bytes([a, b, c, d, e, f, g, h]) % 10_u64.pow(CODE_DIGITS as u32);
    format!("{number:0CODE_DIGITS$}")
}

/// Compares in constant time, when the lengths are the same.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;
    use crate::{auth::JwtSecrets, clock::Clock, ids::new_id, sessions::Ended};

    fn tokens(current: &str, other: Option<&str>) -> MailedTokens {
        let secrets = JwtSecrets {
            current: SecretString::from(current.repeat(40)),
            other: other.map(|other| SecretString::from(other.repeat(40))),
        };
        MailedTokens::new(&Auth::with_ended(
            "users",
            &secrets,
            Clock::system(),
            Ended::default(),
        ))
    }

    #[test]
    fn a_token_is_known_by_who_has_the_secret() {
        let (ours, other) = (tokens("a", None), tokens("b", None));
        let id = new_id();
        let token = ours.token(id);
        assert_eq!(token.len(), 43);
        assert_eq!(ours.id_of(&token), Some(id));
        assert_eq!(other.id_of(&token), None);
        for wrong in [
            "",
            "x",
            &token[1..],
            &format!("{token}A"),
            &ours.token(new_id())[..42],
        ] {
            assert_eq!(ours.id_of(wrong), None, "{wrong}");
        }
        let invitation = ours.invitation(id);
        assert_eq!(ours.id_of_invitation(&invitation), Some(id));
        assert_eq!(other.id_of_invitation(&invitation), None);
        // Neither opens what the other one does.
        assert_eq!(
            (ours.id_of(&invitation), ours.id_of_invitation(&token)),
            (None, None)
        );
        let code = ours.code(id);
        assert_eq!(code.len(), CODE_DIGITS);
        assert!(ours.is_code(id, &code) && !ours.is_code(new_id(), &code) && !other.is_code(id, &code));
        assert!(!ours.is_code(id, ""));
    }

    #[test]
    fn both_secrets_count_while_one_is_replaced() {
        let (before, during) = (tokens("a", None), tokens("b", Some("a")));
        let id = new_id();
        assert_eq!(during.id_of(&before.token(id)), Some(id));
        assert!(during.is_code(id, &before.code(id)));
        assert_eq!(during.id_of(&during.token(id)), Some(id));
        assert_ne!(during.token(id), before.token(id));
    }

    #[test]
    fn codes_are_read_as_people_type_them() {
        for (typed, read) in [
            ("12345678", Some("12345678")),
            (" 1234 5678 ", Some("12345678")),
            ("1234-5678", Some("12345678")),
            ("1234567", None),
            ("123456789", None),
            ("١٢٣٤٥٦٧٨", None),
            ("", None),
        ] {
            assert_eq!(typed_code(typed).as_deref(), read, "{typed}");
        }
    }
}
