//! Checking an id token (OpenID Connect Core, 3.1.3.7): who signed it, for whom, for which sign-in, and when.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use common::{
    clock::Timestamp,
    jwt_crypto,
    text::{breaks_a_line, is_visible, trimmed},
};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde_json::Value;

use crate::domain::{Claims, Email, Identity, MAX_NAME};

/// How far the provider's clock may differ from ours.
const LEEWAY: TimeDelta = TimeDelta::seconds(60);
/// Google writes its own name in two ways.
const GOOGLE: [&str; 2] = ["https://accounts.google.com", "accounts.google.com"];

/// The provider's keys.
pub struct Keys(Vec<(Option<String>, DecodingKey)>);

impl Keys {
    /// Those of a JWK set that sign with RS256.
    pub fn read(set: &Value) -> Self {
        jwt_crypto::install();
        let all = set["keys"].as_array().map(Vec::as_slice).unwrap_or_default();
        let fits = |key: &&Value| {
            let is = |name: &str, wanted: &str| key[name].as_str().is_none_or(|value| value == wanted);
            key["kty"] == "RSA" && is("use", "sig") && is("alg", "RS256")
        };
        let read = |key: &Value| {
            let (n, e) = (key["n"].as_str()?, key["e"].as_str()?);
            let kid = key["kid"].as_str().map(str::to_owned);
            Some((kid, DecodingKey::from_rsa_components(n, e).ok()?))
        };
        Self(all.iter().filter(fits).filter_map(read).collect())
    }

    /// The key of this id; without an id the only one there is.
    fn find(&self, kid: Option<&str>) -> Option<&DecodingKey> {
        match (kid, self.0.as_slice()) {
            (None, [(_, only)]) => Some(only),
            (None, _) => None,
            (Some(kid), keys) => keys
                .iter()
                .find(|(id, _)| id.as_deref() == Some(kid))
                .map(|(_, key)| key),
        }
    }
}

/// What an id token must say.
pub struct Expected<'a> {
    /// The provider.
    pub issuer: &'a str,
    /// This client.
    pub client: &'a str,
    /// The sign-in.
    pub nonce: &'a str,
    /// When.
    pub now: Timestamp,
}

/// Why an id token is refused.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is signed with a key that is not known, perhaps a new one.
    UnknownKey,
    /// It is not what it should be.
    Invalid(&'static str),
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<Value>,
}

#[derive(Deserialize)]
struct Body {
    iss: String,
    sub: String,
    aud: Value,
    azp: Option<String>,
    exp: i64,
    iat: i64,
    nbf: Option<i64>,
    nonce: Option<String>,
    #[serde(flatten)]
    profile: Profile,
}

/// What an id token, or the userinfo endpoint, says of the user beside the subject.
#[derive(Deserialize)]
struct Profile {
    email: Option<String>,
    email_verified: Option<Value>,
    name: Option<String>,
}

impl Profile {
    fn of(self, identity: Identity) -> Claims {
        let name = self.name.map(|name| trimmed(&name).to_owned());
        let is_name = |name: &String| {
            is_visible(name) && name.chars().count() <= MAX_NAME && !name.chars().any(breaks_a_line)
        };
        Claims {
            identity,
            email: self.email.and_then(|email| Email::parse(&email).ok()),
            email_verified: self
                .email_verified
                .is_some_and(|said| said == true || said == "true"),
            name: name.filter(is_name),
        }
    }
}

/// What the userinfo endpoint says of the same user (OpenID Connect Core, 5.3.2); `None`: of another one.
pub fn from_userinfo(said: Value, identity: Identity) -> Option<Claims> {
    if said["sub"] != identity.subject.as_str() {
        return None;
    }
    let profile: Profile = serde_json::from_value(said).ok()?;
    Some(profile.of(identity))
}

/// Checks a token, and gives what it says of the user.
///
/// # Errors
/// Why it is refused.
pub fn verify(token: &str, keys: &Keys, expected: &Expected<'_>) -> Result<Claims, Refusal> {
    let invalid = Refusal::Invalid;
    let header = token
        .split('.')
        .next()
        .and_then(|header| URL_SAFE_NO_PAD.decode(header).ok());
    let header: Header = header
        .and_then(|header| serde_json::from_slice(&header).ok())
        .ok_or(invalid("no header"))?;
    // One algorithm, never the one that the header names.
    if header.alg != "RS256" || header.crit.is_some() {
        return Err(invalid("another algorithm, or an extension"));
    }
    let key = keys.find(header.kid.as_deref()).ok_or(Refusal::UnknownKey)?;
    let mut rules = Validation::new(Algorithm::RS256);
    rules.required_spec_claims.clear();
    // Checked below, by our own clock.
    rules.validate_exp = false;
    rules.validate_aud = false;
    let body = jsonwebtoken::decode::<Body>(token, key, &rules)
        .map_err(|_| invalid("a wrong signature, or claims that are missing"))?
        .claims;
    let is_issuer = |name: &str| name == expected.issuer;
    let both_google = GOOGLE.contains(&body.iss.as_str()) && GOOGLE.contains(&expected.issuer);
    if !(is_issuer(body.iss.trim_end_matches('/')) || both_google) {
        return Err(invalid("another issuer"));
    }
    let (is_audience, others) = match &body.aud {
        Value::String(one) => (one == expected.client, false),
        Value::Array(many) => (
            many.iter().any(|one| one == expected.client),
            many.iter().any(|one| one != expected.client),
        ),
        _ => (false, false),
    };
    let is_party = match &body.azp {
        Some(party) => party == expected.client,
        None => !others,
    };
    if !is_audience || !is_party {
        return Err(invalid("another audience"));
    }
    let now = expected.now.timestamp();
    let leeway = LEEWAY.num_seconds();
    if body.exp.saturating_add(leeway) <= now {
        return Err(invalid("it has expired"));
    }
    if body.iat.max(body.nbf.unwrap_or(body.iat)) > now.saturating_add(leeway) {
        return Err(invalid("it is not good yet"));
    }
    if body.nonce.as_deref() != Some(expected.nonce) {
        return Err(invalid("another sign-in's nonce"));
    }
    if body.sub.is_empty() || body.sub.len() > 255 {
        return Err(invalid("no subject"));
    }
    Ok(body.profile.of(Identity {
        issuer: expected.issuer.to_owned(),
        subject: body.sub,
    }))
}
