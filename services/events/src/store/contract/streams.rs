//! Streams, what is received of them, and who watches.

use common::ids::{PlaybackId, StreamId};
use test_kit::damage::Bad;
use uuid::Uuid;

use super::{unreadable::damage, *};
use crate::{
    domain::stream::{
        CLAIM, Change, DEVICES, Edit, GRACE, Kind, MAX_STREAMS, NewStream, Playback, PublishRefusal,
        Receiver, SEEN_FOR, Seen, Segment, State, Stream, StreamRefusal, Verdict,
    },
    store::{
        desk::AttendeeFilter,
        streams::{Claim, PlaybackError, PublishError, StreamError, Target},
    },
};

const MOVED: &str = "stream.changed";
const QUOTA: u64 = 1 << 40;

/// A hash that no other stream of a test has.
fn key() -> [u8; 32] {
    let mut hash = [7; 32];
    hash[..16].copy_from_slice(new_id().as_bytes());
    hash
}

fn new(event: &Event, kind: Kind) -> NewStream {
    NewStream {
        id: StreamId::new(),
        event: event.id,
        title: "Hauptbühne".to_owned(),
        kind,
        url: (kind != Kind::Ingest).then(|| "https://elsewhere.example/live".to_owned()),
        receiver: Receiver::Own,
        starts_at: None,
        ends_at: None,
        priority: 3,
        record: true,
        key_hash: (kind == Kind::Ingest).then(key),
    }
}

async fn add(store: &S, event: &Event, new: NewStream) -> Stream {
    done(
        store
            .add_stream(new, event.organizer, now(), plain())
            .await
            .unwrap(),
    )
}

/// An event with an ingest stream that was made before.
async fn on_air(store: &S) -> (Event, Stream) {
    let event = created(store, draft(None, 0)).await;
    let stream = add(store, &event, new(&event, Kind::Ingest)).await;
    published(store).await;
    (event, stream)
}

fn target(event: &Event, stream: &Stream) -> Target {
    Target {
        event: event.id,
        organizer: event.organizer,
        stream: stream.id,
    }
}

async fn change(store: &S, target: Target, change: Change, at: Timestamp) -> Result<Stream, StreamError> {
    store.change_stream(target, change, at, plain()).await.map(done)
}

fn refusal<T: std::fmt::Debug>(result: Result<T, StreamError>) -> StreamRefusal {
    match result {
        Err(StreamError::Refused(why)) => why,
        other => panic!("{other:?}"),
    }
}

fn not_let_in<T: std::fmt::Debug>(result: Result<T, PublishError>) -> PublishRefusal {
    match result {
        Err(PublishError::Refused(why)) => why,
        other => panic!("{other:?}"),
    }
}

fn claim(stream: &Stream, process: Uuid) -> Claim {
    Claim {
        stream: stream.id,
        process,
        name: "live".to_owned(),
        key_hash: stream.key_hash.unwrap(),
        quota: QUOTA,
    }
}

fn segment(stream: &Stream, object: &str) -> Segment {
    Segment {
        stream: stream.id,
        number: 0,
        object: object.to_owned(),
        init: Some("init.mp4".to_owned()),
        micros: 2_000_000,
        bytes: 1_000,
        discontinuity: false,
        at: now(),
    }
}

async fn receive(store: &S, stream: &Stream, process: Uuid, at: Timestamp) -> (Stream, Segment) {
    let claim = claim(stream, process);
    store.claim_stream(claim.clone(), at).await.unwrap();
    // No object has the name of another one.
    let object = format!("{}.m4s", new_id());
    store
        .add_segment(claim, segment(stream, &object), at)
        .await
        .unwrap()
}

fn told(stream: &Stream) -> (String, Uuid) {
    (MOVED.to_owned(), stream.id.0)
}

fn ids(streams: &[Stream]) -> Vec<StreamId> {
    streams.iter().map(|stream| stream.id).collect()
}

pub async fn streams_read_back(store: S) {
    let event = created(&store, draft(None, 0)).await;
    let mut made = Vec::new();
    for kind in Kind::ALL {
        let new = NewStream {
            starts_at: (kind != Kind::Hls).then(|| now() + TimeDelta::hours(1)),
            ends_at: (kind == Kind::Meeting).then(|| now() + TimeDelta::hours(2)),
            record: kind == Kind::Ingest,
            ..new(&event, kind)
        };
        let stream = add(&store, &event, new).await;
        assert_eq!(store.stream(stream.id).await.unwrap(), Some(stream.clone()));
        made.push(stream);
    }
    let expected: Vec<_> = made.iter().map(told).collect();
    assert_eq!(published(&store).await, expected);
    let by_key = store.stream_by_key(made[0].key_hash.unwrap()).await.unwrap();
    assert_eq!(by_key.as_ref(), Some(&made[0]));
    assert_eq!(store.streams(event.id).await.unwrap(), made);
    // Nothing of anything else.
    assert_eq!(store.streams(EventId::new()).await.unwrap(), []);
    assert_eq!(store.stream(StreamId::new()).await.unwrap(), None);
    assert_eq!(store.stream_by_key(key()).await.unwrap(), None);
    // A deleted one is none.
    change(&store, target(&event, &made[0]), Change::Delete, now())
        .await
        .unwrap();
    assert_eq!(store.stream(made[0].id).await.unwrap(), None);
    assert_eq!(store.streams(event.id).await.unwrap(), made[1..]);
    let by_key = store.stream_by_key(made[0].key_hash.unwrap()).await;
    assert_eq!(by_key.unwrap(), None);
}

pub async fn an_event_has_so_many_streams(store: S) {
    let event = created(&store, draft(None, 0)).await;
    let tried = async |new, organizer| store.add_stream(new, organizer, now(), plain()).await.map(done);
    let other = tried(new(&event, Kind::Hls), UserId::new()).await;
    assert!(matches!(other, Err(StreamError::NoSuchEvent)), "another's");
    let nowhere = NewStream {
        event: EventId::new(),
        ..new(&event, Kind::Hls)
    };
    let nowhere = tried(nowhere, event.organizer).await;
    assert!(matches!(nowhere, Err(StreamError::NoSuchEvent)));
    let back_to_front = NewStream {
        starts_at: Some(now()),
        ends_at: Some(now()),
        ..new(&event, Kind::Hls)
    };
    let refused = tried(back_to_front, event.organizer).await;
    assert_eq!(refusal(refused), StreamRefusal::EndsBeforeStart);
    for _ in 0..MAX_STREAMS - 2 {
        add(&store, &event, new(&event, Kind::Hls)).await;
    }
    let more = (0..5).map(|_| {
        let (store, new, organizer) = (store.clone(), new(&event, Kind::Hls), event.organizer);
        tokio::spawn(async move { store.add_stream(new, organizer, now(), plain()).await.map(done) })
    });
    let (mut made, mut refused) = (Vec::new(), 0);
    for added in futures_util::future::join_all(more).await {
        match added.unwrap() {
            Ok(stream) => made.push(stream),
            added => {
                assert_eq!(refusal(added), StreamRefusal::TooMany);
                refused += 1;
            }
        }
    }
    assert_eq!((made.len(), refused), (2, 3));
    assert_eq!(store.streams(event.id).await.unwrap().len(), MAX_STREAMS);
    // A deleted one makes room.
    change(&store, target(&event, &made[0]), Change::Delete, now())
        .await
        .unwrap();
    add(&store, &event, new(&event, Kind::Hls)).await;
    // A cancelled event gets no more, and may end those that it has.
    store
        .cancel_event(event.id, event.organizer, now(), plain())
        .await
        .unwrap();
    let refused = tried(new(&event, Kind::Hls), event.organizer).await;
    assert_eq!(refusal(refused), StreamRefusal::EventCancelled);
    change(&store, target(&event, &made[1]), Change::End, now())
        .await
        .unwrap();
}

pub async fn a_key_makes_one_stream_and_one_change(store: S) {
    fn answer(stream: &Stream) -> Answer {
        Answer::json(StatusCode::CREATED, &(stream.id, stream.version))
    }
    let event = created(&store, draft(None, 0)).await;
    let keyed = |key: &str| Keyed {
        key: Some(Key {
            caller: event.organizer,
            route: "streams".to_owned(),
            key: key.to_owned(),
            fingerprint: [7; 32],
        }),
        answer,
    };
    let add = async || {
        let new = new(&event, Kind::Ingest);
        let added = store.add_stream(new, event.organizer, now(), keyed("k1")).await;
        added.unwrap()
    };
    let stream = done(add().await);
    let again = Outcome::Refused(Refusal::Replay(answer(&stream)));
    assert_eq!(add().await, again);
    assert_eq!(ids(&store.streams(event.id).await.unwrap()), [stream.id]);
    let change = async || {
        let target = target(&event, &stream);
        let changed = store.change_stream(target, Change::End, now(), keyed("k2")).await;
        changed.unwrap()
    };
    let ended = done(change().await);
    let again = Outcome::Refused(Refusal::Replay(answer(&ended)));
    assert_eq!(change().await, again);
    assert_eq!(published(&store).await, [told(&stream), told(&stream)]);
}

pub async fn streams_change_and_are_told(store: S) {
    let (event, stream) = on_air(&store).await;
    let edit = || {
        Change::Edit(Edit {
            title: Some("Saal 2".to_owned()),
            starts_at: Some(Some(now() + TimeDelta::hours(1))),
            priority: Some(0),
            record: Some(false),
            ..Edit::default()
        })
    };
    let mine = target(&event, &stream);
    let edited = change(&store, mine, edit(), now()).await.unwrap();
    assert_eq!(
        (edited.title.as_str(), edited.version),
        ("Saal 2", stream.version + 1)
    );
    assert_eq!(store.stream(stream.id).await.unwrap(), Some(edited));
    assert_eq!(published(&store).await, [told(&stream)]);
    // What was left out may be left out again.
    let no_time = Change::Edit(Edit {
        starts_at: Some(None),
        ..Edit::default()
    });
    let edited = change(&store, mine, no_time, now()).await.unwrap();
    assert_eq!(store.stream(stream.id).await.unwrap(), Some(edited));
    published(&store).await;

    let (elsewhere, theirs) = on_air(&store).await;
    let another = Target {
        organizer: elsewhere.organizer,
        ..mine
    };
    let refused = change(&store, another, edit(), now()).await;
    assert!(matches!(refused, Err(StreamError::NoSuchEvent)));
    let mixed = Target {
        stream: theirs.id,
        ..mine
    };
    let refused = change(&store, mixed, edit(), now()).await;
    assert_eq!(refusal(refused), StreamRefusal::NoSuchStream);
    let address = Change::Edit(Edit {
        url: Some("https://elsewhere.example".to_owned()),
        ..Edit::default()
    });
    let refused = change(&store, mine, address, now()).await;
    assert_eq!(refusal(refused), StreamRefusal::HasNoUrl);
    assert_eq!(published(&store).await, []);
    let deleted = change(&store, mine, Change::Delete, now()).await.unwrap();
    assert_eq!(deleted.state, State::Deleted);
    assert_eq!(published(&store).await, [told(&stream)]);
    for what in [edit(), Change::Delete] {
        let refused = change(&store, mine, what, now()).await;
        assert_eq!(refusal(refused), StreamRefusal::NoSuchStream);
    }
}

pub async fn a_new_key_shuts_the_old_one_out(store: S) {
    let (event, stream) = on_air(&store).await;
    let process = new_id();
    receive(&store, &stream, process, now()).await;
    published(&store).await;
    let hash = key();
    let rotate = || Change::Key { hash, generation: 1 };
    let rotated = change(&store, target(&event, &stream), rotate(), now())
        .await
        .unwrap();
    assert_eq!(
        (rotated.state, &rotated.feed.publisher),
        (State::Interrupted, &None)
    );
    assert_eq!(published(&store).await, [told(&stream)]);
    let again = change(&store, target(&event, &stream), rotate(), now()).await;
    assert_eq!(refusal(again), StreamRefusal::KeyChanged);
    let old = store.stream_by_key(stream.key_hash.unwrap()).await.unwrap();
    assert_eq!(old, None);
    assert_eq!(store.stream_by_key(hash).await.unwrap(), Some(rotated.clone()));
    let old = claim(&stream, process);
    assert!(matches!(
        store.claim_stream(old.clone(), now()).await,
        Err(PublishError::NoSuchStream)
    ));
    let refused = store
        .add_segment(old.clone(), segment(&stream, "late.m4s"), now())
        .await;
    assert!(matches!(refused, Err(PublishError::NoSuchStream)));
    let refused = store.note_encoder(old, None, Some("late".to_owned())).await;
    assert!(matches!(refused, Err(PublishError::NoSuchStream)));
    let (back, next) = receive(&store, &rotated, process, now()).await;
    assert_eq!(
        (back.state, next.number, next.discontinuity),
        (State::Live, 1, true)
    );
    // Nobody publishes what is deleted.
    change(&store, target(&event, &stream), Change::Delete, now())
        .await
        .unwrap();
    let refused = store.claim_stream(claim(&rotated, process), now()).await;
    assert!(matches!(refused, Err(PublishError::NoSuchStream)));
}

pub async fn one_process_publishes(store: S) {
    let (event, stream) = on_air(&store).await;
    let processes = [new_id(), new_id(), new_id(), new_id()];
    let claims = processes.map(|process| {
        let (store, claim) = (store.clone(), claim(&stream, process));
        tokio::spawn(async move { store.claim_stream(claim, now()).await })
    });
    let mut let_in = Vec::new();
    for (claimed, process) in futures_util::future::join_all(claims)
        .await
        .into_iter()
        .zip(processes)
    {
        match claimed.unwrap() {
            Ok(claimed) => {
                assert!(claimed.is_published_by(process, "live"));
                let_in.push(process);
            }
            claimed => assert_eq!(not_let_in(claimed), PublishRefusal::Busy),
        }
    }
    let [one] = let_in[..] else {
        panic!("{let_in:?} publish");
    };
    let other = processes.into_iter().find(|process| *process != one).unwrap();
    // Only what matters is written: a claim that holds for a good while yet is none of it.
    let until = async || {
        let stream = store.stream(stream.id).await.unwrap().unwrap();
        stream.feed.publisher.unwrap().until
    };
    // A publisher that has sent no segment yet has time for a long one.
    let reach = TimeDelta::seconds(10);
    assert_eq!(until().await, now() + reach);
    let later = now() + reach - CLAIM / 2;
    let soon = later - TimeDelta::milliseconds(1);
    store.claim_stream(claim(&stream, one), soon).await.unwrap();
    assert_eq!(until().await, now() + reach);
    store.claim_stream(claim(&stream, one), later).await.unwrap();
    assert_eq!(until().await, later + reach);
    // Nothing was received, so nothing moved.
    assert_eq!(published(&store).await, []);
    let refused = store
        .add_segment(claim(&stream, other), segment(&stream, "b.m4s"), later)
        .await;
    assert_eq!(not_let_in(refused), PublishRefusal::Busy);
    let full = Claim {
        quota: 0,
        ..claim(&stream, one)
    };
    assert_eq!(
        not_let_in(store.claim_stream(full, later).await),
        PublishRefusal::Full
    );
    // Who dies is replaced.
    let replaced = receive(&store, &stream, other, later + reach).await.0;
    assert!(replaced.is_published_by(other, "live"));
    assert_eq!(published(&store).await, [told(&stream)]);
    change(&store, target(&event, &stream), Change::End, later + reach)
        .await
        .unwrap();
    let refused = store.claim_stream(claim(&stream, other), later + reach).await;
    assert!(matches!(refused, Err(PublishError::NoSuchStream)));
}

pub async fn segments_are_numbered_in_order(store: S) {
    let (_, stream) = on_air(&store).await;
    let process = new_id();
    store.claim_stream(claim(&stream, process), now()).await.unwrap();
    let writers = ["a", "b"].map(|writer| {
        let (store, stream) = (store.clone(), stream.clone());
        tokio::spawn(async move {
            let mut numbers = Vec::new();
            for number in 0..5 {
                let object = format!("{writer}{number}.m4s");
                let segment = segment(&stream, &object);
                let added = store.add_segment(claim(&stream, process), segment, now()).await;
                numbers.push((added.unwrap().1.number, object));
            }
            numbers
        })
    });
    let mut added = Vec::new();
    for writer in futures_util::future::join_all(writers).await {
        let numbers = writer.unwrap();
        assert!(numbers.is_sorted(), "each writer's own are in its order");
        added.extend(numbers);
    }
    added.sort();
    let kept = store.segments(stream.id, 0, 100).await.unwrap();
    let objects: Vec<_> = kept
        .iter()
        .map(|segment| (segment.number, segment.object.clone()))
        .collect();
    assert_eq!(objects, added);
    assert_eq!(
        objects.iter().map(|(number, _)| *number).collect::<Vec<_>>(),
        (0..10).collect::<Vec<_>>()
    );
    let expected = Segment {
        number: 4,
        object: objects[4].1.clone(),
        ..segment(&stream, "")
    };
    assert_eq!(store.segment(stream.id, 4).await.unwrap(), Some(expected));
    assert_eq!(store.segment(stream.id, 10).await.unwrap(), None);
    assert_eq!(store.segment(StreamId::new(), 4).await.unwrap(), None);
    let some = store.segments(stream.id, 7, 2).await.unwrap();
    assert_eq!(some, kept[7..9]);
    let feed = store.stream(stream.id).await.unwrap().unwrap().feed;
    assert_eq!((feed.next, feed.bytes, feed.target_millis), (10, 10_000, 2_000));
    // Told once: that it is live.
    assert_eq!(published(&store).await, [told(&stream)]);
    let note = async |codecs: Option<&str>, problem: Option<&str>| {
        let (codecs, problem) = (codecs.map(str::to_owned), problem.map(str::to_owned));
        let noted = store.note_encoder(claim(&stream, process), codecs, problem).await;
        noted.unwrap();
        let feed = store.stream(stream.id).await.unwrap().unwrap().feed;
        (feed.codecs, feed.problem, feed.next)
    };
    let noted = note(Some("avc1.64001f"), Some("B frames")).await;
    assert_eq!(
        noted,
        (Some("avc1.64001f".to_owned()), Some("B frames".to_owned()), 10)
    );
    // What is not said anew stays.
    let noted = note(None, Some("keyframes")).await;
    assert_eq!(
        noted,
        (Some("avc1.64001f".to_owned()), Some("keyframes".to_owned()), 10)
    );
    assert_eq!(published(&store).await, []);
}

pub async fn time_moves_streams(store: S) {
    let (event, stream) = on_air(&store).await;
    let look = async |at| store.look_at_streams(at, 10).await.unwrap();
    receive(&store, &stream, new_id(), now()).await;
    assert_eq!(published(&store).await, [told(&stream)]);
    let silent = now() + TimeDelta::seconds(6);
    assert_eq!(look(silent - TimeDelta::milliseconds(1)).await, []);
    for (at, state) in [(silent, State::Interrupted), (silent + GRACE, State::Replay)] {
        let moved = look(at).await;
        assert_eq!(
            (moved[0].id, moved[0].state, moved[0].since),
            (stream.id, state, at)
        );
        assert_eq!(store.stream(stream.id).await.unwrap().as_ref(), Some(&moved[0]));
        assert_eq!(published(&store).await, [told(&stream)]);
        assert_eq!(look(at).await, []);
    }
    let refused = store.claim_stream(claim(&stream, new_id()), silent + GRACE).await;
    assert_eq!(not_let_in(refused), PublishRefusal::Ended);
    // Appointments begin and end by themselves, so many at a time.
    let (starts, ends) = (now() + TimeDelta::hours(1), now() + TimeDelta::hours(2));
    for _ in 0..3 {
        let meeting = NewStream {
            starts_at: Some(starts),
            ends_at: Some(ends),
            ..new(&event, Kind::Meeting)
        };
        add(&store, &event, meeting).await;
    }
    published(&store).await;
    for (at, state) in [(starts, State::Live), (ends, State::Ended)] {
        let first = store.look_at_streams(at, 2).await.unwrap();
        let rest = store.look_at_streams(at, 2).await.unwrap();
        assert_eq!((first.len(), rest.len()), (2, 1));
        assert!(first.iter().chain(&rest).all(|stream| stream.state == state));
        assert_eq!(published(&store).await.len(), 3);
        assert_eq!(look(at).await, []);
    }
}

fn seen(source: &str, bytes: u64) -> Seen {
    Seen {
        source: source.to_owned(),
        since: Some(now()),
        bytes,
        codecs: Some("avc1".to_owned()),
        recorded: true,
    }
}

/// Who receives a stream is kept with it, and what is seen there moves it, once.
pub async fn a_media_server_moves_its_streams(store: S) {
    let (event, own) = on_air(&store).await;
    let there = NewStream {
        receiver: Receiver::MediaMtx,
        ..new(&event, Kind::Ingest)
    };
    let stream = add(&store, &event, there).await;
    published(&store).await;
    assert_eq!(stream.receiver, Receiver::MediaMtx);
    let read = async || store.stream(stream.id).await.unwrap().unwrap();
    assert_eq!(read().await, stream);
    let on_air = async || ids(&store.on_air(Receiver::MediaMtx, 10).await.unwrap());
    assert_eq!(on_air().await, []);
    // Its key is of no use here, and nobody else's is observed.
    let refused = store.claim_stream(claim(&stream, new_id()), now()).await;
    assert_eq!(not_let_in(refused), PublishRefusal::Elsewhere);
    for id in [own.id, StreamId::new()] {
        let observed = store.observe_stream(id, Some(seen("rtmpConn/1", 1)), now()).await;
        assert!(observed.unwrap().is_none());
    }
    let observe = async |seen, at| {
        let observed = store.observe_stream(stream.id, seen, at).await.unwrap().unwrap();
        (observed.stream, observed.moved, observed.verdict)
    };
    let (live, moved, verdict) = observe(Some(seen("rtmpConn/1", 500)), now()).await;
    assert_eq!((live.state, moved, verdict), (State::Live, true, Verdict::Fine));
    assert_eq!(read().await, live);
    assert_eq!(published(&store).await, [told(&stream)]);
    assert_eq!(on_air().await, [stream.id]);
    // The same again is no news: neither a commit nor a message.
    let soon = now() + TimeDelta::seconds(2);
    let (_, moved, _) = observe(Some(seen("rtmpConn/1", 700)), soon).await;
    assert!(!moved);
    assert_eq!(read().await, live);
    let later = now() + TimeDelta::seconds(10);
    let (noted, ..) = observe(Some(seen("rtmpConn/1", 1_500)), later).await;
    assert_eq!(read().await, noted);
    assert_eq!((noted.feed.bytes, noted.feed.bitrate), (1_500, Some(800)));
    // Time alone moves it nowhere.
    let much_later = later + TimeDelta::hours(9);
    assert_eq!(store.look_at_streams(much_later, 10).await.unwrap(), []);
    let (gone, moved, _) = observe(None, much_later).await;
    assert_eq!((gone.state, moved), (State::Interrupted, true));
    assert_eq!(on_air().await, [stream.id]);
    assert_eq!(store.on_air(Receiver::Own, 10).await.unwrap(), []);
    let (over, ..) = observe(None, much_later + GRACE).await;
    assert_eq!((over.state, read().await), (State::Replay, over.clone()));
    assert_eq!(on_air().await, []);
    assert_eq!(published(&store).await, [told(&stream), told(&stream)]);
    // A deleted one is still known, so that its publisher is cut off.
    change(&store, target(&event, &stream), Change::Delete, much_later)
        .await
        .unwrap();
    let (.., verdict) = observe(Some(seen("rtmpConn/2", 1)), much_later).await;
    assert_eq!(verdict, Verdict::Cut);
    assert_eq!(store.stream(stream.id).await.unwrap(), None);
    // Two that see the same move it once.
    let there = NewStream {
        receiver: Receiver::MediaMtx,
        ..new(&event, Kind::Ingest)
    };
    let other = add(&store, &event, there).await;
    published(&store).await;
    let both = (0..2).map(|_| {
        let (store, id) = (store.clone(), other.id);
        tokio::spawn(async move { store.observe_stream(id, Some(seen("srtConn/1", 1)), now()).await })
    });
    let both = futures_util::future::join_all(both).await;
    let moved = both.into_iter().filter(|observed| {
        let observed = observed.as_ref().unwrap().as_ref().unwrap();
        observed.as_ref().unwrap().moved
    });
    assert_eq!(moved.count(), 1);
    assert_eq!(published(&store).await, [told(&other)]);
}

pub async fn a_deleted_recording_goes_with_its_stream(store: S) {
    let (event, stream) = on_air(&store).await;
    let process = new_id();
    for _ in 0..3 {
        receive(&store, &stream, process, now()).await;
    }
    let other = add(&store, &event, new(&event, Kind::Ingest)).await;
    let (_, taken) = receive(&store, &other, process, now()).await;
    // What is sent again, because an answer was lost, is there once.
    let again = segment(&other, &taken.object);
    let again = store.add_segment(claim(&other, process), again, now()).await;
    assert_eq!(again.unwrap().1, taken);
    let viewer = UserId::new();
    let watched = begin(&store, &stream, viewer).await.unwrap();
    let watches = begin(&store, &other, viewer).await.unwrap();
    // What is on is not dropped, whatever somebody says.
    let long_ago = now() - TimeDelta::days(30);
    let to_drop = async || ids(&store.streams_to_drop(long_ago, 10).await.unwrap());
    assert_eq!(to_drop().await, []);
    store.drop_segments(other.id, 1).await.unwrap();
    store.recording_dropped(other.id, now()).await.unwrap();
    assert_eq!(store.stream(other.id).await.unwrap().unwrap().state, State::Live);
    change(&store, target(&event, &stream), Change::Delete, now())
        .await
        .unwrap();
    published(&store).await;
    assert_eq!(to_drop().await, [stream.id]);
    store.drop_segments(stream.id, 2).await.unwrap();
    let left = store.segments(stream.id, 0, 10).await.unwrap();
    assert_eq!(left.iter().map(|left| left.number).collect::<Vec<_>>(), [2]);
    // One is left: nothing happens.
    store.recording_dropped(stream.id, now()).await.unwrap();
    assert_eq!(to_drop().await, [stream.id]);
    assert!(store.playback(watched.id).await.unwrap().is_some());
    store.drop_segments(stream.id, 3).await.unwrap();
    for _ in 0..2 {
        store.recording_dropped(stream.id, now()).await.unwrap();
        assert_eq!(to_drop().await, []);
    }
    assert_eq!(store.playback(watched.id).await.unwrap(), None);
    assert!(store.playback(watches.id).await.unwrap().is_some());
    assert_eq!(published(&store).await, []);
}

pub async fn an_old_recording_is_dropped(store: S) {
    let event = created(&store, draft(None, 0)).await;
    let mut kept = Vec::new();
    for record in [true, false] {
        let new = NewStream {
            record,
            ..new(&event, Kind::Ingest)
        };
        let stream = add(&store, &event, new).await;
        receive(&store, &stream, new_id(), now()).await;
        let ended = change(&store, target(&event, &stream), Change::End, now()).await;
        kept.push(ended.unwrap());
    }
    // Nothing was received of these.
    let never = add(&store, &event, new(&event, Kind::Ingest)).await;
    let meeting = add(&store, &event, new(&event, Kind::Meeting)).await;
    for stream in [&never, &meeting] {
        change(&store, target(&event, stream), Change::End, now())
            .await
            .unwrap();
    }
    published(&store).await;
    let (replay, over) = (&kept[0], &kept[1]);
    assert_eq!((replay.state, over.state), (State::Replay, State::Ended));
    let to_drop = async |before, limit| ids(&store.streams_to_drop(before, limit).await.unwrap());
    let later = now() + TimeDelta::milliseconds(1);
    assert_eq!(to_drop(now(), 10).await, [over.id]);
    assert_eq!(to_drop(later, 10).await, [over.id, replay.id]);
    assert_eq!(to_drop(later, 1).await, [over.id]);
    for stream in [over, replay] {
        store.drop_segments(stream.id, 10).await.unwrap();
        store.recording_dropped(stream.id, later).await.unwrap();
        let left = store.stream(stream.id).await.unwrap().unwrap();
        assert_eq!((left.state, left.feed.bytes), (State::Ended, 0));
        assert_eq!(published(&store).await, [told(stream)]);
        // Once.
        store.recording_dropped(stream.id, later).await.unwrap();
        assert_eq!(published(&store).await, []);
    }
    assert_eq!(to_drop(later, 10).await, []);
    // A new key opens it again, and the recording goes on with the next number.
    let hash = key();
    let again = Change::Key { hash, generation: 1 };
    let again = change(&store, target(&event, replay), again, later)
        .await
        .unwrap();
    let (again, next) = receive(&store, &again, new_id(), later).await;
    assert_eq!((again.state, next.number), (State::Live, 1));
    store.recording_dropped(replay.id, later).await.unwrap();
    assert_eq!(store.stream(replay.id).await.unwrap(), Some(again));
}

async fn begin_at(
    store: &S,
    stream: &Stream,
    user: UserId,
    organizer: bool,
    at: Timestamp,
) -> Result<Playback, PlaybackError> {
    let new = Playback {
        id: PlaybackId::new(),
        stream: stream.id,
        event: stream.event,
        user,
        started_at: at,
        seen_at: at,
        watched_millis: 0,
    };
    store.begin_playback(new, organizer, at).await
}

async fn begin(store: &S, stream: &Stream, user: UserId) -> Result<Playback, PlaybackError> {
    begin_at(store, stream, user, false, now()).await
}

pub async fn somebody_watches_on_three_devices(store: S) {
    let (event, stream) = on_air(&store).await;
    let other = add(&store, &event, new(&event, Kind::Ingest)).await;
    let (asha, ben) = (UserId::new(), UserId::new());
    let begun = (0..8).map(|number| {
        let (store, stream) = (
            store.clone(),
            if number % 2 == 0 { &stream } else { &other }.clone(),
        );
        tokio::spawn(async move { begin(&store, &stream, asha).await })
    });
    let mut playing = Vec::new();
    for begun in futures_util::future::join_all(begun).await {
        match begun.unwrap() {
            Ok(playback) => playing.push(playback),
            Err(PlaybackError::TooManyDevices) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(playing.len(), DEVICES);
    for playback in &playing {
        let read = store.playback(playback.id).await.unwrap();
        assert_eq!(read.as_ref(), Some(playback));
    }
    // Another person, another event, and the organizer on any number.
    begin(&store, &stream, ben).await.unwrap();
    let (_, elsewhere) = on_air(&store).await;
    begin(&store, &elsewhere, asha).await.unwrap();
    begin_at(&store, &stream, asha, true, now()).await.unwrap();
    // One that has not been seen for long gives its place.
    let later = now() + SEEN_FOR;
    let seen = playing[1..].iter().map(|playback| (playback.id, later)).collect();
    store.playbacks_seen(seen).await.unwrap();
    begin_at(&store, &stream, asha, false, later).await.unwrap();
    let refused = begin_at(&store, &stream, asha, false, later).await;
    assert!(matches!(refused, Err(PlaybackError::TooManyDevices)));
    // What was seen far ahead was written before the clock was set back.
    let before = now() - TimeDelta::days(1);
    begin_at(&store, &stream, asha, false, before).await.unwrap();
}

pub async fn what_is_seen_counts_as_watched(store: S) {
    let (event, stream) = on_air(&store).await;
    let (asha, ben) = (UserId::new(), UserId::new());
    let one = begin(&store, &stream, asha).await.unwrap();
    let two = begin(&store, &stream, asha).await.unwrap();
    let three = begin(&store, &stream, ben).await.unwrap();
    let at = |seconds| now() + TimeDelta::seconds(seconds);
    store.playbacks_seen(Vec::new()).await.unwrap();
    let seen = vec![
        (one.id, at(20)),
        (two.id, at(30)),
        (PlaybackId::new(), at(20)),
        (one.id, at(40)),
    ];
    store.playbacks_seen(seen).await.unwrap();
    // Away for longer than it counts.
    store
        .playbacks_seen(vec![(two.id, at(200)), (one.id, at(60))])
        .await
        .unwrap();
    for (playback, seen_at, watched) in [(&one, 60, 60_000), (&two, 200, 30_000), (&three, 0, 0)] {
        let read = store.playback(playback.id).await.unwrap().unwrap();
        assert_eq!((read.seen_at, read.watched_millis), (at(seen_at), watched));
    }
    // Two devices of one person are one.
    for (since, viewers) in [(at(-1), 2), (at(0), 1), (at(199), 1), (at(200), 0)] {
        assert_eq!(store.viewers(event.id, since).await.unwrap(), viewers);
    }
    assert_eq!(store.viewers(EventId::new(), at(-1)).await.unwrap(), 0);
}

pub async fn the_desk_sees_who_watched(store: S) {
    let (event, stream) = on_air(&store).await;
    let event = Arc::new(event);
    let (asha, ben) = (UserId::new(), UserId::new());
    for user in [asha, ben] {
        register(&store, event.id, user, now()).await.unwrap();
    }
    let at = |seconds| now() + TimeDelta::seconds(seconds);
    let attended = async || {
        let everybody = AttendeeFilter::default();
        let found = store
            .desk_attendees(event.clone(), everybody, None, 10, 10, now())
            .await;
        let found = found.unwrap().found;
        let of = |user| found.iter().find(|one| one.registration.user_id == user);
        let seen = |user| {
            of(user)?
                .attendance
                .map(|seen| (seen.last_seen_at, seen.watched_millis()))
        };
        (seen(asha), seen(ben))
    };
    assert_eq!(attended().await, (None, None));
    let one = begin(&store, &stream, asha).await.unwrap();
    let two = begin(&store, &stream, asha).await.unwrap();
    // Somebody else's, and the same person's elsewhere.
    begin(&store, &stream, UserId::new()).await.unwrap();
    let (_, elsewhere) = on_air(&store).await;
    begin(&store, &elsewhere, ben).await.unwrap();
    assert_eq!(attended().await, (Some((at(0), 0)), None));
    let seen = [(one.id, at(20)), (two.id, at(30)), (one.id, at(40))];
    store.playbacks_seen(seen.into()).await.unwrap();
    assert_eq!(attended().await, (Some((at(40), 40_000)), None));
    let later = begin_at(&store, &stream, asha, false, at(100)).await.unwrap();
    store.playbacks_seen(vec![(later.id, at(110))]).await.unwrap();
    assert_eq!(attended().await, (Some((at(110), 50_000)), None));
}

pub async fn who_leaves_takes_playbacks_along(store: S) {
    let (_, stream) = on_air(&store).await;
    let (asha, ben) = (UserId::new(), UserId::new());
    let mut begun = Vec::new();
    for number in 0..5 {
        let at = now() + SEEN_FOR * number;
        begun.push(begin_at(&store, &stream, asha, false, at).await.unwrap());
    }
    let other = begin(&store, &stream, ben).await.unwrap();
    begun.reverse();
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = Page { limit: 2, after };
        let (found, next) = store.playbacks_of_user(asha, page).await.unwrap();
        seen.extend(found);
        match next {
            None => break,
            next => after = next,
        }
    }
    assert_eq!(seen, begun, "newest first");
    for gone in [3, 2, 0] {
        assert_eq!(store.forget_viewer(asha, 3).await.unwrap(), gone);
    }
    assert_eq!(
        store.playbacks_of_user(asha, first(10)).await.unwrap(),
        (vec![], None)
    );
    assert_eq!(store.playbacks_of_user(ben, first(10)).await.unwrap().0, [other]);
}

pub async fn an_unreadable_stream_does_not_stop_the_others(fresh: Fresh) {
    let store = &fresh.store;
    let (event, good) = on_air(store).await;
    let mut bad = Vec::new();
    for (field, to) in [
        ("feed", Bad::Text("{\"next\": ")),
        ("state", Bad::Text("on hold")),
        ("key_hash", Bad::Type),
    ] {
        let stream = add(store, &event, new(&event, Kind::Ingest)).await;
        // Sooner than the good one.
        receive(store, &stream, new_id(), now() - TimeDelta::seconds(1)).await;
        damage(&fresh, "streams", stream.id.0, field, to).await;
        bad.push(stream);
    }
    receive(store, &good, new_id(), now()).await;
    published(store).await;
    assert_eq!(ids(&store.streams(event.id).await.unwrap()), [good.id]);
    for stream in &bad {
        assert!(store.stream(stream.id).await.is_err());
    }
    let silent = now() + TimeDelta::seconds(6);
    let mut moved = Vec::new();
    for _ in 0..4 {
        moved.extend(store.look_at_streams(silent, 1).await.unwrap());
    }
    assert_eq!(ids(&moved), [good.id]);
    assert_eq!(published(store).await, [told(&good)]);
    // Nor is it dropped before them.
    for stream in [&good, &add(store, &event, new(&event, Kind::Ingest)).await] {
        change(store, target(&event, stream), Change::Delete, now())
            .await
            .unwrap();
    }
    damage(&fresh, "streams", good.id.0, "title", Bad::Type).await;
    let to_drop = store.streams_to_drop(now(), 1).await.unwrap();
    assert_eq!(to_drop.len(), 1);
    assert_ne!(to_drop[0].id, good.id);
}

pub async fn unreadable_segments_and_playbacks_are_left_out(fresh: Fresh) {
    let store = &fresh.store;
    let (event, stream) = on_air(store).await;
    let other = add(store, &event, new(&event, Kind::Ingest)).await;
    for stream in [&stream, &other] {
        receive(store, stream, new_id(), now()).await;
    }
    damage(&fresh, "segments", stream.id.0, "object", Bad::Type).await;
    receive(store, &stream, new_id(), now() + TimeDelta::seconds(6)).await;
    let left = store.segments(stream.id, 0, 1).await.unwrap();
    assert_eq!(left.iter().map(|left| left.number).collect::<Vec<_>>(), [1]);
    assert!(store.segment(stream.id, 0).await.is_err());
    // They do not keep a deleted stream for ever.
    damage(&fresh, "segments", stream.id.0, "bytes", Bad::Type).await;
    change(store, target(&event, &stream), Change::Delete, now())
        .await
        .unwrap();
    store.recording_dropped(stream.id, now()).await.unwrap();
    assert_eq!(store.streams_to_drop(now(), 10).await.unwrap(), []);
    assert_eq!(store.segments(other.id, 0, 10).await.unwrap().len(), 1);

    let asha = UserId::new();
    let (bad, good) = (
        begin(store, &other, asha).await.unwrap(),
        begin(store, &other, asha).await.unwrap(),
    );
    damage(&fresh, "playbacks", bad.id.0, "watched_millis", Bad::Type).await;
    let soon = now() + TimeDelta::seconds(20);
    store
        .playbacks_seen(vec![(bad.id, soon), (good.id, soon)])
        .await
        .unwrap();
    let read = store.playback(good.id).await.unwrap().unwrap();
    assert_eq!(read.watched_millis, 20_000);
    assert!(store.playback(bad.id).await.is_err());
    begin(store, &other, asha).await.unwrap();
    let (of_asha, _) = store.playbacks_of_user(asha, first(1)).await.unwrap();
    assert_eq!(of_asha.len(), 1);
    assert_eq!(store.forget_viewer(asha, 10).await.unwrap(), 3);
}
