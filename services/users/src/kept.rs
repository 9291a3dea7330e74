//! What is kept between two requests of a sign-in under a random token, to be taken once.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use common::problem::ApiError;
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use crate::{app::App, random::random};

/// What is kept; a token of one is good for no other.
#[derive(Clone, Copy, Debug)]
pub enum Kept {
    /// A sign-in that has gone to the provider.
    State,
    /// The code with which a frontend gets the tokens of a sign-in.
    Code,
    /// A sign-in that waits for a second factor.
    SecondFactor,
    /// A sign-in that waits for the password of the account of its address.
    Link,
}

impl Kept {
    fn name(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Code => "code",
            Self::SecondFactor => "totp",
            Self::Link => "link",
        }
    }

    /// How long it is kept.
    pub fn life(self) -> Duration {
        Duration::from_secs(match self {
            Self::Code => 60,
            Self::State | Self::SecondFactor | Self::Link => 600,
        })
    }

    /// The shared state holds a hash, so that who reads it cannot take what is kept.
    fn key(self, token: &str) -> String {
        format!("oauth:{}:{}", self.name(), hash(token))
    }
}

/// What is kept of a random token, so that who reads it cannot show the token.
pub fn hash(token: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(token))
}

/// 256 random bits as text.
///
/// # Errors
/// When the system has none.
pub fn random_token() -> Result<String, ApiError> {
    Ok(URL_SAFE_NO_PAD.encode(random::<32>()?))
}

/// Keeps a value under a new token.
///
/// # Errors
/// 503 when Redis is away.
pub async fn keep(app: &App, what: Kept, value: Value) -> Result<String, ApiError> {
    let token = random_token()?;
    keep_under(app, what, &token, value).await?;
    Ok(token)
}

/// Keeps a value under a token, such as one that was taken and is to be shown again.
///
/// # Errors
/// 503 when Redis is away.
pub async fn keep_under(app: &App, what: Kept, token: &str, value: Value) -> Result<(), ApiError> {
    let Value(value) = value;
    let kept = app
        .shared
        .keep_once(what.key(token), value.into(), what.life())
        .await;
    kept.map_err(|_| away())
}

/// A value as it is kept.
pub struct Value(Vec<u8>);

impl Value {
    /// Writes a value.
    pub fn of(value: &impl Serialize) -> Self {
        // Our own structs; writing them to memory cannot fail.
        Self(serde_json::to_vec(value).unwrap_or_default())
    }
}

/// Takes what is kept under a token, if there is anything: of several at once one gets it.
///
/// # Errors
/// 503 when Redis is away.
pub async fn take<T: DeserializeOwned>(app: &App, what: Kept, token: &str) -> Result<Option<T>, ApiError> {
    let taken = app.shared.take(&what.key(token)).await.map_err(|_| away())?;
    Ok(taken.and_then(|value| serde_json::from_slice(&value).ok()))
}

fn away() -> ApiError {
    ApiError::unavailable("Sign-in with Google is not possible at the moment. Please try again.")
}
