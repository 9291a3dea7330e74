//! Access tokens as the users service issues them: minted by the load generator, so that a hundred
//! thousand distinct users need no hundred thousand sign-ups, and checked by the bare program as every
//! service checks them.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, errors::Error};
use serde::{Deserialize, Serialize};
use uuid::{NoContext, Timestamp, Uuid};

/// Issuer and audience of user tokens.
pub const ISSUER: &str = "organise-event";

/// Seconds a minted token is valid: longer than any run.
const LIFETIME_SECONDS: u64 = 3600;

/// The claims of an access token.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Claims {
    /// Always [`ISSUER`].
    pub iss: String,
    /// Always [`ISSUER`] too.
    pub aud: String,
    /// The user's id.
    pub sub: String,
    /// `user` or `organizer`.
    pub role: String,
    /// What the token may be used for: `access`.
    #[serde(rename = "use")]
    pub usage: String,
    /// Issued at, seconds since 1970.
    pub iat: u64,
    /// Expires at, seconds since 1970.
    pub exp: u64,
    /// Id of the token.
    pub jti: String,
    /// Id of the session.
    pub sid: String,
}

/// A new time-ordered id.
#[must_use]
pub fn new_id() -> String {
    Uuid::new_v7(Timestamp::now(NoContext)).to_string()
}

/// A secret as `openssl rand -hex 32` makes it.
#[must_use]
pub fn random_secret() -> String {
    rand::random::<[u8; 32]>()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Signs tokens with the secret that the system under test was started with.
#[derive(Clone)]
pub struct Minter {
    key: EncodingKey,
    header: Header,
}

impl Minter {
    /// A minter for `secret`, whose bytes are the key as they are.
    #[must_use]
    pub fn new(secret: &str) -> Self {
        Self {
            key: EncodingKey::from_secret(secret.as_bytes()),
            header: Header::new(Algorithm::HS256),
        }
    }

    /// An access token for `user_id` in `role`.
    ///
    /// # Errors
    /// When the claims cannot be signed.
    pub fn mint(&self, user_id: &str, role: &str) -> Result<String, Error> {
        let now = jsonwebtoken::get_current_timestamp();
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: ISSUER.to_owned(),
            sub: user_id.to_owned(),
            role: role.to_owned(),
            usage: "access".to_owned(),
            iat: now,
            exp: now + LIFETIME_SECONDS,
            jti: new_id(),
            sid: new_id(),
        };
        jsonwebtoken::encode(&self.header, &claims, &self.key)
    }
}

/// Checks access tokens: signature, pinned algorithm, issuer, audience, expiry and use.
pub struct Checker {
    key: DecodingKey,
    validation: Validation,
}

impl Checker {
    /// A checker for tokens signed with `secret`.
    #[must_use]
    pub fn new(secret: &str) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[ISSUER]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        Self {
            key: DecodingKey::from_secret(secret.as_bytes()),
            validation,
        }
    }

    /// The claims of the token in an `Authorization` value, or `None` when it must not pass.
    #[must_use]
    pub fn check(&self, authorization: &str) -> Option<Claims> {
        let (scheme, token) = authorization.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let claims = jsonwebtoken::decode::<Claims>(token, &self.key, &self.validation)
            .ok()?
            .claims;
        (claims.usage == "access").then_some(claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minted_token_passes_only_under_its_own_secret() {
        let token = Minter::new("one").mint("u1", "user").unwrap();
        let claims = Checker::new("one").check(&format!("bearer {token}")).unwrap();
        assert_eq!((claims.sub.as_str(), claims.role.as_str()), ("u1", "user"));
        assert!(Checker::new("two").check(&format!("Bearer {token}")).is_none());
        assert!(Checker::new("one").check(&token).is_none());
    }
}
