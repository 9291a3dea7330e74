//! Drafts and what becomes of them, how events are listed, and when registration opens.

use axum::http::Method;
use chrono::TimeDelta;
use serde_json::{Value, json};

use super::kit::{Answer, CREATE, Call, Person, Service};

const MORE: [&str; 1] = ["registration_opens_at"];

impl Service {
    async fn unpublished(&self, organizer: &Person) -> String {
        let mut body = self.draft(Some(5), 500);
        body["draft"] = json!(true);
        let created = self.post(organizer, CREATE, &body).await.is(201);
        assert_eq!(created.body["status"], "draft");
        created.text("event_id").to_owned()
    }

    async fn of_event(&self, organizer: &Person, event: &str, what: &str) -> Answer {
        let path = format!("/api/organiser/events/{event}/{what}");
        self.post(organizer, &path, &Value::Null).await
    }

    async fn change(&self, organizer: &Person, event: &str, body: &Value) -> Answer {
        let path = format!("/api/organiser/events/{event}");
        let call = Call::new(Method::PATCH, &path, body);
        self.send(call.by(organizer)).await
    }

    async fn browse(&self, query: &str) -> Vec<Value> {
        let path = format!("/api/events{query}");
        let found = self.send(Call::get(&path).anybody()).await.is(200).body;
        let ids = found.as_array().unwrap().iter();
        ids.map(|event| event["event_id"].clone()).collect()
    }
}

#[tokio::test]
async fn nobody_else_hears_of_a_draft() {
    let service = Service::start();
    let (organizer, other, user) = (service.organizer(), service.organizer(), service.user());
    let event = service.unpublished(&organizer).await;
    let seen = format!("/api/events/{event}");
    let before = service.everything().await;
    assert_eq!(service.browse("").await, [] as [Value; 0]);
    assert_eq!(service.browse("?q=rust").await, [] as [Value; 0]);
    service
        .send(Call::get(&seen).anybody())
        .await
        .fails(404, "event_not_found");
    service
        .send(Call::get(&seen).bearer("x"))
        .await
        .fails(404, "event_not_found");
    for who in [&other, &user] {
        service.get(who, &seen).await.fails(404, "event_not_found");
        service.register(who, &event).await.fails(404, "event_not_found");
        let question = json!({"event_id": event, "user_id": who.id});
        let claim = service.ask("/internal/registrations/claim", &question).await;
        claim.fails(404, "event_not_found");
        for of_event in [
            "streams",
            "chat",
            "chat/mode",
            "questions",
            "polls",
            "presence",
            "announcements",
        ] {
            let path = format!("/api/live/events/{event}/{of_event}");
            service.get(who, &path).await.fails(404, "event_not_found");
        }
        let said = json!({"text": "hello"});
        let said = service
            .post(who, &format!("/api/live/events/{event}/chat"), &said)
            .await;
        said.fails(404, "event_not_found");
        let channel = format!("/api/live/sse?ch=event:{event}");
        service.get(who, &channel).await.fails(404, "unknown_channel");
    }
    for call in ["publish", "cancel"] {
        let theirs = service.of_event(&other, &event, call).await;
        theirs.fails(404, "event_not_found");
    }
    for path in ["reminders", "streams"] {
        let path = format!("/api/organiser/events/{event}/{path}");
        service.get(&other, &path).await.fails(404, "event_not_found");
    }
    let body = json!({"event_time": "2031-01-01T10:00"});
    let path = format!("/api/organiser/events/{event}/duplicate");
    let theirs = service.post(&other, &path, &body).await;
    theirs.fails(404, "event_not_found");
    assert_eq!(service.everything().await, before);
    // Its organizer does, and cannot register for it.
    assert_eq!(
        service.get(&organizer, &seen).await.is(200).body["status"],
        "draft"
    );
    let own = service.get(&organizer, "/api/organiser/events").await.is(200);
    assert_eq!(own.body[0]["status"], "draft");
    let refused = service.register(&organizer, &event).await;
    refused.fails(409, "event_not_published");
}

#[tokio::test]
async fn a_draft_is_published_once() {
    let service = Service::start();
    let (organizer, user) = (service.organizer(), service.user());
    let event = service.unpublished(&organizer).await;
    service
        .change(&organizer, &event, &json!({"fees": 0, "capacity": 1}))
        .await
        .is(200);
    let published = service.of_event(&organizer, &event, "publish").await.is(200);
    assert_eq!(published.body["message"], "Event published successfully.");
    assert_eq!(published.body["status"], "active");
    assert_eq!(service.browse("").await, [json!(event)]);
    service.register(&user, &event).await.is(201);
    let again = service.of_event(&organizer, &event, "publish").await;
    again.fails(409, "event_published");
    let back = service
        .change(&organizer, &event, &json!({"fees": 1, "draft": true}))
        .await;
    let back = back.fails(422, "validation_failed");
    assert_eq!(back.body["errors"][0]["field"], "draft");
}

#[tokio::test]
async fn a_discarded_draft_is_gone_from_the_list() {
    let service = Service::start();
    let organizer = service.organizer();
    let event = service.unpublished(&organizer).await;
    let cancelled = service.of_event(&organizer, &event, "cancel").await.is(200);
    assert_eq!(cancelled.body["status"], "cancelled");
    let own = service.get(&organizer, "/api/organiser/events").await;
    own.fails(404, "no_events");
    let seen = Call::get(&format!("/api/events/{event}")).anybody();
    service.send(seen).await.fails(404, "event_not_found");
    let published = service.of_event(&organizer, &event, "publish").await;
    published.fails(409, "event_cancelled");
    assert_eq!(service.messages("notifications").await, [] as [&str; 0]);
}

#[tokio::test]
async fn a_copy_moves_with_its_start() {
    let service = Service::start();
    let (organizer, user) = (service.organizer(), service.user());
    let mut body = service.draft(Some(5), 0);
    body["event_time"] = json!("2030-05-01T18:00");
    body["ends_at"] = json!("2030-05-01T20:00");
    body["registration_opens_at"] = json!("2030-03-01T10:00");
    body["registration_closes_at"] = json!("2030-04-30T18:00");
    body["tags"] = json!(["Rust"]);
    body["image_url"] = json!("https://img.example.org/rust.jpg");
    let event = service.post(&organizer, CREATE, &body).await.is(201);
    let event = event.text("event_id").to_owned();
    service.register(&user, &event).await.is(201);
    service.of_event(&organizer, &event, "cancel").await.is(200);
    let path = format!("/api/organiser/events/{event}/duplicate");
    let wrong = service.post(&organizer, &path, &json!({})).await;
    wrong.fails(422, "validation_failed");
    let copy = json!({"event_time": "2031-05-01T18:00"});
    let copied = service.post(&organizer, &path, &copy).await.is(201);
    for (field, value) in [
        ("status", json!("draft")),
        ("registered", json!(0)),
        ("event_time", json!("2031-05-01T18:00:00.000+05:30")),
        ("ends_at", json!("2031-05-01T20:00:00.000+05:30")),
        ("registration_opens_at", json!("2031-03-01T04:30:00.000Z")),
        ("registration_closes_at", json!("2031-04-30T12:30:00.000Z")),
        ("tags", json!(["Rust"])),
        ("image_url", json!("https://img.example.org/rust.jpg")),
    ] {
        assert_eq!(copied.body[field], value, "{field}");
    }
    assert_ne!(copied.body["event_id"], event.as_str());
}

#[tokio::test]
async fn who_comes_before_it_opens_is_told_when() {
    let service = Service::start();
    let (organizer, user) = (service.organizer(), service.user());
    let opens_at = service.now() + TimeDelta::hours(1);
    let mut body = service.draft(Some(5), 500);
    body["registration_opens_at"] = json!(opens_at.to_rfc3339());
    let event = service.post(&organizer, CREATE, &body).await.is(201);
    let event = event.text("event_id").to_owned();
    service.after(TimeDelta::minutes(30) + TimeDelta::milliseconds(1));
    let claim = async || {
        let question = json!({"event_id": event, "user_id": user.id});
        service.ask("/internal/registrations/claim", &question).await
    };
    for refused in [service.register(&user, &event).await, claim().await] {
        let refused = refused.fails_with(409, "registration_not_open", &MORE);
        let told = &refused.body["registration_opens_at"];
        assert_eq!(told, &json!(common::time::utc(opens_at)));
        assert_eq!(refused.headers["retry-after"], "1800");
    }
    service.after(TimeDelta::minutes(30));
    service.register(&user, &event).await.is(201);
    // It has opened: a later start does not shut it, and neither does its organizer.
    let later = (service.now() + TimeDelta::days(30)).to_rfc3339();
    let moved = service
        .change(&organizer, &event, &json!({"event_time": later}))
        .await
        .is(200);
    assert_eq!(moved.body["registration_opens_at"], common::time::utc(opens_at));
    let shut = json!({"registration_opens_at": (service.now() + TimeDelta::hours(1)).to_rfc3339()});
    let shut = service.change(&organizer, &event, &shut).await;
    shut.fails(409, "registration_began");
}

#[tokio::test]
async fn registration_that_closes_before_it_opens_is_refused() {
    let service = Service::start();
    let organizer = service.organizer();
    let before = service.everything().await;
    let mut body = service.draft(None, 0);
    body["registration_opens_at"] = body["event_time"].clone();
    let refused = service.post(&organizer, CREATE, &body).await;
    let refused = refused.fails(422, "validation_failed");
    assert_eq!(refused.body["errors"][0]["field"], "registration_opens_at");
    assert_eq!(service.everything().await, before);
}

#[tokio::test]
async fn after_sales_began_this_much_may_be_changed() {
    let service = Service::start();
    let (organizer, first, second) = (service.organizer(), service.user(), service.user());
    let event = service.event(&organizer, Some(2), 500).await;
    service.register(&first, &event).await.is(201);
    service.register(&second, &event).await.is(201);
    for (body, refused) in [
        (json!({"capacity": 1}), Some("capacity_below_registrations")),
        (json!({"capacity": 2}), None),
        (json!({"fees": 700}), None),
        (json!({"visibility": "unlisted"}), None),
        (json!({"visibility": "public"}), None),
        (
            json!({"category": "music", "tags": ["jazz"], "image_url": null}),
            None,
        ),
        (json!({"registration_opens_at": null}), None),
        (
            json!({"registration_opens_at": (service.now() + TimeDelta::hours(1)).to_rfc3339()}),
            Some("registration_began"),
        ),
        (
            json!({"registration_closes_at": (service.now() - TimeDelta::hours(1)).to_rfc3339()}),
            None,
        ),
    ] {
        let changed = service.change(&organizer, &event, &body).await;
        match refused {
            Some("capacity_below_registrations") => {
                changed.fails_with(409, "capacity_below_registrations", &["seats_taken"]);
            }
            Some(code) => {
                changed.fails(409, code);
            }
            None => {
                changed.is(200);
            }
        }
    }
    // Who held a seat pays what it cost then.
    let question = json!({"event_id": event, "user_id": first.id});
    let claim = service.ask("/internal/registrations/claim", &question).await;
    assert_eq!(claim.is(200).body["amount"], 50_000);
}

#[tokio::test]
async fn events_are_listed_as_their_organizer_says() {
    let service = Service::start();
    let organizer = service.organizer();
    let create = async |more: Value| {
        let mut body = service.draft(None, 0);
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        let created = service.post(&organizer, CREATE, &body).await;
        created.is(201).body
    };
    let plain = create(json!({})).await;
    let expected = json!({"category": "other", "tags": [], "image_url": null, "visibility": "public"});
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&plain[field], value, "{field}");
    }
    let gig = create(json!({"category": "music", "tags": ["Jazz", "open air", "JAZZ"]})).await;
    assert_eq!(gig["tags"], json!(["Jazz", "open air"]));
    let secret = create(json!({"category": "music", "visibility": "unlisted"})).await;
    let id = |event: &Value| event["event_id"].clone();
    assert_eq!(service.browse("?category=music").await, [id(&gig)]);
    assert_eq!(service.browse("?category=other").await, [id(&plain)]);
    assert_eq!(service.browse("?tag=jazz").await, [id(&gig)]);
    assert_eq!(service.browse("?tag=Open%20Air&category=music").await, [id(&gig)]);
    assert_eq!(service.browse("?q=jazz+mus").await, [id(&gig)]);
    assert_eq!(service.browse("").await.len(), 2);
    let path = format!("/api/events/{}", secret["event_id"].as_str().unwrap());
    service.send(Call::get(&path).anybody()).await.is(200);
    for query in [
        "?category=Music",
        "?category=films",
        &format!("?tag={}", "x".repeat(31)),
    ] {
        let path = format!("/api/events{query}");
        let refused = service.send(Call::get(&path).anybody()).await;
        refused.fails(422, "validation_failed");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_listing_is_named() {
    let service = Service::start();
    let organizer = service.organizer();
    let eleven: Vec<String> = (0..11).map(|n| n.to_string()).collect();
    for (field, value) in [
        ("category", json!("films")),
        ("category", json!(7)),
        ("tags", json!("rust")),
        ("tags", json!([7])),
        ("tags", json!([""])),
        ("tags", json!(["a\nb"])),
        ("tags", json!(["x".repeat(31)])),
        ("tags", json!(eleven)),
        ("image_url", json!("http://img.example.org/rust.jpg")),
        ("image_url", json!("javascript:alert(1)")),
        ("visibility", json!("private")),
        ("registration_opens_at", json!("soon")),
    ] {
        let mut body = service.draft(None, 0);
        body[field] = value.clone();
        let refused = service.post(&organizer, CREATE, &body).await;
        let refused = refused.fails(422, "validation_failed");
        assert_eq!(refused.body["errors"][0]["field"], field, "{value}");
    }
    let mut body = service.draft(None, 0);
    body["draft"] = json!("yes");
    let refused = service.post(&organizer, CREATE, &body).await;
    assert_eq!(
        refused.fails(422, "validation_failed").body["errors"][0]["field"],
        "draft"
    );
}
