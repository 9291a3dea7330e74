//! Providers of text messages, over their HTTP APIs.

pub mod msg91;
mod throttle;
pub mod twilio;

use std::time::Duration;

use super::{MailError, Pace};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a provider may take for its answer.
const PATIENCE: Duration = Duration::from_secs(12);
/// The longest answer that is read.
const ANSWER: usize = 256 * 1024;

/// As many are claimed as the provider takes in a second: what is claimed together is noted together.
fn pace(per_second: u32) -> Pace {
    let batch = usize::try_from(per_second).unwrap_or(usize::MAX).clamp(1, 100);
    Pace {
        batch,
        at_once: batch.min(16),
        patience: PATIENCE + Duration::from_secs(3),
    }
}

/// A client for a provider.
///
/// # Errors
/// When it cannot be built.
fn client() -> Result<reqwest::Client, String> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .connect_timeout(CONNECT)
        .timeout(PATIENCE)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent("organise-event")
        .build()
        .map_err(|error| format!("no HTTP client: {error}"))
}

/// Why a call got no answer. Only one that found no connection had no effect for sure.
fn unanswered(error: &reqwest::Error) -> MailError {
    if error.is_connect() {
        MailError::Unreachable("no connection".to_owned())
    } else {
        MailError::Temporary("the connection broke, or there was no answer in time".to_owned())
    }
}

/// The body of an answer, as far as it is read.
async fn body(mut response: reqwest::Response) -> Result<Vec<u8>, MailError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| unanswered(&error))? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > ANSWER {
            return Err(MailError::Temporary("the answer is too long".to_owned()));
        }
    }
    Ok(bytes)
}

/// What a status says by itself, whoever the provider is. `why` is the provider's word for it.
fn refused(status: reqwest::StatusCode, why: String) -> MailError {
    match status.as_u16() {
        // Wrong key, account or machine: an operator's matter, and no message's.
        401 | 403 | 404 | 418 => MailError::Unreachable(format!("our account is refused: {why}")),
        408 => MailError::Temporary(why),
        429 => MailError::Unreachable(format!("we are to slow down: {why}")),
        400..=499 => MailError::Permanent(why),
        _ => MailError::Temporary(why),
    }
}
