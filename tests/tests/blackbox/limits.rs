//! Limits: what is too slow, too much or too often is cut, and others do not notice.

use std::time::{Duration, Instant};

use serde_json::json;
use tests::{Options, System, Topology};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::everywhere;

everywhere!(slow_clients_are_cut, failed_logins_are_throttled);

/// What a client sends to begin with, and then again and again.
async fn cut_after(port: u16, first: &str, again: &str) -> Duration {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let started = Instant::now();
    stream.write_all(first.as_bytes()).await.unwrap();
    let (mut reading, mut writing) = stream.split();
    let drip = async {
        let mut pace = tokio::time::interval(Duration::from_millis(500));
        loop {
            pace.tick().await;
            if writing.write_all(again.as_bytes()).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    let closed = async {
        let mut buffer = [0; 4096];
        while !matches!(reading.read(&mut buffer).await, Ok(0) | Err(_)) {}
    };
    let patience = tokio::time::sleep(Duration::from_secs(25));
    tokio::select! {
        () = drip => {}
        () = closed => {}
        () = patience => panic!("a slow client was never cut: {first:?} and then {again:?}"),
    }
    started.elapsed()
}

async fn slow_clients_are_cut(topology: Topology) {
    let system = System::start(topology, Options::default()).await;
    let port = system.port();
    let post = "POST /api/users/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{";
    let chunked = "POST /api/users/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    let (nothing, head, body, chunks, idle) = tokio::join!(
        cut_after(port, "", ""),
        cut_after(port, "GET / HTTP/1.1\r\n", "x: y\r\n"),
        cut_after(port, post, " "),
        cut_after(port, chunked, "1\r\n \r\n"),
        cut_after(port, "GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n", ""),
    );
    for (what, took) in [
        ("nothing", nothing),
        ("head", head),
        ("body", body),
        ("chunks", chunks),
        ("idle", idle),
    ] {
        assert!(took <= Duration::from_secs(15), "{what}: {took:?}");
    }
    // Meanwhile and after, others are served.
    system.anyone().get("/health/live").await.expect(200);
}

async fn failed_logins_are_throttled(topology: Topology) {
    let system = System::start(topology, Options::default().with("RATE_LIMITS", "on")).await;
    let person = system.person("user").await;
    let anyone = system.anyone();
    let mut refused = None;
    for attempt in 0..40 {
        // A forwarded address that the client makes up must not help.
        let address = format!("192.0.2.{attempt}");
        let body = json!({"email": person.email, "password": "a wrong guess"});
        let headers = [
            ("x-forwarded-for", address.as_str()),
            ("x-client-ip", address.as_str()),
        ];
        let answer = anyone
            .send(reqwest::Method::POST, "/api/users/login", Some(body), &headers)
            .await
            .unwrap();
        if answer.status == 429 {
            answer.problem(429, "");
            refused = Some(attempt);
            break;
        }
        answer.problem(401, "invalid_credentials");
    }
    let attempts = refused.expect("guessing is never stopped");
    assert!((5..=20).contains(&attempts), "{attempts}");
    // Another account from the same place is not concerned.
    system.person("user").await;
}
