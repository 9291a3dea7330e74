//! Clients that are slow on purpose lose their connection. Over real sockets and in real time.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use common::http::serve::Limits;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::world::{Answer, BOTH, World, read_until};

const HEAD: &str = "POST /api/users/x HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n";

/// Writes `start`, then a byte now and then, until the other side has enough. Gives what it said and how long it
/// took.
async fn drip(address: SocketAddr, start: &str, every: Duration) -> (Vec<u8>, Duration) {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut from, mut to) = stream.into_split();
    to.write_all(start.as_bytes()).await.unwrap();
    let began = Instant::now();
    let writing = tokio::spawn(async move {
        loop {
            tokio::time::sleep(every).await;
            if to.write_all(b"x").await.is_err() {
                return;
            }
        }
    });
    let mut said = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match tokio::time::timeout(Duration::from_secs(30), from.read(&mut buffer))
            .await
            .expect("it is cut")
        {
            Ok(0) | Err(_) => break,
            Ok(read) => said.extend_from_slice(&buffer[..read]),
        }
    }
    writing.abort();
    (said, began.elapsed())
}

#[tokio::test]
async fn slow_heads_slow_bodies_and_idle_connections_are_cut() {
    let limits = Limits {
        head: Duration::from_millis(500),
        body: Some(Duration::from_millis(500)),
        ..Default::default()
    };
    for topology in BOTH {
        let world = World::new(topology).await;
        let address = world.listen_within(limits).await;
        let every = Duration::from_millis(50);
        let (heads, bodies, idle) = tokio::join!(
            drip(address, "GET /api/users/x HTTP/1.1\r\nx: ", every),
            drip(address, HEAD, every),
            drip(address, "", Duration::from_secs(60)),
        );
        for (name, took) in [("head", heads.1), ("idle", idle.1)] {
            assert!(
                (400..1500).contains(&took.as_millis()),
                "{topology:?} {name}: {took:?}"
            );
        }
        assert!(
            heads.0.is_empty() && idle.0.is_empty(),
            "there is no request to answer"
        );
        assert!(
            (400..3000).contains(&bodies.1.as_millis()),
            "{topology:?} body: {:?}",
            bodies.1
        );
        let answer = Answer::parse(&bodies.0);
        assert!(matches!(answer.status, 400 | 408), "{answer:?}");
        answer.problem(
            answer.status,
            if answer.status == 408 {
                "request_timeout"
            } else {
                "body_incomplete"
            },
        );
    }
}

#[tokio::test]
async fn a_connection_that_was_of_use_may_not_idle_either() {
    let limits = Limits {
        head: Duration::from_millis(500),
        ..Default::default()
    };
    let world = World::new(BOTH[0]).await;
    let mut stream = TcpStream::connect(world.listen_within(limits).await)
        .await
        .unwrap();
    for _ in 0..3 {
        stream
            .write_all(b"GET /nowhere HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
        read_until(&mut stream, b"}").await;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let began = Instant::now();
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    assert!(began.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn slow_clients_do_not_keep_others_out() {
    let world = World::new(BOTH[0]).await;
    let address = world.listen().await;
    let mut slow = Vec::new();
    for _ in 0..200 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(HEAD.as_bytes()).await.unwrap();
        slow.push(stream);
    }
    let began = Instant::now();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    read_until(&mut stream, b"up").await;
    assert!(began.elapsed() < Duration::from_secs(1));
}

/// With the limits that the program runs with: all are cut within 15 s.
#[tokio::test]
async fn by_default_all_are_cut_within_15_seconds() {
    let bound = Duration::from_secs(15);
    let mut worlds = Vec::new();
    let mut drips = tokio::task::JoinSet::new();
    for topology in BOTH {
        let world = World::new(topology).await;
        let address = world.listen().await;
        worlds.push(world);
        for (name, start) in [
            ("head", "GET /api/users/x HTTP/1.1\r\nx: "),
            ("first line", "G"),
            ("body", HEAD),
            (
                "body that nobody reads",
                "POST /nowhere HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n",
            ),
            (
                "chunks",
                "POST /api/users/x HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3e8\r\n",
            ),
        ] {
            drips.spawn(async move { (name, drip(address, start, Duration::from_millis(500)).await) });
        }
        drips.spawn(async move { ("idle", drip(address, "", Duration::from_secs(60)).await) });
    }
    while let Some(done) = drips.join_next().await {
        let (name, (said, took)) = done.unwrap();
        assert!(took < bound, "{name}: {took:?}");
        if name == "body" || name == "chunks" {
            Answer::parse(&said).problem(408, "request_timeout");
        }
    }
}
