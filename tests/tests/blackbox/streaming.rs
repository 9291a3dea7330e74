//! Streams: a real encoder sends them, those who take part watch them, nobody else does, and afterwards they are there to be watched
//! again, whole.

use std::{path::Path, process::Child, time::Duration};

use crate::mailbox::in_a_browser;
use reqwest::Method;
use serde_json::{Value, json};
use tests::{
    Answer, Options, PATIENCE, Person, System, Topology,
    bucket::BucketServer,
    eventually,
    live::LiveSocket,
    streaming::{Put, addresses, duration, ffmpeg, frames, put, rtmp, run, source},
};

/// Segments are of a second: what is shorter by less is whole.
const SEGMENT: f64 = 1.0;
const LIVE: Put<'_> = Put {
    in_real_time: true,
    mp4: true,
    playlist: "live.m3u8",
};

async fn created(organizer: &Person, event: &str, body: Value) -> Value {
    let path = format!("/api/organiser/events/{event}/streams");
    organizer.post(&path, body).await.expect(201)
}

async fn ingest(organizer: &Person, event: &str) -> Value {
    created(organizer, event, json!({"title": "Main stage", "kind": "ingest"})).await
}

fn id(stream: &Value) -> &str {
    stream["stream_id"].as_str().unwrap()
}

fn of(event: &str, stream: &Value, action: &str) -> String {
    format!("/api/organiser/events/{event}/streams/{}{action}", id(stream))
}

async fn begin(who: &Person, stream: &Value) -> Answer {
    let path = format!("/api/live/streams/{}/playback", id(stream));
    who.post(&path, json!({})).await
}

async fn state(organizer: &Person, event: &str, stream: &Value) -> String {
    let path = format!("/api/organiser/events/{event}/streams");
    let all = organizer.get(&path).await.expect(200);
    let all = all.as_array().unwrap().clone();
    let one = all.iter().find(|one| one["stream_id"] == stream["stream_id"]);
    one.map(|one| one["state"].as_str().unwrap().to_owned())
        .unwrap_or_default()
}

async fn is(wanted: &str, organizer: &Person, event: &str, stream: &Value) {
    eventually(&format!("the stream is {wanted}"), PATIENCE, async || {
        (state(organizer, event, stream).await == wanted).then_some(())
    })
    .await;
}

/// What the organizer sees of the only attendee's watching.
async fn attendance(organizer: &Person, event: &str) -> Value {
    let path = format!("/api/organiser/events/{event}/registrations");
    let list = organizer.get(&path).await.expect(200);
    assert_eq!(list.as_array().unwrap().len(), 1);
    list[0]["attendance"].clone()
}

/// The path and query of what a playback gives, and the folder it is in.
fn parts(playback: &Value) -> (String, String) {
    let url = playback["url"].as_str().unwrap();
    let path = &url[url.find("/api/").unwrap()..];
    let folder = &path[..path.rfind('/').unwrap()];
    (path.to_owned(), folder.to_owned())
}

/// The playlist of segments that a playback leads to, and where it is.
async fn playlist(who: &Person, playback: &Value) -> (String, String) {
    let (master, folder) = parts(playback);
    let master = who.get(&master).await;
    assert_eq!(master.status, 200, "{}", master.text);
    let media = format!("{folder}/{}", addresses(&master.text)[0]);
    let text = who.get(&media).await;
    assert_eq!(text.status, 200, "{}", text.text);
    assert_eq!(text.headers["content-type"], "application/vnd.apple.mpegurl");
    (text.text, media)
}

/// What it plays, for ffmpeg.
fn url(system: &System, playback: &Value) -> String {
    format!("{}{}", system.url(), parts(playback).0)
}

fn wait(mut encoder: Child) {
    assert!(encoder.wait().unwrap().success(), "the encoder went wrong");
}

async fn people(system: &System) -> (Person, Person, Person, String) {
    let (organizer, asha, ben) = (
        system.person("organizer").await,
        system.person("user").await,
        system.person("user").await,
    );
    let event = organizer.create_event(json!(10), json!(0)).await;
    asha.register(&event).await.expect(201);
    (organizer, asha, ben, event)
}

/// Live, with those who may watch and those who may not, and the replay afterwards.
async fn the_story(topology: Topology) {
    let system = System::start(topology, Options::default()).await;
    let (organizer, asha, ben, event) = people(&system).await;
    let file = source(system.dir(), 8);
    let mut stage = LiveSocket::connect(&system.url(), Some(&asha)).await.unwrap();
    stage.subscribe(&format!("event:{event}:stage"), None).await;

    let stream = ingest(&organizer, &event).await;
    assert_eq!(stream["state"], "ready");
    let encoder = put(&file, &stream, LIVE);
    stage
        .until("it is live", |push| {
            push["type"] == "stream.state" && push["data"]["state"] == "live"
        })
        .await;
    let timetable = asha
        .get(&format!("/api/live/events/{event}/streams"))
        .await
        .expect(200);
    assert_eq!(timetable["current"], stream["stream_id"]);
    assert_eq!(attendance(&organizer, &event).await, Value::Null);

    // Asha watches; everything that the playlist lists is there.
    let playback = begin(&asha, &stream).await.expect(201);
    assert_eq!(
        (&playback["kind"], &playback["heartbeat_seconds"]),
        (&json!("ingest"), &json!(20))
    );
    let (text, media) = playlist(&system.anyone(), &playback).await;
    let (_, folder) = parts(&playback);
    let listed: Vec<&str> = addresses(&text);
    assert!(listed[0].contains(".mp4?") && listed.len() > 1, "{text}");
    for address in &listed {
        let answer = system.anyone().get(&format!("{folder}/{address}")).await;
        assert_eq!(answer.status, 200, "{address}: {}", answer.text);
        assert_eq!(answer.headers["content-type"], "video/mp4");
        assert_eq!(
            answer.headers["cache-control"],
            "public, max-age=31536000, immutable"
        );
    }
    let viewers = stage.until("a viewer", |push| push["type"] == "viewers").await;
    assert_eq!(viewers["data"], json!({"count": 1}));
    // The organizer sees the same files under the same addresses: a cache keeps one copy.
    let theirs = begin(&organizer, &stream).await.expect(201);
    let (again, _) = playlist(&system.anyone(), &theirs).await;
    let both = addresses(&again);
    assert!(
        listed.iter().any(|address| both.contains(address)),
        "{text}\n{again}"
    );

    // Nobody else does.
    begin(&ben, &stream).await.problem(404, "stream_not_found");
    system
        .anyone()
        .post(&format!("/api/live/streams/{}/playback", id(&stream)), json!({}))
        .await
        .problem(401, "missing_token");
    let segment = listed[1];
    let (name, query) = segment.split_once('?').unwrap();
    let another = ingest(&organizer, &event).await;
    let token = media.split_once("?s=").unwrap().1;
    for refused in [
        format!("{folder}/{name}"),
        format!("{folder}/{name}?{}", query.replace("k=", "k=x")),
        format!("{folder}/{name}?{}", query.replace("e=1", "e=2")),
        format!("/api/live/hls/{}/{name}?{query}", id(&another)),
    ] {
        system
            .anyone()
            .get(&refused)
            .await
            .problem(403, "segment_token_invalid");
    }
    for refused in [
        media.replace("?s=", "?s=x"),
        media.split('?').next().unwrap().to_owned(),
        format!("/api/live/hls/{}/live.m3u8?s={token}", id(&another)),
    ] {
        system
            .anyone()
            .get(&refused)
            .await
            .problem(403, "playback_invalid");
    }

    // It goes on while she says so, and ends when her registration does.
    let heartbeat = format!(
        "/api/live/playback/{}/heartbeat",
        playback["playback_id"].as_str().unwrap()
    );
    assert_eq!(
        asha.post(&heartbeat, json!({})).await.expect(200)["url"],
        playback["url"]
    );
    ben.post(&heartbeat, json!({}))
        .await
        .problem(404, "playback_not_found");
    wait(encoder);
    // The last file is still on its way when the encoder has ended: it does not wait for the answer.
    let token = media.split_once("?s=").unwrap().1;
    eventually("all of it has come", PATIENCE, async || {
        let dvr = system.anyone().get(&format!("{folder}/dvr.m3u8?s={token}")).await;
        (duration(&dvr.text) > 7.9).then_some(())
    })
    .await;

    // The organizer ends it: at once there is a replay, whole.
    organizer
        .post(&of(&event, &stream, "/end"), json!({}))
        .await
        .expect(200);
    assert_eq!(state(&organizer, &event, &stream).await, "replay");
    stage
        .until("it is over", |push| {
            push["type"] == "stream.state" && push["data"]["state"] == "replay"
        })
        .await;
    let replay = begin(&asha, &stream).await.expect(201);
    let (text, _) = playlist(&system.anyone(), &replay).await;
    assert!(
        text.contains("#EXT-X-PLAYLIST-TYPE:VOD") && text.ends_with("#EXT-X-ENDLIST\n"),
        "{text}"
    );
    assert!((duration(&text) - 8.0).abs() < SEGMENT, "{text}");
    assert_eq!(frames(&url(&system, &replay)), frames(file.to_str().unwrap()));

    // Asha's registration ends: so does what she watches.
    let mine = asha.get("/api/reg/get_registrevent").await.expect(200);
    let registration = mine[0]["registration_id"].as_str().unwrap();
    let path = format!("/api/reg/registrations/{registration}");
    asha.send(Method::DELETE, &path, None, &[])
        .await
        .unwrap()
        .expect(200);
    let (master, _) = parts(&replay);
    eventually("her playlist is refused", Duration::from_secs(3), async || {
        // By one process after the other.
        for _ in 0..4 {
            if system.anyone().get(&master).await.status != 403 {
                return None;
            }
        }
        Some(())
    })
    .await;
    system.anyone().get(&master).await.problem(403, "access_ended");
    // The organizer knows for how long she was there.
    eventually("what she watched is in the list", PATIENCE, async || {
        let seen = attendance(&organizer, &event).await;
        let watched = seen["watched_seconds"].as_i64()?;
        let in_order = seen["entered_at"].as_str()? < seen["last_seen_at"].as_str()?;
        (watched >= 1 && in_order).then_some(())
    })
    .await;
    asha.post(&heartbeat, json!({}))
        .await
        .problem(403, "access_ended");
    begin(&asha, &stream).await.problem(403, "access_ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_story_in_one_process() {
    the_story(Topology::One).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_story_in_five_processes() {
    the_story(Topology::Five).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_story_with_replicas() {
    the_story(Topology::Replicas).await;
}

/// Waits until so many seconds are stored; gives the playlist of all.
async fn stored(organizer: &Person, stream: &Value, seconds: f64) -> String {
    eventually("all of it is stored", PATIENCE, async || {
        let playback = begin(organizer, stream).await.expect(201);
        let (_, folder) = parts(&playback);
        let token = playback["url"].as_str().unwrap().split_once("?s=").unwrap().1;
        let dvr = organizer.get(&format!("{folder}/dvr.m3u8?s={token}")).await;
        (dvr.status == 200 && (duration(&dvr.text) - seconds).abs() < SEGMENT / 2.0).then_some(dvr.text)
    })
    .await
}

/// Many short files at once, each on a connection that the encoder closes without waiting: none is lost.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_sent_is_lost() {
    let system = System::start(Topology::One, Options::default()).await;
    let (organizer, _, _, event) = people(&system).await;
    let file = source(system.dir(), 20);
    for round in 0..10 {
        let mp4 = round % 2 == 0;
        let stream = ingest(&organizer, &event).await;
        let burst = Put {
            in_real_time: false,
            mp4,
            ..LIVE
        };
        wait(put(&file, &stream, burst));
        let list = format!("/api/organiser/events/{event}/streams");
        let all = stored(&organizer, &stream, 20.0).await;
        assert!(!all.contains("#EXT-X-DISCONTINUITY\n"), "{all}");
        assert_eq!(all.contains("#EXT-X-MAP"), mp4);
        assert_eq!(organizer.get(&list).await.expect(200)[0]["problem"], Value::Null);
        organizer
            .send(Method::DELETE, &of(&event, &stream, ""), None, &[])
            .await
            .unwrap()
            .expect(200);
    }
}

/// An encoder that is killed, and one that takes its place.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_encoder_is_noticed_and_may_come_back() {
    let system = System::start(Topology::One, Options::default()).await;
    let (organizer, asha, _, event) = people(&system).await;
    let file = source(system.dir(), 20);
    let stream = ingest(&organizer, &event).await;
    let mut encoder = put(&file, &stream, LIVE);
    is("live", &organizer, &event, &stream).await;
    encoder.kill().unwrap();
    encoder.wait().unwrap();
    is("interrupted", &organizer, &event, &stream).await;
    let mut encoder = put(&file, &stream, LIVE);
    is("live", &organizer, &event, &stream).await;
    let playback = begin(&asha, &stream).await.expect(201);
    let (text, _) = playlist(&system.anyone(), &playback).await;
    assert!(text.contains("#EXT-X-DISCONTINUITY\n"), "{text}");
    // The end cuts off whoever publishes.
    organizer
        .post(&of(&event, &stream, "/end"), json!({}))
        .await
        .expect(200);
    let (text, _) = playlist(&system.anyone(), &begin(&asha, &stream).await.expect(201)).await;
    assert!(text.ends_with("#EXT-X-ENDLIST\n"));
    encoder.kill().unwrap();
    encoder.wait().unwrap();
}

/// kill -9 of the server while it receives: what it lists afterwards is there and whole, and the encoder goes on.
async fn killed(topology: Topology) {
    let mut system = System::start(topology, Options::default()).await;
    let (organizer, asha, _, event) = people(&system).await;
    let file = source(system.dir(), 20);
    let stream = ingest(&organizer, &event).await;
    let encoder = put(&file, &stream, LIVE);
    is("live", &organizer, &event, &stream).await;
    let playback = begin(&asha, &stream).await.expect(201);
    let (before, _) = playlist(&system.anyone(), &playback).await;
    system.kill("events");
    system.start_again().await;
    let (_, folder) = parts(&playback);
    let first = |text: &str| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("#EXT-X-MEDIA-SEQUENCE:"));
        line.unwrap().parse::<u64>().unwrap()
    };
    // The same playback goes on, and so does the count of the segments.
    let after = eventually("it goes on", PATIENCE, async || {
        let (text, _) = playlist(&system.anyone(), &playback).await;
        let segments = |text: &str| first(text) + text.matches("#EXTINF").count() as u64;
        (segments(&text) > segments(&before) + 2).then_some(text)
    })
    .await;
    for address in addresses(&after) {
        let answer = system.anyone().get(&format!("{folder}/{address}")).await;
        assert_eq!(answer.status, 200, "{address}");
    }
    wait(encoder);
    organizer
        .post(&of(&event, &stream, "/end"), json!({}))
        .await
        .expect(200);
    let replay = begin(&asha, &stream).await.expect(201);
    let decoded = frames(&url(&system, &replay)).len();
    let all = frames(file.to_str().unwrap()).len();
    // What was sent while nobody listened is gone, and nothing else.
    assert!(decoded > all / 2 && decoded <= all, "{decoded} of {all}");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_one_process() {
    killed(Topology::One).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_production() {
    killed(Topology::Production).await;
}

/// Recordings in a bucket: they are where the settings say, outlive the process and its disk, come back with the bucket, and go
/// with the stream.
#[tokio::test(flavor = "multi_thread")]
async fn recordings_are_kept_in_a_bucket() {
    let directory = tempfile::tempdir().unwrap();
    let mut bucket = BucketServer::start(directory.path()).await;
    let mut options = Options::default();
    for (name, value) in bucket.settings() {
        options = options.with(name, value);
    }
    let mut system = System::start(Topology::One, options).await;
    let (organizer, asha, _, event) = people(&system).await;
    let file = source(system.dir(), 6);
    let stream = ingest(&organizer, &event).await;
    let burst = Put {
        in_real_time: false,
        ..LIVE
    };
    wait(put(&file, &stream, burst));
    stored(&organizer, &stream, 6.0).await;
    assert!(bucket.objects().len() >= 7, "six segments and how they begin");
    let below = format!("recordings/some/events/{}", id(&stream).replace('-', ""));
    for object in bucket.objects() {
        assert!(object.to_string_lossy().contains(&below), "{object:?}");
    }
    assert!(!system.data().join("streams").exists());
    organizer
        .post(&of(&event, &stream, "/end"), json!({}))
        .await
        .expect(200);

    // Nothing of it is in the memory of the next process.
    system.kill("events");
    system.start_again().await;
    let replay = begin(&asha, &stream).await.expect(201);
    let (text, media) = playlist(&system.anyone(), &replay).await;
    let folder = &media[..media.rfind('/').unwrap()];
    bucket.go_away();
    let address = format!("{folder}/{}", addresses(&text)[1]);
    system.anyone().get(&address).await.problem(503, "");
    bucket.come_back().await;
    eventually("the segment is there again", PATIENCE, async || {
        (system.anyone().get(&address).await.status == 200).then_some(())
    })
    .await;
    assert_eq!(frames(&url(&system, &replay)), frames(file.to_str().unwrap()));
    assert!(!system.log().contains("S3RVER"), "the key is in the log");

    let path = of(&event, &stream, "");
    organizer
        .send(Method::DELETE, &path, None, &[])
        .await
        .unwrap()
        .expect(200);
    eventually("the bucket is empty", PATIENCE, async || {
        bucket.objects().is_empty().then_some(())
    })
    .await;
}

async fn sends(person: &Person, at: &str, key: &str, name: &str, body: impl Into<reqwest::Body>) -> Answer {
    let address = format!("{}/{key}/{name}", at.replace("localhost", "127.0.0.1"));
    let (url, path) = address.split_at(address.find("/hls").unwrap());
    person.at(url).put(path, body.into()).await
}

/// A disk that is nearly full is left to the databases.
#[tokio::test(flavor = "multi_thread")]
async fn recordings_leave_room_for_the_rest() {
    let options = Options::default().with("STREAM_KEEP_FREE_GB", "1000000");
    let system = System::start(Topology::One, options).await;
    let (organizer, _, _, event) = people(&system).await;
    let stream = ingest(&organizer, &event).await;
    let (key, at) = (
        stream["stream_key"].as_str().unwrap(),
        stream["ingest"]["hls"].as_str().unwrap(),
    );
    let nobody = system.anyone();
    let mut packet = [0xff; 188];
    packet[0] = 0x47;
    sends(&nobody, at, key, "a.ts", packet.repeat(100))
        .await
        .expect(201);
    let listing = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1.0,\na.ts\n";
    sends(&nobody, at, key, "live.m3u8", listing)
        .await
        .problem(507, "recordings_full");
    let list = organizer
        .get(&format!("/api/organiser/events/{event}/streams"))
        .await
        .expect(200);
    assert_eq!(list[0]["problem"], "The disk has no room for recordings left.");
    assert_eq!(
        (&list[0]["state"], &list[0]["bytes"]),
        (&json!("ready"), &json!(0))
    );
    // Everything else goes on.
    organizer.create_event(json!(10), json!(0)).await;
}

/// What is no stream, or not the one publisher's.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_encoder_may_not_is_refused() {
    let system = System::start(Topology::One, Options::default()).await;
    let (organizer, _, _, event) = people(&system).await;
    let file = source(system.dir(), 8);
    let stream = ingest(&organizer, &event).await;
    let (key, at) = (
        stream["stream_key"].as_str().unwrap(),
        stream["ingest"]["hls"].as_str().unwrap(),
    );
    let nobody = system.anyone();
    let listing = |uri: &str| format!("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1.0,\n{uri}\n");
    for (name, body) in [
        ("live.m3u8", listing("https://example.org/a.ts")),
        ("live.m3u8", listing("../../a.ts")),
        ("live.m3u8", listing("/etc/passwd")),
        ("live.m3u8", "नमस्ते".to_owned()),
        ("a.ts", "no media".to_owned()),
        ("a.exe", "MZ".to_owned()),
        (".ts", "x".to_owned()),
        ("%2e%2e%2fa.ts", "x".to_owned()),
    ] {
        let answer = sends(&nobody, at, key, name, body.clone()).await;
        answer.problem(422, "validation_failed");
    }
    for (key, name) in [("sk_wrong", "live.m3u8"), ("%F0%9F%98%80", "a.ts")] {
        sends(&nobody, at, key, name, "x")
            .await
            .problem(401, "stream_key_invalid");
    }
    let too_large = vec![0x47; 16 * 1024 * 1024 + 1];
    sends(&nobody, at, key, "a.ts", too_large)
        .await
        .problem(413, "body_too_large");
    let answer = sends(&nobody, at, &format!("{key}/x"), "a.ts", "x").await;
    assert!(matches!(answer.status.as_u16(), 401 | 404), "{}", answer.status);

    // A second publisher is refused, also one with the same key.
    let mut encoder = put(&file, &stream, LIVE);
    is("live", &organizer, &event, &stream).await;
    let second = sends(&nobody, at, key, "other.m3u8", listing("a.ts")).await;
    second.problem(409, "already_published");
    // A new key cuts off the old one.
    let renewed = organizer
        .post(&of(&event, &stream, "/key"), json!({}))
        .await
        .expect(200);
    let new_key = renewed["stream_key"].as_str().unwrap();
    assert_ne!(new_key, key);
    sends(&nobody, at, key, "live.m3u8", listing("a.ts"))
        .await
        .problem(401, "stream_key_invalid");
    is("interrupted", &organizer, &event, &stream).await;
    encoder.kill().unwrap();
    encoder.wait().unwrap();
    let mut encoder = put(&file, &renewed, LIVE);
    is("live", &organizer, &event, &stream).await;
    organizer
        .post(&of(&event, &stream, "/end"), json!({}))
        .await
        .expect(200);
    sends(&nobody, at, new_key, "live.m3u8", listing("a.ts"))
        .await
        .problem(401, "stream_key_invalid");
    encoder.kill().unwrap();
    encoder.wait().unwrap();
    assert!(!system.log().contains(key), "the key is in the log");
    assert!(!Path::new(&system.data()).join("a.ts").exists());
}

/// Streams that are elsewhere, their times, and how many devices play.
#[tokio::test(flavor = "multi_thread")]
async fn streams_elsewhere_have_their_time() {
    let system = System::start(Topology::Five, Options::default()).await;
    let (organizer, asha, ben, event) = people(&system).await;
    let path = format!("/api/organiser/events/{event}/streams");
    for wrong in [
        json!({"title": "x", "kind": "embed", "url": "https://example.org/video"}),
        json!({"title": "x", "kind": "hls"}),
        json!({"title": "x", "kind": "hls", "url": "javascript:alert(1)"}),
        json!({"title": "x", "kind": "ingest", "url": "https://example.org"}),
        json!({"title": " ", "kind": "ingest"}),
        json!({"title": "x", "kind": "rtsp"}),
        json!({"title": "x", "kind": "ingest", "priority": -1}),
    ] {
        organizer
            .post(&path, wrong)
            .await
            .problem(422, "validation_failed");
    }
    let back_to_front = json!({"title": "x", "kind": "ingest", "starts_at": "2030-01-01T11:00:00Z", "ends_at": "2030-01-01T10:00:00Z"});
    organizer
        .post(&path, back_to_front)
        .await
        .problem(409, "ends_before_start");
    ben.post(&path, json!({"title": "x", "kind": "ingest"}))
        .await
        .problem(403, "organizer_only");

    let later = json!({"title": "चर्चा", "kind": "meeting", "url": "https://meet.example.org/room", "starts_at": "2040-01-01T10:00:00Z"});
    let meeting = created(&organizer, &event, later).await;
    assert_eq!(
        (&meeting["state"], meeting.get("stream_key")),
        (&json!("scheduled"), None)
    );
    begin(&asha, &meeting).await.problem(409, "not_open_yet");
    let now = json!({"title": "Film", "kind": "embed", "url": "https://youtu.be/dQw4w9WgXcQ"});
    let film = created(&organizer, &event, now).await;
    is("live", &organizer, &event, &film).await;
    let timetable = asha
        .get(&format!("/api/live/events/{event}/streams"))
        .await
        .expect(200);
    assert_eq!(
        (&timetable["current"], &timetable["next"]),
        (&film["stream_id"], &meeting["stream_id"])
    );
    assert!(
        !timetable.to_string().contains("meet.example.org"),
        "the link is for its time"
    );

    // Three devices at a time.
    let mut playing = Vec::new();
    for _ in 0..3 {
        playing.push(begin(&asha, &film).await.expect(201));
    }
    assert_eq!(
        playing[0]["url"],
        "https://www.youtube-nocookie.com/embed/dQw4w9WgXcQ"
    );
    begin(&asha, &film).await.problem(409, "too_many_devices");
    begin(&organizer, &film).await.expect(201);
    // Who came is known at once, for how long only where the pictures come from here.
    let came = attendance(&organizer, &event).await;
    assert!(came["entered_at"].is_string(), "{came}");
    assert_eq!(came["watched_seconds"], 0);
    // Now the meeting begins, and ends.
    let edit = json!({"starts_at": null, "title": "चर्चा, अभी"});
    let edited = organizer
        .send(Method::PATCH, &of(&event, &meeting, ""), Some(edit), &[])
        .await
        .unwrap();
    assert_eq!(edited.expect(200)["title"], "चर्चा, अभी");
    is("live", &organizer, &event, &meeting).await;
    let theirs = begin(&organizer, &meeting).await.expect(201);
    assert_eq!(theirs["url"], "https://meet.example.org/room");
    organizer
        .post(&of(&event, &meeting, "/end"), json!({}))
        .await
        .expect(200);
    begin(&organizer, &meeting).await.problem(409, "closed");
    organizer
        .post(&of(&event, &meeting, "/kick"), json!({}))
        .await
        .problem(409, "not_ingest");

    // Another organizer's is none of theirs.
    let other = system.person("organizer").await;
    for action in ["/end", "/kick", "/key"] {
        other
            .post(&of(&event, &film, action), json!({}))
            .await
            .problem(404, "event_not_found");
    }
    organizer
        .send(Method::DELETE, &of(&event, &film, ""), None, &[])
        .await
        .unwrap()
        .expect(200);
    begin(&asha, &film).await.problem(404, "stream_not_found");
}

/// A request that is sent again has the same stream and key.
#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_creation_gives_the_same_key() {
    let system = System::start(Topology::One, Options::default()).await;
    let (organizer, _, _, event) = people(&system).await;
    let path = format!("/api/organiser/events/{event}/streams");
    let body = json!({"title": "Main stage", "kind": "ingest"});
    let first = organizer.post_keyed(&path, "one", body.clone()).await.expect(201);
    let again = organizer.post_keyed(&path, "one", body).await;
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!(again.expect(201), first);
    // And no store has it.
    let key = first["stream_key"].as_str().unwrap();
    for file in std::fs::read_dir(system.data()).unwrap().flatten() {
        if file.file_type().unwrap().is_file() {
            let bytes = std::fs::read(file.path()).unwrap();
            assert!(
                !bytes.windows(key.len()).any(|part| part == key.as_bytes()),
                "{:?}",
                file.path()
            );
        }
    }
}

/// An encoder that is refused says so.
#[tokio::test(flavor = "multi_thread")]
async fn ffmpeg_is_refused_with_a_wrong_key() {
    let system = System::start(Topology::One, Options::default()).await;
    let (organizer, _, _, event) = people(&system).await;
    let file = source(system.dir(), 8);
    let mut stream = ingest(&organizer, &event).await;
    let address = stream["ingest"]["hls"]
        .as_str()
        .unwrap()
        .replace("localhost", "127.0.0.1");
    stream["stream_key"] = json!("sk_wrong");
    let mut command = ffmpeg();
    command.arg("-i").arg(&file).args([
        "-c",
        "copy",
        "-f",
        "hls",
        "-method",
        "PUT",
        "-http_persistent",
        "1",
    ]);
    command.arg(format!("{address}/sk_wrong/live.m3u8"));
    run(command);
    assert_eq!(state(&organizer, &event, &stream).await, "ready");
}

/// As OBS does: RTMP, live and afterwards; and who may not publish is told why.
#[tokio::test(flavor = "multi_thread")]
async fn an_encoder_publishes_by_rtmp() {
    let system = System::start(Topology::One, Options::default()).await;
    let (organizer, asha, _, event) = people(&system).await;
    let file = source(system.dir(), 8);
    let stream = ingest(&organizer, &event).await;
    let mut encoder = rtmp(&file, &stream);
    is("live", &organizer, &event, &stream).await;
    let playback = begin(&asha, &stream).await.expect(201);
    let (master, _) = parts(&playback);
    let master = system.anyone().get(&master).await;
    assert!(
        master.text.contains("CODECS=\"avc1.") && master.text.contains("mp4a.40.2"),
        "{}",
        master.text
    );
    let (text, _) = playlist(&system.anyone(), &playback).await;
    assert!(text.contains("#EXT-X-MAP"), "{text}");

    // A second one is refused, by either way.
    let second = rtmp(&file, &stream).wait_with_output().unwrap();
    assert!(!second.status.success());
    let words = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(words.contains("Another encoder publishes this stream"), "{words}");
    let (key, at) = (
        stream["stream_key"].as_str().unwrap(),
        stream["ingest"]["hls"].as_str().unwrap(),
    );
    let listed = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1.0,\na.ts\n";
    sends(&system.anyone(), at, key, "live.m3u8", listed)
        .await
        .problem(409, "already_published");
    let mut stranger = stream.clone();
    stranger["stream_key"] = json!("sk_wrong");
    let refused = rtmp(&file, &stranger).wait_with_output().unwrap();
    assert!(!refused.status.success());

    assert!(encoder.wait().unwrap().success());
    // Who leaves in good order is not waited for: what it sent is stored by then.
    is("interrupted", &organizer, &event, &stream).await;
    organizer
        .post(&of(&event, &stream, "/end"), json!({}))
        .await
        .expect(200);
    let replay = begin(&asha, &stream).await.expect(201);
    let (text, _) = playlist(&system.anyone(), &replay).await;
    assert!((duration(&text) - 8.0).abs() < SEGMENT, "{text}");
    assert_eq!(frames(&url(&system, &replay)), frames(file.to_str().unwrap()));
}

/// A new key, a kick and the end cut off who publishes by RTMP.
#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_by_rtmp_is_cut_off() {
    let system = System::start(Topology::Five, Options::default()).await;
    let (organizer, _, _, event) = people(&system).await;
    let file = source(system.dir(), 20);
    let mut stream = ingest(&organizer, &event).await;
    for action in ["/kick", "/key", "/end"] {
        let encoder = rtmp(&file, &stream);
        is("live", &organizer, &event, &stream).await;
        let answer = organizer
            .post(&of(&event, &stream, action), json!({}))
            .await
            .expect(200);
        let cut = tokio::task::spawn_blocking(|| encoder.wait_with_output().unwrap());
        let cut = tokio::time::timeout(Duration::from_secs(10), cut).await;
        assert!(!cut.expect("it is cut off").unwrap().status.success(), "{action}");
        if action == "/key" {
            stream = answer;
        }
    }
}

/// The page to watch on, in a browser: live, with the chat, and afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn the_page_plays_it() {
    let system = System::start(Topology::One, Options::default()).await;
    let organizer = system.person_with("organizer", &[("name", "Ola")]).await;
    let asha = system.person_with("user", &[("name", "Asha Rao")]).await;
    let event = organizer.create_event(json!(10), json!(0)).await;
    asha.register(&event).await.expect(201);
    let file = source(system.dir(), 60);
    let stream = ingest(&organizer, &event).await;
    let mut encoder = rtmp(&file, &stream);
    is("live", &organizer, &event, &stream).await;
    let token = organizer.token.clone().unwrap();
    let mut arguments = vec![
        system.url(),
        event,
        id(&stream).to_owned(),
        token,
        asha.email.clone(),
    ];
    arguments.push("a good one".to_owned());
    // For looking at.
    arguments.extend(std::env::var("ORGANISE_PICTURES").ok());
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    in_a_browser("watch_page.mjs", &arguments);
    encoder.kill().unwrap();
    encoder.wait().unwrap();
}

/// It runs its own script and the pinned player, and is in no frame of others.
#[tokio::test(flavor = "multi_thread")]
async fn the_page_has_a_policy() {
    let system = System::start(Topology::Five, Options::default()).await;
    let page = system
        .anyone()
        .get("/watch/019309a2-0000-7000-8000-000000000002")
        .await;
    assert_eq!(page.status, 200);
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe-eval"),
        "{policy}"
    );
}
