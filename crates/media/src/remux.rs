//! Cuts the tags of a publisher into segments of fragmented MP4, as they are: nothing is transcoded.
//!
//! Cutting waits for the frame after the cut: only then is known how long the last one before it lasts. Pictures come at the
//! times of their tags, in whole milliseconds. Sounds follow each other without a gap, each as long as its samples, since
//! whole milliseconds would leave clicks; only when they are off from the times of their tags by a tenth of a second are
//! they moved.
//!
//! What begins anew (other configurations, times that jump, a track that comes or goes) is announced by an [`Init`]; the
//! times within the segments go on all the same.

mod picture;
mod sound;
#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::{
    Kind, MediaError,
    aac::AacConfig,
    avc::AvcConfig,
    boxes::{self, VIDEO_SCALE},
    clock::{BEGIN, Clock},
    flv::{self, Frame, Tag},
    piece::{Init, Notice, Options, Piece, Segment},
    sample::{Layout, SAMPLE_BYTES, Sample},
    script::{self, Announced},
    segment::Open,
};

/// Ticks of the video track in a millisecond.
const VIDEO_MS: u64 = VIDEO_SCALE as u64 / 1_000;
/// A keyframe that comes so much before its time is in time: milliseconds are rounded.
const ROUNDING: Duration = Duration::from_millis(10);
/// How long the first segment waits for a kind of media that is not announced, in milliseconds.
const UNANNOUNCED_WAIT: u64 = 2_000;
/// Likewise for one that is.
const ANNOUNCED_WAIT: u64 = 5_000;
/// A kind of media whose times go back by more, in milliseconds, has begun anew; less is disorder.
const DISORDER: u64 = 500;
/// How long the last picture is shown when nothing tells: a thirtieth of a second.
const USUAL_PICTURE: u32 = VIDEO_SCALE / 30;
/// A track without samples in a segment shorter than this is not given up yet.
const SHORT: Duration = Duration::from_secs(1);
/// So often in a row may segments be cut short by what the publisher changes.
const MOST_ABRUPT: u32 = 16;
/// An open segment has no more bytes, whatever is asked for: boxes have lengths of 32 bits.
const MOST_BYTES: usize = 1 << 30;

/// Makes segments of the tags of one publisher.
#[derive(Debug)]
pub struct Remuxer {
    options: Options,
    clock: Clock,
    announced: Option<Announced>,
    video: Video,
    audio: Audio,
    open: Open,
    /// When the first frame came, in milliseconds.
    began: Option<u64>,
    /// Where what has been closed ends, in milliseconds.
    end: u64,
    /// Of the last [`Init`].
    layout: Option<Layout>,
    /// The next segment needs an [`Init`] even if it has the same layout.
    restart: bool,
    sequence: u32,
    /// Segments in a row that were cut short.
    abrupt: u32,
}

#[derive(Debug)]
struct Video {
    /// Of the samples, and of those to come if it is another.
    config: Option<AvcConfig>,
    next_config: Option<AvcConfig>,
    /// The last picture, until the next one tells how long it is shown.
    held: Option<Sample>,
    /// How long the one before it is shown.
    duration: u32,
    /// No sample may begin before this, in ticks.
    end: u64,
    /// The latest time of a tag, in milliseconds.
    latest: u64,
    /// Pictures are of no use before the next keyframe.
    needs_key: bool,
    last_key: Option<u64>,
    notified: bool,
    unsupported: bool,
}

#[derive(Debug, Default)]
struct Audio {
    config: Option<AacConfig>,
    next_config: Option<AacConfig>,
    /// Where the next sound begins if it follows the last, in samples.
    next: Option<u64>,
    latest: u64,
    unsupported: bool,
}

impl Remuxer {
    /// One that has seen nothing yet.
    pub fn new(options: Options) -> Self {
        Self {
            options: Options {
                max_bytes: options.max_bytes.min(MOST_BYTES),
                ..options
            },
            clock: Clock::default(),
            announced: None,
            video: Video {
                config: None,
                next_config: None,
                held: None,
                duration: USUAL_PICTURE,
                end: 0,
                latest: 0,
                needs_key: true,
                last_key: None,
                notified: false,
                unsupported: false,
            },
            audio: Audio::default(),
            open: Open::default(),
            began: None,
            end: BEGIN,
            layout: None,
            restart: false,
            sequence: 0,
            abrupt: 0,
        }
    }

    /// Takes the next tag: its kind, its time in milliseconds (which wraps) and its body.
    ///
    /// # Errors
    /// When the tag cannot be used. It is left out then, and the next one may be pushed.
    pub fn push(&mut self, kind: Kind, ms: u32, body: &[u8]) -> Result<Vec<Piece>, MediaError> {
        match kind {
            Kind::Script => {
                self.announced = script::announced(body).or(self.announced);
                Ok(Vec::new())
            }
            Kind::Video => match flv::video(body)? {
                Tag::Config(config) => {
                    let config = AvcConfig::parse(config)?;
                    self.video.next_config = (self.video.config.as_ref() != Some(&config)).then_some(config);
                    Ok(Vec::new())
                }
                Tag::Frame(frame) => self.picture(ms, &frame),
                Tag::Nothing => Ok(Vec::new()),
                Tag::Unsupported(name) if self.video.unsupported => Err(MediaError::VideoCodec(name)),
                Tag::Unsupported(name) => {
                    self.video.unsupported = true;
                    Ok(vec![Piece::Notice(Notice::VideoCodec(name))])
                }
            },
            Kind::Audio => match flv::audio(body)? {
                Tag::Config(config) => {
                    let config = AacConfig::parse(config)?;
                    self.audio.next_config = (self.audio.config.as_ref() != Some(&config)).then_some(config);
                    Ok(Vec::new())
                }
                Tag::Frame(frame) => self.sound(ms, &frame),
                Tag::Unsupported(name) if !self.audio.unsupported => {
                    self.audio.unsupported = true;
                    Ok(vec![Piece::Notice(Notice::AudioCodec(name))])
                }
                Tag::Nothing | Tag::Unsupported(_) => Ok(Vec::new()),
            },
        }
    }

    /// The publisher is gone: what is left, which may be an [`Init`] and a segment, or nothing.
    pub fn finish(&mut self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        self.release();
        self.close(&mut pieces);
        pieces
    }

    /// When a frame is played, in milliseconds. One that does not follow the others in time begins a new part.
    fn time(&mut self, kind: Kind, ms: u32, pieces: &mut Vec<Piece>) -> Result<u64, MediaError> {
        let time = match self.clock.time(ms) {
            Some(time) if time + DISORDER >= *self.latest(kind) => time,
            _ => {
                self.release();
                self.cut_short(pieces)?;
                self.restart = true;
                (self.video.latest, self.audio.latest) = (0, 0);
                (self.video.last_key, self.audio.next) = (None, None);
                self.clock.set(ms, self.end);
                self.end
            }
        };
        self.began.get_or_insert(time);
        let latest = self.latest(kind);
        *latest = time.max(*latest);
        Ok(time)
    }

    /// The latest time of a kind of media, in milliseconds.
    fn latest(&mut self, kind: Kind) -> &mut u64 {
        match kind {
            Kind::Video => &mut self.video.latest,
            _ => &mut self.audio.latest,
        }
    }

    /// How long the open segment lasts up to now, whichever of its tracks began first.
    fn lasted(&self, at: u64) -> Duration {
        let rate = self
            .audio
            .config
            .as_ref()
            .map_or(1, |config| u64::from(config.rate));
        let video = self.open.video().first().map(|first| first.time / VIDEO_MS);
        let audio = self.open.audio().first().map(|first| first.time * 1_000 / rate);
        let began = video.into_iter().chain(audio).min().unwrap_or(at);
        Duration::from_millis(at.saturating_sub(began))
    }

    /// Whether the first segment still waits for a kind of media.
    fn waits(&self, at: u64) -> bool {
        let since = at.saturating_sub(self.began.unwrap_or(at));
        let waits = |came: bool, announced: Option<bool>| {
            !came
                && match announced {
                    Some(true) => since < ANNOUNCED_WAIT,
                    Some(false) => false,
                    None => since < UNANNOUNCED_WAIT,
                }
        };
        let video = self.video.latest > 0 || self.video.unsupported;
        let audio = self.audio.latest > 0 || self.audio.unsupported;
        self.layout.is_none()
            && (waits(video, self.announced.map(|kinds| kinds.video))
                || waits(audio, self.announced.map(|kinds| kinds.audio)))
    }

    fn check_size(&self, frame: &Frame<'_>) -> Result<(), MediaError> {
        let size = frame.data.len();
        if size.saturating_add(SAMPLE_BYTES) > self.options.max_bytes / 2 {
            return Err(MediaError::TooBig(size));
        }
        Ok(())
    }

    /// Closes the segment where it should be.
    fn cut(&mut self, pieces: &mut Vec<Piece>) {
        self.abrupt = 0;
        self.close(pieces);
    }

    /// Closes the segment because the publisher changes something.
    fn cut_short(&mut self, pieces: &mut Vec<Piece>) -> Result<(), MediaError> {
        if self.abrupt >= MOST_ABRUPT {
            return Err(MediaError::Unsteady);
        }
        self.abrupt += 1;
        self.close(pieces);
        Ok(())
    }

    /// Closes the segment, if anything is in it.
    fn close(&mut self, pieces: &mut Vec<Piece>) {
        let open = std::mem::take(&mut self.open);
        let (video, audio) = (open.video(), open.audio());
        if video.is_empty() && audio.is_empty() {
            return;
        }
        let rate = self.audio.config.as_ref().map_or(1, |config| config.rate);
        let lasts = open.duration(rate);
        // A track that was there before is not given up for a moment without it.
        let before = self.layout.take();
        let mut layout = before.clone().filter(|_| lasts < SHORT).unwrap_or_default();
        if !video.is_empty() {
            layout.video = self.video.config.clone();
        }
        if !audio.is_empty() {
            layout.audio = self.audio.config.clone();
        }
        if layout.video.is_none() && self.video.held.is_none() {
            self.video.needs_key = true;
        }
        if self.restart || before.as_ref() != Some(&layout) {
            self.restart = false;
            let video = layout.video.as_ref();
            pieces.push(Piece::Init(Init {
                bytes: boxes::init(&layout),
                codecs: layout.codecs(),
                width: video.map_or(0, |video| video.width),
                height: video.map_or(0, |video| video.height),
            }));
        }
        self.layout = Some(layout);
        let shown = video
            .iter()
            .map(|sample| sample.end().saturating_add_signed(sample.offset.max(0).into()));
        let shown = shown.max().map(|end| end.div_ceil(VIDEO_MS));
        let heard = audio
            .last()
            .map(|last| (last.end() * 1_000).div_ceil(rate.into()));
        self.end = shown.into_iter().chain(heard).fold(self.end, u64::max);
        self.sequence = self.sequence.wrapping_add(1);
        pieces.push(Piece::Segment(Segment {
            bytes: open.fragment(self.sequence),
            duration: lasts,
            independent: open.independent(),
        }));
    }
}
