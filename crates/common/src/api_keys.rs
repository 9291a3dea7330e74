//! API keys: tokens with which machines call in a user's name, within scopes, until they are deleted.
//!
//! A key is `oe_`, its id and 256 random bits. The users service keeps a hash of it; the others look keys up by their hashes
//! and remember what they found for less than a minute, so that a call costs no look-up of its own. A deleted key is published as a
//! session that has ended ([`crate::sessions`]), which every process refuses at once.

use std::{fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Where the users service looks keys up.
pub const PATH: &str = "/internal/users/api_keys";
/// The most that one look-up takes.
pub const AT_ONCE: usize = 100;
/// How long a deleted key is listed as ended: far longer than any process remembers what it looked up.
pub const REVOKED_FOR: TimeDelta = TimeDelta::minutes(10);

/// By this beginning people and scanners of source code know a key.
const PREFIX: &str = "oe_";
/// Characters of 256 bits in base64url.
const SECRET_CHARS: usize = 43;

/// What a key may be used for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub enum Scope {
    /// Reading one's own events, their lists and numbers, payments included.
    #[serde(rename = "events:read")]
    EventsRead,
    /// Creating, changing and cancelling events.
    #[serde(rename = "events:write")]
    EventsWrite,
    /// Reading registrations, with their tickets.
    #[serde(rename = "registrations:read")]
    RegistrationsRead,
    /// Letting people in at the door.
    #[serde(rename = "check_in")]
    CheckIn,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::EventsRead,
        Self::EventsWrite,
        Self::RegistrationsRead,
        Self::CheckIn,
    ];

    /// The name in requests, answers and stores.
    pub fn name(self) -> &'static str {
        match self {
            Self::EventsRead => "events:read",
            Self::EventsWrite => "events:write",
            Self::RegistrationsRead => "registrations:read",
            Self::CheckIn => "check_in",
        }
    }

    /// The scope of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.name() == name)
    }
}

/// A key as its owner gets it, once. Its text is a secret.
pub struct ApiKey(String);

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey")
    }
}

impl ApiKey {
    /// The key of this id with these random bits.
    pub fn new(id: Uuid, secret: &[u8; 32]) -> Self {
        Self(format!(
            "{PREFIX}{}_{}",
            id.simple(),
            URL_SAFE_NO_PAD.encode(secret)
        ))
    }

    /// Whether a bearer token means to be a key.
    pub fn is_meant(token: &str) -> bool {
        token.starts_with(PREFIX)
    }

    /// Reads a bearer token that means to be a key; `None`: no key has this form.
    pub fn read(token: &str) -> Option<Self> {
        let (id, secret) = token.strip_prefix(PREFIX)?.split_at_checked(32)?;
        let secret = secret.strip_prefix('_')?;
        let is_id = id
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        let is_secret = secret.len() == SECRET_CHARS
            && secret
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        (is_id && is_secret).then(|| Self(token.to_owned()))
    }

    /// The text.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is stored of it. It holds 256 random bits, so a plain hash is as good as a slow one.
    pub fn hash(&self) -> KeyHash {
        KeyHash(Sha256::digest(&self.0).into())
    }
}

/// The SHA-256 of a key, by which it is looked up.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct KeyHash(pub [u8; 32]);

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash")
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl From<KeyHash> for String {
    fn from(hash: KeyHash) -> Self {
        hash.to_string()
    }
}

/// The text is no hash.
#[derive(Debug, thiserror::Error)]
#[error("not the hash of a key")]
pub struct NoHash;

impl FromStr for KeyHash {
    type Err = NoHash;

    fn from_str(text: &str) -> Result<Self, NoHash> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| NoHash)?;
        bytes.try_into().map(Self).map_err(|_| NoHash)
    }
}

impl TryFrom<String> for KeyHash {
    type Error = NoHash;

    fn try_from(text: String) -> Result<Self, NoHash> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_back_and_shown_to_nobody() {
        let key = ApiKey::new(Uuid::nil(), &[255; 32]);
        assert!(key.reveal().starts_with("oe_00000000000000000000000000000000_"));
        assert_eq!(ApiKey::read(key.reveal()).unwrap().hash(), key.hash());
        assert_eq!(format!("{key:?} {:?}", key.hash()), "ApiKey KeyHash");
        let hash: KeyHash = key.hash().to_string().parse().unwrap();
        assert_eq!(hash, key.hash());
    }

    #[test]
    fn what_has_not_the_form_of_a_key_is_none() {
        let key = ApiKey::new(Uuid::nil(), &[1; 32]);
        let text = key.reveal();
        for wrong in [
            "",
            "oe_",
            &text[1..],
            &text[..text.len() - 1],
            &format!("{text}A"),
            &text.replace("0_", "0A"),
            &text.replacen('0', "A", 1),
            &text.replace("AQEB", "ä="),
            &format!("oe_{}", "ä".repeat(40)),
        ] {
            assert!(ApiKey::read(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn scopes_have_one_name() {
        for scope in Scope::ALL {
            assert_eq!(Scope::parse(scope.name()), Some(scope));
            assert_eq!(serde_json::to_value(scope).unwrap(), scope.name());
        }
        assert_eq!(Scope::parse("events"), None);
    }
}
