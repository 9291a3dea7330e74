//! Streams, their recordings and who watches them.

use std::collections::BTreeMap;

use async_trait::async_trait;
use common::{
    clock::{Timestamp, from_millis},
    http::{Cursor, Page},
    idempotency::{Keyed, Outcome},
    ids::{EventId, PlaybackId, StreamId, UserId},
    store::StoreError,
    unreadable::not_json,
};
use sqlite_store::{
    Connection, Error, Row, RowResult,
    idempotency::keyed as with_key,
    outbox, params,
    rows::{named, sift, sift_page},
};

use super::{SqliteStore, events, events::const_sql};
use crate::{
    domain::{
        change,
        stream::{
            Attendance, Change, Kind, NewStream, Playback, Receiver, SEEN_FOR, Seen, Segment, State, Stream,
            StreamRefusal, begin_playback,
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

/// The columns that [`stream`] reads.
const STREAM: &str = "id, event_id, title, kind, url, starts_at, ends_at, priority, record, state, since, look_at, key_hash, version, created_at, feed, receiver";
/// The columns that [`segment`] reads.
const SEGMENT: &str = "stream_id, number, object, init, micros, bytes, discontinuity, at";
/// The columns that [`playback`] reads.
const PLAYBACK: &str = "id, stream_id, event_id, user_id, started_at, seen_at, watched_millis";

fn stream(row: &Row<'_>) -> RowResult<Stream> {
    let maybe_time =
        |column| -> RowResult<Option<Timestamp>> { Ok(row.get::<_, Option<i64>>(column)?.map(from_millis)) };
    let feed: String = row.get(15)?;
    Ok(Stream {
        id: row.get(0)?,
        event: row.get(1)?,
        title: row.get(2)?,
        kind: named(row, 3, Kind::named)?,
        url: row.get(4)?,
        starts_at: maybe_time(5)?,
        ends_at: maybe_time(6)?,
        priority: row.get(7)?,
        record: row.get(8)?,
        state: named(row, 9, State::named)?,
        since: from_millis(row.get(10)?),
        look_at: maybe_time(11)?,
        key_hash: row.get::<_, Option<Vec<u8>>>(12)?.map(hash).transpose()?,
        feed: serde_json::from_str(&feed).map_err(|error| not_json("feed", &error))?,
        version: row.get(13)?,
        created_at: from_millis(row.get(14)?),
        receiver: named(row, 16, Receiver::named)?,
    })
}

fn hash(bytes: Vec<u8>) -> RowResult<[u8; 32]> {
    let wrong = |bytes: Vec<u8>| Error::unreadable(12, format!("a hash of {} bytes", bytes.len()));
    bytes.try_into().map_err(wrong)
}

fn segment(row: &Row<'_>) -> RowResult<Segment> {
    let count = |column| -> RowResult<u64> {
        let number: i64 = row.get(column)?;
        u64::try_from(number).map_err(|error| Error::unreadable(column, error))
    };
    Ok(Segment {
        stream: row.get(0)?,
        number: count(1)?,
        object: row.get(2)?,
        init: row.get(3)?,
        micros: count(4)?,
        bytes: count(5)?,
        discontinuity: row.get(6)?,
        at: from_millis(row.get(7)?),
    })
}

fn playback(row: &Row<'_>) -> RowResult<Playback> {
    Ok(Playback {
        id: row.get(0)?,
        stream: row.get(1)?,
        event: row.get(2)?,
        user: row.get(3)?,
        started_at: from_millis(row.get(4)?),
        seen_at: from_millis(row.get(5)?),
        watched_millis: row.get(6)?,
    })
}

/// A stream, deleted or not.
fn find(db: &Connection, id: StreamId) -> Result<Option<Stream>, StoreError> {
    let sql = const_sql(&["SELECT ", STREAM, " FROM streams WHERE id = ?1"]);
    Ok(db.prepare_cached(&sql)?.find([id], stream)?)
}

fn insert(db: &Connection, stream: &Stream) -> Result<(), StoreError> {
    let sql = const_sql(&[
        "INSERT INTO streams (",
        STREAM,
        ", drop_from) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)",
    ]);
    write(db, &sql, stream)
}

/// Writes what may change.
fn update(db: &Connection, stream: &Stream) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE streams SET title = ?3, url = ?5, starts_at = ?6, ends_at = ?7, priority = ?8, record = ?9,
            state = ?10, since = ?11, look_at = ?12, key_hash = ?13, version = ?14, feed = ?16, drop_from = ?18
         WHERE id = ?1";
    write(db, SQL, stream)
}

/// Runs a statement whose values are [`STREAM`] and `drop_from`.
fn write(db: &Connection, sql: &str, stream: &Stream) -> Result<(), StoreError> {
    let millis = |at: Option<Timestamp>| at.map(|at| at.timestamp_millis());
    db.prepare_cached(sql)?.execute(params![
        stream.id,
        stream.event,
        stream.title,
        stream.kind.name(),
        stream.url,
        millis(stream.starts_at),
        millis(stream.ends_at),
        stream.priority,
        stream.record,
        stream.state.name(),
        stream.since.timestamp_millis(),
        millis(stream.look_at),
        stream.key_hash,
        stream.version,
        stream.created_at.timestamp_millis(),
        // Our own structs; writing them to memory cannot fail.
        serde_json::to_string(&stream.feed).unwrap_or_default(),
        stream.receiver.name(),
        millis(drop_from(stream)),
    ])?;
    Ok(())
}

fn insert_segment(db: &Connection, segment: &Segment) -> Result<(), StoreError> {
    let sql = const_sql(&[
        "INSERT INTO segments (",
        SEGMENT,
        ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    ]);
    db.prepare_cached(&sql)?.execute(params![
        segment.stream,
        segment.number as i64,
        segment.object,
        segment.init,
        segment.micros as i64,
        segment.bytes as i64,
        segment.discontinuity,
        segment.at.timestamp_millis(),
    ])?;
    Ok(())
}

fn add(db: &Connection, new: NewStream, organizer: UserId, now: Timestamp) -> Result<Stream, StreamError> {
    let event = owned(events::find(db, new.event)?, organizer)?;
    let streams = db
        .prepare_cached("SELECT COUNT(*) FROM streams WHERE event_id = ?1 AND state <> 'deleted'")
        .and_then(|mut counting| counting.one([new.event], |row| row.get::<_, u32>(0)))
        .map_err(StoreError::from)?;
    may_have_another(&event, streams as usize)?;
    let stream = new.into_stream(now)?;
    insert(db, &stream)?;
    outbox::push(db, &change::of_stream(&stream, now))?;
    Ok(stream)
}

fn change_one(
    db: &Connection,
    target: Target,
    change: Change,
    now: Timestamp,
) -> Result<Stream, StreamError> {
    owned(events::find(db, target.event)?, target.organizer)?;
    let found = find(db, target.stream)?.filter(|stream| target.is(stream));
    let mut stream = found.ok_or(StreamRefusal::NoSuchStream)?;
    stream.change(change, now)?;
    update(db, &stream)?;
    outbox::push(db, &change::of_stream(&stream, now))?;
    Ok(stream)
}

/// The stream of a claim.
fn opened(db: &Connection, claim: &Claim) -> Result<Stream, PublishError> {
    let found = find(db, claim.stream)?.filter(|stream| claim.opens(stream));
    found.ok_or(PublishError::NoSuchStream)
}

fn claim_one(db: &Connection, claim: &Claim, now: Timestamp) -> Result<Stream, PublishError> {
    let before = opened(db, claim)?;
    let mut stream = before.clone();
    stream.claim(claim.process, &claim.name, claim.quota, now)?;
    if !is_news(&before.feed, &stream.feed, now) {
        return Ok(before);
    }
    update(db, &stream)?;
    Ok(stream)
}

/// Also whether that has moved the stream.
fn add_one(
    db: &Connection,
    claim: &Claim,
    segment: Segment,
    now: Timestamp,
) -> Result<(bool, Stream, Segment), PublishError> {
    let mut stream = opened(db, claim)?;
    let before = stream.state;
    // It came before, and the answer was lost.
    let last = segments(db, stream.id, stream.feed.next.saturating_sub(1), 1)?.pop();
    if let Some(last) = last.filter(|last| last.object == segment.object) {
        return Ok((false, stream, last));
    }
    let segment = Segment {
        stream: stream.id,
        ..segment
    };
    let segment = stream.receive(claim.process, &claim.name, segment, claim.quota, now)?;
    insert_segment(db, &segment)?;
    update(db, &stream)?;
    let moved = stream.state != before;
    if moved {
        outbox::push(db, &change::of_stream(&stream, now))?;
    }
    Ok((moved, stream, segment))
}

fn note(
    db: &Connection,
    claim: &Claim,
    codecs: Option<String>,
    problem: Option<String>,
) -> Result<(), PublishError> {
    let mut stream = opened(db, claim)?;
    let before = stream.feed.clone();
    stream.feed.codecs = codecs.or(stream.feed.codecs);
    stream.feed.problem = problem.or(stream.feed.problem);
    if stream.feed != before {
        update(db, &stream)?;
    }
    Ok(())
}

/// Whether that has moved the stream.
fn release(db: &Connection, claim: &Claim, now: Timestamp) -> Result<bool, PublishError> {
    let before = opened(db, claim)?;
    let mut stream = before.clone();
    stream.release(claim.process, &claim.name, now);
    if stream == before {
        return Ok(false);
    }
    update(db, &stream)?;
    outbox::push(db, &change::of_stream(&stream, now))?;
    Ok(true)
}

const TO_LOOK_AT: &str = "FROM streams WHERE look_at <= ?1";

fn any_to_look_at(db: &Connection, now: Timestamp) -> Result<bool, StoreError> {
    Ok(db
        .prepare_cached(&const_sql(&["SELECT 1 ", TO_LOOK_AT]))?
        .exists([now.timestamp_millis()])?)
}

fn look(db: &Connection, now: Timestamp, limit: usize) -> Result<Vec<Stream>, StoreError> {
    let sql = const_sql(&["SELECT ", STREAM, " ", TO_LOOK_AT, " ORDER BY look_at LIMIT ?2"]);
    let found = {
        let mut statement = db.prepare_cached(&sql)?;
        sift(
            statement.query(params![now.timestamp_millis(), limit as i64])?,
            0,
            stream,
        )?
    };
    let mut blind = db.prepare_cached("UPDATE streams SET look_at = NULL WHERE id = ?1")?;
    let due = found.set_aside(table::STREAMS, |id, _| {
        blind.execute([id])?;
        Ok(())
    })?;
    let mut moved = Vec::new();
    for mut stream in due {
        let before = (stream.state, stream.version);
        stream.look(now);
        update(db, &stream)?;
        if (stream.state, stream.version) != before {
            outbox::push(db, &change::of_stream(&stream, now))?;
            moved.push(stream);
        }
    }
    Ok(moved)
}

/// A stream that this receiver has, deleted or not.
fn find_at(db: &Connection, id: StreamId, receiver: Receiver) -> Result<Option<Stream>, StoreError> {
    Ok(find(db, id)?.filter(|stream| stream.receiver == receiver))
}

fn observe(
    db: &Connection,
    id: StreamId,
    seen: Option<&Seen>,
    now: Timestamp,
) -> Result<Option<Observed>, StoreError> {
    let Some(before) = find_at(db, id, Receiver::MediaMtx)? else {
        return Ok(None);
    };
    let (observed, is_news) = Observed::of(&before, seen, now);
    if is_news {
        update(db, &observed.stream)?;
    }
    if observed.moved {
        outbox::push(db, &change::of_stream(&observed.stream, now))?;
    }
    Ok(Some(observed))
}

fn segments(db: &Connection, stream: StreamId, from: u64, limit: usize) -> Result<Vec<Segment>, StoreError> {
    let sql = const_sql(&[
        "SELECT ",
        SEGMENT,
        " FROM segments WHERE stream_id = ?1 AND number >= ?2 ORDER BY number LIMIT ?3",
    ]);
    let from = i64::try_from(from).unwrap_or(i64::MAX);
    let mut statement = db.prepare_cached(&sql)?;
    let found = sift_page(limit, |asked| {
        sift(statement.query(params![stream, from, asked])?, 0, segment)
    })?;
    Ok(found.left_out(table::SEGMENTS))
}

/// `false`: there is more to be done.
fn dropped(db: &Connection, id: StreamId, now: Timestamp) -> Result<bool, StoreError> {
    let Some(mut stream) = find(db, id)? else {
        return Ok(true);
    };
    if drop_from(&stream).is_none() || !segments(db, id, 0, 1)?.is_empty() {
        return Ok(true);
    }
    // What of it cannot be read has no object that could be found.
    db.prepare_cached("DELETE FROM segments WHERE stream_id = ?1")?
        .execute([id])?;
    if stream.state != State::Deleted {
        stream.recording_dropped(now);
        update(db, &stream)?;
        outbox::push(db, &change::of_stream(&stream, now))?;
        return Ok(true);
    }
    let gone = db
        .prepare_cached(
            "DELETE FROM playbacks WHERE id IN (SELECT id FROM playbacks WHERE stream_id = ?1 LIMIT ?2)",
        )?
        .execute(params![id, AT_ONCE as i64])?;
    if gone == AT_ONCE {
        return Ok(false);
    }
    db.prepare_cached("DELETE FROM streams WHERE id = ?1")?
        .execute([id])?;
    Ok(true)
}

fn find_playback(db: &Connection, id: PlaybackId) -> Result<Option<Playback>, StoreError> {
    let sql = const_sql(&["SELECT ", PLAYBACK, " FROM playbacks WHERE id = ?1"]);
    Ok(db.prepare_cached(&sql)?.find([id], playback)?)
}

fn begin(db: &Connection, new: Playback, organizer: bool, now: Timestamp) -> Result<Playback, PlaybackError> {
    let sql = const_sql(&[
        "SELECT ",
        PLAYBACK,
        " FROM playbacks WHERE event_id = ?1 AND user_id = ?2 AND seen_at > ?3 AND seen_at <= ?4",
    ]);
    let (from, to) = (now - SEEN_FOR, now + SEEN_FOR);
    let others = {
        let mut statement = db.prepare_cached(&sql).map_err(StoreError::from)?;
        let these = params![
            new.event,
            new.user,
            from.timestamp_millis(),
            to.timestamp_millis()
        ];
        sift(statement.query(these).map_err(StoreError::from)?, 0, playback)?
    };
    let new = begin_playback(new, &others.left_out(table::PLAYBACKS), organizer, now)?;
    insert_playback(db, &new)?;
    Ok(new)
}

fn insert_playback(db: &Connection, new: &Playback) -> Result<(), StoreError> {
    let sql = const_sql(&[
        "INSERT INTO playbacks (",
        PLAYBACK,
        ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    ]);
    db.prepare_cached(&sql)?.execute(params![
        new.id,
        new.stream,
        new.event,
        new.user,
        new.started_at.timestamp_millis(),
        new.seen_at.timestamp_millis(),
        new.watched_millis,
    ])?;
    Ok(())
}

fn seen(db: &Connection, seen: &[(PlaybackId, Timestamp)]) -> Result<(), StoreError> {
    let sql = const_sql(&["SELECT ", PLAYBACK, " FROM playbacks WHERE id = ?1"]);
    let mut statement = db.prepare_cached(&sql)?;
    let mut known = BTreeMap::new();
    for (id, at) in seen {
        if !known.contains_key(id) {
            let found = sift(statement.query([id])?, 0, playback)?;
            known.insert(*id, found.left_out(table::PLAYBACKS).pop());
        }
        if let Some(Some(playback)) = known.get_mut(id) {
            playback.seen(*at);
        }
    }
    let mut update =
        db.prepare_cached("UPDATE playbacks SET seen_at = ?2, watched_millis = ?3 WHERE id = ?1")?;
    for playback in known.into_values().flatten() {
        update.execute(params![
            playback.id,
            playback.seen_at.timestamp_millis(),
            playback.watched_millis
        ])?;
    }
    Ok(())
}

/// What a user has watched of an event.
pub(super) fn attendance(
    db: &Connection,
    event: EventId,
    user: UserId,
) -> Result<Option<Attendance>, StoreError> {
    let sql = const_sql(&[
        "SELECT ",
        PLAYBACK,
        " FROM playbacks WHERE event_id = ?1 AND user_id = ?2 ORDER BY id",
    ]);
    let mut statement = db.prepare_cached(&sql)?;
    let found = sift(statement.query(params![event, user])?, 0, playback)?;
    Ok(Attendance::of(&found.left_out(table::PLAYBACKS)))
}

fn playbacks_of(
    db: &Connection,
    user: UserId,
    page: Page,
) -> Result<(Vec<Playback>, Option<Cursor>), StoreError> {
    let sql = const_sql(&[
        "SELECT ",
        PLAYBACK,
        " FROM playbacks WHERE user_id = ?1 AND (?2 IS NULL OR id < ?2) ORDER BY id DESC LIMIT ?3",
    ]);
    let after = page.after.map(|cursor| cursor.id);
    let mut statement = db.prepare_cached(&sql)?;
    let found = sift_page(page.limit + 1, |asked| {
        sift(statement.query(params![user, after, asked])?, 0, playback)
    })?;
    Ok(page.cut(found.left_out(table::PLAYBACKS), |playback| Cursor {
        key: 0,
        id: playback.id.0,
    }))
}

#[async_trait]
impl StreamStore for SqliteStore {
    async fn add_stream(
        &self,
        new: NewStream,
        organizer: UserId,
        now: Timestamp,
        keyed: Keyed<Stream>,
    ) -> Result<Outcome<Stream>, StreamError> {
        self.publishing(move |db| with_key(db, &keyed, now, |db| add(db, new, organizer, now)))
            .await
    }

    async fn change_stream(
        &self,
        target: Target,
        change: Change,
        now: Timestamp,
        keyed: Keyed<Stream>,
    ) -> Result<Outcome<Stream>, StreamError> {
        self.publishing(move |db| with_key(db, &keyed, now, |db| change_one(db, target, change, now)))
            .await
    }

    async fn stream(&self, id: StreamId) -> Result<Option<Stream>, StoreError> {
        let found = self.db.read(move |db| find(db, id)).await?;
        Ok(found.filter(|stream| stream.state != State::Deleted))
    }

    async fn streams(&self, event: EventId) -> Result<Vec<Stream>, StoreError> {
        let sql = const_sql(&[
            "SELECT ",
            STREAM,
            " FROM streams WHERE event_id = ?1 AND state <> 'deleted' ORDER BY id",
        ]);
        self.db
            .read(move |db| {
                let mut statement = db.prepare_cached(&sql)?;
                let found = sift(statement.query([event])?, 0, stream)?;
                Ok(found.left_out(table::STREAMS))
            })
            .await
    }

    async fn stream_by_key(&self, key_hash: [u8; 32]) -> Result<Option<Stream>, StoreError> {
        let sql = const_sql(&[
            "SELECT ",
            STREAM,
            " FROM streams WHERE key_hash = ?1 AND state <> 'deleted'",
        ]);
        self.db
            .read(move |db| Ok(db.prepare_cached(&sql)?.find([key_hash], stream)?))
            .await
    }

    async fn claim_stream(&self, claim: Claim, now: Timestamp) -> Result<Stream, PublishError> {
        self.db.write(move |db| claim_one(db, &claim, now)).await
    }

    async fn add_segment(
        &self,
        claim: Claim,
        segment: Segment,
        now: Timestamp,
    ) -> Result<(Stream, Segment), PublishError> {
        let (moved, stream, segment) = self.db.write(move |db| add_one(db, &claim, segment, now)).await?;
        if moved {
            self.wake.wake();
        }
        Ok((stream, segment))
    }

    async fn release_stream(&self, claim: Claim, now: Timestamp) -> Result<(), PublishError> {
        if self.db.write(move |db| release(db, &claim, now)).await? {
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
        self.db.write(move |db| note(db, &claim, codecs, problem)).await
    }

    async fn look_at_streams(&self, now: Timestamp, limit: usize) -> Result<Vec<Stream>, StoreError> {
        // A read is cheap; a commit every second in an idle system is not.
        if !self.db.read(move |db| any_to_look_at(db, now)).await? {
            return Ok(Vec::new());
        }
        self.publishing(move |db| look(db, now, limit)).await
    }

    async fn on_air(&self, receiver: Receiver, limit: usize) -> Result<Vec<Stream>, StoreError> {
        let sql = const_sql(&[
            "SELECT ",
            STREAM,
            " FROM streams WHERE receiver = ?1 AND receiver <> 'own' AND state IN ('live', 'interrupted') ORDER BY id LIMIT ?2",
        ]);
        self.db
            .read(move |db| {
                let mut statement = db.prepare_cached(&sql)?;
                let found = sift_page(limit, |asked| {
                    sift(statement.query(params![receiver.name(), asked])?, 0, stream)
                })?;
                Ok(found.left_out(table::STREAMS))
            })
            .await
    }

    async fn observe_stream(
        &self,
        id: StreamId,
        seen: Option<Seen>,
        now: Timestamp,
    ) -> Result<Option<Observed>, StoreError> {
        // A read is cheap; a commit for each stream every other second is not.
        let before = self
            .db
            .read(move |db| find_at(db, id, Receiver::MediaMtx))
            .await?;
        let Some(before) = before else {
            return Ok(None);
        };
        match Observed::of(&before, seen.as_ref(), now) {
            (observed, false) => Ok(Some(observed)),
            (_, true) => {
                self.publishing(move |db| observe(db, id, seen.as_ref(), now))
                    .await
            }
        }
    }

    async fn segments(&self, stream: StreamId, from: u64, limit: usize) -> Result<Vec<Segment>, StoreError> {
        self.db.read(move |db| segments(db, stream, from, limit)).await
    }

    async fn segment(&self, stream: StreamId, number: u64) -> Result<Option<Segment>, StoreError> {
        let sql = const_sql(&[
            "SELECT ",
            SEGMENT,
            " FROM segments WHERE stream_id = ?1 AND number = ?2",
        ]);
        let Ok(number) = i64::try_from(number) else {
            return Ok(None);
        };
        self.db
            .read(move |db| Ok(db.prepare_cached(&sql)?.find(params![stream, number], segment)?))
            .await
    }

    async fn streams_to_drop(
        &self,
        ended_before: Timestamp,
        limit: usize,
    ) -> Result<Vec<Stream>, StoreError> {
        let sql = const_sql(&[
            "SELECT ",
            STREAM,
            " FROM streams WHERE drop_from < ?1 ORDER BY drop_from LIMIT ?2",
        ]);
        self.db
            .read(move |db| {
                let mut statement = db.prepare_cached(&sql)?;
                let found = sift_page(limit, |asked| {
                    sift(
                        statement.query(params![ended_before.timestamp_millis(), asked])?,
                        0,
                        stream,
                    )
                })?;
                Ok(found.left_out(table::STREAMS))
            })
            .await
    }

    async fn drop_segments(&self, stream: StreamId, below: u64) -> Result<(), StoreError> {
        let below = i64::try_from(below).unwrap_or(i64::MAX);
        self.db
            .write(move |db| {
                db.prepare_cached("DELETE FROM segments WHERE stream_id = ?1 AND number < ?2")?
                    .execute(params![stream, below])?;
                Ok(())
            })
            .await
    }

    async fn recording_dropped(&self, stream: StreamId, now: Timestamp) -> Result<(), StoreError> {
        while !self.publishing(move |db| dropped(db, stream, now)).await? {}
        Ok(())
    }

    async fn begin_playback(
        &self,
        new: Playback,
        organizer: bool,
        now: Timestamp,
    ) -> Result<Playback, PlaybackError> {
        self.db.write(move |db| begin(db, new, organizer, now)).await
    }

    async fn playback(&self, id: PlaybackId) -> Result<Option<Playback>, StoreError> {
        self.db.read(move |db| find_playback(db, id)).await
    }

    async fn playbacks_seen(&self, at: Vec<(PlaybackId, Timestamp)>) -> Result<(), StoreError> {
        if at.is_empty() {
            return Ok(());
        }
        self.db.write(move |db| seen(db, &at)).await
    }

    async fn viewers(&self, event: EventId, since: Timestamp) -> Result<u64, StoreError> {
        self.db
            .read(move |db| {
                let counted = db
                    .prepare_cached(
                        "SELECT COUNT(DISTINCT user_id) FROM playbacks WHERE event_id = ?1 AND seen_at > ?2",
                    )?
                    .one(params![event, since.timestamp_millis()], |row| {
                        row.get::<_, i64>(0)
                    })?;
                Ok(counted.unsigned_abs())
            })
            .await
    }

    async fn playbacks_of_user(
        &self,
        user: UserId,
        page: Page,
    ) -> Result<(Vec<Playback>, Option<Cursor>), StoreError> {
        self.db.read(move |db| playbacks_of(db, user, page)).await
    }

    async fn forget_viewer(&self, user: UserId, limit: usize) -> Result<usize, StoreError> {
        self.db
            .write(move |db| {
                let gone = db
                    .prepare_cached(
                        "DELETE FROM playbacks WHERE id IN (SELECT id FROM playbacks WHERE user_id = ?1 LIMIT ?2)",
                    )?
                    .execute(params![user, limit as i64])?;
                Ok(gone)
            })
            .await
    }
}
