//! Pictures, and the cuts at them.

use std::time::Duration;

use super::{ROUNDING, Remuxer, VIDEO_MS};
use crate::{
    Kind, MediaError, Notice, Piece, boxes::VIDEO_SCALE, flv::Frame, sample::Sample, segment::duration,
};

/// Keyframes further apart make long segments, and late viewers wait.
const KEYFRAMES_APART: Duration = Duration::from_secs(4);
/// The most that a picture is shown before or after it is decoded, in milliseconds.
const LARGEST_OFFSET: i32 = 5_000;

impl Remuxer {
    /// Takes a picture. It is held until the next one.
    pub(super) fn picture(&mut self, ms: u32, frame: &Frame<'_>) -> Result<Vec<Piece>, MediaError> {
        let Some(config) = self.video.next_config.as_ref().or(self.video.config.as_ref()) else {
            return Ok(Vec::new());
        };
        let units = config.units(frame.data)?;
        let key = frame.key || units.idr;
        self.check_size(frame)?;
        if !units.picture || self.video.needs_key && !key {
            return Ok(Vec::new());
        }
        let mut pieces = Vec::new();
        let at = self.time(Kind::Video, ms, &mut pieces)?;
        let time = (at * VIDEO_MS).max(self.video.end);
        let sample = Sample {
            time,
            duration: 0,
            offset: frame.offset.clamp(-LARGEST_OFFSET, LARGEST_OFFSET) * VIDEO_MS as i32,
            key,
            data: frame.data.to_vec(),
        };
        if let Some(mut held) = self.video.held.take() {
            held.duration = u32::try_from(time - held.time).unwrap_or(u32::MAX);
            self.video.duration = held.duration.min(VIDEO_SCALE);
            self.open.push_video(held);
        }
        self.video.end = time + 1;

        let lasted = self
            .open
            .video()
            .first()
            .map_or(Duration::ZERO, |first| duration(time - first.time, VIDEO_SCALE));
        if self.video.next_config.is_some() {
            if !self.open.video().is_empty() {
                self.cut_short(&mut pieces)?;
            }
            self.video.config = self.video.next_config.take();
        } else if key && lasted + ROUNDING >= self.options.target && !self.waits(at) {
            self.cut(&mut pieces);
        } else if self.lasted(at) >= self.options.longest {
            if !key {
                self.check_keyframes(time, &mut pieces);
            }
            self.cut(&mut pieces);
        }
        if self.open.bytes() + sample.cost() > self.options.max_bytes {
            self.close(&mut pieces);
        }
        if key {
            self.check_keyframes(time, &mut pieces);
            self.video.last_key = Some(time);
        }
        self.video.needs_key = false;
        self.video.held = Some(sample);
        Ok(pieces)
    }

    fn check_keyframes(&mut self, time: u64, pieces: &mut Vec<Piece>) {
        let apart = self.video.last_key.map_or(Duration::ZERO, |last| {
            duration(time.saturating_sub(last), VIDEO_SCALE)
        });
        if apart > KEYFRAMES_APART && !self.video.notified {
            self.video.notified = true;
            pieces.push(Piece::Notice(Notice::Keyframes(apart)));
        }
    }

    /// Gives up waiting for the picture after the last one.
    pub(super) fn release(&mut self) {
        if let Some(mut held) = self.video.held.take() {
            held.duration = self.video.duration;
            self.video.end = held.end();
            self.open.push_video(held);
        }
    }
}
