//! Streams that a MediaMTX receives, against one that speaks the JSON of its documents and nothing else.

use axum::http::Method;
use chrono::TimeDelta;
use common::ids::StreamId;
use serde_json::{Value, json};

use super::{
    kit::*,
    mediamtx_fake::{Fake, Version},
};
use crate::{
    domain::stream::GRACE,
    streams::mediamtx::{path_of, stream_of},
};

const SECRET: &str = "a-secret-of-some-length_0123456789";
const RTMP: (&str, &str) = ("rtmpConn", "5a1c0f0e-1111-4222-8333-444455556666");

/// A service with a MediaMTX, an event with its organizer and an attendee, and a stream of it.
struct Studio {
    service: Service,
    fake: Fake,
    event: String,
    organizer: Person,
    asha: Person,
    stream: Value,
}

impl Studio {
    async fn open() -> Self {
        Self::with(&[]).await
    }

    async fn with(more: &[(&str, &str)]) -> Self {
        let fake = Fake::start().await;
        let mut settings = vec![
            ("MEDIAMTX_API_URL", fake.url.as_str()),
            ("MEDIAMTX_URL", "https://media.example.org"),
            ("MEDIAMTX_SECRET", SECRET),
        ];
        settings.extend(more);
        let service = Service::with(&settings);
        let organizer = service.organizer();
        let event = service.event(&organizer, None, 0).await;
        let asha = service.user();
        service.register(&asha, &event).await.is(201);
        let mut studio = Self {
            service,
            fake,
            event,
            organizer,
            asha,
            stream: Value::Null,
        };
        studio.stream = studio.another().await;
        studio
    }

    async fn recording() -> Self {
        Self::with(&[("MEDIAMTX_PLAYBACK_URL", "https://media.example.org/recorded/")]).await
    }

    fn streams(&self) -> String {
        format!("/api/organiser/events/{}/streams", self.event)
    }

    async fn another(&self) -> Value {
        let new = json!({"title": "Main stage", "kind": "ingest"});
        let made = self.service.post(&self.organizer, &self.streams(), &new).await;
        made.is(201).body
    }

    fn id(&self) -> StreamId {
        StreamId::lenient(self.stream["stream_id"].as_str().unwrap())
    }

    fn path(&self) -> String {
        path_of(self.id())
    }

    fn key(&self) -> &str {
        self.stream["stream_key"].as_str().unwrap()
    }

    async fn act(&self, what: &str) -> Answer {
        let path = format!("{}/{}/{what}", self.streams(), self.id());
        self.service.post(&self.organizer, &path, &Value::Null).await
    }

    async fn listed(&self) -> Value {
        let listed = self.service.get(&self.organizer, &self.streams()).await.is(200);
        let listed = listed.body.as_array().unwrap().clone();
        let ours = |one: &Value| one["stream_id"] == self.stream["stream_id"];
        listed.into_iter().find(ours).unwrap()
    }

    async fn state(&self) -> String {
        self.listed().await["state"].as_str().unwrap().to_owned()
    }

    async fn poll(&self) {
        self.service.app.streams.look_at_mediamtx().await.unwrap();
    }

    /// MediaMTX asks.
    async fn ask(&self, question: &Value) -> Answer {
        ask(&self.service, SECRET, question).await
    }

    async fn begin(&self, who: &Person) -> Answer {
        let path = format!("/api/live/streams/{}/playback", self.id());
        self.service.post(who, &path, &Value::Null).await
    }

    /// The token of a playback that somebody begins.
    async fn token(&self, who: &Person) -> String {
        let begun = self.begin(who).await.is(201);
        let url = begun.text("url").to_owned();
        url.split_once("token=").unwrap().1.to_owned()
    }

    fn reads(&self, query: &str) -> Value {
        question("read", &self.path(), json!({"protocol": "hls", "query": query}))
    }
}

async fn ask(service: &Service, secret: &str, question: &Value) -> Answer {
    let path = format!("/internal/media/mediamtx/{secret}/auth");
    service.send(Call::post(&path, question).anybody()).await
}

/// What MediaMTX asks, as its documents write it.
fn question(action: &str, path: &str, more: Value) -> Value {
    let mut question = json!({
        "user": "", "password": "", "token": "", "ip": "192.0.2.7", "action": action, "path": path,
        "protocol": "rtmp", "id": "5a1c0f0e-1111-4222-8333-444455556666", "query": "", "userAgent": "OBS",
    });
    for (name, value) in more.as_object().unwrap() {
        question[name] = value.clone();
    }
    question
}

#[tokio::test]
async fn it_is_said_where_to_send() {
    let studio = Studio::open().await;
    let (path, key) = (studio.path(), studio.key());
    assert_eq!(stream_of(&path), Some(studio.id()));
    assert_eq!(studio.stream["media_server"], "mediamtx");
    assert_eq!(
        studio.stream["ingest"],
        json!({
            "hls": null,
            "rtmp": format!("rtmp://media.example.org:1935/{path}?pass={key}"),
            "srt": format!("srt://media.example.org:8890?streamid=publish:{path}:key:{key}"),
            "whip": format!("https://media.example.org:8889/{path}/whip"),
        })
    );
    // A stream that was made before has its receiver still.
    let plain = Service::start();
    let organizer = plain.organizer();
    let event = plain.event(&organizer, None, 0).await;
    let new = json!({"title": "Main stage", "kind": "ingest"});
    let path = format!("/api/organiser/events/{event}/streams");
    let made = plain.post(&organizer, &path, &new).await.is(201);
    assert_eq!(made.body.get("media_server"), None);
    assert!(made.body["ingest"]["hls"].is_string() && made.body["ingest"].get("srt").is_none());
}

#[tokio::test]
async fn a_publisher_needs_the_key_of_its_path() {
    let studio = Studio::open().await;
    let other = studio.another().await;
    let (path, key) = (studio.path(), studio.key().to_owned());
    let publish = |more: Value| question("publish", &path, more);
    for shown in [
        json!({"password": key}),
        json!({"user": "key", "password": key, "protocol": "srt"}),
        json!({"token": key, "protocol": "webrtc"}),
        json!({"query": format!("pass={key}")}),
        json!({"query": format!("x=1&key={key}"), "id": null, "user": null, "password": null, "token": null}),
    ] {
        studio.ask(&publish(shown)).await.is(204);
    }
    // A version that leaves out what is empty.
    let short = json!({"action": "publish", "path": path, "query": format!("key={key}")});
    studio.ask(&short).await.is(204);
    for (wrong, code) in [
        (json!({}), "credentials_missing"),
        (json!({"query": "key="}), "credentials_missing"),
        (
            json!({"password": "sk_AAAAAAAAAAAAAAAAAAAAAA"}),
            "stream_key_invalid",
        ),
        (json!({"user": key}), "credentials_missing"),
        (json!({"password": other["stream_key"]}), "stream_key_invalid"),
    ] {
        studio.ask(&publish(wrong)).await.fails(401, code);
    }
    for path in ["", "cam1", &studio.id().to_string()] {
        let elsewhere = question("publish", path, json!({"password": key}));
        studio.ask(&elsewhere).await.fails(404, "stream_not_found");
    }
    for action in ["api", "metrics", "pprof", "", "Publish"] {
        let more = json!({"password": key});
        studio
            .ask(&question(action, &path, more))
            .await
            .fails(403, "not_allowed");
        let nothing = question(action, &path, json!({}));
        studio.ask(&nothing).await.fails(401, "credentials_missing");
    }
    studio.act("end").await.is(200);
    let over = publish(json!({"password": key}));
    studio.ask(&over).await.fails(401, "stream_key_invalid");
    let renewed = studio.act("key").await.is(200);
    assert!(renewed.body["ingest"]["rtmp"].as_str().unwrap().contains(&path));
    let renewed = publish(json!({"password": renewed.text("stream_key")}));
    studio.ask(&renewed).await.is(204);
    let cancel = format!("/api/organiser/events/{}/cancel", studio.event);
    studio
        .service
        .post(&studio.organizer, &cancel, &Value::Null)
        .await
        .is(200);
    studio.ask(&renewed).await.fails(409, "stream_ended");
}

#[tokio::test]
async fn who_does_not_know_the_secret_finds_nothing() {
    let studio = Studio::open().await;
    let right = question("publish", &studio.path(), json!({"password": studio.key()}));
    for secret in ["x", &SECRET[1..], &format!("{SECRET}x"), "%20", ""] {
        ask(&studio.service, secret, &right)
            .await
            .fails(404, "route_not_found");
    }
    for path in [
        "/internal/media/mediamtx/auth".to_owned(),
        format!("/internal/media/mediamtx/{SECRET}"),
        format!("/internal/media/mediamtx/{SECRET}/auth/"),
    ] {
        let call = Call::post(&path, &right).anybody();
        studio.service.send(call).await.fails(404, "route_not_found");
    }
    let path = format!("/internal/media/mediamtx/{SECRET}/auth");
    let read = studio.service.send(Call::get(&path).anybody()).await;
    read.fails(405, "method_not_allowed");
    for wrong in [json!("x"), json!({"action": 1}), json!([1, [2]])] {
        studio.ask(&wrong).await.fails(400, "not_json");
    }
    // Without a MediaMTX there is no such address.
    let plain = Service::start();
    ask(&plain, SECRET, &right).await.fails(404, "route_not_found");
    ask(&plain, "", &right).await.fails(404, "route_not_found");
}

#[tokio::test]
async fn a_player_needs_the_token_of_its_playback() {
    let studio = Studio::open().await;
    let begun = studio.begin(&studio.asha).await.is(201);
    assert_eq!(begun.body["kind"], "ingest");
    let address = format!("https://media.example.org/{}/index.m3u8?token=", studio.path());
    let token = begun.text("url").strip_prefix(&address).unwrap().to_owned();
    studio.ask(&studio.reads(&format!("token={token}"))).await.is(204);
    studio
        .ask(&studio.reads(&format!("cookieCheck=1&token={token}")))
        .await
        .is(204);
    studio
        .ask(&studio.reads(""))
        .await
        .fails(401, "credentials_missing");
    let wrong = studio.reads("token=AZMJog");
    studio.ask(&wrong).await.fails(403, "playback_invalid");
    // Of another stream, and where it would not be seen afterwards.
    let other = studio.another().await;
    let other = path_of(StreamId::lenient(other["stream_id"].as_str().unwrap()));
    let other = question("read", &other, json!({"query": format!("token={token}")}));
    studio.ask(&other).await.fails(403, "playback_invalid");
    let hidden = question("read", &studio.path(), json!({"token": token}));
    studio.ask(&hidden).await.fails(403, "playback_invalid");
    // A key is no token, nor a token a key.
    let key = studio.reads(&format!("token={}", studio.key()));
    studio.ask(&key).await.fails(403, "playback_invalid");
    let token_as_key = question("publish", &studio.path(), json!({"password": token}));
    studio.ask(&token_as_key).await.fails(401, "stream_key_invalid");
    // There is no recording while it is on.
    let replay = question(
        "playback",
        &studio.path(),
        json!({"query": format!("token={token}")}),
    );
    studio.ask(&replay).await.fails(404, "stream_not_found");
    // A registration that ends takes it along.
    let mine = studio
        .service
        .get(&studio.asha, "/api/reg/get_registrevent")
        .await
        .is(200);
    let id = mine.body[0]["registration_id"].as_str().unwrap().to_owned();
    let cancel = Call::new(
        Method::DELETE,
        &format!("/api/reg/registrations/{id}"),
        &Value::Null,
    );
    studio.service.send(cancel.by(&studio.asha)).await.is(200);
    eventually(async || {
        let asked = studio.ask(&studio.reads(&format!("token={token}"))).await;
        (asked.status == 403 && asked.body["code"] == "access_ended").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_stream_follows_what_is_polled() {
    for version in [Version::Old, Version::New] {
        let studio = Studio::open().await;
        let path = studio.path();
        studio.poll().await;
        assert_eq!(studio.state().await, "ready");
        studio.fake.publishes(version, &path, RTMP, 1_000);
        // What is not ours does not matter.
        studio.fake.publishes(version, "cam1", ("rtspSource", ""), 7);
        studio
            .fake
            .publishes(version, &path_of(StreamId::new()), ("srtConn", "7"), 7);
        studio.poll().await;
        let live = studio.listed().await;
        assert_eq!(
            (&live["state"], &live["codecs"]),
            (&json!("live"), &json!("avc1,mp4a.40")),
            "{version:?}"
        );
        studio.service.after(TimeDelta::seconds(10));
        studio.fake.publishes(version, &path, RTMP, 1_001_000);
        studio.poll().await;
        assert_eq!(studio.listed().await["bitrate"], 800_000, "{version:?}");
        studio.fake.shown.lock().paths.remove(&path);
        studio.poll().await;
        assert_eq!(studio.state().await, "interrupted", "{version:?}");
        studio.service.after(GRACE - TimeDelta::seconds(1));
        studio.poll().await;
        studio.fake.publishes(version, &path, ("webRTCSession", "8"), 5);
        studio.poll().await;
        assert_eq!(studio.state().await, "live", "{version:?}");
        let gone = studio
            .fake
            .shown
            .lock()
            .paths
            .insert(path.clone(), json!({"name": path, "ready": false}));
        assert!(gone.is_some());
        studio.poll().await;
        assert_eq!(studio.state().await, "interrupted", "{version:?}");
        studio.service.after(GRACE);
        studio.poll().await;
        // It records nothing for us.
        assert_eq!(studio.state().await, "ended", "{version:?}");
        assert_eq!(studio.fake.kicked(), [] as [&str; 0]);
        studio.begin(&studio.asha).await.fails(409, "closed");
    }
}

#[tokio::test]
async fn all_pages_are_read() {
    let studio = Studio::open().await;
    for number in 0..1_005 {
        // They come before a UUID's letters.
        studio
            .fake
            .publishes(Version::New, &format!("!{number}"), ("rtspSource", ""), 1);
    }
    studio.fake.publishes(Version::New, &studio.path(), RTMP, 1);
    studio.poll().await;
    assert_eq!(studio.state().await, "live");
}

/// While it cannot be asked, or answers nonsense, nothing is known, and nothing moves.
#[tokio::test]
async fn a_mediamtx_that_is_away_tears_nothing() {
    let studio = Studio::open().await;
    studio.fake.publishes(Version::New, &studio.path(), RTMP, 1);
    studio.poll().await;
    studio.service.after(TimeDelta::hours(1));
    let streams = studio.service.app.streams.clone();
    for (status, body) in [
        (500, ""),
        (404, ""),
        (401, ""),
        (302, ""),
        (200, ""),
        (200, "<html>"),
        (200, "[]x"),
        (200, "{\"items\": 3}"),
        (200, "{\"items\": [{\"name\": 7}]}"),
        (200, "{\"items\": [{\"name\": \"x\", \"ready\": \"yes\"}]}"),
    ] {
        studio.fake.answers(status, body);
        assert!(streams.look_at_mediamtx().await.is_err(), "{status} {body}");
        // Whatever the worker of the room does meanwhile.
        let now = studio.service.now();
        studio.service.app.store.look_at_streams(now, 100).await.unwrap();
        assert_eq!(studio.state().await, "live", "{status} {body}");
    }
    // A kick is refused whole; a key dies although nobody can be told.
    studio.fake.answers(503, "");
    let before = studio.service.everything().await;
    studio.act("kick").await.unavailable();
    assert_eq!(studio.service.everything().await, before);
    studio.act("key").await.is(200);
    let old = question("publish", &studio.path(), json!({"password": studio.key()}));
    studio.ask(&old).await.fails(401, "stream_key_invalid");
    studio.fake.works();
    assert_eq!(studio.fake.kicked(), [] as [&str; 0]);
    studio.poll().await;
    assert_eq!(studio.fake.kicked(), [format!("rtmpconns/{}", RTMP.1)]);
    // An end too.
    let studio = Studio::open().await;
    studio
        .fake
        .publishes(Version::Old, &studio.path(), ("srtConn", "9"), 1);
    studio.fake.answers(200, "not JSON");
    studio.act("end").await.is(200);
    studio.fake.works();
    studio.poll().await;
    assert_eq!(studio.fake.kicked(), ["srtconns/9"]);
}

#[tokio::test]
async fn who_is_kicked_is_cut_off_and_may_come_back() {
    for (kind, collection) in [
        ("rtmpConn", "rtmpconns"),
        ("rtmpsConn", "rtmpsconns"),
        ("webRTCSession", "webrtcsessions"),
        ("srtConn", "srtconns"),
        ("rtspSession", "rtspsessions"),
        ("rtspsSession", "rtspssessions"),
    ] {
        let studio = Studio::open().await;
        let publish = question("publish", &studio.path(), json!({"password": studio.key()}));
        // It was not seen yet: it is found all the same.
        studio
            .fake
            .publishes(Version::New, &studio.path(), (kind, "1"), 1);
        let kicked = studio.act("kick").await.is(200);
        assert_eq!(kicked.body["state"], "interrupted");
        assert_eq!(studio.fake.kicked(), [format!("{collection}/1")]);
        studio.ask(&publish).await.fails(409, "publisher_cut_off");
        studio.poll().await;
        assert_eq!(studio.fake.kicked(), [] as [&str; 0]);
        studio.service.after(TimeDelta::seconds(10));
        studio.ask(&publish).await.is(204);
        studio
            .fake
            .publishes(Version::New, &studio.path(), (kind, "2"), 1);
        studio.poll().await;
        assert_eq!(studio.state().await, "live");
    }
}

#[tokio::test]
async fn a_cancelled_event_cuts_its_publishers_off() {
    let studio = Studio::open().await;
    studio.fake.publishes(Version::New, &studio.path(), RTMP, 1);
    studio.poll().await;
    let cancel = format!("/api/organiser/events/{}/cancel", studio.event);
    studio
        .service
        .post(&studio.organizer, &cancel, &Value::Null)
        .await
        .is(200);
    studio.poll().await;
    assert_eq!(studio.fake.kicked(), [format!("rtmpconns/{}", RTMP.1)]);
    studio.poll().await;
    assert_eq!(studio.state().await, "interrupted");
}

/// What is not cut off at once is cut off by who polls, for as long as it is there.
#[tokio::test]
async fn who_stays_is_kicked_again() {
    for what in ["key", "end"] {
        let studio = Studio::open().await;
        studio.fake.publishes(Version::Old, &studio.path(), RTMP, 1);
        studio.poll().await;
        studio.fake.shown.lock().keeps = true;
        studio.act(what).await.is(200);
        for _ in 0..2 {
            assert_eq!(studio.fake.kicked(), [format!("rtmpconns/{}", RTMP.1)], "{what}");
            studio.poll().await;
            assert_ne!(studio.state().await, "live", "{what}");
        }
        studio.fake.shown.lock().keeps = false;
        studio.poll().await;
        studio.fake.kicked();
        studio.poll().await;
        assert_eq!(studio.fake.kicked(), [] as [&str; 0], "{what}");
    }
}

#[tokio::test]
async fn a_recording_is_one_file() {
    let studio = Studio::recording().await;
    let path = studio.path();
    studio.fake.publishes(Version::New, &path, RTMP, 1_000);
    studio.poll().await;
    studio.service.after(TimeDelta::seconds(60));
    studio.fake.publishes(Version::New, &path, RTMP, 2_000);
    studio.poll().await;
    studio.act("end").await.is(200);
    assert_eq!(studio.state().await, "replay");
    studio.fake.answers(502, "");
    studio.begin(&studio.asha).await.unavailable();
    studio.fake.works();
    studio.begin(&studio.asha).await.fails(404, "nothing_to_play");
    let starts = ["2030-03-17T16:00:00Z", "2030-03-17T17:46:40.123456Z"];
    let starts: Vec<_> = starts.into_iter().map(str::to_owned).collect();
    studio.fake.shown.lock().recordings.insert(path.clone(), starts);
    let begun = studio.begin(&studio.asha).await.is(201);
    let (url, token) = begun.text("url").split_once("&token=").unwrap();
    // Since it was first seen, which is when it says it began: half a second after the beginning of the file.
    let expected = format!(
        "https://media.example.org/recorded/get?path={path}&start=2030-03-17T17%3A46%3A40.123456Z&duration=69&format=mp4"
    );
    assert_eq!((url, &begun.body["kind"]), (expected.as_str(), &json!("ingest")));
    let replay = question(
        "playback",
        &path,
        json!({"protocol": "", "id": null, "query": format!("path={path}&token={token}")}),
    );
    studio.ask(&replay).await.is(204);
    let live = studio.reads(&format!("token={token}"));
    studio.ask(&live).await.fails(404, "stream_not_found");
    // A heartbeat needs nobody.
    studio.fake.answers(500, "");
    let beat = format!("/api/live/playback/{}/heartbeat", begun.text("playback_id"));
    let renewed = studio
        .service
        .post(&studio.asha, &beat, &Value::Null)
        .await
        .is(200);
    assert_eq!(renewed.body["url"], begun.body["url"]);
    studio.fake.works();
    // A deleted stream takes its recording along.
    let stream = format!("{}/{}", studio.streams(), studio.id());
    let delete = Call::new(Method::DELETE, &stream, &Value::Null).by(&studio.organizer);
    studio.service.send(delete).await.is(200);
    studio.service.work();
    let shown = studio.fake.shown.clone();
    eventually(async || shown.lock().recordings[&path].is_empty().then_some(())).await;
}

/// It asks once, when somebody begins to watch: who may not go on is cut off there.
#[tokio::test]
async fn players_that_may_not_go_on_are_cut_off() {
    let studio = Studio::open().await;
    let path = studio.path();
    let ben = studio.service.user();
    studio.service.register(&ben, &studio.event).await.is(201);
    let (asha, bens) = (studio.token(&studio.asha).await, studio.token(&ben).await);
    let session = |id: &str, query: &str, more: Value| {
        let mut session = json!({"id": id, "path": path, "query": query, "user": ""});
        for (name, value) in more.as_object().unwrap() {
            session[name] = value.clone();
        }
        session
    };
    let read = json!({"state": "read"});
    {
        let mut shown = studio.fake.shown.lock();
        let hls = vec![
            session("h1", &format!("token={asha}"), json!({"isCDN": false})),
            session("h2", &format!("token={bens}"), json!({})),
            session("h3", "", json!({})),
            session("cdn", "", json!({"isCDN": true})),
            json!({"id": "old", "path": path}),
            json!({"id": "other", "path": "cam1", "query": ""}),
        ];
        shown.sessions.insert("hlssessions".to_owned(), hls);
        let webrtc = vec![
            session("w1", &format!("token={bens}"), read),
            session(
                "w2",
                &format!("pass={}", studio.key()),
                json!({"state": "publish"}),
            ),
        ];
        shown.sessions.insert("webrtcsessions".to_owned(), webrtc);
    }
    let check = async || {
        let all = ["hlssessions", "webrtcsessions", "rtmpconns"]
            .into_iter()
            .collect();
        studio.service.app.streams.check_readers(&all).await.unwrap();
    };
    check().await;
    assert_eq!(studio.fake.kicked(), ["hlssessions/h3"]);
    let ban = format!("/api/live/events/{}/bans/{}", studio.event, ben.id);
    let call = Call::post(&ban, &json!({"kind": "ban"}));
    studio.service.send(call.by(&studio.organizer)).await.is(200);
    eventually(async || {
        check().await;
        (studio.fake.shown.lock().kicked.len() == 2).then_some(())
    })
    .await;
    assert_eq!(studio.fake.kicked(), ["hlssessions/h2", "webrtcsessions/w1"]);
    // Who gives no sign is gone too.
    studio.service.after(TimeDelta::minutes(5));
    check().await;
    assert_eq!(studio.fake.kicked(), ["hlssessions/h1"]);
}

/// It was taken out of the settings: what it received comes to its end, and can be read.
#[tokio::test]
async fn without_it_its_streams_end() {
    let mut studio = Studio::open().await;
    studio.fake.publishes(Version::New, &studio.path(), RTMP, 1);
    studio.poll().await;
    studio.service.forget_mediamtx();
    studio.begin(&studio.asha).await.unavailable();
    studio.poll().await;
    assert_eq!(studio.state().await, "interrupted");
    studio.service.after(GRACE);
    studio.poll().await;
    assert_eq!(studio.state().await, "ended");
    let new = studio.another().await;
    assert_eq!(new.get("media_server"), None);
}

/// The workers poll by themselves, and go on when it is back.
#[tokio::test]
async fn the_worker_polls() {
    let studio = Studio::open().await;
    studio.fake.answers(500, "");
    studio.service.work();
    studio.fake.publishes(Version::New, &studio.path(), RTMP, 1);
    eventually(async || (studio.fake.shown.lock().refused > 0).then_some(())).await;
    studio.fake.works();
    eventually(async || (studio.state().await == "live").then_some(())).await;
}

#[tokio::test]
async fn the_page_may_play_from_a_media_server_of_this_machine() {
    for (url, more) in [
        ("http://localhost:8888", Some(" https: http://localhost:8888")),
        ("https://media.example.org", None),
    ] {
        let studio = Studio::with(&[("MEDIAMTX_URL", url)]).await;
        let page = Call::get(&format!("/watch/{}", studio.event)).anybody();
        let page = studio.service.pipeline.handle(page).await;
        let policy = page.headers()["content-security-policy"].to_str().unwrap();
        match more {
            Some(more) => assert_eq!(policy.matches(more).count(), 2, "{policy}"),
            None => assert!(!policy.contains("http://"), "{policy}"),
        }
    }
}
