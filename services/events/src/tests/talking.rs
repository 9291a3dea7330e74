//! Chat, questions, polls and the rest over REST.

use axum::http::Method;
use chrono::TimeDelta;
use serde_json::{Value, json};

use super::kit::*;

/// An event with its organizer, two attendees and a stranger.
struct Hall {
    service: Service,
    event: String,
    organizer: Person,
    asha: Person,
    ben: Person,
    stranger: Person,
}

impl Hall {
    async fn open() -> Self {
        let service = Service::start();
        let organizer = service.organizer();
        let event = service.event(&organizer, None, 0).await;
        let (asha, ben, stranger) = (service.user(), service.user(), service.user());
        for user in [&asha, &ben] {
            service.register(user, &event).await.is(201);
        }
        Self {
            service,
            event,
            organizer,
            asha,
            ben,
            stranger,
        }
    }

    fn path(&self, rest: &str) -> String {
        format!("/api/live/events/{}/{rest}", self.event)
    }

    async fn post(&self, who: &Person, rest: &str, body: Value) -> Answer {
        self.service.post(who, &self.path(rest), &body).await
    }

    async fn get(&self, who: &Person, rest: &str) -> Answer {
        self.service.get(who, &self.path(rest)).await
    }

    async fn call(&self, who: &Person, method: Method, rest: &str, body: Value) -> Answer {
        self.service
            .send(Call::new(method, &self.path(rest), &body).by(who))
            .await
    }
}

#[tokio::test]
async fn a_chat_is_read_written_and_moderated() {
    let hall = Hall::open().await;
    let said = hall
        .post(&hall.asha, "chat", json!({"text": " Hello 👋\n"}))
        .await
        .is(201);
    let id = said.text("message_id").to_owned();
    assert_eq!(said.body["text"], "Hello 👋");
    assert_eq!(
        said.body["user"],
        json!({"user_id": hall.asha.id, "name": null, "role": "attendee"})
    );
    let second = hall.post(&hall.ben, "chat", json!({"text": "Hi"})).await.is(201);
    let listed = hall.get(&hall.organizer, "chat?limit=1").await.is(200);
    assert_eq!(listed.body[0]["message_id"], second.body["message_id"]);
    assert!(listed.headers.contains_key("link"));
    let message = format!("chat/{id}");
    let edit = json!({"text": "Hello all"});
    hall.call(&hall.ben, Method::PATCH, &message, edit.clone())
        .await
        .fails(403, "not_yours");
    let edited = hall.call(&hall.asha, Method::PATCH, &message, edit).await.is(200);
    assert!(edited.body["edited_at"].is_string() && edited.body["text"] == "Hello all");
    hall.call(&hall.ben, Method::DELETE, &message, json!(null))
        .await
        .fails(403, "not_yours");
    hall.call(&hall.organizer, Method::DELETE, &message, json!(null))
        .await
        .is(200);
    hall.call(&hall.organizer, Method::DELETE, &message, json!(null))
        .await
        .fails(404, "post_not_found");
    let left = hall.get(&hall.asha, "chat").await.is(200);
    assert_eq!(left.body.as_array().map(Vec::len), Some(1));
    for text in [
        json!(""),
        json!(" \u{200b}"),
        json!(7),
        json!("a\u{202e}b"),
        json!("x".repeat(2_001)),
    ] {
        hall.post(&hall.asha, "chat", json!({"text": text}))
            .await
            .fails(422, "validation_failed");
    }
}

#[tokio::test]
async fn a_key_says_it_once() {
    let hall = Hall::open().await;
    let send = |text: &str| {
        let body = json!({"text": text});
        Call::post(&hall.path("chat"), &body).key("k1").by(&hall.asha)
    };
    let first = hall.service.send(send("once")).await.is(201);
    let again = hall.service.send(send("once")).await.is(201);
    assert!(again.is_replayed() && again.body == first.body);
    hall.service
        .send(send("twice"))
        .await
        .fails(422, "idempotency_key_reused");
    let listed = hall.get(&hall.asha, "chat").await.is(200);
    assert_eq!(listed.body.as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn it_is_for_those_who_take_part() {
    let hall = Hall::open().await;
    let poll = json!({"question": "Who?", "options": ["A", "B"]});
    for (rest, body) in [
        ("chat", json!({"text": "hello"})),
        ("questions", json!({"text": "why?"})),
        ("polls", poll.clone()),
        ("reactions", json!({"emoji": "👏"})),
        ("announcements", json!({"text": "hear"})),
        (&format!("bans/{}", hall.asha.id), json!({"kind": "ban"})),
    ] {
        hall.post(&hall.stranger, rest, body.clone())
            .await
            .fails(403, "not_attending");
        let unknown = format!("/api/live/events/{}/{rest}", common::ids::new_id());
        hall.service
            .post(&hall.asha, &unknown, &body)
            .await
            .fails(404, "event_not_found");
    }
    for rest in [
        "chat",
        "chat/mode",
        "questions",
        "polls",
        "announcements",
        "presence",
    ] {
        hall.get(&hall.stranger, rest).await.fails(403, "not_attending");
        hall.get(&hall.asha, rest).await.is(200);
    }
    for (method, rest, body) in [
        (Method::PUT, "chat/mode", json!({"mode": "closed"})),
        (Method::POST, "polls", poll),
        (Method::POST, "announcements", json!({"text": "hear"})),
        (
            Method::POST,
            &format!("bans/{}", hall.ben.id),
            json!({"kind": "ban"}),
        ),
        (Method::DELETE, &format!("bans/{}", hall.ben.id), json!(null)),
    ] {
        hall.call(&hall.asha, method, rest, body)
            .await
            .fails(403, "event_organizer_only");
    }
    assert_eq!(
        hall.get(&hall.asha, "presence").await.is(200).body,
        json!({"count": 0})
    );
}

#[tokio::test]
async fn modes_and_bans() {
    let hall = Hall::open().await;
    let hello = || json!({"text": "hello"});
    let mode = async |body| hall.call(&hall.organizer, Method::PUT, "chat/mode", body).await;
    mode(json!({"mode": "closed"})).await.is(200);
    hall.post(&hall.asha, "chat", hello())
        .await
        .fails(409, "chat_closed");
    hall.post(&hall.organizer, "chat", hello()).await.is(201);
    let slow = mode(json!({"mode": "slow", "slow_seconds": 30})).await.is(200);
    assert_eq!(slow.body, json!({"mode": "slow", "slow_seconds": 30}));
    hall.post(&hall.asha, "chat", hello()).await.is(201);
    let refused = hall
        .post(&hall.asha, "chat", hello())
        .await
        .fails(429, "rate_limited");
    assert_eq!(refused.headers["retry-after"], "30");
    hall.service.after(TimeDelta::seconds(30));
    hall.post(&hall.asha, "chat", hello()).await.is(201);
    for body in [
        json!({"mode": "quiet"}),
        json!({"mode": "slow", "slow_seconds": 0}),
        json!({}),
    ] {
        mode(body).await.fails(422, "validation_failed");
    }
    assert_eq!(
        mode(json!({"mode": "slow"})).await.is(200).body["slow_seconds"],
        10
    );
    mode(json!({"mode": "open"})).await.is(200);
    let bans = format!("bans/{}", hall.asha.id);
    let until = hall.service.now() + TimeDelta::minutes(5);
    let mute = json!({"kind": "mute", "until": until.to_rfc3339()});
    let muted = hall.post(&hall.organizer, &bans, mute).await.is(200);
    assert_eq!(
        (&muted.body["kind"], &muted.body["user_id"]),
        (&json!("mute"), &json!(hall.asha.id))
    );
    hall.post(&hall.asha, "chat", hello()).await.fails(403, "muted");
    hall.get(&hall.asha, "chat").await.is(200);
    hall.service.after(TimeDelta::minutes(5));
    hall.post(&hall.asha, "chat", hello()).await.is(201);
    hall.post(&hall.organizer, &bans, json!({"kind": "ban"}))
        .await
        .is(200);
    hall.get(&hall.asha, "chat").await.fails(403, "banned");
    let lifted = hall
        .call(&hall.organizer, Method::DELETE, &bans, json!(null))
        .await
        .is(200);
    assert_eq!(lifted.body["kind"], Value::Null);
    hall.get(&hall.asha, "chat").await.is(200);
    let own = format!("bans/{}", hall.organizer.id);
    hall.post(&hall.organizer, &own, json!({"kind": "ban"}))
        .await
        .fails(409, "is_organizer");
    let past = json!({"kind": "ban", "until": "2001-01-01T00:00:00Z"});
    hall.post(&hall.organizer, &bans, past)
        .await
        .fails(409, "over_already");
}

#[tokio::test]
async fn questions_are_voted_for_and_answered() {
    let hall = Hall::open().await;
    let asked = hall
        .post(&hall.asha, "questions", json!({"text": "Will it be recorded?"}))
        .await
        .is(201);
    let id = asked.text("question_id").to_owned();
    let vote = format!("questions/{id}/vote");
    for who in [&hall.asha, &hall.ben] {
        hall.post(who, &vote, json!(null)).await.is(200);
    }
    hall.post(&hall.ben, &vote, json!(null))
        .await
        .fails(409, "already_voted");
    let seen = async |who| hall.get(who, "questions").await.is(200).body[0].clone();
    let question = seen(&hall.ben).await;
    assert_eq!(
        (&question["votes"], &question["voted"]),
        (&json!(2), &json!(true))
    );
    assert_eq!(seen(&hall.organizer).await["voted"], false);
    let set = format!("questions/{id}");
    let state = |state: &str| json!({"state": state});
    hall.call(&hall.asha, Method::PATCH, &set, state("answered"))
        .await
        .fails(403, "event_organizer_only");
    hall.call(&hall.organizer, Method::PATCH, &set, state("hidden"))
        .await
        .is(200);
    assert_eq!(seen(&hall.asha).await, Value::Null);
    assert_eq!(seen(&hall.organizer).await["state"], "hidden");
    hall.call(&hall.organizer, Method::PATCH, &set, state("answered"))
        .await
        .is(200);
    assert_eq!(seen(&hall.asha).await["state"], "answered");
    hall.post(&hall.organizer, &vote, json!(null))
        .await
        .fails(409, "voting_closed");
    hall.call(&hall.organizer, Method::PATCH, &set, state("open"))
        .await
        .fails(422, "validation_failed");
    hall.post(&hall.asha, "questions/x/vote", json!(null))
        .await
        .fails(404, "post_not_found");
}

#[tokio::test]
async fn a_poll_is_a_draft_then_open_then_closed() {
    let hall = Hall::open().await;
    let poll = json!({"question": "Where next?", "options": ["Pune", "Online"], "results": "at_close"});
    let made = hall.post(&hall.organizer, "polls", poll).await.is(201);
    let id = made.text("poll_id").to_owned();
    let (pune, online) = (
        &made.body["options"][0]["option_id"],
        &made.body["options"][1]["option_id"],
    );
    let seen = async |who| hall.get(who, "polls").await.is(200).body[0].clone();
    assert_eq!(seen(&hall.asha).await, Value::Null);
    assert_eq!(seen(&hall.organizer).await["state"], "draft");
    let (open, close, vote) = (
        format!("polls/{id}/open"),
        format!("polls/{id}/close"),
        format!("polls/{id}/vote"),
    );
    let choose = |option: &Value| json!({"option": option});
    hall.post(&hall.asha, &vote, choose(pune))
        .await
        .fails(404, "post_not_found");
    hall.post(&hall.organizer, &vote, choose(pune))
        .await
        .fails(409, "poll_not_open");
    hall.post(&hall.organizer, &close, json!(null))
        .await
        .fails(409, "poll_not_open");
    hall.post(&hall.asha, &open, json!(null))
        .await
        .fails(404, "post_not_found");
    hall.post(&hall.organizer, &open, json!(null)).await.is(200);
    hall.post(&hall.asha, &open, json!(null))
        .await
        .fails(403, "event_organizer_only");
    hall.post(&hall.asha, &vote, choose(pune)).await.is(200);
    hall.post(&hall.asha, &vote, choose(online))
        .await
        .fails(409, "already_voted");
    hall.post(&hall.ben, &vote, choose(&json!("none of them")))
        .await
        .fails(404, "option_not_found");
    hall.post(&hall.ben, &vote, choose(online)).await.is(200);
    let of_asha = seen(&hall.asha).await;
    assert_eq!((&of_asha["votes"], &of_asha["voted"]), (&Value::Null, pune));
    assert_eq!(seen(&hall.organizer).await["votes"], 2);
    hall.post(&hall.organizer, &close, json!(null)).await.is(200);
    let closed = seen(&hall.asha).await;
    assert_eq!(
        (&closed["votes"], &closed["options"][0]["votes"]),
        (&json!(2), &json!(1))
    );
    hall.post(&hall.stranger, &vote, choose(pune))
        .await
        .fails(403, "not_attending");
    hall.post(&hall.organizer, &open, json!(null))
        .await
        .fails(409, "voting_closed");
    for options in [
        json!(["one"]),
        json!(["a", "a"]),
        json!(["a", 1]),
        json!("a"),
        json!(["a", " "]),
    ] {
        let poll = json!({"question": "Where?", "options": options});
        hall.post(&hall.organizer, "polls", poll)
            .await
            .fails(422, "validation_failed");
    }
}

#[tokio::test]
async fn announcements_and_reactions() {
    let hall = Hall::open().await;
    let until = hall.service.now() + TimeDelta::minutes(5);
    let body = json!({"text": "We begin in five minutes.", "expires_at": until.to_rfc3339()});
    let made = hall.post(&hall.organizer, "announcements", body).await.is(201);
    let listed = hall.get(&hall.asha, "announcements").await.is(200).body;
    assert_eq!(listed[0]["announcement_id"], made.body["announcement_id"]);
    let path = format!("announcements/{}", made.text("announcement_id"));
    hall.call(&hall.asha, Method::DELETE, &path, json!(null))
        .await
        .fails(403, "event_organizer_only");
    hall.call(&hall.organizer, Method::DELETE, &path, json!(null))
        .await
        .is(200);
    assert_eq!(
        hall.get(&hall.asha, "announcements").await.is(200).body,
        json!([])
    );
    let past = json!({"text": "over", "expires_at": "2001-01-01T00:00:00Z"});
    hall.post(&hall.organizer, "announcements", past)
        .await
        .fails(409, "over_already");
    hall.post(&hall.asha, "reactions", json!({"emoji": "👏🏽"}))
        .await
        .is(200);
    for emoji in [json!("a"), json!("👏👏"), json!(""), json!(1)] {
        hall.post(&hall.asha, "reactions", json!({"emoji": emoji}))
            .await
            .fails(422, "validation_failed");
    }
}

#[tokio::test]
async fn a_store_that_is_away_does_nothing_by_halves() {
    let hall = Hall::open().await;
    let before = hall.service.everything().await;
    let away = common::store::StoreError::Unavailable("away".to_owned());
    hall.service
        .store
        .fails(super::failing_store::Trouble::Changes(away));
    hall.post(&hall.asha, "chat", json!({"text": "hello"}))
        .await
        .unavailable();
    hall.get(&hall.asha, "chat").await.is(200);
    hall.service.store.works();
    assert_eq!(hall.service.everything().await, before);
}

#[tokio::test]
async fn a_user_writes_only_so_often() {
    let hall = Hall::open().await;
    for _ in 0..6 {
        hall.post(&hall.asha, "questions", json!({"text": "Why?"}))
            .await
            .is(201);
    }
    hall.post(&hall.asha, "questions", json!({"text": "Why?"}))
        .await
        .fails(429, "rate_limited");
    hall.post(&hall.ben, "questions", json!({"text": "Why?"}))
        .await
        .is(201);
}
