//! The waitlist: a freed seat is held for the first in line, and goes on when it is not taken, over kill -9 and by two workers.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tests::{Options, PATIENCE, Person, System, Topology, eventually, live::LiveSocket};

use crate::everywhere;

everywhere!(a_freed_seat_goes_down_the_line, a_kill_loses_and_doubles_no_offer);

async fn join(who: &Person, event: &str) -> Value {
    let path = format!("/api/reg/waitlist/{event}");
    who.post(&path, json!({})).await.expect(201)
}

async fn place(who: &Person) -> Value {
    who.get("/api/reg/waitlist").await.expect(200)[0].clone()
}

async fn comes_to(who: &Person, status: &str) -> Value {
    eventually(&format!("a place is {status}"), PATIENCE, async || {
        let place = place(who).await;
        (place["status"] == status).then_some(place)
    })
    .await
}

async fn cancel(who: &Person, registration: &Value) {
    let path = format!(
        "/api/reg/registrations/{}",
        registration["registration_id"].as_str().unwrap()
    );
    who.send(Method::DELETE, &path, None, &[])
        .await
        .unwrap()
        .expect(200);
}

/// How many letters of a kind went out.
async fn sent(who: &Person, kind: &str) -> usize {
    let messages = who.messages().await.into_iter();
    messages
        .filter(|(of, _, status)| of == kind && status == "sent")
        .count()
}

/// How many letters with an offer went out.
async fn letters(who: &Person) -> usize {
    sent(who, "waitlist_offer").await
}

async fn a_freed_seat_goes_down_the_line(topology: Topology) {
    let system = System::start(topology, Options::default().with("OFFER_SECONDS", "6")).await;
    let (organizer, asha, ravi, mina) = (
        system.person("organizer").await,
        system.person("user").await,
        system.person("user").await,
        system.person("user").await,
    );
    let event = organizer.create_event(json!(1), json!(0)).await;
    let path = format!("/api/reg/waitlist/{event}");
    ravi.post(&path, json!({})).await.problem(409, "seats_available");
    let registration = asha.register(&event).await.expect(201);
    assert_eq!(join(&ravi, &event).await["position"], 1);
    assert_eq!(join(&mina, &event).await["position"], 2);
    let mut live = LiveSocket::connect(&system.url(), Some(&mina)).await.unwrap();
    live.subscribe("me", None).await;

    // The organizer can write to those who wait.
    let news = json!({"subject": "Patience", "text": "A seat may come.", "to": "waitlist"});
    let announcements = format!("/api/organiser/events/{event}/announcements");
    organizer.post(&announcements, news).await.expect(202);
    for who in [&ravi, &mina] {
        eventually("the news", PATIENCE, async || {
            (sent(who, "announcement").await == 1).then_some(())
        })
        .await;
    }
    assert_eq!(sent(&asha, "announcement").await, 0);

    cancel(&asha, &registration).await;
    asha.register(&event).await.problem(409, "event_full");
    let offered = comes_to(&ravi, "offered").await;
    assert!(offered["offer_expires_at"].is_string());
    // He lets it pass, and it is hers.
    let push = live
        .until("the offer", |push| push["type"] == "waitlist.offered")
        .await;
    assert_eq!(push["data"]["waitlist"]["status"], "offered");
    assert_eq!(place(&ravi).await["status"], "expired");
    ravi.register(&event).await.problem(409, "event_full");
    assert_eq!(mina.register(&event).await.expect(201)["status"], "confirmed");
    assert_eq!(place(&mina).await["status"], "registered");
    for who in [&ravi, &mina] {
        eventually("the letter", PATIENCE, async || {
            (letters(who).await == 1).then_some(())
        })
        .await;
    }
    // Nobody waits any more: the seat is anybody's again.
    let shown = asha.get(&format!("/api/events/{event}")).await.expect(200);
    assert_eq!(
        (&shown["registered"], &shown["seats_left"]),
        (&json!(1), &json!(0))
    );
}

/// Ten seats are given up and offered while the events service is killed again and again.
async fn a_kill_loses_and_doubles_no_offer(topology: Topology) {
    const SEATS: usize = 10;
    let mut system = System::start(topology, Options::default()).await;
    let organizer = system.person("organizer").await;
    let event = organizer.create_event(json!(SEATS), json!(0)).await;
    let (mut registered, mut waiting) = (Vec::new(), Vec::new());
    for _ in 0..SEATS {
        let person = system.stranger(common::auth::Role::User);
        let registration = person.register(&event).await.expect(201);
        registered.push((person, registration));
    }
    for _ in 0..SEATS + 2 {
        let person = system.person("user").await;
        join(&person, &event).await;
        waiting.push(person);
    }
    for (at, (person, registration)) in registered.iter().enumerate() {
        cancel(person, registration).await;
        if at % 3 == 0 {
            // Somewhere between the freed seat, the offer and its letter.
            tokio::time::sleep(Duration::from_millis(at as u64 * 50)).await;
            system.kill_every("events");
            system.start_again().await;
        }
    }
    for (at, person) in waiting.iter().enumerate() {
        if at < SEATS {
            comes_to(person, "offered").await;
            eventually("the letter", PATIENCE, async || {
                (letters(person).await >= 1).then_some(())
            })
            .await;
        } else {
            let place = place(person).await;
            assert_eq!(
                (&place["status"], &place["position"]),
                (&json!("waiting"), &json!(at - SEATS + 1))
            );
        }
    }
    for person in &waiting[..SEATS] {
        assert_eq!(letters(person).await, 1, "each once");
        person.register(&event).await.expect(201);
    }
    waiting[SEATS].register(&event).await.problem(409, "event_full");
    let shown = organizer.get(&format!("/api/events/{event}")).await.expect(200);
    assert_eq!(shown["registered"], SEATS);
    // Those who still wait when it is cancelled are told so, as those who come are, each once, although the worker dies meanwhile.
    let path = format!("/api/organiser/events/{event}/cancel");
    organizer.post(&path, json!({})).await.expect(200);
    system.kill_every("events");
    system.start_again().await;
    for person in &waiting[SEATS..] {
        comes_to(person, "closed").await;
    }
    for person in &waiting {
        eventually("everybody's letter", PATIENCE, async || {
            (sent(person, "event_cancelled").await >= 1).then_some(())
        })
        .await;
        assert_eq!(sent(person, "event_cancelled").await, 1);
    }
}
