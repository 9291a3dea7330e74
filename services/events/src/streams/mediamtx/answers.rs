//! What MediaMTX's control API answers (its `api/openapi.yaml`, v3). Fields were renamed over time: `ready` is now `available`, and
//! `online` says that there is a real publisher; `tracks` became `tracks2`, `bytesReceived` `inboundBytes`. Both names are read, the
//! newer one first; any may be missing or null.

use common::clock::Timestamp;
use serde::{Deserialize, Deserializer, de::DeserializeOwned};

use crate::domain::stream::Seen;

/// A page of a list.
#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase")]
pub struct List<T: DeserializeOwned> {
    /// Pages there are.
    #[serde(default)]
    pub page_count: u32,
    /// What is on this one.
    #[serde(default = "Vec::new", deserialize_with = "or_empty")]
    pub items: Vec<T>,
}

/// Go writes an empty list as null.
fn or_empty<'de, D: Deserializer<'de>, T: DeserializeOwned>(from: D) -> Result<Vec<T>, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// A path: one stream.
#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct Path {
    /// Its name.
    pub name: String,
    online: Option<bool>,
    online_time: Option<Timestamp>,
    available: Option<bool>,
    available_time: Option<Timestamp>,
    ready: Option<bool>,
    ready_time: Option<Timestamp>,
    source: Option<Connection>,
    tracks2: Option<Vec<Track>>,
    tracks: Option<Vec<String>>,
    inbound_bytes: Option<u64>,
    bytes_received: Option<u64>,
    readers: Option<Vec<Connection>>,
}

/// What publishes or reads a path.
#[derive(Deserialize, Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// The kind of connection, such as `rtmpConn`.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// Its id.
    #[serde(default)]
    pub id: String,
}

#[derive(Deserialize, Debug)]
struct Track {
    #[serde(default)]
    codec: String,
}

impl Path {
    /// Who publishes it, if anybody does.
    pub fn seen(&self, recorded: bool) -> Option<Seen> {
        let is_on = self.online.or(self.available).or(self.ready).unwrap_or(false);
        is_on.then(|| Seen {
            source: self.source.as_ref().map_or_else(String::new, Connection::name),
            since: self.online_time.or(self.available_time).or(self.ready_time),
            bytes: self.inbound_bytes.or(self.bytes_received).unwrap_or(0),
            codecs: self.codecs(),
            recorded,
        })
    }

    /// What publishes it.
    pub fn source(&self) -> Option<&Connection> {
        self.source.as_ref()
    }

    /// What reads it.
    pub fn readers(&self) -> &[Connection] {
        self.readers.as_deref().unwrap_or_default()
    }

    fn codecs(&self) -> Option<String> {
        let new = self.tracks2.iter().flatten().map(|track| track.codec.as_str());
        let mut tracks: Vec<&str> = new.collect();
        if tracks.is_empty() {
            tracks = self.tracks.iter().flatten().map(String::as_str).collect();
        }
        let known: Vec<&str> = tracks.into_iter().filter_map(codec).collect();
        (!known.is_empty()).then(|| known.join(","))
    }
}

/// A codec in the terms of RFC 6381, as far as its name says it.
fn codec(track: &str) -> Option<&'static str> {
    Some(match track {
        "H264" => "avc1",
        "H265" => "hvc1",
        "AV1" => "av01",
        "VP9" => "vp09",
        "VP8" => "vp08",
        "Opus" => "opus",
        "AC-3" => "ac-3",
        "MPEG-4 Audio" | "MPEG-4 Audio LATM" => "mp4a.40",
        "MPEG-1/2 Audio" => "mp4a.6B",
        _ => return None,
    })
}

impl Connection {
    /// What tells it from all others.
    pub fn name(&self) -> String {
        format!("{}/{}", self.kind, self.id)
    }

    /// The collection of the API that has it; `None`: nothing that could be cut off there.
    pub fn collection(&self) -> Option<&'static str> {
        Some(match self.kind.as_str() {
            "rtmpConn" => "rtmpconns",
            "rtmpsConn" => "rtmpsconns",
            "webRTCSession" => "webrtcsessions",
            "srtConn" => "srtconns",
            "rtspSession" => "rtspsessions",
            "rtspsSession" => "rtspssessions",
            "hlsSession" => "hlssessions",
            _ => return None,
        })
    }
}

/// A session of a publisher or reader.
#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct Session {
    /// Its id.
    pub id: String,
    /// What it reads or publishes.
    pub path: String,
    /// Which of the two; `None`: a protocol that only reads.
    pub state: Option<String>,
    /// What its address had behind the question mark; `None`: this version does not say.
    pub query: Option<String>,
    /// Whether a cache before MediaMTX shares it among viewers.
    #[serde(rename = "isCDN")]
    pub is_cdn: bool,
}

/// A recording.
#[derive(Deserialize, Debug)]
pub struct Recording {
    /// Its files.
    #[serde(default = "Vec::new", deserialize_with = "or_empty")]
    pub segments: Vec<Segment>,
}

/// A file of a recording.
#[derive(Deserialize, Debug)]
pub struct Segment {
    /// When it begins.
    pub start: Timestamp,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn seen(path: Value) -> Option<Seen> {
        serde_json::from_value::<Path>(path).unwrap().seen(true)
    }

    /// As v1.9 answered, and as a version of 2026 does: with the old names beside the new ones.
    #[test]
    fn old_and_new_names_are_understood() {
        let source = json!({"type": "rtmpConn", "id": "6f8a"});
        let old = json!({
            "name": "a", "confName": "all_others", "source": source, "ready": true,
            "readyTime": "2026-11-22T14:40:00.123456789+01:00", "tracks": ["H264", "MPEG-4 Audio"],
            "bytesReceived": 1234, "bytesSent": 0, "readers": []
        });
        let new = json!({
            "name": "a", "confName": "all_others", "source": source, "ready": false, "readyTime": null,
            "available": true, "availableTime": "2026-11-22T13:39:00Z", "online": true,
            "onlineTime": "2026-11-22T13:40:00.123456789Z", "tracks": null,
            "tracks2": [{"codec": "H264", "codecProps": {"width": 1920}}, {"codec": "MPEG-4 Audio", "codecProps": null}],
            "inboundBytes": 1234, "outboundBytes": 0, "bytesReceived": 7, "readers": null, "of_a_later_version": {}
        });
        let expected = Seen {
            source: "rtmpConn/6f8a".to_owned(),
            since: Some("2026-11-22T13:40:00.123456789Z".parse().unwrap()),
            bytes: 1234,
            codecs: Some("avc1,mp4a.40".to_owned()),
            recorded: true,
        };
        assert_eq!(seen(old), Some(expected.clone()));
        assert_eq!(seen(new), Some(expected));
    }

    #[test]
    fn the_newest_name_decides() {
        for (path, is_on) in [
            (json!({}), false),
            (json!({"ready": false}), false),
            (json!({"ready": true}), true),
            (json!({"ready": true, "available": false}), false),
            // A path that is always available shows something although nobody publishes.
            (json!({"ready": true, "available": true, "online": false}), false),
            (json!({"online": true, "available": null}), true),
        ] {
            assert_eq!(seen(path.clone()).is_some(), is_on, "{path}");
        }
    }

    #[test]
    fn what_has_another_form_is_no_answer() {
        for path in [json!({"ready": "yes"}), json!({"online": 1}), json!("x")] {
            assert!(serde_json::from_value::<Path>(path).is_err());
        }
        let list = |value| serde_json::from_value::<List<Path>>(value);
        assert!(
            list(json!({"pageCount": 0, "items": null}))
                .unwrap()
                .items
                .is_empty()
        );
        assert!(list(json!({"items": [{"name": 3}]})).is_err());
    }
}
