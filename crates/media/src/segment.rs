//! The segment that is being filled.

use std::time::Duration;

use bytes::Bytes;

use crate::{
    boxes::{self, VIDEO_SCALE},
    sample::Sample,
};

/// Tracks of one segment that differ by more did not both last from its beginning to its end.
const UNEVEN: Duration = Duration::from_millis(500);

/// The samples of a segment.
#[derive(Default, Debug)]
pub struct Open {
    video: Vec<Sample>,
    audio: Vec<Sample>,
    bytes: usize,
}

impl Open {
    /// What its samples count for.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn push_video(&mut self, sample: Sample) {
        self.bytes += sample.cost();
        self.video.push(sample);
    }

    pub fn push_audio(&mut self, sample: Sample) {
        self.bytes += sample.cost();
        self.audio.push(sample);
    }

    pub fn video(&self) -> &[Sample] {
        &self.video
    }

    pub fn audio(&self) -> &[Sample] {
        &self.audio
    }

    /// Lets the last audio sample last until `time`, so that a gap after it is none in the file.
    pub fn stretch_audio(&mut self, time: u64) {
        if let Some(last) = self.audio.last_mut() {
            let duration = time.saturating_sub(last.time);
            last.duration = u32::try_from(duration).unwrap_or(u32::MAX);
        }
    }

    /// How long it plays: as long as the video, unless one track began or ended in between.
    pub fn duration(&self, audio_rate: u32) -> Duration {
        let (video, audio) = (span(&self.video, VIDEO_SCALE), span(&self.audio, audio_rate));
        if self.video.is_empty() || video.abs_diff(audio) > UNEVEN {
            video.max(audio)
        } else {
            video
        }
    }

    /// Whether it can be decoded without the segments before it.
    pub fn independent(&self) -> bool {
        self.video.first().is_none_or(|sample| sample.key)
    }

    /// Its bytes.
    pub fn fragment(&self, sequence: u32) -> Bytes {
        boxes::fragment(sequence, &self.video, &self.audio)
    }
}

fn span(samples: &[Sample], scale: u32) -> Duration {
    let ticks = match samples {
        [first, .., last] => last.end() - first.time,
        [only] => only.duration.into(),
        [] => 0,
    };
    duration(ticks, scale)
}

/// Ticks as a duration, to the nearest nanosecond.
pub fn duration(ticks: u64, scale: u32) -> Duration {
    let scale = u64::from(scale.max(1));
    let nanos = ((ticks % scale) * 1_000_000_000 + scale / 2) / scale;
    Duration::new(ticks / scale, nanos as u32)
}
