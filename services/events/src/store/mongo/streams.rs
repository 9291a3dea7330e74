//! Streams, their recordings and who watches them.

use std::collections::HashMap;

use async_trait::async_trait;
use common::{
    clock::Timestamp,
    http::{Cursor, Page},
    idempotency::{Keyed, Outcome},
    ids::{EventId, PlaybackId, StreamId, UserId},
    store::StoreError,
    unreadable::not_json,
};
use futures_util::FutureExt;
use mongo_store::{
    DocumentExt, Tx, date, idempotency::keyed as with_key, outbox, set_aside, sift, uuid, uuids,
};
use mongodb::bson::{Bson, Document, doc};

use super::{
    MongoStore, documents, events,
    posts::participant,
    schema::{EVENTS, PLAYBACKS, SEGMENTS, STREAMS},
};
use crate::{
    domain::{
        change,
        stream::{
            Attendance, Change, Kind, MAX_STREAMS, NewStream, Playback, Receiver, SEEN_FOR, Seen, Segment,
            State, Stream, StreamRefusal, begin_playback,
        },
    },
    store::{
        streams::{
            Claim, Observed, PlaybackError, PublishError, StreamError, StreamStore, Target, drop_from,
            is_news, may_have_another, owned,
        },
        table,
    },
};

/// Playbacks of a deleted stream that go in one commit.
const AT_ONCE: usize = 1_000;
/// More than anybody plays at a time.
const PLAYING: usize = 1_000;
/// Playbacks that are read at once.
const READ_AT_ONCE: usize = 1_000;

fn count(found: &Document, name: &str) -> Result<u64, StoreError> {
    let number = found.long(name)?;
    u64::try_from(number).map_err(|_| StoreError::Corrupt(format!("{name} is {number}")))
}

/// What was stored before there was a choice was received here.
fn receiver(found: &Document) -> Result<Receiver, StoreError> {
    match found.contains_key("receiver") {
        true => found.named("receiver", Receiver::named),
        false => Ok(Receiver::Own),
    }
}

fn stream(found: &Document) -> Result<Stream, StoreError> {
    let priority = found.long("priority")?;
    let feed = found.text("feed")?;
    let key_hash = found.maybe_bytes("key_hash")?.map(|bytes| {
        let wrong = |bytes: Vec<u8>| StoreError::Corrupt(format!("a hash of {} bytes", bytes.len()));
        bytes.try_into().map_err(wrong)
    });
    Ok(Stream {
        id: found.id("_id")?,
        event: found.id("event_id")?,
        title: found.text("title")?,
        kind: found.named("kind", Kind::named)?,
        url: found.maybe_text("url")?,
        receiver: receiver(found)?,
        starts_at: found.maybe_time("starts_at")?,
        ends_at: found.maybe_time("ends_at")?,
        priority: u32::try_from(priority)
            .map_err(|_| StoreError::Corrupt(format!("priority is {priority}")))?,
        record: found.flag("record")?,
        state: found.named("state", State::named)?,
        since: found.time("since")?,
        look_at: found.maybe_time("look_at")?,
        key_hash: key_hash.transpose()?,
        feed: serde_json::from_str(&feed).map_err(|error| not_json("feed", &error))?,
        version: found.long("version")?,
        created_at: found.time("created_at")?,
    })
}

/// What may change of a stream; the fields to be left out are in the second document, for `$unset`.
fn fields(stream: &Stream) -> (Document, Document) {
    let mut set = doc! {
        "title": &stream.title,
        "priority": i64::from(stream.priority),
        "record": stream.record,
        "state": stream.state.name(),
        "since": date(stream.since),
        "version": stream.version,
        // Our own structs; writing them to memory cannot fail.
        "feed": serde_json::to_string(&stream.feed).unwrap_or_default(),
    };
    let mut unset = Document::new();
    for (name, value) in [
        ("url", stream.url.as_deref().map(Bson::from)),
        ("starts_at", stream.starts_at.map(date)),
        ("ends_at", stream.ends_at.map(date)),
        ("look_at", stream.look_at.map(date)),
        ("key_hash", stream.key_hash.map(documents::hash)),
        ("drop_from", drop_from(stream).map(date)),
    ] {
        match value {
            Some(value) => set.insert(name, value),
            None => unset.insert(name, ""),
        };
    }
    (set, unset)
}

async fn insert(tx: &mut Tx, stream: &Stream) -> Result<(), StoreError> {
    let (mut document, _) = fields(stream);
    document.extend(doc! {
        "_id": uuid(stream.id),
        "event_id": uuid(stream.event),
        "kind": stream.kind.name(),
        "receiver": stream.receiver.name(),
        "created_at": date(stream.created_at),
    });
    tx.insert(STREAMS, vec![document]).await
}

async fn update(tx: &mut Tx, stream: &Stream) -> Result<(), StoreError> {
    let (set, unset) = fields(stream);
    let mut update = doc! {"$set": set};
    if !unset.is_empty() {
        update.insert("$unset", unset);
    }
    tx.update(STREAMS, doc! {"_id": uuid(stream.id)}, update)
        .await
        .map(drop)
}

/// A segment's `_id`: in the order of the numbers.
pub fn segment_id(stream: StreamId, number: u64) -> String {
    format!("{}{number:016x}", stream.0.simple())
}

/// The segments of a stream from a number on.
fn from(stream: StreamId, number: u64) -> Document {
    doc! {"_id": {"$gte": segment_id(stream, number), "$lte": segment_id(stream, u64::MAX)}}
}

fn segment(found: &Document) -> Result<Segment, StoreError> {
    Ok(Segment {
        stream: found.id("stream_id")?,
        number: count(found, "number")?,
        object: found.text("object")?,
        init: found.maybe_text("init")?,
        micros: count(found, "micros")?,
        bytes: count(found, "bytes")?,
        discontinuity: found.flag("discontinuity")?,
        at: found.time("at")?,
    })
}

async fn insert_segment(tx: &mut Tx, segment: &Segment) -> Result<(), StoreError> {
    let mut document = doc! {
        "_id": segment_id(segment.stream, segment.number),
        "stream_id": uuid(segment.stream),
        "number": segment.number as i64,
        "object": &segment.object,
        "micros": segment.micros as i64,
        "bytes": segment.bytes as i64,
        "discontinuity": segment.discontinuity,
        "at": date(segment.at),
    };
    document.put("init", segment.init.as_deref());
    tx.insert(SEGMENTS, vec![document]).await
}

fn playback(found: &Document) -> Result<Playback, StoreError> {
    Ok(Playback {
        id: found.id("_id")?,
        stream: found.id("stream_id")?,
        event: found.id("event_id")?,
        user: found.id("user_id")?,
        started_at: found.time("started_at")?,
        seen_at: found.time("seen_at")?,
        watched_millis: found.long("watched_millis")?,
    })
}

/// A stream, deleted or not.
async fn find(tx: &mut Tx, id: StreamId) -> Result<Option<Stream>, StoreError> {
    let found = tx.find_one(STREAMS, doc! {"_id": uuid(id)}).await?;
    found.as_ref().map(stream).transpose()
}

async fn add(tx: &mut Tx, new: NewStream, organizer: UserId, now: Timestamp) -> Result<Stream, StreamError> {
    let event = owned(events::find(tx, new.event).await?, organizer)?;
    // Two at once change the event, and so does who cancels it: one of them is tried again, and counts the other's.
    let more = doc! {"$inc": {"streams": 1_i64}};
    tx.update(EVENTS, doc! {"_id": uuid(event.id)}, more).await?;
    let streams = tx.find(STREAMS, of_event(event.id), doc! {}, MAX_STREAMS).await?;
    may_have_another(&event, streams.len())?;
    let stream = new.into_stream(now)?;
    insert(tx, &stream).await?;
    outbox::push(tx, &[change::of_stream(&stream, now)]).await?;
    Ok(stream)
}

/// Those of an event that are not deleted.
fn of_event(event: EventId) -> Document {
    doc! {"event_id": uuid(event), "state": {"$ne": "deleted"}}
}

async fn change_one(
    tx: &mut Tx,
    target: Target,
    change: Change,
    now: Timestamp,
) -> Result<Stream, StreamError> {
    owned(events::find(tx, target.event).await?, target.organizer)?;
    let found = find(tx, target.stream).await?.filter(|stream| target.is(stream));
    let mut stream = found.ok_or(StreamRefusal::NoSuchStream)?;
    stream.change(change, now)?;
    update(tx, &stream).await?;
    outbox::push(tx, &[change::of_stream(&stream, now)]).await?;
    Ok(stream)
}

/// The stream of a claim.
async fn opened(tx: &mut Tx, claim: &Claim) -> Result<Stream, PublishError> {
    let found = find(tx, claim.stream).await?.filter(|stream| claim.opens(stream));
    found.ok_or(PublishError::NoSuchStream)
}

async fn claim_one(tx: &mut Tx, claim: &Claim, now: Timestamp) -> Result<Stream, PublishError> {
    let before = opened(tx, claim).await?;
    let mut stream = before.clone();
    stream.claim(claim.process, &claim.name, claim.quota, now)?;
    if !is_news(&before.feed, &stream.feed, now) {
        return Ok(before);
    }
    update(tx, &stream).await?;
    Ok(stream)
}

/// Also whether that has moved the stream.
async fn add_one(
    tx: &mut Tx,
    claim: &Claim,
    segment: &Segment,
    now: Timestamp,
) -> Result<(bool, Stream, Segment), PublishError> {
    let mut stream = opened(tx, claim).await?;
    let before = stream.state;
    // It came before, and the answer was lost.
    let last = segments(tx, stream.id, stream.feed.next.saturating_sub(1), 1)
        .await?
        .pop();
    if let Some(last) = last.filter(|last| last.object == segment.object) {
        return Ok((false, stream, last));
    }
    let segment = Segment {
        stream: stream.id,
        ..segment.clone()
    };
    let segment = stream.receive(claim.process, &claim.name, segment, claim.quota, now)?;
    // Of two at once one conflicts, and gets the next number.
    update(tx, &stream).await?;
    insert_segment(tx, &segment).await?;
    let moved = stream.state != before;
    if moved {
        outbox::push(tx, &[change::of_stream(&stream, now)]).await?;
    }
    Ok((moved, stream, segment))
}

async fn note(
    tx: &mut Tx,
    claim: &Claim,
    codecs: &Option<String>,
    problem: &Option<String>,
) -> Result<(), PublishError> {
    let mut stream = opened(tx, claim).await?;
    let before = stream.feed.clone();
    stream.feed.codecs = codecs.clone().or(stream.feed.codecs);
    stream.feed.problem = problem.clone().or(stream.feed.problem);
    if stream.feed != before {
        update(tx, &stream).await?;
    }
    Ok(())
}

/// Whether that has moved the stream.
async fn release(tx: &mut Tx, claim: &Claim, now: Timestamp) -> Result<bool, PublishError> {
    let before = opened(tx, claim).await?;
    let mut stream = before.clone();
    stream.release(claim.process, &claim.name, now);
    if stream == before {
        return Ok(false);
    }
    update(tx, &stream).await?;
    outbox::push(tx, &[change::of_stream(&stream, now)]).await?;
    Ok(true)
}

fn to_look_at(now: Timestamp) -> Document {
    doc! {"look_at": {"$exists": true, "$lte": date(now)}}
}

async fn look(tx: &mut Tx, now: Timestamp, limit: usize) -> Result<Vec<Stream>, StoreError> {
    let found = tx
        .find(STREAMS, to_look_at(now), doc! {"look_at": 1}, limit)
        .await?;
    let found = sift(&found, stream)?;
    let blind = |_: &str| doc! {"$unset": {"look_at": ""}};
    let due = set_aside(tx, STREAMS, table::STREAMS, found, blind).await?;
    let mut moved = Vec::new();
    for mut stream in due {
        let before = (stream.state, stream.version);
        stream.look(now);
        update(tx, &stream).await?;
        if (stream.state, stream.version) != before {
            moved.push(stream);
        }
    }
    let told: Vec<_> = moved
        .iter()
        .map(|stream| change::of_stream(stream, now))
        .collect();
    outbox::push(tx, &told).await?;
    Ok(moved)
}

/// A stream that this receiver has, deleted or not.
async fn find_at(tx: &mut Tx, id: StreamId, receiver: Receiver) -> Result<Option<Stream>, StoreError> {
    let found = find(tx, id).await?;
    Ok(found.filter(|stream| stream.receiver == receiver))
}

async fn observe(
    tx: &mut Tx,
    id: StreamId,
    seen: Option<&Seen>,
    now: Timestamp,
) -> Result<Option<Observed>, StoreError> {
    let Some(before) = find_at(tx, id, Receiver::MediaMtx).await? else {
        return Ok(None);
    };
    let (observed, is_news) = Observed::of(&before, seen, now);
    if is_news {
        update(tx, &observed.stream).await?;
    }
    if observed.moved {
        outbox::push(tx, &[change::of_stream(&observed.stream, now)]).await?;
    }
    Ok(Some(observed))
}

async fn on_air(tx: &mut Tx, receiver: Receiver, limit: usize) -> Result<Vec<Stream>, StoreError> {
    let filter = doc! {"receiver": receiver.name(), "state": {"$in": ["live", "interrupted"]}};
    let mut asked = limit;
    loop {
        let found = tx.find(STREAMS, filter.clone(), doc! {"_id": 1}, asked).await?;
        let found = sift(&found, stream)?;
        match found.ask_again(limit, asked) {
            Some(more) => asked = more,
            None => return Ok(found.left_out(table::STREAMS)),
        }
    }
}

async fn segments(
    tx: &mut Tx,
    stream: StreamId,
    number: u64,
    limit: usize,
) -> Result<Vec<Segment>, StoreError> {
    let mut asked = limit;
    loop {
        let found = tx
            .find(SEGMENTS, from(stream, number), doc! {"_id": 1}, asked)
            .await?;
        let found = sift(&found, segment)?;
        match found.ask_again(limit, asked) {
            Some(more) => asked = more,
            None => return Ok(found.left_out(table::SEGMENTS)),
        }
    }
}

async fn to_drop(tx: &mut Tx, ended_before: Timestamp, limit: usize) -> Result<Vec<Stream>, StoreError> {
    let filter = doc! {"drop_from": {"$exists": true, "$lt": date(ended_before)}};
    let mut asked = limit;
    loop {
        let found = tx
            .find(STREAMS, filter.clone(), doc! {"drop_from": 1}, asked)
            .await?;
        let found = sift(&found, stream)?;
        match found.ask_again(limit, asked) {
            Some(more) => asked = more,
            None => return Ok(found.left_out(table::STREAMS)),
        }
    }
}

/// `false`: there is more to be done.
async fn dropped(tx: &mut Tx, id: StreamId, now: Timestamp) -> Result<bool, StoreError> {
    let Some(mut stream) = find(tx, id).await? else {
        return Ok(true);
    };
    if drop_from(&stream).is_none() || !segments(tx, id, 0, 1).await?.is_empty() {
        return Ok(true);
    }
    // What of it cannot be read has no object that could be found.
    tx.delete(SEGMENTS, from(id, 0)).await?;
    if stream.state != State::Deleted {
        stream.recording_dropped(now);
        update(tx, &stream).await?;
        outbox::push(tx, &[change::of_stream(&stream, now)]).await?;
        return Ok(true);
    }
    let of_stream = doc! {"stream_id": uuid(id)};
    if tx.delete_some(PLAYBACKS, of_stream, doc! {}, AT_ONCE).await? == AT_ONCE {
        return Ok(false);
    }
    tx.delete(STREAMS, doc! {"_id": uuid(id)}).await?;
    Ok(true)
}

async fn begin(
    tx: &mut Tx,
    new: &Playback,
    organizer: bool,
    now: Timestamp,
) -> Result<Playback, PlaybackError> {
    if !organizer {
        // Two at once change the same document, so one of them is tried again, and finds the other.
        participant(tx, new.event, new.user, doc! {"$inc": {"playbacks": 1_i64}}).await?;
    }
    let playing = doc! {
        "event_id": uuid(new.event),
        "user_id": uuid(new.user),
        "seen_at": {"$gt": date(now - SEEN_FOR), "$lte": date(now + SEEN_FOR)},
    };
    let others = tx.find(PLAYBACKS, playing, doc! {}, PLAYING).await?;
    let others = sift(&others, playback)?.left_out(table::PLAYBACKS);
    let new = begin_playback(new.clone(), &others, organizer, now)?;
    let document = doc! {
        "_id": uuid(new.id),
        "stream_id": uuid(new.stream),
        "event_id": uuid(new.event),
        "user_id": uuid(new.user),
        "started_at": date(new.started_at),
        "seen_at": date(new.seen_at),
        "watched_millis": new.watched_millis,
    };
    tx.insert(PLAYBACKS, vec![document]).await?;
    Ok(new)
}

async fn seen(tx: &mut Tx, seen: &[(PlaybackId, Timestamp)]) -> Result<(), StoreError> {
    let ids = uuids(seen.iter().map(|(id, _)| *id));
    let found = tx
        .find(PLAYBACKS, doc! {"_id": {"$in": ids}}, doc! {}, seen.len())
        .await?;
    let found = sift(&found, playback)?.left_out(table::PLAYBACKS);
    let mut known: HashMap<PlaybackId, Playback> = found
        .into_iter()
        .map(|playback| (playback.id, playback))
        .collect();
    for (id, at) in seen {
        if let Some(playback) = known.get_mut(id) {
            playback.seen(*at);
        }
    }
    for playback in known.into_values() {
        let set = doc! {"seen_at": date(playback.seen_at), "watched_millis": playback.watched_millis};
        tx.update(PLAYBACKS, doc! {"_id": uuid(playback.id)}, doc! {"$set": set})
            .await?;
    }
    Ok(())
}

/// What users have watched of an event.
pub(super) async fn attendances(
    tx: &mut Tx,
    event: EventId,
    users: impl Iterator<Item = UserId>,
) -> Result<HashMap<UserId, Attendance>, StoreError> {
    let mut filter = doc! {"event_id": uuid(event), "user_id": {"$in": uuids(users)}};
    let mut watched: HashMap<UserId, Vec<Playback>> = HashMap::new();
    loop {
        let found = tx
            .find(PLAYBACKS, filter.clone(), doc! {"_id": 1}, READ_AT_ONCE)
            .await?;
        for playback in sift(&found, playback)?.left_out(table::PLAYBACKS) {
            watched.entry(playback.user).or_default().push(playback);
        }
        match found.last() {
            Some(last) if found.len() == READ_AT_ONCE => {
                filter.insert("_id", doc! {"$gt": last.get("_id").cloned()});
            }
            _ => break,
        }
    }
    let attended = watched
        .into_iter()
        .filter_map(|(user, playbacks)| Some((user, Attendance::of(&playbacks)?)));
    Ok(attended.collect())
}

async fn playbacks_of(
    tx: &mut Tx,
    user: UserId,
    page: Page,
) -> Result<(Vec<Playback>, Option<Cursor>), StoreError> {
    let mut filter = doc! {"user_id": uuid(user)};
    if let Some(after) = page.after {
        filter.insert("_id", doc! {"$lt": uuid(after.id)});
    }
    let wanted = page.limit + 1;
    let mut asked = wanted;
    let found = loop {
        let found = tx
            .find(PLAYBACKS, filter.clone(), doc! {"_id": -1}, asked)
            .await?;
        let found = sift(&found, playback)?;
        match found.ask_again(wanted, asked) {
            Some(more) => asked = more,
            None => break found,
        }
    };
    Ok(page.cut(found.left_out(table::PLAYBACKS), |playback| Cursor {
        key: 0,
        id: playback.id.0,
    }))
}

#[async_trait]
impl StreamStore for MongoStore {
    async fn add_stream(
        &self,
        new: NewStream,
        organizer: UserId,
        now: Timestamp,
        keyed: Keyed<Stream>,
    ) -> Result<Outcome<Stream>, StreamError> {
        self.publishing(
            (new, organizer, now, keyed),
            |tx, (new, organizer, now, keyed)| {
                with_key(tx, keyed, *now, async |tx| {
                    add(tx, new.clone(), *organizer, *now).await
                })
                .boxed()
            },
        )
        .await
    }

    async fn change_stream(
        &self,
        target: Target,
        change: Change,
        now: Timestamp,
        keyed: Keyed<Stream>,
    ) -> Result<Outcome<Stream>, StreamError> {
        self.publishing(
            (target, change, now, keyed),
            |tx, (target, change, now, keyed)| {
                with_key(tx, keyed, *now, async |tx| {
                    change_one(tx, *target, change.clone(), *now).await
                })
                .boxed()
            },
        )
        .await
    }

    async fn stream(&self, id: StreamId) -> Result<Option<Stream>, StoreError> {
        let found = find(&mut self.db.read(), id).await?;
        Ok(found.filter(|stream| stream.state != State::Deleted))
    }

    async fn streams(&self, event: EventId) -> Result<Vec<Stream>, StoreError> {
        let mut tx = self.db.read();
        let found = tx
            .find(STREAMS, of_event(event), doc! {"_id": 1}, MAX_STREAMS)
            .await?;
        Ok(sift(&found, stream)?.left_out(table::STREAMS))
    }

    async fn stream_by_key(&self, key_hash: [u8; 32]) -> Result<Option<Stream>, StoreError> {
        let filter = doc! {"key_hash": {"$exists": true, "$eq": documents::hash(key_hash)}};
        let found = self.db.read().find_one(STREAMS, filter).await?;
        let found = found.as_ref().map(stream).transpose()?;
        Ok(found.filter(|stream| stream.state != State::Deleted))
    }

    async fn claim_stream(&self, claim: Claim, now: Timestamp) -> Result<Stream, PublishError> {
        self.db
            .write((claim, now), |tx, (claim, now)| {
                claim_one(tx, claim, *now).boxed()
            })
            .await
    }

    async fn add_segment(
        &self,
        claim: Claim,
        segment: Segment,
        now: Timestamp,
    ) -> Result<(Stream, Segment), PublishError> {
        let adding = self.db.write((claim, segment, now), |tx, (claim, segment, now)| {
            add_one(tx, claim, segment, *now).boxed()
        });
        let (moved, stream, segment) = adding.await?;
        if moved {
            self.wake.wake();
        }
        Ok((stream, segment))
    }

    async fn release_stream(&self, claim: Claim, now: Timestamp) -> Result<(), PublishError> {
        let releasing = self
            .db
            .write((claim, now), |tx, (claim, now)| release(tx, claim, *now).boxed());
        if releasing.await? {
            self.wake.wake();
        }
        Ok(())
    }

    async fn note_encoder(
        &self,
        claim: Claim,
        codecs: Option<String>,
        problem: Option<String>,
    ) -> Result<(), PublishError> {
        self.db
            .write((claim, codecs, problem), |tx, (claim, codecs, problem)| {
                note(tx, claim, codecs, problem).boxed()
            })
            .await
    }

    async fn look_at_streams(&self, now: Timestamp, limit: usize) -> Result<Vec<Stream>, StoreError> {
        let waiting = self.db.read().find_one(STREAMS, to_look_at(now)).await?;
        if waiting.is_none() {
            return Ok(Vec::new());
        }
        self.publishing((now, limit), |tx, (now, limit)| look(tx, *now, *limit).boxed())
            .await
    }

    async fn on_air(&self, receiver: Receiver, limit: usize) -> Result<Vec<Stream>, StoreError> {
        on_air(&mut self.db.read(), receiver, limit).await
    }

    async fn observe_stream(
        &self,
        id: StreamId,
        seen: Option<Seen>,
        now: Timestamp,
    ) -> Result<Option<Observed>, StoreError> {
        let before = find_at(&mut self.db.read(), id, Receiver::MediaMtx).await?;
        let Some(before) = before else {
            return Ok(None);
        };
        match Observed::of(&before, seen.as_ref(), now) {
            (observed, false) => Ok(Some(observed)),
            (_, true) => {
                self.publishing((id, seen, now), |tx, (id, seen, now)| {
                    observe(tx, *id, seen.as_ref(), *now).boxed()
                })
                .await
            }
        }
    }

    async fn segments(&self, stream: StreamId, from: u64, limit: usize) -> Result<Vec<Segment>, StoreError> {
        segments(&mut self.db.read(), stream, from, limit).await
    }

    async fn segment(&self, stream: StreamId, number: u64) -> Result<Option<Segment>, StoreError> {
        let this = doc! {"_id": segment_id(stream, number)};
        let found = self.db.read().find_one(SEGMENTS, this).await?;
        found.as_ref().map(segment).transpose()
    }

    async fn streams_to_drop(
        &self,
        ended_before: Timestamp,
        limit: usize,
    ) -> Result<Vec<Stream>, StoreError> {
        to_drop(&mut self.db.read(), ended_before, limit).await
    }

    async fn drop_segments(&self, stream: StreamId, below: u64) -> Result<(), StoreError> {
        let these = doc! {"_id": {"$gte": segment_id(stream, 0), "$lt": segment_id(stream, below)}};
        self.db
            .write(these, |tx, these| {
                async move { tx.delete(SEGMENTS, these.clone()).await.map(drop) }.boxed()
            })
            .await
    }

    async fn recording_dropped(&self, stream: StreamId, now: Timestamp) -> Result<(), StoreError> {
        while !self
            .publishing((stream, now), |tx, (stream, now)| {
                dropped(tx, *stream, *now).boxed()
            })
            .await?
        {}
        Ok(())
    }

    async fn begin_playback(
        &self,
        new: Playback,
        organizer: bool,
        now: Timestamp,
    ) -> Result<Playback, PlaybackError> {
        self.db
            .write((new, organizer, now), |tx, (new, organizer, now)| {
                begin(tx, new, *organizer, *now).boxed()
            })
            .await
    }

    async fn playback(&self, id: PlaybackId) -> Result<Option<Playback>, StoreError> {
        let found = self.db.read().find_one(PLAYBACKS, doc! {"_id": uuid(id)}).await?;
        found.as_ref().map(playback).transpose()
    }

    async fn playbacks_seen(&self, at: Vec<(PlaybackId, Timestamp)>) -> Result<(), StoreError> {
        if at.is_empty() {
            return Ok(());
        }
        self.db.write(at, |tx, at| seen(tx, at).boxed()).await
    }

    async fn viewers(&self, event: EventId, since: Timestamp) -> Result<u64, StoreError> {
        let counting = vec![
            doc! {"$match": {"event_id": uuid(event), "seen_at": {"$gt": date(since)}}},
            doc! {"$group": {"_id": "$user_id"}},
            doc! {"$count": "viewers"},
        ];
        let counted = self.db.read().aggregate(PLAYBACKS, counting).await?;
        // Of nobody there is no count.
        counted.first().map_or(Ok(0), |counted| count(counted, "viewers"))
    }

    async fn playbacks_of_user(
        &self,
        user: UserId,
        page: Page,
    ) -> Result<(Vec<Playback>, Option<Cursor>), StoreError> {
        playbacks_of(&mut self.db.read(), user, page).await
    }

    async fn forget_viewer(&self, user: UserId, limit: usize) -> Result<usize, StoreError> {
        self.db
            .write((user, limit), |tx, (user, limit)| {
                tx.delete_some(PLAYBACKS, doc! {"user_id": uuid(*user)}, doc! {"_id": -1}, *limit)
                    .boxed()
            })
            .await
    }
}
