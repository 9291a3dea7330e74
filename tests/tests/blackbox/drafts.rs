//! A draft is its organizer's until it is published; then it is everybody's, and a copy of it is a draft again.

use chrono::{DateTime, TimeDelta};
use reqwest::Method;
use serde_json::{Value, json};
use tests::{Options, Person, System, Topology, live::LiveSocket};

use crate::everywhere;

everywhere!(a_draft_is_published_and_copied);

/// The ids that a list has.
async fn listed(who: &Person, query: &str) -> Vec<Value> {
    let found = who.get(&format!("/api/events{query}")).await.expect(200);
    let found = found.as_array().unwrap().iter();
    found.map(|event| event["event_id"].clone()).collect()
}

async fn a_draft_is_published_and_copied(topology: Topology) {
    let system = System::start(topology, Options::default()).await;
    let (organizer, other) = (system.person("organizer").await, system.person("organizer").await);
    let (asha, anyone) = (system.person("user").await, system.anyone());
    let body = json!({
        "e_name": "Monsoon concert", "e_details": "Ragas of the rain.", "event_time": "2031-07-05T18:30:00+05:30",
        "ends_at": "2031-07-05T21:00:00+05:30", "event_add": "Hall 7", "capacity": 2, "fees": 250,
        "registration_opens_at": "2026-01-01T10:00:00+05:30", "category": "music", "tags": ["Ragas", "Open Air"],
        "image_url": "https://img.example.org/monsoon.jpg", "draft": true,
    });
    let made = organizer
        .post("/api/organiser/create_event", body)
        .await
        .expect(201);
    assert_eq!(made["status"], "draft");
    let event = made["event_id"].as_str().unwrap().to_owned();
    let (seen, own) = (
        format!("/api/events/{event}"),
        format!("/api/organiser/events/{event}"),
    );
    let channel = format!("event:{event}");

    // Nobody sees it but its organizer.
    for who in [&anyone, &asha, &other] {
        who.get(&seen).await.problem(404, "event_not_found");
        for query in ["", "?q=monsoon", "?category=music", "?tag=ragas", "?when=all"] {
            assert_eq!(listed(who, query).await, [] as [Value; 0], "{query}");
        }
    }
    asha.register(&event).await.problem(404, "event_not_found");
    asha.pay(&event, json!(250)).await.problem(404, "event_not_found");
    asha.get(&format!("/api/live/events/{event}/streams"))
        .await
        .problem(404, "event_not_found");
    let mut hers = LiveSocket::connect(&system.url(), Some(&asha)).await.unwrap();
    let refused = hers.ask(json!({"op": "subscribe", "ch": channel})).await.unwrap();
    assert_eq!(refused["err"]["code"], "unknown_channel");
    for (path, body) in [
        ("publish", json!({})),
        ("duplicate", json!({"event_time": "2031-08-01T18:30"})),
        ("announcements", json!({"subject": "Hello", "text": "To you."})),
    ] {
        let theirs = other.post(&format!("{own}/{path}"), body).await;
        theirs.problem(404, "event_not_found");
    }
    assert_eq!(organizer.get(&seen).await.expect(200)["status"], "draft");
    assert_eq!(
        organizer.get("/api/organiser/events").await.expect(200)[0]["event_id"],
        event.as_str()
    );
    let mut theirs = LiveSocket::connect(&system.url(), Some(&organizer))
        .await
        .unwrap();
    theirs.subscribe(&channel, None).await;
    let changed = organizer
        .send(Method::PATCH, &own, Some(json!({"fees": 0})), &[])
        .await;
    changed.unwrap().expect(200);

    // Published, everybody does; whoever waits on its channel hears of it. Sent again under its key, it is one publication.
    for _ in 0..2 {
        let published = organizer
            .post_keyed(&format!("{own}/publish"), "once", json!({}))
            .await
            .expect(200);
        assert_eq!(published["status"], "active");
    }
    let again = organizer.post(&format!("{own}/publish"), json!({})).await;
    again.problem(409, "event_published");
    let heard = theirs
        .until("that it is published", |push| push["type"] == "event.changed")
        .await;
    assert_eq!(
        heard["data"]["event"]["status"], "active",
        "nothing was said of the draft"
    );
    for query in [
        "",
        "?q=monsoon",
        "?q=rag+music",
        "?category=music",
        "?tag=open%20air",
    ] {
        assert_eq!(listed(&anyone, query).await, [json!(event)], "{query}");
    }
    hers.subscribe(&channel, None).await;
    asha.register(&event).await.expect(201);
    asha.is_confirmed(&event).await;

    // A copy is a draft again, a year later, with nobody in it.
    let copy = json!({"event_time": "2032-07-03T18:30:00+05:30"});
    let copy = organizer
        .post(&format!("{own}/duplicate"), copy)
        .await
        .expect(201);
    let time = |of: &Value, name: &str| DateTime::parse_from_rfc3339(of[name].as_str().unwrap()).unwrap();
    for name in [
        "event_time",
        "ends_at",
        "registration_opens_at",
        "registration_closes_at",
    ] {
        assert_eq!(
            time(&copy, name) - time(&made, name),
            TimeDelta::days(364),
            "{name}"
        );
    }
    assert_eq!(
        (&copy["status"], &copy["registered"]),
        (&json!("draft"), &json!(0))
    );
    assert_eq!(
        (&copy["tags"], &copy["image_url"]),
        (&made["tags"], &made["image_url"])
    );
    let copied = copy["event_id"].as_str().unwrap();
    anyone
        .get(&format!("/api/events/{copied}"))
        .await
        .problem(404, "event_not_found");
    assert_eq!(listed(&anyone, "?tag=ragas").await, [json!(event)]);

    // It is published unlisted: who has its id may come, from the day on which registration opens.
    let own = format!("/api/organiser/events/{copied}");
    let unlisted =
        json!({"visibility": "unlisted", "registration_opens_at": "2032-01-01T10:00", "fees": 250});
    let changed = organizer.send(Method::PATCH, &own, Some(unlisted), &[]).await;
    changed.unwrap().expect(200);
    organizer
        .post(&format!("{own}/publish"), json!({}))
        .await
        .expect(200);
    assert_eq!(listed(&anyone, "?tag=ragas").await, [json!(event)]);
    anyone.get(&format!("/api/events/{copied}")).await.expect(200);
    for early in [asha.register(copied).await, asha.pay(copied, json!(250)).await] {
        let early = early.problem(409, "registration_not_open");
        assert_eq!(early["registration_opens_at"], "2032-01-01T04:30:00.000Z");
    }
}
