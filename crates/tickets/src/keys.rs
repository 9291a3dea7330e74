//! The signed form of a ticket: `OE1.` + base64url(JSON) + `.` + base64url(Ed25519 signature over the text before the last
//! dot). Whoever has the public key checks it offline; what it cannot say is whether the ticket was cancelled since.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use common::ids::{EventId, TicketId};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

/// How every signed ticket begins: product and version.
pub const PREFIX: &str = "OE1.";
/// Longer than any that was signed here.
const LONGEST: usize = 600;

/// What a signed ticket says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SignedTicket {
    /// The ticket.
    pub ticket_id: TicketId,
    /// The event that it admits to.
    pub event_id: EventId,
}

#[derive(Serialize, Deserialize)]
struct Payload {
    #[serde(flatten)]
    ticket: SignedTicket,
    /// Which key signed it.
    kid: String,
}

/// A text that is no ticket of ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("this is no signed ticket")]
pub struct InvalidTicket;

/// The keys that sign tickets.
pub struct TicketKeys {
    current: Key,
    /// The one before, whose tickets stay good.
    old: Option<Key>,
}

struct Key {
    id: String,
    pair: Ed25519KeyPair,
}

impl std::fmt::Debug for TicketKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TicketKeys")
            .field("kid", &self.current.id)
            .finish_non_exhaustive()
    }
}

/// A public key as a JWK (RFC 8037).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub struct PublicKey {
    /// The type.
    #[schema(example = "OKP")]
    pub kty: &'static str,
    /// The curve.
    #[schema(example = "Ed25519")]
    pub crv: &'static str,
    /// The algorithm.
    #[schema(example = "EdDSA")]
    pub alg: &'static str,
    /// What it is for.
    #[serde(rename = "use")]
    #[schema(example = "sig")]
    pub purpose: &'static str,
    /// Its name, as in the tickets that it signed.
    #[schema(example = "hN4Vq0Yk")]
    pub kid: String,
    /// The key, base64url.
    #[schema(example = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")]
    pub x: String,
}

impl TicketKeys {
    /// Keys made of secrets, each of 32 bytes or more. New tickets are signed with `current`.
    ///
    /// # Errors
    /// When no key can be made of it.
    pub fn new(current: &SecretString, old: Option<&SecretString>) -> Result<Self, String> {
        Ok(Self {
            current: Key::new(current)?,
            old: old.map(Key::new).transpose()?,
        })
    }

    /// The signed form of a ticket, the same each time.
    pub fn sign(&self, ticket: SignedTicket) -> String {
        let payload = Payload {
            ticket,
            kid: self.current.id.clone(),
        };
        // Two ids and a name cannot fail to be written.
        let payload = serde_json::to_vec(&payload).unwrap_or_default();
        let signed = format!("{PREFIX}{}", BASE64.encode(payload));
        let signature = self.current.pair.sign(signed.as_bytes());
        format!("{signed}.{}", BASE64.encode(signature))
    }

    /// What a signed ticket says.
    ///
    /// # Errors
    /// When it was not signed with one of the keys.
    pub fn read(&self, text: &str) -> Result<SignedTicket, InvalidTicket> {
        let text = Some(text).filter(|text| text.len() <= LONGEST && text.starts_with(PREFIX));
        let (signed, signature) = text.and_then(|text| text.rsplit_once('.')).ok_or(InvalidTicket)?;
        let signature = BASE64.decode(signature).map_err(|_| InvalidTicket)?;
        let is_ours = self
            .all()
            .any(|key| key.has_signed(signed.as_bytes(), &signature));
        let payload = signed
            .strip_prefix(PREFIX)
            .filter(|_| is_ours)
            .ok_or(InvalidTicket)?;
        let payload = BASE64.decode(payload).map_err(|_| InvalidTicket)?;
        let payload: Payload = serde_json::from_slice(&payload).map_err(|_| InvalidTicket)?;
        Ok(payload.ticket)
    }

    /// The public key of those that are signed now.
    pub fn current(&self) -> PublicKey {
        self.current.public()
    }

    /// The public keys, the current one first.
    pub fn public(&self) -> Vec<PublicKey> {
        self.all().map(Key::public).collect()
    }

    fn all(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.current).chain(&self.old)
    }
}

impl Key {
    fn new(secret: &SecretString) -> Result<Self, String> {
        // Secrets are texts; the seed of a key is 32 bytes.
        let seed = Sha256::new()
            .chain_update(b"organise-event ticket key\0")
            .chain_update(secret.expose_secret().as_bytes())
            .finalize();
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed)
            .map_err(|_| "No key for tickets can be made of TICKET_KEY.".to_owned())?;
        // RFC 7638, cut to 48 bits: it tells two keys apart, and is printed in every QR code.
        let x = BASE64.encode(pair.public_key());
        let thumbprint = Sha256::digest(format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#));
        let id = BASE64.encode(&thumbprint[..6]);
        Ok(Self { id, pair })
    }

    fn has_signed(&self, text: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.pair.public_key())
            .verify(text, signature)
            .is_ok()
    }

    fn public(&self) -> PublicKey {
        PublicKey {
            kty: "OKP",
            crv: "Ed25519",
            alg: "EdDSA",
            purpose: "sig",
            kid: self.id.clone(),
            x: BASE64.encode(self.pair.public_key()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(current: &str, old: Option<&str>) -> TicketKeys {
        let secret = |text: &str| SecretString::from(text.repeat(32));
        TicketKeys::new(&secret(current), old.map(secret).as_ref()).unwrap()
    }

    fn ticket() -> SignedTicket {
        SignedTicket {
            ticket_id: TicketId::new(),
            event_id: EventId::new(),
        }
    }

    #[test]
    fn a_signed_ticket_is_read_back() {
        let (keys, ticket) = (keys("a", None), ticket());
        let signed = keys.sign(ticket);
        assert_eq!(signed, keys.sign(ticket));
        assert_eq!(keys.read(&signed), Ok(ticket));
        assert_eq!(keys.public()[0].x.len(), 43);
        assert!(!format!("{keys:?}").contains(&"a".repeat(32)));
    }

    #[test]
    fn old_tickets_outlast_a_new_key() {
        let (before, ticket) = (keys("a", None), ticket());
        let after = keys("b", Some("a"));
        assert_eq!(after.read(&before.sign(ticket)), Ok(ticket));
        assert_eq!(before.read(&after.sign(ticket)), Err(InvalidTicket));
        assert_eq!(after.public()[1], before.public()[0]);
        assert_eq!(keys("b", None).read(&before.sign(ticket)), Err(InvalidTicket));
    }

    #[test]
    fn nothing_in_it_can_be_changed() {
        let keys = keys("a", None);
        let signed = keys.sign(ticket());
        for at in 0..signed.len() {
            let mut bytes = signed.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            // The last character of a signature has bits that say nothing; they must be zero.
            assert_eq!(keys.read(&changed), Err(InvalidTicket), "{at}");
        }
        for text in ["", "OE1.", "OE1..", "OE2.e30.AAAA", "मेला", "OE1.é.é"] {
            assert_eq!(keys.read(text), Err(InvalidTicket), "{text}");
        }
        assert_eq!(keys.read(&format!("{signed} ")), Err(InvalidTicket));
        assert_eq!(keys.read(&"OE1.".repeat(1_000)), Err(InvalidTicket));
    }
}
