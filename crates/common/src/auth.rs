//! Who is calling: user tokens and service tokens, both HS256 JWTs.
//!
//! A user token is signed with `JWT_SECRET` as it is. Services prove themselves to each other with tokens of at most
//! 60 s, signed with a key that HKDF derives from the same secret, so that neither can stand in for the other. While a secret
//! is replaced, tokens of `JWT_SECRET_OLD` are valid too; `kid` in the header says which secret signed.

use std::{fmt, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hkdf::Hkdf;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use parking_lot::Mutex;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::Sha256;
use uuid::Uuid;

use crate::{
    clock::{Clock, Timestamp},
    ids::{UserId, new_id},
    jwt_crypto,
    sessions::Ended,
};

/// `iss` and `aud` of user tokens.
pub const ISSUER: &str = "organise-event";
const SERVICE_TOKEN_LIFE: Duration = Duration::from_secs(60);
/// HMAC keys below 256 bits are refused (ASVS 5.0, 11.2.3).
pub const MIN_SECRET_BYTES: usize = 32;

/// What an account may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// May create events, and register for those of others.
    Organizer,
    /// May register for events.
    User,
}

impl Role {
    /// Reads `organizer`, `organiser` or `user`, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        match crate::text::trimmed(text).to_ascii_lowercase().as_str() {
            "organizer" | "organiser" => Some(Self::Organizer),
            "user" => Some(Self::User),
            _ => None,
        }
    }

    /// The name used in tokens, stores and answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Organizer => "organizer",
            Self::User => "user",
        }
    }
}

/// What a user token may be used for. Other kinds (refresh, e-mail verification) are never access tokens.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenUse {
    /// Calls of the API.
    Access,
}

/// The claims of a user token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Claims {
    /// [`ISSUER`].
    pub iss: String,
    /// [`ISSUER`]: the system as a whole is the audience.
    pub aud: String,
    /// Unix seconds after which it is void.
    pub exp: i64,
    /// Unix seconds at which it was made.
    pub iat: i64,
    /// The token's own id.
    pub jti: Uuid,
    /// The account.
    pub sub: UserId,
    /// The account's role when the token was made.
    pub role: Role,
    /// What it is for.
    #[serde(rename = "use")]
    pub token_use: TokenUse,
    /// The session it belongs to; ending the session ends the token.
    pub sid: Uuid,
}

#[derive(Clone, Serialize, Deserialize)]
struct ServiceClaims {
    iss: String,
    aud: String,
    exp: i64,
    iat: i64,
    jti: Uuid,
}

/// Why a token is refused. The caller sees only that it is.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Wrong form, signature, algorithm, issuer, audience or kind.
    #[error("the token is not valid")]
    Invalid,
    /// It was valid once.
    #[error("the token has expired")]
    Expired,
    /// Its session has ended.
    #[error("the token's session has ended")]
    Ended,
}

/// Makes and checks tokens for one service. Cheap to clone.
#[derive(Clone)]
pub struct Auth(Arc<Inner>);

struct Inner {
    service: &'static str,
    clock: Clock,
    ended: Ended,
    keys: Hkdf<Sha256>,
    other_keys: Option<Hkdf<Sha256>>,
    header: Header,
    user_sign: EncodingKey,
    user_verify: Vec<VerifyingKey>,
    user_rules: Validation,
    service_sign: EncodingKey,
    service_verify: Vec<VerifyingKey>,
    service_rules: Validation,
    issued: Mutex<Vec<(String, Arc<str>, Timestamp)>>,
}

/// The secrets that sign tokens.
#[derive(Clone, Debug)]
pub struct JwtSecrets {
    /// Signs, and verifies.
    pub current: SecretString,
    /// Only verifies: the one before, or the next one.
    pub other: Option<SecretString>,
}

/// A key that verifies, and the `kid` of what it signed.
struct VerifyingKey {
    kid: String,
    key: DecodingKey,
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Auth({})", self.0.service)
    }
}

impl Auth {
    /// `service` is the name in this process's service tokens (`users`, `gateway`, ...).
    pub fn new(service: &'static str, secret: &SecretString, clock: Clock) -> Self {
        let secrets = JwtSecrets {
            current: secret.clone(),
            other: None,
        };
        Self::with_ended(service, &secrets, clock, Ended::default())
    }

    /// The same, with a second secret, refusing the tokens of these sessions.
    pub fn with_ended(service: &'static str, secrets: &JwtSecrets, clock: Clock, ended: Ended) -> Self {
        jwt_crypto::install();
        let secret = |secret: &SecretString| secret.expose_secret().as_bytes().to_vec();
        let current = secret(&secrets.current);
        let all = || std::iter::once(current.clone()).chain(secrets.other.as_ref().map(secret));
        let keys = Hkdf::<Sha256>::new(None, &current);
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some(kid(&current));
        Self(Arc::new(Inner {
            service,
            clock,
            ended,
            header,
            user_sign: EncodingKey::from_secret(&current),
            user_verify: all()
                .map(|secret| VerifyingKey {
                    kid: kid(&secret),
                    key: DecodingKey::from_secret(&secret),
                })
                .collect(),
            user_rules: rules(Some(ISSUER), ISSUER, &["exp", "iss", "aud", "sub"]),
            service_sign: EncodingKey::from_secret(&derive(&keys, SERVICE_TOKENS)),
            service_verify: all()
                .map(|secret| VerifyingKey {
                    kid: kid(&secret),
                    key: DecodingKey::from_secret(&derive(&Hkdf::new(None, &secret), SERVICE_TOKENS)),
                })
                .collect(),
            service_rules: rules(None, service, &["exp", "iss", "aud"]),
            other_keys: secrets
                .other
                .as_ref()
                .map(|other| Hkdf::new(None, &secret(other))),
            keys,
            issued: Mutex::new(Vec::new()),
        }))
    }

    /// A key for `purpose` alone, derived from the secret that signs tokens.
    pub fn key_for(&self, purpose: &str) -> [u8; 32] {
        derive(&self.0.keys, purpose)
    }

    /// The same, derived from the other secret, if there is one.
    pub fn other_key_for(&self, purpose: &str) -> Option<[u8; 32]> {
        self.0.other_keys.as_ref().map(|keys| derive(keys, purpose))
    }

    /// A user token that lives for `life`, in a session of its own that is kept nowhere: for tests and tools.
    ///
    /// # Errors
    /// Only if the JWT library refuses to sign.
    pub fn user_token(
        &self,
        user: UserId,
        role: Role,
        life: Duration,
    ) -> Result<String, jsonwebtoken::errors::Error> {
        let life = chrono::TimeDelta::from_std(life).unwrap_or(chrono::TimeDelta::MAX);
        self.session_token(user, role, new_id(), self.0.clock.now() + life)
    }

    /// A user token of a session, good until then at most: to the second before.
    ///
    /// # Errors
    /// Only if the JWT library refuses to sign.
    pub fn session_token(
        &self,
        user: UserId,
        role: Role,
        session: Uuid,
        until: Timestamp,
    ) -> Result<String, jsonwebtoken::errors::Error> {
        let now = self.0.clock.now().timestamp();
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: ISSUER.to_owned(),
            exp: until.timestamp(),
            iat: now,
            jti: new_id(),
            sub: user,
            role,
            token_use: TokenUse::Access,
            sid: session,
        };
        jsonwebtoken::encode(&self.0.header, &claims, &self.0.user_sign)
    }

    /// Checks a user token in full.
    ///
    /// # Errors
    /// When anything about it is not right.
    pub fn verify_user(&self, token: &str) -> Result<Claims, TokenError> {
        let claims: Claims = decode(token, &self.0.user_verify, &self.0.user_rules)?;
        self.check_times(claims.iat, claims.exp)?;
        if self.0.ended.contains(claims.sid) {
            return Err(TokenError::Ended);
        }
        Ok(claims)
    }

    /// Whether a session has ended, or an API key was deleted.
    pub fn has_ended(&self, session: Uuid) -> bool {
        self.0.ended.contains(session)
    }

    /// A token with which this service may call `audience`; one serves for half its life.
    ///
    /// # Errors
    /// Only if the JWT library refuses to sign.
    pub fn service_token(&self, audience: &str) -> Result<Arc<str>, jsonwebtoken::errors::Error> {
        let now = self.0.clock.now();
        let mut issued = self.0.issued.lock();
        if let Some((_, token, made)) = issued.iter().find(|(aud, ..)| aud == audience)
            && (now - *made).num_seconds().unsigned_abs() < SERVICE_TOKEN_LIFE.as_secs() / 2
        {
            return Ok(token.clone());
        }
        let claims = ServiceClaims {
            iss: self.0.service.to_owned(),
            aud: audience.to_owned(),
            exp: now.timestamp() + SERVICE_TOKEN_LIFE.as_secs() as i64,
            iat: now.timestamp(),
            jti: new_id(),
        };
        let token: Arc<str> = jsonwebtoken::encode(&self.0.header, &claims, &self.0.service_sign)?.into();
        issued.retain(|(aud, ..)| aud != audience);
        issued.push((audience.to_owned(), token.clone(), now));
        Ok(token)
    }

    /// Checks a service token that was made for this service; gives the caller's name.
    ///
    /// # Errors
    /// When anything about it is not right.
    pub fn verify_service(&self, token: &str) -> Result<String, TokenError> {
        let claims: ServiceClaims = decode(token, &self.0.service_verify, &self.0.service_rules)?;
        self.check_times(claims.iat, claims.exp)?;
        Ok(claims.iss)
    }

    /// The clock this service goes by.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    fn check_times(&self, iat: i64, exp: i64) -> Result<(), TokenError> {
        // Machines' clocks differ a little; more than a minute ahead is a forgery or a broken clock (RFC 7519, 4.1.4).
        const LEEWAY: i64 = 60;
        let now = self.0.clock.now().timestamp();
        if exp <= now {
            return Err(TokenError::Expired);
        }
        if iat > now + LEEWAY {
            Err(TokenError::Invalid)
        } else {
            Ok(())
        }
    }
}

/// What the key of service tokens is derived for.
const SERVICE_TOKENS: &str = "service tokens v1";

/// Names a secret in the header of the tokens it signs, without saying anything of it.
fn kid(secret: &[u8]) -> String {
    let id = derive(&Hkdf::new(None, secret), "key id v1");
    URL_SAFE_NO_PAD.encode(&id[..6])
}

fn derive(keys: &Hkdf<Sha256>, purpose: &str) -> [u8; 32] {
    let mut key = [0u8; 32];
    // 32 bytes is always a valid length for HKDF-SHA256, whose limit is 255 x 32.
    let _ = keys.expand_multi_info(&[b"organise-event ", purpose.as_bytes()], &mut key);
    key
}

/// The algorithm is pinned, never read from the token (RFC 8725, 3.1). Times are checked by [`Auth::check_times`],
/// because the library asks the machine's clock and not ours.
fn rules(issuer: Option<&str>, audience: &str, required: &[&str]) -> Validation {
    let mut rules = Validation::new(Algorithm::HS256);
    rules.validate_exp = false;
    // We never write `nbf`; an issuer that does means it, by a clock that no test moves.
    rules.validate_nbf = true;
    rules.set_audience(&[audience]);
    if let Some(issuer) = issuer {
        rules.set_issuer(&[issuer]);
    }
    rules.set_required_spec_claims(required);
    rules
}

/// A key is never looked up by what a token says: the keys are tried in turn, and the `kid`, if there is one, must be that of
/// the key that fits. Earlier releases wrote none.
fn decode<T: DeserializeOwned>(
    token: &str,
    keys: &[VerifyingKey],
    rules: &Validation,
) -> Result<T, TokenError> {
    let fits = keys.iter().find_map(|key| {
        let data = jsonwebtoken::decode::<T>(token, &key.key, rules).ok()?;
        Some((data, &key.kid))
    });
    let (data, kid) = fits.ok_or(TokenError::Invalid)?;
    // Headers that name a key or demand an extension are never ours (RFC 7515, 4.1.11; RFC 8725, 3.10).
    let header = &data.header;
    if header.crit.is_some()
        || header.jwk.is_some()
        || header.jku.is_some()
        || header.x5u.is_some()
        || header.x5c.is_some()
        || header.kid.as_ref().is_some_and(|named| named != kid)
    {
        return Err(TokenError::Invalid);
    }
    Ok(data.claims)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::clock::from_millis;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn auth(service: &'static str) -> Auth {
        Auth::new(
            service,
            &SecretString::from(SECRET),
            Clock::fixed(from_millis(1_700_000_000_000)),
        )
    }

    fn forged(header: &serde_json::Value, claims: &serde_json::Value) -> String {
        use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
        let signed = format!(
            "{}.{}",
            B64.encode(header.to_string()),
            B64.encode(claims.to_string())
        );
        let mac = jsonwebtoken::crypto::sign(
            signed.as_bytes(),
            &EncodingKey::from_secret(SECRET.as_bytes()),
            Algorithm::HS256,
        );
        format!("{signed}.{}", mac.unwrap())
    }

    fn claims() -> serde_json::Value {
        json!({"iss": ISSUER, "aud": ISSUER, "exp": 1_700_000_100, "iat": 1_700_000_000, "jti": new_id(),
               "sub": UserId::new(), "role": "user", "use": "access", "sid": new_id()})
    }

    #[test]
    fn a_token_is_accepted_until_it_expires() {
        let auth = auth("users");
        let user = UserId::new();
        let token = auth
            .user_token(user, Role::Organizer, Duration::from_secs(60))
            .unwrap();
        assert_eq!(auth.verify_user(&token).unwrap().sub, user);
        auth.0.clock.set(from_millis(1_700_000_060_000));
        assert!(matches!(auth.verify_user(&token), Err(TokenError::Expired)));
    }

    #[test]
    fn every_claim_is_checked() {
        let auth = auth("users");
        let header = json!({"alg": "HS256", "typ": "JWT"});
        assert!(auth.verify_user(&forged(&header, &claims())).is_ok());
        for (name, value) in [
            ("iss", json!("someone")),
            ("aud", json!("someone")),
            ("exp", json!("1700000100")),
            ("iat", json!(1_700_000_061)),
            ("nbf", json!(4_000_000_000_i64)),
            ("role", json!("admin")),
            ("use", json!("refresh")),
            ("sub", json!("x")),
        ] {
            let mut claims = claims();
            claims[name] = value;
            assert!(auth.verify_user(&forged(&header, &claims)).is_err(), "{name}");
        }
        for name in ["iss", "aud", "exp", "iat", "jti", "sub", "role", "use", "sid"] {
            let mut claims = claims();
            claims.as_object_mut().unwrap().remove(name);
            assert!(auth.verify_user(&forged(&header, &claims)).is_err(), "{name}");
        }
    }

    #[test]
    fn headers_that_choose_a_key_or_algorithm_are_refused() {
        let auth = auth("users");
        for header in [
            json!({"alg": "none"}),
            json!({"alg": "HS512"}),
            json!({"alg": "HS256", "crit": ["x"]}),
            json!({"alg": "HS256", "jku": "https://example.org/keys"}),
            json!({"alg": "HS256", "x5u": "https://example.org/cert"}),
            json!({"alg": "HS256", "kid": "../../dev/null"}),
            json!({"alg": "HS256", "kid": ""}),
        ] {
            assert!(auth.verify_user(&forged(&header, &claims())).is_err(), "{header}");
        }
    }

    #[test]
    fn service_tokens_are_for_one_audience_and_are_no_user_tokens() {
        let (gateway, users, events) = (auth("gateway"), auth("users"), auth("events"));
        let token = gateway.service_token("users").unwrap();
        assert_eq!(users.verify_service(&token).unwrap(), "gateway");
        assert!(events.verify_service(&token).is_err());
        assert!(users.verify_user(&token).is_err());
        let user = users
            .user_token(UserId::new(), Role::User, Duration::from_secs(60))
            .unwrap();
        assert!(users.verify_service(&user).is_err());
    }

    #[test]
    fn two_secrets_live_at_once() {
        let with = |current: &str, other: Option<&str>| {
            let secrets = JwtSecrets {
                current: SecretString::from(current),
                other: other.map(SecretString::from),
            };
            let clock = Clock::fixed(from_millis(1_700_000_000_000));
            Auth::with_ended("users", &secrets, clock, Ended::default())
        };
        let next = "fedcba9876543210fedcba9876543210";
        let (old, both, new) = (with(SECRET, None), with(next, Some(SECRET)), with(next, None));
        let user = |auth: &Auth| {
            let life = Duration::from_secs(60);
            auth.user_token(UserId::new(), Role::User, life).unwrap()
        };
        for (signs, verifies, fits) in [
            (&old, &both, true),
            (&both, &both, true),
            (&both, &new, true),
            (&both, &old, false),
            (&old, &new, false),
        ] {
            assert_eq!(verifies.verify_user(&user(signs)).is_ok(), fits);
            let service = signs.service_token("users").unwrap();
            assert_eq!(verifies.verify_service(&service).is_ok(), fits);
        }
        // A token that names the other secret than the one that signed it is nobody's.
        let other = kid(next.as_bytes());
        let forged = forged(&json!({"alg": "HS256", "kid": other}), &claims());
        assert!(both.verify_user(&forged).is_err());
        assert!(!other.contains(next) && other.len() == 8);
    }
}
