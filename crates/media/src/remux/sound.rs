//! Sounds, and the cuts where there are no pictures.

use std::time::Duration;

use super::{ROUNDING, Remuxer, VIDEO_MS};
use crate::{Kind, MediaError, Piece, flv::Frame, sample::Sample};

/// The part of a second that sounds may be off from the times of their tags: a tenth.
const OFF: u64 = 10;
/// Video that has been away for so long, in milliseconds, is not waited for.
const STALE: u64 = 1_000;

impl Remuxer {
    /// Takes a sound.
    pub(super) fn sound(&mut self, ms: u32, frame: &Frame<'_>) -> Result<Vec<Piece>, MediaError> {
        let Some(config) = self.audio.next_config.as_ref().or(self.audio.config.as_ref()) else {
            return Ok(Vec::new());
        };
        let (rate, samples) = (config.rate, config.frame);
        self.check_size(frame)?;
        let mut pieces = Vec::new();
        let at = self.time(Kind::Audio, ms, &mut pieces)?;
        if self.audio.next_config.is_some() {
            if !self.open.audio().is_empty() {
                self.cut_short(&mut pieces)?;
            }
            let before = self
                .audio
                .config
                .as_ref()
                .map_or(1, |config| u64::from(config.rate));
            let next = self.audio.next;
            self.audio.next = next.map(|next| next.saturating_mul(rate.into()).div_ceil(before));
            self.audio.config = self.audio.next_config.take();
        }
        let expected = (at * u64::from(rate)).div_ceil(1_000);
        let time = match self.audio.next {
            Some(next) if next.abs_diff(expected) <= u64::from(rate) / OFF => next,
            // More samples than time: one sound is left out.
            Some(next) if next > expected => return Ok(pieces),
            Some(_) => {
                self.open.stretch_audio(expected);
                expected
            }
            None => expected,
        };
        let sample = Sample {
            time,
            duration: samples,
            offset: 0,
            key: true,
            data: frame.data.to_vec(),
        };
        let has_video = self.video.held.is_some() || !self.open.video().is_empty();
        let lasted = self.lasted(at);
        let in_time = lasted + ROUNDING >= self.options.target && !self.waits(at);
        if !has_video && (in_time || lasted >= self.options.longest) {
            self.cut(&mut pieces);
        } else if lasted >= self.options.longest.saturating_add(Duration::from_millis(STALE)) {
            // Pictures cut when they come: these do not.
            let last = self.video.held.as_ref().map_or(at, |held| held.time / VIDEO_MS);
            if last + STALE < at {
                self.release();
            }
            self.cut(&mut pieces);
        }
        let held = self.video.held.as_ref().map_or(0, Sample::cost);
        if self.open.bytes() + held + sample.cost() > self.options.max_bytes {
            self.close(&mut pieces);
        }
        self.audio.next = Some(sample.end());
        self.open.push_audio(sample);
        Ok(pieces)
    }
}
