//! Who may publish and read at MediaMTX: it asks for each of them.

use common::{ids::StreamId, problem::ApiError};
use secrecy::ExposeSecret;
use serde::Deserialize;
use subtle::ConstantTimeEq;
use url::form_urlencoded;

use super::{super::ingest, stream_of};
use crate::{
    domain::stream::State,
    streams::{Streams, key_hash, no_such_stream, not_playing},
};

/// The names that a stream key may have in the query.
const KEY: [&str; 4] = ["key", "pass", "password", "token"];
/// The protocols that are named in the log.
const PROTOCOLS: [&str; 6] = ["rtmp", "rtmps", "rtsp", "rtsps", "srt", "webrtc"];
/// The name that the token of a playback has there.
const TOKEN: &str = "token";

/// What MediaMTX asks. It has more fields in later versions; any may be missing or null.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Question {
    user: Option<String>,
    password: Option<String>,
    token: Option<String>,
    action: Option<String>,
    path: Option<String>,
    protocol: Option<String>,
    query: Option<String>,
}

fn given(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}

/// The first value of these names in a query.
pub(super) fn in_query(query: &str, names: &[&str]) -> Option<String> {
    let pairs = || form_urlencoded::parse(query.as_bytes());
    names.iter().find_map(|name| {
        let mut found = pairs().filter(|(key, value)| key == name && !value.is_empty());
        found.next().map(|(_, value)| value.into_owned())
    })
}

/// The token of a playback in a query.
pub(super) fn token_in(query: &str) -> Option<String> {
    in_query(query, &[TOKEN])
}

impl Question {
    fn query(&self) -> &str {
        self.query.as_deref().unwrap_or_default()
    }

    fn key(&self) -> Option<String> {
        let shown = given(&self.password).or(given(&self.token)).map(str::to_owned);
        shown.or_else(|| in_query(self.query(), &KEY))
    }

    fn has_credentials(&self) -> bool {
        given(&self.user).is_some() || self.key().is_some()
    }
}

/// 401, which has clients show what they have: those of RTSP show nothing at first.
pub fn no_credentials() -> ApiError {
    ApiError::unauthorized(
        "credentials_missing",
        "Show the stream key, or the token of a playback.",
    )
}

/// 403 for what nobody may do there by way of us.
pub fn not_allowed() -> ApiError {
    ApiError::forbidden("not_allowed", "This is not for publishers and viewers.")
}

impl Streams {
    /// Whether this is the secret in the address at which MediaMTX asks.
    pub fn is_mediamtx(&self, secret: &str) -> bool {
        let ours = self.0.mediamtx.as_ref().map(|one| one.secret.expose_secret());
        ours.is_some_and(|ours| ours.as_bytes().ct_eq(secret.as_bytes()).into())
    }

    /// Whether MediaMTX may let somebody publish or read.
    ///
    /// # Errors
    /// Why not.
    pub async fn answer_mediamtx(&self, question: &Question) -> Result<(), ApiError> {
        if !question.has_credentials() {
            return Err(no_credentials());
        }
        let action = question.action.as_deref().unwrap_or_default();
        let path = question.path.as_deref().unwrap_or_default();
        match (action, stream_of(path)) {
            ("publish", Some(stream)) => self.may_publish(question, stream).await,
            // What is in the query is in MediaMTX's list of its readers too, so that their access can end: elsewhere it does not count.
            ("read", Some(stream)) => {
                let token = token_in(question.query()).ok_or_else(not_playing)?;
                self.may_read(stream, &token, &[State::Ready, State::Live, State::Interrupted])
                    .await
            }
            ("playback", Some(stream)) => {
                let token = token_in(question.query()).ok_or_else(not_playing)?;
                self.may_read(stream, &token, &[State::Replay]).await
            }
            ("publish" | "read" | "playback", None) => Err(no_such_stream()),
            _ => Err(not_allowed()),
        }
    }

    async fn may_publish(&self, question: &Question, path: StreamId) -> Result<(), ApiError> {
        let key = question.key().ok_or_else(no_credentials)?;
        let stream = self.store().stream_by_key(key_hash(&key)).await?;
        let stream = stream.filter(|stream| stream.id == path);
        let stream = stream.ok_or_else(ingest::wrong_key)?;
        if !self.takes_place(stream.event).await? {
            return Err(ingest::refused(crate::domain::stream::PublishRefusal::Ended));
        }
        stream.lets_in(self.now()).map_err(ingest::refused)?;
        let protocol = question.protocol.as_deref();
        let protocol = protocol
            .filter(|one| PROTOCOLS.contains(one))
            .unwrap_or("another");
        tracing::info!(stream_id = %stream.id, event_id = %stream.event, protocol, "an encoder is let in at MediaMTX");
        Ok(())
    }

    async fn may_read(&self, id: StreamId, token: &str, while_in: &[State]) -> Result<(), ApiError> {
        let known = self.playing(id, token).await?;
        let stream = self.store().stream(id).await?;
        let stream = stream.filter(|stream| while_in.contains(&stream.state));
        stream.ok_or_else(no_such_stream)?;
        tracing::debug!(stream_id = %id, event_id = %known.event, "a player is let in at MediaMTX");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_key_is_found_wherever_it_is_shown() {
        for (question, key) in [
            (json!({}), None),
            (
                json!({"user": "", "password": "", "token": "", "query": "", "id": null}),
                None,
            ),
            (json!({"password": null, "token": null, "query": null}), None),
            (json!({"user": "x", "password": "k"}), Some("k")),
            (json!({"token": "k", "query": "key=other"}), Some("k")),
            (json!({"query": "user=x&pass=k"}), Some("k")),
            (json!({"query": "key=&token=k%2D1"}), Some("k-1")),
            (json!({"userAgent": "OBS", "query": "keys=k"}), None),
        ] {
            let read: Question = serde_json::from_value(question.clone()).unwrap();
            assert_eq!(read.key().as_deref(), key, "{question}");
        }
    }
}
