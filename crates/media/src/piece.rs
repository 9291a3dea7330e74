//! What is made of the tags of a publisher, and how.

use std::{fmt, time::Duration};

use bytes::Bytes;

/// How to cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// A segment ends at the first keyframe after this time; without video, at the first sound.
    pub target: Duration,
    /// It ends after this time even without a keyframe; three times the target is usual.
    pub longest: Duration,
    /// It ends before it holds more bytes than these, each sample counted with some 70 more; at most 1 GiB. One frame may
    /// have half of them. While a segment is put together, it is there twice.
    pub max_bytes: usize,
}

/// What has been made of tags.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Piece {
    /// How to decode the segments after it. Each but the first is a discontinuity (`EXT-X-DISCONTINUITY`).
    Init(Init),
    /// The next part of the stream.
    Segment(Segment),
    /// Something that the organizer should see; each once.
    Notice(Notice),
}

/// An initialization: what `EXT-X-MAP` names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Init {
    /// `ftyp` and `moov`.
    pub bytes: Bytes,
    /// The attribute `CODECS` (RFC 6381), such as `avc1.64001f,mp4a.40.2`.
    pub codecs: String,
    /// Pixels of the video; 0 without one.
    pub width: u32,
    /// Likewise.
    pub height: u32,
}

/// A media segment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Segment {
    /// `moof` and `mdat`.
    pub bytes: Bytes,
    /// How long it plays; the durations of all add up to that of the stream.
    pub duration: Duration,
    /// It starts with a keyframe, or has no video. With one that does not, the playlist must not say
    /// `EXT-X-INDEPENDENT-SEGMENTS`.
    pub independent: bool,
}

/// Something that the organizer should see.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Notice {
    /// The audio is left out, since only AAC is supported; the video goes on.
    AudioCodec(String),
    /// The video cannot be taken, since only H.264 is supported. The next tag of it is an error.
    VideoCodec(String),
    /// Keyframes are more than 4 s apart: this far, or further. Two seconds are right.
    Keyframes(Duration),
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AudioCodec(name) => write!(f, "the audio codec {name} is not supported: only AAC is"),
            Self::VideoCodec(name) => write!(f, "the video codec {name} is not supported: only H.264 is"),
            Self::Keyframes(apart) => write!(
                f,
                "keyframes are {:.1} s apart: set the encoder to one every 2 s",
                apart.as_secs_f64()
            ),
        }
    }
}
