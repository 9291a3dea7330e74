//! A stream of an event: where it stands, and what moves it. The state follows what is really received, never an encoder's word
//! alone: one that is killed says nothing.

pub mod address;
mod observed;
mod playback;
mod state;
mod timetable;

use chrono::TimeDelta;
use common::{
    clock::Timestamp,
    ids::{EventId, StreamId},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use self::{
    observed::{Receiver, Seen, Source, Take, Verdict},
    playback::{Attendance, DEVICES, HEARTBEAT, Playback, SEEN_FOR, TooManyDevices, begin as begin_playback},
    state::{Signal, State},
    timetable::Timetable,
};

/// Streams of one event, deleted ones not counted.
pub const MAX_STREAMS: usize = 50;
/// An encoder whose connection broke has this long to come back before the stream ends.
pub const GRACE: TimeDelta = TimeDelta::minutes(2);
/// Segments that may be missing before a stream counts as interrupted, in target durations.
const SILENT_AFTER: i32 = 3;
/// A publisher whose process died is replaced after this.
pub const CLAIM: TimeDelta = TimeDelta::seconds(5);
/// Who was cut off may come back after this: long enough for another encoder to take its place.
const CUT_OFF_FOR: TimeDelta = TimeDelta::seconds(10);
/// What is assumed of a publisher that has not sent a segment yet.
const FIRST_TARGET: TimeDelta = TimeDelta::seconds(10);

/// Where the pictures come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = StreamKind)]
pub enum Kind {
    /// An encoder sends them here.
    Ingest,
    /// An HLS playlist elsewhere.
    Hls,
    /// A player of YouTube or Vimeo.
    Embed,
    /// A meeting's link.
    Meeting,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Ingest, Self::Hls, Self::Embed, Self::Meeting];

    /// As it is written in stores and answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Hls => "hls",
            Self::Embed => "embed",
            Self::Meeting => "meeting",
        }
    }

    /// The kind of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// What is known of an ingest stream's encoder and of what was received.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Feed {
    /// Counts the keys, so that each is derived once.
    pub key_generation: u32,
    /// Who publishes.
    pub publisher: Option<Publisher>,
    /// The longest segment so far, milliseconds: HLS's target duration.
    pub target_millis: u32,
    /// The next segment's number.
    pub next: u64,
    /// How often a segment did not follow the one before.
    pub breaks: u64,
    /// What is stored, in bytes.
    pub bytes: u64,
    /// Bits per second of the last segment.
    pub bitrate: Option<u64>,
    /// As RFC 6381 writes them, where they are known.
    pub codecs: Option<String>,
    /// What the organizer should know of the encoder.
    pub problem: Option<String>,
    /// Who was cut off, and may come back only then.
    pub cut_off: Option<CutOff>,
    /// Who publishes at a media server.
    pub source: Option<Source>,
    /// The longest part without an interruption of what a media server has received.
    pub take: Option<Take>,
}

/// A publisher that was cut off.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CutOff {
    /// What told it from others.
    pub name: String,
    /// When it may come back.
    pub until: Timestamp,
}

/// An encoder that publishes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Publisher {
    /// The process that receives it.
    pub process: Uuid,
    /// What tells it from others: the playlist's name, or the connection.
    pub name: String,
    /// Until when nobody else may publish.
    pub until: Timestamp,
}

/// A stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stream {
    /// The id.
    pub id: StreamId,
    /// Its event.
    pub event: EventId,
    /// What it is called.
    pub title: String,
    /// Where its pictures come from.
    pub kind: Kind,
    /// Where that is; `None` for ingest.
    pub url: Option<String>,
    /// Who receives it, if it is an ingest stream.
    pub receiver: Receiver,
    /// When it is planned to begin.
    pub starts_at: Option<Timestamp>,
    /// When it is planned to end.
    pub ends_at: Option<Timestamp>,
    /// Of several live ones the smallest is shown.
    pub priority: u32,
    /// Whether what is received can be watched afterwards.
    pub record: bool,
    /// Where it stands.
    pub state: State,
    /// Since when.
    pub since: Timestamp,
    /// When [`Stream::look`] may have something to do.
    pub look_at: Option<Timestamp>,
    /// SHA-256 of the stream key that is good; `None`: none is.
    pub key_hash: Option<[u8; 32]>,
    /// What was received.
    pub feed: Feed,
    /// Grows with every change that others see.
    pub version: i64,
    /// When it was created.
    pub created_at: Timestamp,
}

/// What an organizer asks for.
#[derive(Clone, Debug)]
pub struct NewStream {
    /// The id.
    pub id: StreamId,
    /// Its event.
    pub event: EventId,
    /// What it is called.
    pub title: String,
    /// Where its pictures come from.
    pub kind: Kind,
    /// Where that is; `None` for ingest.
    pub url: Option<String>,
    /// Who receives it, if it is an ingest stream.
    pub receiver: Receiver,
    /// When it is planned to begin.
    pub starts_at: Option<Timestamp>,
    /// When it is planned to end.
    pub ends_at: Option<Timestamp>,
    /// Of several live ones the smallest is shown.
    pub priority: u32,
    /// Whether it can be watched afterwards.
    pub record: bool,
    /// SHA-256 of the first stream key, for ingest.
    pub key_hash: Option<[u8; 32]>,
}

/// What an organizer does with a stream.
#[derive(Clone, Debug)]
pub enum Change {
    /// Another title, time, priority or address.
    Edit(Edit),
    /// Another key, of the next generation: the old one dies, and who publishes with it is cut off.
    Key {
        /// Its SHA-256.
        hash: [u8; 32],
        /// Its generation.
        generation: u32,
    },
    /// It is over.
    End,
    /// Cuts the publisher off. It may come back.
    Kick,
    /// Deletes it with its recording.
    Delete,
}

/// New values; `None` leaves one as it is.
#[derive(Clone, Debug, Default)]
pub struct Edit {
    /// The title.
    pub title: Option<String>,
    /// The address.
    pub url: Option<String>,
    /// The planned beginning.
    pub starts_at: Option<Option<Timestamp>>,
    /// The planned end.
    pub ends_at: Option<Option<Timestamp>>,
    /// The priority.
    pub priority: Option<u32>,
    /// Whether it can be watched afterwards.
    pub record: Option<bool>,
}

/// Why a stream is not changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StreamRefusal {
    /// There is none with this id, or it is another organizer's.
    NoSuchStream,
    /// The event has as many as it may have.
    TooMany,
    /// Only an ingest stream has keys and a publisher.
    NotIngest,
    /// An ingest stream has no address of its own.
    HasNoUrl,
    /// It would end before it begins.
    EndsBeforeStart,
    /// The key was changed by another request meanwhile.
    KeyChanged,
    /// Its event is cancelled.
    EventCancelled,
}

/// Why a publisher is not let in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PublishRefusal {
    /// Another one publishes.
    Busy,
    /// It was cut off a moment ago.
    CutOff,
    /// The stream is over; a new key opens it again.
    Ended,
    /// What is stored has reached its limit.
    Full,
    /// It is received elsewhere.
    Elsewhere,
}

/// A segment that has been received whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Segment {
    /// Its stream.
    pub stream: StreamId,
    /// Its number, from 0.
    pub number: u64,
    /// The object that holds it.
    pub object: String,
    /// The object with the initialization of a fragmented MP4; `None`: MPEG-TS.
    pub init: Option<String>,
    /// How long it plays, microseconds.
    pub micros: u64,
    /// Its size.
    pub bytes: u64,
    /// Whether it does not follow what came before: another encoder, or a break.
    pub discontinuity: bool,
    /// When it was received.
    pub at: Timestamp,
}

impl Change {
    /// Whether it cuts off who publishes.
    pub fn cuts_off(&self) -> bool {
        match self {
            Self::Edit(_) => false,
            Self::Key { .. } | Self::End | Self::Kick | Self::Delete => true,
        }
    }
}

impl NewStream {
    /// The stream.
    ///
    /// # Errors
    /// When it would end before it begins.
    pub fn into_stream(self, now: Timestamp) -> Result<Stream, StreamRefusal> {
        let mut stream = Stream {
            id: self.id,
            event: self.event,
            title: self.title,
            kind: self.kind,
            url: self.url,
            receiver: self.receiver,
            starts_at: self.starts_at,
            ends_at: self.ends_at,
            priority: self.priority,
            record: self.record,
            state: State::Scheduled,
            since: now,
            look_at: None,
            key_hash: self.key_hash,
            feed: Feed::default(),
            version: 1,
            created_at: now,
        };
        stream.check_times()?;
        if stream.key_hash.is_some() {
            stream.signal(Signal::KeyIssued, now);
        }
        stream.plan(now);
        Ok(stream)
    }
}

impl Stream {
    /// Makes a change.
    ///
    /// # Errors
    /// Why it cannot be made.
    pub fn change(&mut self, change: Change, now: Timestamp) -> Result<(), StreamRefusal> {
        match change {
            Change::Edit(edit) => self.edit(edit, now)?,
            Change::Key { hash, generation } => {
                self.must_be_ingest()?;
                if generation != self.feed.key_generation + 1 {
                    return Err(StreamRefusal::KeyChanged);
                }
                self.key_hash = Some(hash);
                self.feed.key_generation = generation;
                self.cut_off_source(now);
                self.cut_off(now);
                self.signal(Signal::KeyIssued, now);
            }
            Change::End => {
                self.key_hash = None;
                self.feed.publisher = None;
                self.cut_off_source(now);
                self.end(now);
            }
            Change::Kick => {
                self.must_be_ingest()?;
                self.feed.cut_off = self.feed.publisher.take().map(|publisher| CutOff {
                    name: publisher.name,
                    until: now + CUT_OFF_FOR,
                });
                self.cut_off_source(now + CUT_OFF_FOR);
                self.cut_off(now);
            }
            Change::Delete => {
                self.key_hash = None;
                self.feed.publisher = None;
                self.signal(Signal::Deleted, now);
            }
        }
        self.version += 1;
        self.plan(now);
        Ok(())
    }

    fn edit(&mut self, edit: Edit, now: Timestamp) -> Result<(), StreamRefusal> {
        if edit.url.is_some() && self.kind == Kind::Ingest {
            return Err(StreamRefusal::HasNoUrl);
        }
        let edited = Self {
            title: edit.title.unwrap_or_else(|| self.title.clone()),
            url: edit.url.or_else(|| self.url.clone()),
            starts_at: edit.starts_at.unwrap_or(self.starts_at),
            ends_at: edit.ends_at.unwrap_or(self.ends_at),
            priority: edit.priority.unwrap_or(self.priority),
            record: edit.record.unwrap_or(self.record),
            ..self.clone()
        };
        edited.check_times()?;
        let moved = (edited.starts_at, edited.ends_at) != (self.starts_at, self.ends_at);
        *self = edited;
        if moved && self.kind != Kind::Ingest {
            self.signal(Signal::Rescheduled, now);
            self.look(now);
        }
        Ok(())
    }

    fn check_times(&self) -> Result<(), StreamRefusal> {
        match self.starts_at.zip(self.ends_at) {
            Some((starts, ends)) if ends <= starts => Err(StreamRefusal::EndsBeforeStart),
            _ => Ok(()),
        }
    }

    fn must_be_ingest(&self) -> Result<(), StreamRefusal> {
        match self.kind {
            Kind::Ingest => Ok(()),
            Kind::Hls | Kind::Embed | Kind::Meeting => Err(StreamRefusal::NotIngest),
        }
    }

    /// The stream goes on with what was stored, for a publisher that may come back.
    fn cut_off(&mut self, now: Timestamp) {
        self.feed.publisher = None;
        self.signal(Signal::Silent, now);
    }

    /// Lets a publisher in, or keeps it in.
    ///
    /// # Errors
    /// Why not.
    pub fn claim(
        &mut self,
        process: Uuid,
        name: &str,
        quota: u64,
        now: Timestamp,
    ) -> Result<(), PublishRefusal> {
        if self.receiver != Receiver::Own {
            return Err(PublishRefusal::Elsewhere);
        }
        if !self.state.takes_media() {
            return Err(PublishRefusal::Ended);
        }
        if self.feed.bytes >= quota {
            return Err(PublishRefusal::Full);
        }
        if let Some(publisher) = &self.feed.publisher
            && (publisher.process != process || publisher.name != name)
            && publisher.until > now
            // Further ahead than any claim reaches, the clock was set back.
            && publisher.until <= now + CLAIM + self.silent_after()
        {
            return Err(PublishRefusal::Busy);
        }
        let cut_off = self.feed.cut_off.as_ref();
        if cut_off.is_some_and(|one| one.name == name && one.until > now && one.until <= now + CUT_OFF_FOR) {
            return Err(PublishRefusal::CutOff);
        }
        if !self.is_published_by(process, name) {
            // What was known is of another encoder.
            (self.feed.codecs, self.feed.problem, self.feed.cut_off) = (None, None, None);
        }
        self.feed.publisher = Some(Publisher {
            process,
            name: name.to_owned(),
            until: now + CLAIM.max(self.silent_after()),
        });
        Ok(())
    }

    /// Whether this publisher is the one.
    pub fn is_published_by(&self, process: Uuid, name: &str) -> bool {
        let publisher = self.feed.publisher.as_ref();
        publisher.is_some_and(|publisher| publisher.process == process && publisher.name == name)
    }

    /// Its publisher has left in good order, and nobody need wait for it.
    pub fn release(&mut self, process: Uuid, name: &str, now: Timestamp) {
        if self.is_published_by(process, name) {
            self.cut_off(now);
            self.plan(now);
        }
    }

    /// Takes a segment that is stored; gives it its number. Its publisher has claimed the stream.
    ///
    /// # Errors
    /// When the publisher was replaced or cut off, the stream has ended, or is full.
    pub fn receive(
        &mut self,
        process: Uuid,
        name: &str,
        mut segment: Segment,
        quota: u64,
        now: Timestamp,
    ) -> Result<Segment, PublishRefusal> {
        if !self.state.takes_media() {
            return Err(PublishRefusal::Ended);
        }
        if self.feed.bytes >= quota {
            return Err(PublishRefusal::Full);
        }
        if !self.is_published_by(process, name) {
            return Err(PublishRefusal::Busy);
        }
        segment.number = self.feed.next;
        segment.at = now;
        segment.discontinuity |=
            self.state == State::Interrupted || self.state == State::Ready && self.feed.next > 0;
        let millis = segment.micros.div_ceil(1_000).max(1);
        self.feed.next += 1;
        self.feed.breaks += u64::from(segment.discontinuity);
        self.feed.bytes += segment.bytes;
        self.feed.bitrate = Some(segment.bytes * 8 * 1_000 / millis);
        self.feed.target_millis = self
            .feed
            .target_millis
            .max(u32::try_from(millis).unwrap_or(u32::MAX));
        let until = now + CLAIM.max(self.silent_after());
        if let Some(publisher) = &mut self.feed.publisher {
            publisher.until = until;
        }
        self.signal(Signal::Received, now);
        self.look_at = Some(now + self.silent_after());
        Ok(segment)
    }

    /// What the time alone does: an encoder that is silent, a grace that is over, an appointment.
    pub fn look(&mut self, now: Timestamp) {
        match (self.kind, self.state) {
            (Kind::Ingest, _) if self.receiver != Receiver::Own => {}
            (Kind::Ingest, State::Live) => {
                // It may come back until its claim runs out, and whoever comes first after that.
                if self.look_at.is_none_or(|at| at <= now) {
                    self.signal(Signal::Silent, now);
                }
            }
            (Kind::Ingest, State::Interrupted) => {
                if now >= self.since + GRACE {
                    self.feed.publisher = None;
                    self.end(now);
                }
            }
            (Kind::Ingest, _) => {}
            (Kind::Hls | Kind::Embed | Kind::Meeting, _) => {
                if self.starts_at.is_none_or(|at| at <= now) {
                    self.signal(Signal::Received, now);
                }
                if self.ends_at.is_some_and(|at| at <= now) {
                    self.signal(Signal::Ended { replay: false }, now);
                }
            }
        }
        self.plan(now);
    }

    /// Nothing is left of its recording: it is over for good.
    pub fn recording_dropped(&mut self, now: Timestamp) {
        (self.feed.bytes, self.feed.take) = (0, None);
        self.signal(Signal::Ended { replay: false }, now);
        self.plan(now);
    }

    fn end(&mut self, now: Timestamp) {
        let replay = self.kind == Kind::Ingest && self.record && self.feed.bytes > 0;
        self.signal(Signal::Ended { replay }, now);
    }

    /// Moves on, if the table has a way.
    fn signal(&mut self, signal: Signal, now: Timestamp) {
        if let Some(next) = self.state.after(signal) {
            self.state = next;
            self.since = now;
            self.version += 1;
        }
    }

    /// When to look next.
    fn plan(&mut self, now: Timestamp) {
        self.look_at = match (self.kind, self.state) {
            (Kind::Ingest, _) if self.receiver != Receiver::Own => None,
            (Kind::Ingest, State::Live) => Some(self.look_at.unwrap_or(now + self.silent_after())),
            (Kind::Ingest, State::Interrupted) => Some(self.since + GRACE),
            (Kind::Ingest, _) => None,
            (_, State::Scheduled | State::Ready) => Some(self.starts_at.unwrap_or(now)),
            (_, State::Live | State::Interrupted) => self.ends_at,
            (_, State::Ended | State::Replay | State::Deleted) => None,
        };
    }

    fn silent_after(&self) -> TimeDelta {
        match self.feed.target_millis {
            0 => FIRST_TARGET,
            millis => TimeDelta::milliseconds(i64::from(millis)) * SILENT_AFTER,
        }
    }
}

#[cfg(test)]
mod tests;
