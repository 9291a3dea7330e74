//! kill -9 at any moment: nothing that was answered is lost, and what was in flight ends right.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use common::auth::Role;
use parking_lot::Mutex;
use rand::RngExt;
use serde_json::json;
use tests::{Options, PATIENCE, Person, System, Topology, eventually, smtp::MailServer};

use crate::everywhere;

everywhere!(
    fifty_kills_under_load,
    a_kill_in_a_paid_registration,
    a_kill_in_a_mail_run
);

/// Clients that register strangers as fast as they can until told to stop, and note who was told "201".
struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    told: Arc<Mutex<Vec<Person>>>,
    clients: tokio::task::JoinSet<()>,
}

impl Load {
    fn start(system: &System, event: &str) -> Self {
        let load = Self {
            stop: Arc::default(),
            answered: Arc::default(),
            told: Arc::default(),
            clients: tokio::task::JoinSet::new(),
        };
        let mut clients = tokio::task::JoinSet::new();
        for _ in 0..8 {
            // Made beforehand: the system is inside while the crowd is outside.
            let people: Vec<Person> = (0..200).map(|_| system.stranger(Role::User)).collect();
            let (stop, answered, told) = (load.stop.clone(), load.answered.clone(), load.told.clone());
            let body = json!({"event_id": event});
            clients.spawn(async move {
                for person in people {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let path = "/api/reg/register_event";
                    let answer = person
                        .send(reqwest::Method::POST, path, Some(body.clone()), &[])
                        .await;
                    if answer.is_ok_and(|answer| answer.status == 201) {
                        answered.fetch_add(1, Ordering::Relaxed);
                        told.lock().push(person);
                    }
                }
            });
        }
        Self { clients, ..load }
    }

    async fn end(mut self) -> Vec<Person> {
        self.stop.store(true, Ordering::Relaxed);
        while self.clients.join_next().await.is_some() {}
        std::mem::take(&mut *self.told.lock())
    }
}

/// 50 runs on one process; the five processes, which take longer to start, get ten, each with another victim.
async fn fifty_kills_under_load(topology: Topology) {
    let mut system = System::start(topology, Options::default()).await;
    let organizer = system.stranger(Role::Organizer);
    let (runs, victims): (usize, &[&str]) = match topology {
        Topology::One => (50, &["organise-event"]),
        _ => (10, &["events", "gateway", "notifications", "payments", "users"]),
    };
    let mut told = Vec::new();
    let event = organizer.create_event(json!(null), json!(0)).await;
    for run in 0..runs {
        let load = Load::start(&system, &event);
        let after = rand::rng().random_range(1..40);
        let answered = load.answered.clone();
        eventually("the load is on", PATIENCE, async || {
            (answered.load(Ordering::Relaxed) >= after).then_some(())
        })
        .await;
        system.kill(victims[run % victims.len()]);
        told.extend(load.end().await);
        system.start_again().await;
    }
    let shown = system
        .anyone()
        .get(&format!("/api/events/{event}"))
        .await
        .expect(200);
    let registered = shown["registered"].as_u64().unwrap();
    assert!(
        registered >= told.len() as u64,
        "{registered} registered, {} were told so",
        told.len()
    );
    for person in &told {
        assert_eq!(
            person.status(&event).await,
            "confirmed",
            "{} was told so",
            person.id
        );
    }
    system.terminate();
    if system.settings().contains_key("MONGODB_URI") {
        return;
    }
    for name in ["users", "events", "notifications", "payments"] {
        let checked = std::process::Command::new(std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into()))
            .args(["-c", "import sqlite3,sys; print(sqlite3.connect(sys.argv[1]).execute('PRAGMA integrity_check').fetchone()[0])"])
            .arg(system.data().join(format!("{name}.db")))
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&checked.stdout).trim(), "ok", "{name}.db");
    }
}

async fn a_kill_in_a_paid_registration(topology: Topology) {
    let mut system = System::start(topology, Options::default()).await;
    let organizer = system.stranger(Role::Organizer);
    let event = organizer.create_event(json!(null), json!(500)).await;
    let victims: &[&str] = match topology {
        Topology::One => &["organise-event"],
        _ => &["payments", "events", "razorpay-simulator", "gateway"],
    };
    let mut everybody = 0;
    for run in 0..16 {
        let people: Vec<Person> = (0..4).map(|_| system.stranger(Role::User)).collect();
        let mut paying = tokio::task::JoinSet::new();
        for person in people.clone() {
            let body = person.payment(&event, json!(500));
            paying.spawn(async move {
                let path = "/api/payment/process_payment";
                let answer = person.send(reqwest::Method::POST, path, Some(body), &[]).await;
                (person, answer.map(|answer| answer.status.as_u16()).unwrap_or(0))
            });
        }
        // Somewhere in the few dozen milliseconds that four payments take.
        tokio::time::sleep(Duration::from_millis(run * 4)).await;
        system.kill(victims[run as usize % victims.len()]);
        let answers = paying.join_all().await;
        system.start_again().await;
        for (person, status) in answers {
            ends_right(&person, &event, status).await;
            everybody += 1;
        }
    }
    let held = held_by_razorpay(&system).await;
    assert_eq!(
        held, everybody,
        "Razorpay holds money for as many payments as there are registrations"
    );
}

/// For how many payments Razorpay holds somebody's money, whether we know of them or have forgotten them.
async fn held_by_razorpay(system: &System) -> usize {
    let secret = std::fs::read_to_string(system.data().join("razorpay_key_secret")).unwrap();
    let base = system.service_url("RAZORPAY_SIMULATOR_PORT");
    let mut held = 0;
    for page in 0.. {
        let url = format!("{base}/v1/payments?count=100&skip={}", page * 100);
        let request = tests::people::http_client()
            .get(url)
            .basic_auth("rzp_test_simulator", Some(secret.trim()));
        let text = request.send().await.unwrap().text().await.unwrap();
        let found: serde_json::Value = serde_json::from_str(&text).unwrap();
        let items = found["items"].as_array().unwrap();
        held += items
            .iter()
            .filter(|payment| payment["status"] == "captured" || payment["status"] == "authorized")
            .count();
        if items.len() < 100 {
            break;
        }
    }
    held
}

/// Whoever was told "200" is in. Whoever heard nothing pays again, as people do, and is in then; and nobody has paid
/// twice.
async fn ends_right(person: &Person, event: &str, status: u16) {
    if status != 200 {
        eventually("a second try ends right", PATIENCE, async || {
            let answer = person.pay(event, json!(500)).await;
            match answer.status.as_u16() {
                200 => Some(()),
                409 if answer.json()["code"] == "already_paid" => Some(()),
                409 if answer.json()["code"] == "payment_in_progress" => None,
                503 => None,
                other => panic!("{other}: {}", answer.text),
            }
        })
        .await;
    }
    eventually("the registration is confirmed", PATIENCE, async || {
        (person.status(event).await == "confirmed").then_some(())
    })
    .await;
    let payments = person.get("/api/payment/payments").await.expect(200);
    let captured = payments
        .as_array()
        .unwrap()
        .iter()
        .filter(|payment| payment["status"] == "captured")
        .count();
    assert_eq!(captured, 1, "{payments}");
    assert_eq!(
        payments
            .as_array()
            .unwrap()
            .iter()
            .filter(|payment| !payment["refund"].is_null())
            .count(),
        0,
        "{payments}"
    );
}

async fn a_kill_in_a_mail_run(topology: Topology) {
    const PEOPLE: usize = 60;
    const KILLS: usize = 4;
    let server = MailServer::start().await;
    let mut system = System::start(topology, Options::default().with("SMTP_URL", server.url())).await;
    let event = system
        .person("organizer")
        .await
        .create_event(json!(null), json!(0))
        .await;
    let mut people = Vec::new();
    for _ in 0..PEOPLE {
        people.push(system.person("user").await);
    }
    for person in &people {
        person.register(&event).await.expect(201);
    }
    for kill in 1..=KILLS {
        let expected = kill * PEOPLE / (KILLS + 2);
        eventually("the mail run is under way", PATIENCE, async || {
            (server.counts().len() >= expected).then_some(())
        })
        .await;
        system.kill("notifications");
        system.start_again().await;
    }
    eventually("every mail has arrived", PATIENCE, async || {
        (server.counts().len() >= PEOPLE).then_some(())
    })
    .await;
    for person in &people {
        eventually("all are marked as sent", PATIENCE, async || {
            let messages = person.messages().await;
            let kinds: BTreeSet<_> = messages
                .iter()
                .map(|(kind, channel, _)| (kind, channel))
                .collect();
            assert_eq!(
                (messages.len(), kinds.len()),
                (1, 1),
                "one row per kind and channel: {messages:?}"
            );
            messages
                .iter()
                .all(|(_, _, status)| status == "sent")
                .then_some(())
        })
        .await;
    }
    let counts = server.counts();
    assert_eq!(counts.len(), PEOPLE, "no mail has two ids");
    let most = counts.values().max().copied().unwrap_or(0);
    assert!(most <= 1 + KILLS, "at most one more call per crash: {counts:?}");
    let repeated = counts.values().filter(|count| **count > 1).count();
    println!(
        "{KILLS} kills: {repeated} of {} mails were handed over more than once",
        2 * PEOPLE
    );
}
