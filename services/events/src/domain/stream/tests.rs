use chrono::TimeDelta;
use common::ids::{EventId, PlaybackId, StreamId, UserId, new_id};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::domain::samples::NOW;

const QUOTA: u64 = 1 << 40;

fn new(kind: Kind) -> NewStream {
    NewStream {
        id: StreamId::new(),
        event: EventId::new(),
        title: "Main stage".to_owned(),
        kind,
        url: None,
        receiver: Receiver::Own,
        starts_at: None,
        ends_at: None,
        priority: 0,
        record: true,
        key_hash: (kind == Kind::Ingest).then_some([1; 32]),
    }
}

fn ingest() -> Stream {
    new(Kind::Ingest).into_stream(NOW).unwrap()
}

fn segment(stream: &Stream, seconds: u64) -> Segment {
    Segment {
        stream: stream.id,
        number: 0,
        object: "x.m4s".to_owned(),
        init: None,
        micros: seconds * 1_000_000,
        bytes: seconds * 100_000,
        discontinuity: false,
        at: NOW,
    }
}

fn receive(stream: &mut Stream, process: Uuid, seconds: u64, now: Timestamp) -> Segment {
    stream.claim(process, "live", QUOTA, now).unwrap();
    stream
        .receive(process, "live", segment(stream, seconds), QUOTA, now)
        .unwrap()
}

#[test]
fn it_follows_what_is_received() {
    let (mut stream, process) = (ingest(), new_id());
    assert_eq!((stream.state, stream.look_at), (State::Ready, None));
    let first = receive(&mut stream, process, 2, NOW);
    assert_eq!((first.number, first.discontinuity), (0, false));
    assert_eq!((stream.state, stream.feed.bitrate), (State::Live, Some(800_000)));
    assert_eq!(stream.look_at, Some(NOW + TimeDelta::seconds(6)));
    // Three targets of silence, and it comes back.
    stream.look(NOW + TimeDelta::milliseconds(5_999));
    assert_eq!(stream.state, State::Live);
    let silent = NOW + TimeDelta::seconds(6);
    stream.look(silent);
    assert_eq!((stream.state, stream.since), (State::Interrupted, silent));
    let back = silent + TimeDelta::seconds(100);
    let second = receive(&mut stream, process, 2, back);
    assert_eq!((second.number, second.discontinuity), (1, true));
    assert_eq!(stream.state, State::Live);
    // And not again: it is over after the grace.
    stream.look(back + TimeDelta::seconds(6));
    let end = back + TimeDelta::seconds(6) + GRACE;
    stream.look(end - TimeDelta::milliseconds(1));
    assert_eq!(stream.state, State::Interrupted);
    stream.look(end);
    assert_eq!((stream.state, stream.look_at), (State::Replay, None));
    assert_eq!(
        stream.claim(process, "live", QUOTA, end),
        Err(PublishRefusal::Ended)
    );
    // A new key opens it again, and the recording goes on.
    let key = Change::Key {
        hash: [2; 32],
        generation: 1,
    };
    stream.change(key.clone(), end).unwrap();
    assert_eq!(stream.change(key, end), Err(StreamRefusal::KeyChanged));
    assert_eq!(stream.state, State::Ready);
    let third = receive(&mut stream, process, 2, end);
    assert_eq!((third.number, third.discontinuity), (2, true));
}

#[test]
fn one_publishes_at_a_time() {
    let (mut stream, here, there) = (ingest(), new_id(), new_id());
    receive(&mut stream, here, 2, NOW);
    for (process, name) in [(here, "other"), (there, "live")] {
        assert_eq!(stream.claim(process, name, QUOTA, NOW), Err(PublishRefusal::Busy));
    }
    assert_eq!(stream.claim(here, "live", 1, NOW), Err(PublishRefusal::Full));
    // A process that died is replaced.
    let later = NOW + CLAIM.max(TimeDelta::seconds(6));
    stream.claim(there, "live", QUOTA, later).unwrap();
    let late = segment(&stream, 2);
    assert_eq!(
        stream.receive(here, "live", late, QUOTA, later),
        Err(PublishRefusal::Busy)
    );
    // The organizer cuts it off, and ends it.
    stream.change(Change::Kick, later).unwrap();
    assert_eq!(
        (stream.state, &stream.feed.publisher),
        (State::Interrupted, &None)
    );
    // It comes back after a while; another one may take its place at once.
    let late = segment(&stream, 2);
    assert_eq!(
        stream.receive(there, "live", late, QUOTA, later),
        Err(PublishRefusal::Busy)
    );
    assert_eq!(
        stream.claim(there, "live", QUOTA, later),
        Err(PublishRefusal::CutOff)
    );
    assert_eq!(stream.clone().claim(there, "other", QUOTA, later), Ok(()));
    let later = later + TimeDelta::seconds(10);
    receive(&mut stream, there, 2, later);
    // Who leaves in good order is not waited for.
    let mut left = stream.clone();
    left.release(here, "live", later);
    assert_eq!(left, stream);
    left.release(there, "live", later);
    assert_eq!(left.state, State::Interrupted);
    assert_eq!(left.claim(here, "other", QUOTA, later), Ok(()));
    stream.change(Change::End, later).unwrap();
    assert_eq!((stream.state, stream.key_hash), (State::Replay, None));
    let late = segment(&stream, 2);
    assert_eq!(
        stream.receive(there, "live", late, QUOTA, later),
        Err(PublishRefusal::Ended)
    );
}

#[test]
fn a_clock_put_back_keeps_nobody_out() {
    let (mut stream, here, there) = (ingest(), new_id(), new_id());
    receive(&mut stream, here, 2, NOW + TimeDelta::days(1));
    stream.claim(there, "live", QUOTA, NOW).unwrap();
}

#[test]
fn others_follow_their_appointment() {
    let (starts, ends) = (NOW + TimeDelta::hours(1), NOW + TimeDelta::hours(2));
    let mut stream = NewStream {
        starts_at: Some(starts),
        ends_at: Some(ends),
        ..new(Kind::Meeting)
    }
    .into_stream(NOW)
    .unwrap();
    for (at, state, next) in [
        (NOW, State::Scheduled, Some(starts)),
        (starts, State::Live, Some(ends)),
        (ends, State::Ended, None),
    ] {
        stream.look(at);
        assert_eq!((stream.state, stream.look_at), (state, next));
    }
    assert_eq!(stream.change(Change::Kick, ends), Err(StreamRefusal::NotIngest));
    // It takes place later after all.
    let edit = Edit {
        starts_at: Some(Some(ends + TimeDelta::hours(1))),
        ends_at: Some(None),
        ..Edit::default()
    };
    stream.change(Change::Edit(edit), ends).unwrap();
    assert_eq!(
        (stream.state, stream.look_at),
        (State::Scheduled, Some(ends + TimeDelta::hours(1)))
    );
    let now = Edit {
        starts_at: Some(None),
        ..Edit::default()
    };
    stream.change(Change::Edit(now), ends).unwrap();
    assert_eq!(stream.state, State::Live);
    // Without a time it is on at once.
    let mut stream = new(Kind::Hls).into_stream(NOW).unwrap();
    assert_eq!(stream.look_at, Some(NOW));
    stream.look(NOW);
    assert_eq!((stream.state, stream.look_at), (State::Live, None));
    let back_to_front = NewStream {
        starts_at: Some(ends),
        ends_at: Some(starts),
        ..new(Kind::Hls)
    };
    assert_eq!(
        back_to_front.into_stream(NOW),
        Err(StreamRefusal::EndsBeforeStart)
    );
}

#[test]
fn what_is_not_recorded_is_over() {
    let mut stream = NewStream {
        record: false,
        ..new(Kind::Ingest)
    }
    .into_stream(NOW)
    .unwrap();
    receive(&mut stream, new_id(), 2, NOW);
    stream.change(Change::End, NOW).unwrap();
    assert_eq!(stream.state, State::Ended);
}

#[test]
fn what_is_dropped_is_over_until_something_new_comes() {
    let (mut stream, process) = (ingest(), new_id());
    receive(&mut stream, process, 2, NOW);
    stream.change(Change::End, NOW).unwrap();
    let version = stream.version;
    stream.recording_dropped(NOW);
    assert_eq!((stream.state, stream.feed.bytes), (State::Ended, 0));
    assert!(stream.version > version);
    // A new key and nothing received: there is still nothing to watch again.
    for (generation, received, state) in [(1, false, State::Ended), (2, true, State::Replay)] {
        let hash = [2; 32];
        stream.change(Change::Key { hash, generation }, NOW).unwrap();
        if received {
            assert_eq!(receive(&mut stream, process, 2, NOW).number, 1);
        }
        stream.change(Change::End, NOW).unwrap();
        assert_eq!(stream.state, state);
    }
}

#[test]
fn the_timetable_shows_the_primary_while_it_is_live() {
    let process = new_id();
    let with = |priority, starts_at| {
        let mut stream = ingest();
        (stream.priority, stream.starts_at) = (priority, starts_at);
        stream
    };
    let (mut primary, mut backup) = (with(0, None), with(1, None));
    let (soon, later) = (NOW + TimeDelta::hours(1), NOW + TimeDelta::hours(2));
    let (next, last) = (with(0, Some(soon)), with(0, Some(later)));
    let show = |streams: [&Stream; 4], now| {
        let shown = Timetable::new(streams.into_iter().cloned().collect(), now);
        (shown.current, shown.next)
    };
    receive(&mut backup, process, 2, NOW);
    assert_eq!(
        show([&primary, &last, &backup, &next], NOW),
        (Some(backup.id), Some(next.id))
    );
    receive(&mut primary, process, 2, NOW);
    assert_eq!(show([&primary, &last, &backup, &next], NOW).0, Some(primary.id));
    primary.look(NOW + TimeDelta::seconds(6));
    assert_eq!(show([&primary, &last, &backup, &next], NOW).0, Some(backup.id));
    backup.look(NOW + TimeDelta::seconds(6));
    assert_eq!(
        show([&primary, &last, &backup, &next], soon),
        (Some(primary.id), Some(last.id))
    );
}

fn playback() -> Playback {
    Playback {
        id: PlaybackId::new(),
        stream: StreamId::new(),
        event: EventId::new(),
        user: UserId::new(),
        started_at: NOW,
        seen_at: NOW,
        watched_millis: 0,
    }
}

/// One that was watched from and to these seconds, for as many of them.
fn watched(from: i64, to: i64, seconds: i64) -> Playback {
    Playback {
        started_at: NOW + TimeDelta::seconds(from),
        seen_at: NOW + TimeDelta::seconds(to),
        watched_millis: seconds * 1_000,
        ..playback()
    }
}

#[test]
fn two_devices_at_the_same_time_count_once() {
    let attendance = |playbacks: &[Playback]| {
        let found = Attendance::of(playbacks)?;
        let seconds = |at: Timestamp| (at - NOW).num_seconds();
        let times = (seconds(found.entered_at), seconds(found.last_seen_at));
        Some((times.0, times.1, found.watched_millis() / 1_000))
    };
    for (playbacks, expected) in [
        (vec![], None),
        (vec![watched(0, 0, 0)], Some((0, 0, 0))),
        (vec![watched(0, 100, 90)], Some((0, 100, 90))),
        // One after the other.
        (
            vec![watched(0, 100, 90), watched(200, 300, 80)],
            Some((0, 300, 170)),
        ),
        // At the same time.
        (
            vec![watched(0, 100, 100), watched(10, 60, 50)],
            Some((0, 100, 100)),
        ),
        (vec![watched(0, 100, 20), watched(10, 60, 50)], Some((0, 100, 70))),
        // The live stream twice, and again the next day.
        (
            vec![watched(0, 100, 100), watched(50, 120, 70), watched(900, 950, 50)],
            Some((0, 950, 170)),
        ),
        // The clock was set back.
        (vec![watched(100, 90, 30)], Some((100, 90, 0))),
        (
            vec![watched(100, 130, 30), watched(50, 60, 10)],
            Some((50, 130, 30)),
        ),
    ] {
        assert_eq!(attendance(&playbacks), expected, "{playbacks:?}");
    }
}

#[test]
fn three_devices_play_at_a_time() {
    let mut others: Vec<Playback> = (0..3).map(|_| playback()).collect();
    assert_eq!(
        begin_playback(playback(), &others, false, NOW),
        Err(TooManyDevices)
    );
    assert!(begin_playback(playback(), &others, true, NOW).is_ok());
    others[0].seen_at = NOW - SEEN_FOR;
    assert!(begin_playback(playback(), &others, false, NOW).is_ok());
    // What was watched counts, what was away does not.
    let mut one = playback();
    for seconds in [20, 40, 200, 220] {
        one.seen(NOW + TimeDelta::seconds(seconds));
    }
    assert_eq!(one.watched_millis, 60_000);
}

proptest! {
    /// Nobody has watched for longer than they were there, nor than their devices add up to, nor less than on any of these.
    #[test]
    fn attendance_is_within_bounds(sittings in prop::collection::vec((0_i64..500, 0_i64..500, 0.0_f64..=1.0), 1..12)) {
        let mut playbacks: Vec<Playback> = sittings
            .into_iter()
            .map(|(from, took, part)| watched(from, from + took, (took as f64 * part) as i64))
            .collect();
        playbacks.sort_by_key(|playback| playback.started_at);
        let found = Attendance::of(&playbacks).unwrap();
        let each = playbacks.iter().map(|playback| playback.watched_millis);
        prop_assert!(found.watched_millis() <= (found.last_seen_at - found.entered_at).num_milliseconds());
        prop_assert!(found.watched_millis() <= each.clone().sum());
        prop_assert!(found.watched_millis() >= each.max().unwrap());
    }

    /// Whatever happens in whatever order: numbers have no gap, nothing is received after the end, and only who claims publishes.
    #[test]
    fn any_order_of_events_keeps_the_numbers(steps in prop::collection::vec((0_u8..7, 0_i64..90), 1..60)) {
        let (mut stream, mut now) = (ingest(), NOW);
        let processes = [new_id(), new_id()];
        let mut expected = 0;
        for (step, seconds) in steps {
            now += TimeDelta::seconds(seconds);
            let version = stream.version;
            let state = stream.state;
            match step {
                0 | 1 => {
                    let process = processes[usize::from(step)];
                    if stream.claim(process, "live", QUOTA, now).is_ok() {
                        let received = segment(&stream, 2);
                        let received = stream.receive(process, "live", received, QUOTA, now).unwrap();
                        prop_assert_eq!(received.number, expected);
                        expected += 1;
                        prop_assert_eq!(stream.state, State::Live);
                    } else {
                        let is_cut_off = stream.feed.cut_off.is_some();
                        prop_assert!(state != State::Ready || is_cut_off || stream.feed.publisher.is_some());
                    }
                }
                2 | 3 => stream.look(now),
                4 => stream.change(Change::Kick, now).unwrap(),
                5 => stream.change(Change::End, now).unwrap(),
                _ => {
                    let generation = stream.feed.key_generation + 1;
                    stream.change(Change::Key { hash: [3; 32], generation }, now).unwrap();
                    prop_assert!(stream.state.takes_media());
                }
            }
            prop_assert!(stream.state == state || stream.version > version);
            prop_assert!(stream.look_at.is_some() == matches!(stream.state, State::Live | State::Interrupted));
        }
        prop_assert_eq!(stream.feed.next, expected);
    }
}

fn at_mediamtx() -> Stream {
    let new = NewStream {
        receiver: Receiver::MediaMtx,
        ..new(Kind::Ingest)
    };
    new.into_stream(NOW).unwrap()
}

fn seen(source: &str, since: Timestamp, bytes: u64) -> Seen {
    Seen {
        source: source.to_owned(),
        since: Some(since),
        bytes,
        codecs: None,
        recorded: true,
    }
}

fn seconds(seconds: i64) -> Timestamp {
    NOW + TimeDelta::seconds(seconds)
}

#[test]
fn a_stream_elsewhere_follows_what_is_seen_there() {
    let mut stream = at_mediamtx();
    assert_eq!((stream.state, stream.look_at), (State::Ready, None));
    assert_eq!(stream.observe(None, NOW), Verdict::Fine);
    assert_eq!(stream.state, State::Ready);
    let first = seen("rtmpConn/1", NOW, 1_000);
    assert_eq!(stream.observe(Some(&first), seconds(1)), Verdict::Fine);
    assert_eq!((stream.state, stream.look_at), (State::Live, None));
    // Nobody can be asked for a day: nothing has moved.
    stream.look(seconds(86_400));
    assert_eq!((stream.state, stream.look_at), (State::Live, None));
    stream.observe(Some(&seen("rtmpConn/1", NOW, 3_000)), seconds(3));
    assert_eq!((stream.feed.bytes, stream.feed.bitrate), (3_000, Some(8_000)));
    stream.observe(None, seconds(5));
    assert_eq!(stream.state, State::Interrupted);
    // Another connection, which counts its own bytes, and one that says less than before.
    stream.observe(Some(&seen("rtmpConn/2", seconds(6), 50)), seconds(8));
    stream.observe(Some(&seen("rtmpConn/2", seconds(6), 20)), seconds(20));
    assert_eq!((stream.state, stream.feed.bytes), (State::Live, 3_070));
    stream.observe(None, seconds(22));
    stream.observe(None, seconds(22) + GRACE - TimeDelta::milliseconds(1));
    assert_eq!(stream.state, State::Interrupted);
    stream.observe(None, seconds(22) + GRACE);
    assert_eq!(stream.state, State::Replay);
    // Of the two parts the second was longer.
    let longest = Take {
        from: seconds(6),
        to: seconds(20),
    };
    assert_eq!(stream.feed.take, Some(longest));
    stream.recording_dropped(seconds(500));
    assert_eq!((stream.state, stream.feed.take), (State::Ended, None));
}

#[test]
fn what_a_server_does_not_record_is_no_replay() {
    for (recorded, record) in [(false, true), (true, false)] {
        let mut stream = Stream {
            record,
            ..at_mediamtx()
        };
        let one = Seen {
            recorded,
            ..seen("srtConn/1", NOW, 9)
        };
        stream.observe(Some(&one), NOW);
        stream.change(Change::End, seconds(1)).unwrap();
        assert_eq!(stream.state, State::Ended);
        // What it has recorded all the same is dropped.
        assert_eq!(stream.feed.bytes > 0, recorded);
    }
}

#[test]
fn who_is_to_go_is_cut_off_until_it_is_gone() {
    let hash = [2; 32];
    for (change, state, comes_back) in [
        (Change::Kick, State::Interrupted, Err(PublishRefusal::CutOff)),
        (Change::Key { hash, generation: 1 }, State::Interrupted, Ok(())),
        (Change::End, State::Replay, Err(PublishRefusal::Ended)),
        (Change::Delete, State::Deleted, Err(PublishRefusal::Ended)),
    ] {
        let mut stream = at_mediamtx();
        assert_eq!(stream.lets_in(NOW), Ok(()));
        stream.observe(Some(&seen("rtmpConn/1", NOW, 9)), NOW);
        stream.change(change.clone(), seconds(1)).unwrap();
        assert_eq!(
            (stream.state, stream.lets_in(seconds(2))),
            (state, comes_back),
            "{change:?}"
        );
        for after in [2, 4, 60] {
            let still = stream.observe(Some(&seen("rtmpConn/1", NOW, 20)), seconds(after));
            assert_eq!((still, stream.state), (Verdict::Cut, state), "{change:?}");
        }
        let other = stream.observe(Some(&seen("rtmpConn/2", seconds(60), 1)), seconds(61));
        match state.takes_media() {
            true => assert_eq!((other, stream.state), (Verdict::Fine, State::Live), "{change:?}"),
            false => assert_eq!((other, stream.state), (Verdict::Cut, state), "{change:?}"),
        }
    }
    let mut kicked = at_mediamtx();
    kicked.observe(Some(&seen("rtmpConn/1", NOW, 9)), NOW);
    kicked.change(Change::Kick, NOW).unwrap();
    assert_eq!(
        kicked.lets_in(seconds(10)),
        Ok(()),
        "it may come back after ten seconds"
    );
    assert_eq!(ingest().lets_in(NOW), Err(PublishRefusal::Elsewhere));
    let refused = at_mediamtx().claim(new_id(), "live", QUOTA, NOW);
    assert_eq!(refused, Err(PublishRefusal::Elsewhere));
}
