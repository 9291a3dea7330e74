//! Samples, and the tracks they are of.

use crate::{aac::AacConfig, avc::AvcConfig};

/// What a sample costs beside its data: itself here, and its line in the fragment.
pub const SAMPLE_BYTES: usize = size_of::<Sample>() + 16;

/// A frame with its times, in ticks of its track.
#[derive(Debug)]
pub struct Sample {
    /// When it is decoded.
    pub time: u64,
    /// Until the next one.
    pub duration: u32,
    /// From when it is decoded to when it is shown.
    pub offset: i32,
    /// A decoder may start here.
    pub key: bool,
    pub data: Vec<u8>,
}

impl Sample {
    /// What it counts for in the bound of bytes.
    pub fn cost(&self) -> usize {
        self.data.len() + SAMPLE_BYTES
    }

    /// When the next one is decoded.
    pub fn end(&self) -> u64 {
        self.time + u64::from(self.duration)
    }
}

/// The tracks of a segment.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Layout {
    pub video: Option<AvcConfig>,
    pub audio: Option<AacConfig>,
}

impl Layout {
    /// As in the attribute `CODECS` of HLS.
    pub fn codecs(&self) -> String {
        let video = self.video.as_ref().map(AvcConfig::codec);
        let audio = self.audio.as_ref().map(AacConfig::codec);
        video.into_iter().chain(audio).collect::<Vec<_>>().join(",")
    }
}
