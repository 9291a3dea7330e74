//! Two of each service behind one gateway: both are used, and one that is killed is missed by nobody.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use common::auth::Role;
use reqwest::Method;
use serde_json::json;
use tests::{Options, PATIENCE, Person, System, Topology, eventually, smtp::MailServer};
use tokio::task::JoinSet;

/// Sent in all, by [`CLIENTS`] at a time. One in sixteen is a keyed registration, the others are GETs.
const REQUESTS: usize = 10_000;
const CLIENTS: usize = 16;
const VICTIMS: [&str; 4] = ["events-2", "users", "notifications", "payments-2"];
/// Read in turn.
const READS: [&str; 5] = [
    "/api/events?limit=5",
    "/api/users/me",
    "/api/reg/get_registrevent?status=all",
    "/api/notifications",
    "/api/payment/payments",
];

/// What became of all requests.
#[derive(Default)]
struct Tally {
    sent: AtomicUsize,
    failed: parking_lot::Mutex<Vec<String>>,
    registered: parking_lot::Mutex<Vec<(Person, String)>>,
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_misses_a_replica_that_is_killed() {
    let mail = MailServer::start().await;
    let options = Options::default().with("SMTP_URL", mail.url());
    let mut system = System::start_alone(Topology::Replicas, options).await;
    let organizer = system.person("organizer").await;
    let reader = system.person("user").await;
    let mut events = Vec::new();
    for _ in 0..4 {
        events.push(organizer.create_event(json!(null), json!(0)).await);
    }
    reader.register(&events[0]).await.expect(201);
    let tally = Arc::new(Tally::default());
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let people: Vec<Person> = (0..=REQUESTS / CLIENTS / (1 + 3 * READS.len()))
            .map(|_| system.stranger(Role::User))
            .collect();
        clients.spawn(send(
            people,
            reader.clone(),
            events[client % events.len()].clone(),
            tally.clone(),
        ));
    }
    for (index, victim) in VICTIMS.iter().enumerate() {
        let enough = REQUESTS * (2 * index + 1) / (2 * VICTIMS.len() + 1);
        eventually("the load goes on", 4 * PATIENCE, async || {
            (tally.sent.load(Ordering::Relaxed) >= enough).then_some(())
        })
        .await;
        system.kill(victim);
        let enough = REQUESTS * (2 * index + 2) / (2 * VICTIMS.len() + 1);
        eventually("the load goes on without it", 4 * PATIENCE, async || {
            (tally.sent.load(Ordering::Relaxed) >= enough).then_some(())
        })
        .await;
        system.start_again().await;
    }
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }
    let failed = tally.failed.lock().clone();
    let sent = tally.sent.load(Ordering::Relaxed);
    assert!(sent >= REQUESTS, "{sent} were sent");
    assert_eq!(
        failed.len(),
        0,
        "of {sent}: {:#?}",
        &failed[..failed.len().min(20)]
    );
    // Once each, although the gateway sent some again.
    let registered = tally.registered.lock().clone();
    let mut shown = 0;
    for event in &events {
        let event = system
            .anyone()
            .get(&format!("/api/events/{event}"))
            .await
            .expect(200);
        shown += event["registered"].as_u64().unwrap() as usize;
    }
    assert_eq!(shown, registered.len() + 1);
    for (person, event) in registered.iter().step_by(50) {
        assert_eq!(person.status(event).await, "confirmed");
    }
    // The reader's letter, once: a worker's job taken up again by the other replica takes effect once.
    eventually("the letters are there", PATIENCE, async || {
        (mail.counts().len() == 1).then_some(())
    })
    .await;
    assert_eq!(reader.messages().await.len(), 1);
}

async fn send(people: Vec<Person>, reader: Person, event: String, tally: Arc<Tally>) {
    for person in people {
        let body = json!({"event_id": event});
        let key = [("idempotency-key", "once")];
        let sent = person
            .send(Method::POST, "/api/reg/register_event", Some(body), &key)
            .await;
        if tally.note("register_event", 201, sent) {
            tally.registered.lock().push((person, event.clone()));
        }
        for path in [READS; 3].concat() {
            let sent = reader.send(Method::GET, path, None, &[]).await;
            tally.note(path, 200, sent);
        }
    }
}

impl Tally {
    fn note(&self, what: &str, expected: u16, sent: Result<tests::Answer, reqwest::Error>) -> bool {
        self.sent.fetch_add(1, Ordering::Relaxed);
        let how = match sent {
            Ok(answer) if answer.status == expected => return true,
            Ok(answer) => format!("{what}: {} {}", answer.status, answer.text),
            Err(error) => format!("{what}: {error:?}"),
        };
        self.failed.lock().push(how);
        false
    }
}

/// Each process of a service counts its requests; the gateway gives both about as many, once it has noticed that those are
/// there which were not while it started.
#[tokio::test(flavor = "multi_thread")]
async fn both_replicas_are_used() {
    let system = System::start(Topology::Replicas, Options::default()).await;
    let person = system.person("user").await;
    let counts = async || {
        let mut counts = Vec::new();
        for port in ["USERS_PORT", "EVENTS_PORT", "NOTIFICATIONS_PORT", "PAYMENTS_PORT"] {
            for port in [port.to_owned(), format!("{port}-2")] {
                let metrics = person.at(&system.service_url(&port)).get("/metrics").await;
                counts.push(answered(&metrics.text));
            }
        }
        counts
    };
    eventually("both are used alike", PATIENCE, async || {
        let before = counts().await;
        for _ in 0..100 {
            for path in READS {
                person.get(path).await.expect(200);
            }
        }
        let after = counts().await;
        let more = after.iter().zip(&before).map(|(after, before)| after - before);
        more.min().filter(|least| *least >= 40).map(drop)
    })
    .await;
}

fn answered(metrics: &str) -> u64 {
    let counts = metrics
        .lines()
        .filter(|line| line.starts_with("http_requests_total{") && line.contains("status=\"2"));
    counts
        .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
        .sum()
}

/// Mail is sent once while a replica of the sender dies in the middle, apart from what was on its way in it.
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_dies_in_a_mail_run() {
    const PEOPLE: usize = 60;
    let mail = MailServer::start().await;
    let options = Options::default().with("SMTP_URL", mail.url());
    let mut system = System::start(Topology::Replicas, options).await;
    let organizer = system.person("organizer").await;
    let event = organizer.create_event(json!(null), json!(0)).await;
    let mut people = Vec::new();
    for _ in 0..PEOPLE {
        people.push(system.person("user").await);
    }
    for person in &people {
        person.register(&event).await.expect(201);
    }
    eventually("the run is under way", PATIENCE, async || {
        (mail.counts().len() > PEOPLE / 4).then_some(())
    })
    .await;
    system.kill("notifications-2");
    eventually("every mail has arrived", PATIENCE, async || {
        (mail.counts().len() == PEOPLE).then_some(())
    })
    .await;
    for person in &people {
        eventually("all are marked as sent", PATIENCE, async || {
            let messages = person.messages().await;
            assert_eq!(messages.len(), 1, "{messages:?}");
            messages
                .iter()
                .all(|(_, _, status)| status == "sent")
                .then_some(())
        })
        .await;
    }
    let counts: BTreeMap<String, usize> = mail.counts();
    assert!(counts.values().all(|count| *count <= 2), "{counts:?}");
}
