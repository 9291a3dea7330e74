//! The machine's clock jumps by an hour while the system is down: nothing waits for it to catch up.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::json;
use tests::{
    Options, PATIENCE, Person, System, Topology, eventually, people::http_client, process::root,
    smtp::MailServer,
};
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpStream},
};

#[tokio::test(flavor = "multi_thread")]
async fn put_back_after_a_kill() {
    killed_between(0, -3600).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn put_forward_after_a_kill() {
    killed_between(0, 3600).await;
}

/// The hour after two o'clock comes twice in New York; ours is UTC.
#[tokio::test(flavor = "multi_thread")]
async fn a_night_in_which_clocks_change() {
    let now = common::clock::Clock::system().now();
    let change = chrono::DateTime::parse_from_rfc3339("2027-11-07T01:59:58-04:00").unwrap();
    let there = (change.to_utc() - now).num_seconds();
    killed_between(there, there).await;
}

/// What makes a program's clock `CLOCK_SHIFT` seconds off, by `LD_PRELOAD`.
pub fn library(dir: &Path) -> PathBuf {
    let library = dir.join("clock.so");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&library)
        .arg(root().join("tests/tools/clock.c"))
        .output()
        .expect("cc, which Rust links with");
    assert!(
        compiled.status.success(),
        "{}",
        String::from_utf8_lossy(&compiled.stderr)
    );
    library
}

/// Waits for a call about an order; gives the connections so far, which stay open. Workers ask for other things.
async fn about_an_order(razorpay: &TcpListener) -> Vec<TcpStream> {
    let mut connections = Vec::new();
    loop {
        let (mut connection, _) = razorpay.accept().await.unwrap();
        let mut head = [0; 64];
        let read = connection.read(&mut head).await.unwrap();
        connections.push(connection);
        if String::from_utf8_lossy(&head[..read]).contains("/v1/orders") {
            return connections;
        }
    }
}

/// Killed while the clock is `before` seconds off, and started when it is `after` seconds off.
async fn killed_between(before: i64, after: i64) {
    let dir = tempfile::tempdir().unwrap();
    let library = library(dir.path());
    // Mail server and Razorpay take what is said to them, and say nothing.
    let smtp = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let razorpay = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let options = Options::default()
        .with("LD_PRELOAD", library.display())
        .with("CLOCK_SHIFT", before)
        .with("TZ", "America/New_York")
        .with("LEASE_SECONDS", 5)
        .with("SMTP_URL", format!("smtp://{}", smtp.local_addr().unwrap()))
        .with(
            "RAZORPAY_BASE_URL",
            format!("http://{}", razorpay.local_addr().unwrap()),
        );
    let mut system = System::start(Topology::One, options).await;
    let organizer = system.person("organizer").await;
    let person = system.person("user").await;
    let free = organizer.create_event(json!(null), json!(0)).await;
    person.register(&free).await.expect(201);
    eventually("the ticket is on its way", PATIENCE, async || {
        let told = person.messages().await;
        told.iter()
            .any(|(kind, _, status)| kind == "ticket" && status == "sending")
            .then_some(())
    })
    .await;
    let paid = organizer.create_event(json!(null), json!(500)).await;
    person.register(&paid).await.expect(201);
    let pay = async |person: &Person| {
        person
            .post_keyed(
                "/api/payment/process_payment",
                "the key",
                person.payment(&paid, json!(500)),
            )
            .await
    };
    let first = person.clone();
    let body = person.payment(&paid, json!(500));
    let hanging = tokio::spawn(async move {
        let headers = [("idempotency-key", "the key")];
        let path = "/api/payment/process_payment";
        first
            .send(reqwest::Method::POST, path, Some(body), &headers)
            .await
            .map(drop)
    });
    let asked = tokio::time::timeout(PATIENCE, about_an_order(&razorpay)).await;
    let _asked = asked.expect("the payment is being made");
    pay(&person).await.problem(409, "idempotency_key_in_flight");
    // Written and not yet begun: a letter that nobody has, behind the one that hangs.
    let later = system.person("user").await;
    later.register(&free).await.expect(201);
    system.kill_all();
    assert!(hanging.await.unwrap().is_err(), "the payment's answer was lost");

    let mail = MailServer::start().await;
    system.set("CLOCK_SHIFT", Some(&after.to_string()));
    system.set("SMTP_URL", Some(&mail.url()));
    system.set("RAZORPAY_BASE_URL", None);
    system.start_again().await;
    let newcomer = system.person("user").await.get("/api/users/me").await.expect(200);
    let shown = chrono::DateTime::parse_from_rfc3339(newcomer["created_at"].as_str().unwrap()).unwrap();
    let off = shown.timestamp() - common::clock::Clock::system().now().timestamp();
    assert!((off - after).abs() < 60, "the system's clock is {off} s off");
    let again = async |person: &Person| {
        let body = json!({"email": person.email, "password": "a good one"});
        let login = system.anyone().post("/api/users/login", body).await.expect(200);
        let token = login["token"].as_str().unwrap().to_owned();
        Person::new(http_client(), system.url(), Some((person.id.clone(), token)))
    };
    let (person, later) = (again(&person).await, again(&later).await);
    eventually("the payment ends", PATIENCE, async || {
        let answer = pay(&person).await;
        match answer.status.as_u16() {
            200 => Some(()),
            409 | 503 => None,
            other => panic!("{other}: {}", answer.text),
        }
    })
    .await;
    person.is_confirmed(&paid).await;
    for (somebody, tickets) in [(person, 2), (later, 1)] {
        eventually("the tickets are sent", PATIENCE, async || {
            let told = somebody.messages().await;
            let sent = told
                .iter()
                .filter(|(kind, _, status)| kind == "ticket" && status == "sent");
            (sent.count() == tickets).then_some(())
        })
        .await;
    }
}
