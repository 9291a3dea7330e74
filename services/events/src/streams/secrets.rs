//! Stream keys, the tokens of playbacks and of segments: all derived from the secret that signs tokens, so that no store holds one.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use common::{
    auth::Auth,
    clock::{Timestamp, from_millis},
    ids::{PlaybackId, StreamId},
};
use ring::hmac;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

const PURPOSE: &str = "streams v1";
/// Bytes of what is derived: 128 bits.
const MAC: usize = 16;
/// What all tokens of segments of one bucket of time are good for: so a cache before us keeps one copy for all viewers.
const BUCKET_MILLIS: i64 = 120_000;

/// What is stored of a stream key.
pub fn hash(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

/// Derives and recognizes them.
pub struct Secrets {
    key: hmac::Key,
    other: Option<hmac::Key>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets")
    }
}

/// How long a segment's token is good, beside the bucket it begins in, in milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GoodFor(pub i64);

impl Secrets {
    pub fn new(auth: &Auth) -> Self {
        let key = |key: [u8; 32]| hmac::Key::new(hmac::HMAC_SHA256, &key);
        Self {
            key: key(auth.key_for(PURPOSE)),
            other: auth.other_key_for(PURPOSE).map(key),
        }
    }

    /// The key of a stream's generation.
    pub fn stream_key(&self, stream: StreamId, generation: u32) -> String {
        let mac = mac(
            &self.key,
            &[b"key", stream.0.as_bytes(), &generation.to_be_bytes()],
        );
        format!("sk_{}", URL_SAFE_NO_PAD.encode(mac))
    }

    /// What a player shows for its playlists.
    pub fn playback(&self, id: PlaybackId) -> String {
        let mut bytes = [0; 16 + MAC];
        bytes[..16].copy_from_slice(id.0.as_bytes());
        bytes[16..].copy_from_slice(&mac(&self.key, &[b"playback", id.0.as_bytes()]));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The playback that a player shows. `None`: it is none of ours.
    pub fn playback_of(&self, token: &str) -> Option<PlaybackId> {
        let bytes: [u8; 16 + MAC] = URL_SAFE_NO_PAD.decode(token).ok()?.try_into().ok()?;
        let id = Uuid::from_slice(&bytes[..16]).ok()?;
        let ours = |key| verify(key, &[b"playback", id.as_bytes()], &bytes[16..]);
        self.keys().any(ours).then_some(PlaybackId(id))
    }

    /// The query that lets anybody have a stream's segments: `e` is its end in seconds since 1970, `k` the proof.
    pub fn segments(&self, stream: StreamId, now: Timestamp, good_for: GoodFor) -> String {
        let until = now.timestamp_millis() + good_for.0;
        let end = (until.div_euclid(BUCKET_MILLIS) + 1) * (BUCKET_MILLIS / 1_000);
        let proof = mac(&self.key, &[b"segments", stream.0.as_bytes(), &end.to_be_bytes()]);
        format!("e={end}&k={}", URL_SAFE_NO_PAD.encode(proof))
    }

    /// Whether this query lets somebody have a stream's segments.
    pub fn lets_in(&self, stream: StreamId, end: i64, proof: &str, now: Timestamp) -> bool {
        let Ok(proof) = URL_SAFE_NO_PAD.decode(proof) else {
            return false;
        };
        let parts: [&[u8]; 3] = [b"segments", stream.0.as_bytes(), &end.to_be_bytes()];
        let ours = self.keys().any(|key| verify(key, &parts, &proof));
        ours && end.checked_mul(1_000).is_some_and(|end| now < from_millis(end))
    }

    fn keys(&self) -> impl Iterator<Item = &hmac::Key> {
        [&self.key].into_iter().chain(&self.other)
    }
}

fn mac(key: &hmac::Key, parts: &[&[u8]]) -> [u8; MAC] {
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(part);
        context.update(b"|");
    }
    let mut short = [0; MAC];
    short.copy_from_slice(&context.sign().as_ref()[..MAC]);
    short
}

fn verify(key: &hmac::Key, parts: &[&[u8]], proof: &[u8]) -> bool {
    mac(key, parts).ct_eq(proof).into()
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::domain::samples::NOW;

    fn secrets(seed: u8) -> Secrets {
        Secrets {
            key: hmac::Key::new(hmac::HMAC_SHA256, &[seed; 32]),
            other: None,
        }
    }

    #[test]
    fn a_key_is_of_its_stream_and_generation() {
        let (one, two) = (StreamId::new(), StreamId::new());
        let key = secrets(1).stream_key(one, 0);
        assert_eq!(key, secrets(1).stream_key(one, 0));
        assert_eq!(key.len(), 3 + 22);
        for other in [
            secrets(1).stream_key(one, 1),
            secrets(1).stream_key(two, 0),
            secrets(2).stream_key(one, 0),
        ] {
            assert_ne!(key, other);
        }
    }

    #[test]
    fn a_playbacks_token_is_recognized_and_no_other() {
        let (ours, id) = (secrets(1), PlaybackId::new());
        let token = ours.playback(id);
        assert_eq!(ours.playback_of(&token), Some(id));
        assert_eq!(secrets(2).playback_of(&token), None);
        let rotated = Secrets {
            other: Some(secrets(1).key),
            ..secrets(2)
        };
        assert_eq!(rotated.playback_of(&token), Some(id));
        for wrong in ["", "x", &token[1..], &format!("{token}A"), "\u{0907}"] {
            assert_eq!(ours.playback_of(wrong), None);
        }
    }

    #[test]
    fn a_segments_token_is_the_same_for_all_and_ends() {
        let (ours, stream) = (secrets(1), StreamId::new());
        let query = ours.segments(stream, NOW, GoodFor(60_000));
        let (end, proof) = query.split_once("&k=").unwrap();
        let end: i64 = end.strip_prefix("e=").unwrap().parse().unwrap();
        let lasts = from_millis(end * 1_000) - NOW;
        assert!(
            lasts > TimeDelta::seconds(60) && lasts <= TimeDelta::seconds(180),
            "{lasts}"
        );
        assert!(ours.lets_in(stream, end, proof, NOW));
        for (stream, end, proof, now) in [
            (StreamId::new(), end, proof, NOW),
            (stream, end + 120, proof, NOW),
            (stream, i64::MAX, proof, NOW),
            (stream, end, "", NOW),
            (stream, end, &proof[1..], NOW),
            (stream, end, proof, from_millis(end * 1_000)),
        ] {
            assert!(!ours.lets_in(stream, end, proof, now));
        }
    }
}
