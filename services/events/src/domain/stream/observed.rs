//! Streams that a media server receives: they follow what it is seen to receive, and nothing else. Time alone moves none of them,
//! because while the server cannot be asked nobody knows what it receives.

use chrono::TimeDelta;
use common::clock::Timestamp;
use serde::{Deserialize, Serialize};

use super::{CUT_OFF_FOR, CutOff, GRACE, PublishRefusal, Signal, State, Stream};

/// What was seen is written down as often as this although nothing else has changed.
const NOTED_EVERY: TimeDelta = TimeDelta::seconds(10);

/// Who receives an ingest stream. It stays so when the settings change.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Receiver {
    /// This service, on ports of its own.
    #[default]
    Own,
    /// A MediaMTX.
    MediaMtx,
}

impl Receiver {
    /// As it is written in stores and answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::MediaMtx => "mediamtx",
        }
    }

    /// The receiver of a name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Own, Self::MediaMtx]
            .into_iter()
            .find(|receiver| receiver.name() == name)
    }
}

/// A publisher, as a media server shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen {
    /// What tells its connection from all others.
    pub source: String,
    /// Since when it publishes; `None`: the server does not say.
    pub since: Option<Timestamp>,
    /// What it has sent so far, in bytes.
    pub bytes: u64,
    /// As RFC 6381 writes them, where they are known.
    pub codecs: Option<String>,
    /// Whether the server records it.
    pub recorded: bool,
}

/// A publisher, as it was seen last.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Source {
    /// What tells its connection from all others.
    pub name: String,
    /// Since when it publishes.
    pub since: Timestamp,
    /// When it was seen.
    pub seen_at: Timestamp,
    /// What it had sent by then, in bytes.
    pub bytes: u64,
}

/// A part of a recording without an interruption.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Take {
    /// Its beginning.
    pub from: Timestamp,
    /// Its end.
    pub to: Timestamp,
}

impl Take {
    fn length(&self) -> TimeDelta {
        self.to - self.from
    }
}

/// What is to be done about a publisher that was seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Nothing.
    Fine,
    /// It is to be cut off: the stream is over, or it was kicked, or its key is dead.
    Cut,
}

impl Stream {
    /// Follows what its media server shows; `None`: it receives nothing.
    pub fn observe(&mut self, seen: Option<&Seen>, now: Timestamp) -> Verdict {
        if self.receiver != Receiver::MediaMtx {
            return Verdict::Fine;
        }
        let counted = seen.filter(|seen| self.state.takes_media() && !self.has_cut_off(&seen.source));
        match counted {
            Some(seen) => self.is_sent(seen, now),
            None => self.is_not_sent(now),
        }
        match seen.is_some() && counted.is_none() {
            true => Verdict::Cut,
            false => Verdict::Fine,
        }
    }

    fn has_cut_off(&self, source: &str) -> bool {
        let cut_off = self.feed.cut_off.as_ref();
        cut_off.is_some_and(|one| one.name == source)
    }

    fn is_sent(&mut self, seen: &Seen, now: Timestamp) {
        if self
            .feed
            .source
            .as_ref()
            .is_none_or(|one| one.name != seen.source)
        {
            self.end_take();
            // What was known is of another encoder.
            (self.feed.codecs, self.feed.problem, self.feed.cut_off) = (None, None, None);
            self.feed.bitrate = None;
            self.feed.source = Some(Source {
                name: seen.source.clone(),
                since: seen.since.unwrap_or(now).min(now),
                seen_at: now,
                bytes: 0,
            });
        }
        if let Some(source) = &mut self.feed.source {
            // It counts anew when it counts less than before.
            let more = seen.bytes.checked_sub(source.bytes).unwrap_or(seen.bytes);
            let millis = u64::try_from((now - source.seen_at).num_milliseconds()).unwrap_or(0);
            if let Some(bitrate) = (more * 8).saturating_mul(1_000).checked_div(millis) {
                self.feed.bitrate = Some(bitrate);
            }
            (source.bytes, source.seen_at) = (seen.bytes, now);
            if seen.recorded {
                // A server that does not count has something too.
                self.feed.bytes = self.feed.bytes.saturating_add(more).max(1);
            }
        }
        if seen.codecs.is_some() {
            self.feed.codecs.clone_from(&seen.codecs);
        }
        self.signal(Signal::Received, now);
    }

    fn is_not_sent(&mut self, now: Timestamp) {
        self.end_take();
        match self.state {
            State::Live => self.signal(Signal::Silent, now),
            State::Interrupted if now >= self.since + GRACE => self.end(now),
            _ => {}
        }
    }

    /// Remembers the longest part: that is what can be watched again in one piece.
    fn end_take(&mut self) {
        let Some(source) = self.feed.source.take() else {
            return;
        };
        let take = Take {
            from: source.since,
            to: source.seen_at,
        };
        if self
            .feed
            .take
            .is_none_or(|longest| longest.length() < take.length())
        {
            self.feed.take = Some(take);
        }
    }

    /// Its publisher is to be cut off, and may come back then, as another connection.
    pub(super) fn cut_off_source(&mut self, until: Timestamp) {
        if let Some(source) = &self.feed.source {
            self.feed.cut_off = Some(CutOff {
                name: source.name.clone(),
                until,
            });
        }
        self.end_take();
    }

    /// Whether a publisher with its key may begin at its media server. While one is being cut off nobody may: who tries at once is the
    /// same one.
    ///
    /// # Errors
    /// Why not.
    pub fn lets_in(&self, now: Timestamp) -> Result<(), PublishRefusal> {
        if self.receiver != Receiver::MediaMtx {
            return Err(PublishRefusal::Elsewhere);
        }
        if !self.state.takes_media() {
            return Err(PublishRefusal::Ended);
        }
        let cut_off = self.feed.cut_off.as_ref();
        match cut_off.is_some_and(|one| one.until > now && one.until <= now + CUT_OFF_FOR) {
            true => Err(PublishRefusal::CutOff),
            false => Ok(()),
        }
    }

    /// Whether what was observed since `before` is worth a commit.
    pub fn is_news_since(&self, before: &Self) -> bool {
        let name = |stream: &Self| stream.feed.source.as_ref().map(|source| source.name.clone());
        let seen_at = |stream: &Self| stream.feed.source.as_ref().map(|source| source.seen_at);
        let long_ago = seen_at(before)
            .zip(seen_at(self))
            // Further ahead, the clock was set back.
            .is_some_and(|(then, now)| now - then >= NOTED_EVERY || now < then);
        self.state != before.state
            || name(self) != name(before)
            || self.feed.codecs != before.feed.codecs
            || long_ago
    }
}
