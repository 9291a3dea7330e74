//! The part of the store that keeps streams, their recordings and who watches them. Every method is one atomic decision.

use async_trait::async_trait;
use common::{
    clock::{Timestamp, from_millis},
    http::{Cursor, Page},
    idempotency::{Keyed, Outcome},
    ids::{EventId, PlaybackId, StreamId, UserId},
    store::StoreError,
};
use uuid::Uuid;

use crate::domain::{
    event::Event,
    stream::{
        CLAIM, Change, Feed, MAX_STREAMS, NewStream, Playback, PublishRefusal, Receiver, Seen, Segment,
        State, Stream, StreamRefusal, TooManyDevices, Verdict,
    },
};

/// Why a stream was not made or changed.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// There is no such event, or it is another organizer's.
    #[error("no such event")]
    NoSuchEvent,
    /// It is refused.
    #[error("refused: {0:?}")]
    Refused(StreamRefusal),
    /// A storage error.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<StreamRefusal> for StreamError {
    fn from(why: StreamRefusal) -> Self {
        Self::Refused(why)
    }
}

/// Why nothing is taken from a publisher.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// No stream has this key any more.
    #[error("no such stream")]
    NoSuchStream,
    /// It is refused.
    #[error("refused: {0:?}")]
    Refused(PublishRefusal),
    /// A storage error.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<PublishRefusal> for PublishError {
    fn from(why: PublishRefusal) -> Self {
        Self::Refused(why)
    }
}

/// Why a playback was not begun.
#[derive(Debug, thiserror::Error)]
pub enum PlaybackError {
    /// The user watches on as many devices as they may.
    #[error("too many devices")]
    TooManyDevices,
    /// A storage error.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<TooManyDevices> for PlaybackError {
    fn from(_: TooManyDevices) -> Self {
        Self::TooManyDevices
    }
}

/// Who publishes a stream.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The stream.
    pub stream: StreamId,
    /// The process that receives it.
    pub process: Uuid,
    /// What tells the publisher from others.
    pub name: String,
    /// SHA-256 of the key that it publishes with: the stream is its own only while that is the stream's key.
    pub key_hash: [u8; 32],
    /// The most that may be stored of the stream, in bytes.
    pub quota: u64,
}

impl Claim {
    /// Whether it has the key of this stream.
    pub(super) fn opens(&self, stream: &Stream) -> bool {
        stream.state != State::Deleted && stream.key_hash == Some(self.key_hash)
    }
}

/// A stream whose media server was looked at.
#[derive(Clone, Debug)]
pub struct Observed {
    /// As it is now.
    pub stream: Stream,
    /// Whether that has moved it.
    pub moved: bool,
    /// What is to be done about who publishes it.
    pub verdict: Verdict,
}

impl Observed {
    /// What `seen` makes of a stream, and whether that is worth a commit.
    pub(super) fn of(before: &Stream, seen: Option<&Seen>, now: Timestamp) -> (Self, bool) {
        let mut stream = before.clone();
        let verdict = stream.observe(seen, now);
        let is_news = stream.is_news_since(before);
        let moved = stream.state != before.state;
        let observed = Self {
            stream,
            moved,
            verdict,
        };
        (observed, is_news)
    }
}

/// Which of an organizer's streams is meant.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The event.
    pub event: EventId,
    /// Its organizer.
    pub organizer: UserId,
    /// The stream.
    pub stream: StreamId,
}

impl Target {
    /// Whether this is the stream that is meant.
    pub(super) fn is(&self, stream: &Stream) -> bool {
        stream.event == self.event && stream.state != State::Deleted
    }
}

/// Streams, recordings and playbacks.
#[async_trait]
pub trait StreamStore: Send + Sync {
    /// Adds a stream to an event of this organizer that is not cancelled, if it has fewer than
    /// [`MAX_STREAMS`](crate::domain::stream::MAX_STREAMS).
    async fn add_stream(
        &self,
        new: NewStream,
        organizer: UserId,
        now: Timestamp,
        keyed: Keyed<Stream>,
    ) -> Result<Outcome<Stream>, StreamError>;
    /// Changes a stream of this event and organizer that is not deleted, and publishes the change.
    async fn change_stream(
        &self,
        target: Target,
        change: Change,
        now: Timestamp,
        keyed: Keyed<Stream>,
    ) -> Result<Outcome<Stream>, StreamError>;
    /// A stream that is not deleted.
    async fn stream(&self, id: StreamId) -> Result<Option<Stream>, StoreError>;
    /// The streams of an event that are not deleted.
    async fn streams(&self, event: EventId) -> Result<Vec<Stream>, StoreError>;
    /// The stream of a key.
    async fn stream_by_key(&self, key_hash: [u8; 32]) -> Result<Option<Stream>, StoreError>;
    /// Lets a publisher in, or keeps it in.
    async fn claim_stream(&self, claim: Claim, now: Timestamp) -> Result<Stream, PublishError>;
    /// Takes a segment whose object is stored, once, from the stream's publisher; numbers it, and publishes the stream if that moves it.
    /// Gives both as they are then.
    async fn add_segment(
        &self,
        claim: Claim,
        segment: Segment,
        now: Timestamp,
    ) -> Result<(Stream, Segment), PublishError>;
    /// Its publisher has left: others need not wait.
    async fn release_stream(&self, claim: Claim, now: Timestamp) -> Result<(), PublishError>;
    /// Notes what the organizer should know of a stream's encoder; `None` leaves what is known.
    async fn note_encoder(
        &self,
        claim: Claim,
        codecs: Option<String>,
        problem: Option<String>,
    ) -> Result<(), PublishError>;
    /// Lets the time move streams ([`Stream::look`]) whose turn has come, publishes those that it moves, and gives them.
    async fn look_at_streams(&self, now: Timestamp, limit: usize) -> Result<Vec<Stream>, StoreError>;
    /// Streams that are live or interrupted at a receiver.
    async fn on_air(&self, receiver: Receiver, limit: usize) -> Result<Vec<Stream>, StoreError>;
    /// Follows what a stream's media server shows ([`Stream::observe`]), of one that is deleted too, and publishes the stream if that
    /// moves it. `None`: there is none with this id that is received there.
    async fn observe_stream(
        &self,
        id: StreamId,
        seen: Option<Seen>,
        now: Timestamp,
    ) -> Result<Option<Observed>, StoreError>;
    /// Segments of a stream from a number on, in order.
    async fn segments(&self, stream: StreamId, from: u64, limit: usize) -> Result<Vec<Segment>, StoreError>;
    /// The segment of a number.
    async fn segment(&self, stream: StreamId, number: u64) -> Result<Option<Segment>, StoreError>;
    /// Streams whose recording is to be dropped: deleted ones, and ones that have ended before `ended_before` or are not
    /// recorded and over. None of them takes media.
    async fn streams_to_drop(&self, ended_before: Timestamp, limit: usize)
    -> Result<Vec<Stream>, StoreError>;
    /// Forgets segments whose objects are gone: those with a number below this one.
    async fn drop_segments(&self, stream: StreamId, below: u64) -> Result<(), StoreError>;
    /// Notes that nothing is left of a recording: a deleted stream goes, with its playbacks, another one is over for good, and
    /// published. Nothing happens to one that takes media again or still has segments.
    async fn recording_dropped(&self, stream: StreamId, now: Timestamp) -> Result<(), StoreError>;

    /// Begins a playback, unless the user watches the event on as many devices as they may. `organizer`: they may on any number.
    async fn begin_playback(
        &self,
        new: Playback,
        organizer: bool,
        now: Timestamp,
    ) -> Result<Playback, PlaybackError>;
    /// A playback.
    async fn playback(&self, id: PlaybackId) -> Result<Option<Playback>, StoreError>;
    /// Notes when playbacks were seen last ([`Playback::seen`]); those that there are not are left out.
    async fn playbacks_seen(&self, seen: Vec<(PlaybackId, Timestamp)>) -> Result<(), StoreError>;
    /// How many different people have been seen watching an event's streams since then.
    async fn viewers(&self, event: EventId, since: Timestamp) -> Result<u64, StoreError>;
    /// A user's playbacks, newest first.
    async fn playbacks_of_user(
        &self,
        user: UserId,
        page: Page,
    ) -> Result<(Vec<Playback>, Option<Cursor>), StoreError>;
    /// Deletes up to `limit` playbacks of a user whose account is deleted; returns the number.
    async fn forget_viewer(&self, user: UserId, limit: usize) -> Result<usize, StoreError>;
}

/// The event, if it is this organizer's.
pub(super) fn owned(event: Option<Event>, organizer: UserId) -> Result<Event, StreamError> {
    let owned = event.filter(|event| event.organizer == organizer);
    owned.ok_or(StreamError::NoSuchEvent)
}

/// Whether an event that has so many streams may have another one.
pub(super) fn may_have_another(event: &Event, streams: usize) -> Result<(), StreamRefusal> {
    match event.cancelled {
        true => Err(StreamRefusal::EventCancelled),
        false if streams >= MAX_STREAMS => Err(StreamRefusal::TooMany),
        false => Ok(()),
    }
}

/// Whether a claim is to be written: not while what is written of the same publisher holds for a good while yet.
pub(super) fn is_news(before: &Feed, after: &Feed, now: Timestamp) -> bool {
    let (Some(before), Some(after)) = (&before.publisher, &after.publisher) else {
        return true;
    };
    let goes_on = before.process == after.process && before.name == after.name;
    // Further ahead than the claim reaches, the clock was set back.
    !goes_on || before.until <= now + CLAIM / 2 || before.until > after.until
}

/// What the column `drop_from` holds: when a stream was over whose recording is to be dropped after a while, the beginning of
/// time for what is to be dropped at once; `None`: nothing is.
pub(super) fn drop_from(stream: &Stream) -> Option<Timestamp> {
    let at_once = Some(from_millis(1));
    match stream.state {
        State::Deleted => at_once,
        State::Replay => Some(stream.since),
        State::Ended if stream.feed.bytes > 0 => at_once,
        State::Ended | State::Scheduled | State::Ready | State::Live | State::Interrupted => None,
    }
}
