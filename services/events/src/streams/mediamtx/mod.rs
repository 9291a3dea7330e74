//! A MediaMTX in place of the built-in ingest: it asks who may publish and read ([`ask`]), what it receives is found out by polling its
//! control API ([`poll`]), and who may not go on is cut off there ([`readers`] for those who watch). docs/decisions/034 says why it is
//! built like this.

mod answers;
mod api;
pub mod ask;
mod poll;
mod readers;

use chrono::{SecondsFormat, TimeDelta};
use common::{clock::Timestamp, ids::StreamId, problem::ApiError, settings};
use moka::future::Cache;
use secrecy::SecretString;
use url::form_urlencoded;
use uuid::Uuid;

use self::api::Api;
pub use self::api::MediaMtxError;
use crate::domain::stream::{Stream, Take};

/// How long it is remembered where a recording begins: a part that is over does not change.
const RECORDINGS_KEPT: std::time::Duration = std::time::Duration::from_secs(3600);
/// Recordings that are remembered.
const RECORDINGS: u64 = 10_000;
/// A recording may begin a little before or after its publisher was first seen.
const LEEWAY: TimeDelta = TimeDelta::seconds(10);

/// A MediaMTX, and the addresses at which others reach it.
pub struct MediaMtx {
    api: Api,
    secret: SecretString,
    url: String,
    playback_url: Option<String>,
    webrtc_url: String,
    rtmp_url: String,
    srt_url: String,
    /// The address of a recording, without a token.
    recordings: Cache<(StreamId, Take), String>,
}

/// Where a publisher sends a stream that a MediaMTX receives. They hold the stream key.
#[derive(Debug)]
pub struct SendTo {
    /// By RTMP.
    pub rtmp: String,
    /// By SRT.
    pub srt: String,
    /// By WebRTC (WHIP), the key as the bearer token; this one holds none.
    pub whip: String,
}

/// 503: who publishes cannot be found out or cut off.
pub fn away(error: MediaMtxError) -> ApiError {
    ApiError::unavailable("The media server does not answer right now. Please try again.").because(error)
}

/// 503 for a stream whose media server is in the settings no longer.
pub fn not_served() -> ApiError {
    ApiError::unavailable("The media server of this stream is not in use any more.")
}

/// The name of a stream's path there.
pub fn path_of(stream: StreamId) -> String {
    stream.0.simple().to_string()
}

/// The stream of a path's name; `None`: none of ours has such a name.
pub fn stream_of(path: &str) -> Option<StreamId> {
    // Other forms of a UUID would be other paths.
    let id = Uuid::try_parse(path).ok().map(StreamId)?;
    (path_of(id) == path).then_some(id)
}

impl MediaMtx {
    /// One that is reached by these settings.
    ///
    /// # Errors
    /// One sentence for the person who started the program.
    pub fn new(settings: &settings::MediaMtx) -> Result<Self, String> {
        Ok(Self {
            api: Api::new(settings.api_url.clone())?,
            secret: settings.secret.clone(),
            url: settings.url.clone(),
            playback_url: settings.playback_url.clone(),
            webrtc_url: settings.webrtc_url.clone(),
            rtmp_url: settings.rtmp_url.clone(),
            srt_url: settings.srt_url.clone(),
            recordings: Cache::builder()
                .max_capacity(RECORDINGS)
                .time_to_live(RECORDINGS_KEPT)
                .build(),
        })
    }

    /// Whether it records, for us to show.
    pub fn records(&self) -> bool {
        self.playback_url.is_some()
    }

    /// Where to send a stream with this key. The key is ours: letters that need no escape.
    pub fn send_to(&self, stream: StreamId, key: &str) -> SendTo {
        let path = path_of(stream);
        SendTo {
            rtmp: format!("{}/{path}?pass={key}", self.rtmp_url),
            srt: format!("{}?streamid=publish:{path}:key:{key}", self.srt_url),
            whip: format!("{}/{path}/whip", self.webrtc_url),
        }
    }

    /// Where a player finds what is on.
    pub fn live_url(&self, stream: StreamId, token: &str) -> String {
        format!("{}/{}/index.m3u8?token={token}", self.url, path_of(stream))
    }

    /// Where a player finds a recording, as one MP4 file: its longest part without an interruption. `None`: there is none.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub async fn recording_url(&self, stream: &Stream, token: &str) -> Result<Option<String>, MediaMtxError> {
        let (Some(url), Some(take)) = (&self.playback_url, stream.feed.take) else {
            return Ok(None);
        };
        let found = match self.recordings.get(&(stream.id, take)).await {
            Some(found) => found,
            None => {
                let starts = self.api.recording(&path_of(stream.id)).await?;
                let Some(start) = first_of(&starts, take) else {
                    return Ok(None);
                };
                let query = form_urlencoded::Serializer::new(String::new())
                    .append_pair("path", &path_of(stream.id))
                    // It finds nothing before its first segment, so it gets the time it gave, to the nanosecond.
                    .append_pair("start", &start.to_rfc3339_opts(SecondsFormat::AutoSi, true))
                    .append_pair("duration", &seconds(start, take).to_string())
                    .append_pair("format", "mp4")
                    .finish();
                let found = format!("{url}/get?{query}");
                self.recordings.insert((stream.id, take), found.clone()).await;
                found
            }
        };
        Ok(Some(format!("{found}&token={token}")))
    }

    /// The origins that a page has to reach to play, where they are not https, which every page may.
    pub fn plain_origins(&self) -> Vec<String> {
        let urls = [Some(&self.url), self.playback_url.as_ref()];
        let plain = urls
            .into_iter()
            .flatten()
            .filter(|url| url.starts_with("http://"));
        plain
            .filter_map(|url| Some(url::Url::parse(url).ok()?.origin().ascii_serialization()))
            .collect()
    }
}

/// The segment that a part begins with; the last one before it where its clock differs.
fn first_of(starts: &[Timestamp], take: Take) -> Option<Timestamp> {
    let within = |at: &&Timestamp| **at >= take.from - LEEWAY && **at <= take.to;
    let first = starts.iter().filter(within).min();
    first
        .or_else(|| starts.iter().filter(|at| **at < take.from).max())
        .copied()
}

/// How long it is from there to the end of the part, at least a second.
fn seconds(start: Timestamp, take: Take) -> i64 {
    (take.to + LEEWAY - start).num_seconds().max(1)
}

#[cfg(test)]
mod tests {
    use common::clock::from_millis;

    use super::*;

    #[test]
    fn a_path_is_a_stream_in_one_form_only() {
        let id = StreamId::new();
        assert_eq!(stream_of(&path_of(id)), Some(id));
        for other in [
            id.to_string(),
            path_of(id).to_uppercase(),
            format!("{}/x", path_of(id)),
            "cam1".to_owned(),
            String::new(),
        ] {
            assert_eq!(stream_of(&other), None, "{other}");
        }
    }

    #[test]
    fn a_recording_begins_with_the_first_segment_of_its_part() {
        let at = |seconds: i64| from_millis(seconds * 1_000);
        let take = Take {
            from: at(1_000),
            to: at(5_000),
        };
        for (starts, first) in [
            (&[][..], None),
            (&[100, 995, 4_000], Some(995)),
            (&[100, 1_003, 4_000], Some(1_003)),
            (&[100, 700, 6_000], Some(700)),
            (&[6_000], None),
        ] {
            let starts: Vec<_> = starts.iter().map(|seconds| at(*seconds)).collect();
            assert_eq!(first_of(&starts, take), first.map(at));
        }
        assert_eq!(seconds(at(995), take), 4_015);
    }
}
