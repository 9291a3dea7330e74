//! WebSocket upgrades pass through to a service that takes the connection over.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::world::{Answer, BOTH, World, exchange, read_until};

const UPGRADE: &str = "GET /api/live/echo HTTP/1.1\r\nhost: x\r\nconnection: keep-alive, Upgrade\r\nupgrade: websocket\r\n\
                       sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

async fn upgraded(world: &World) -> TcpStream {
    let mut stream = TcpStream::connect(world.listen().await).await.unwrap();
    stream.write_all(UPGRADE.as_bytes()).await.unwrap();
    let answer = Answer::parse(&read_until(&mut stream, b"\r\n\r\n").await);
    assert_eq!(answer.status, 101);
    assert_eq!(answer.header("connection"), "upgrade");
    assert_eq!(answer.header("upgrade"), "websocket");
    assert_eq!(answer.header("sec-websocket-accept"), "x");
    assert!(!answer.header("x-request-id").is_empty());
    stream
}

#[tokio::test]
async fn bytes_go_both_ways_until_one_side_ends() {
    for topology in BOTH {
        let world = World::new(topology).await;
        let mut stream = upgraded(&world).await;
        for text in [
            "hello",
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n",
            &"x".repeat(300_000),
        ] {
            let (mut from, mut to) = stream.split();
            let mut back = vec![0; text.len()];
            let (sent, came) = tokio::join!(to.write_all(text.as_bytes()), from.read_exact(&mut back));
            sent.unwrap();
            came.unwrap();
            assert!(back == text.as_bytes(), "{topology:?}");
        }
        stream.shutdown().await.unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut [0])).await;
        assert_eq!(ended.unwrap().unwrap(), 0, "{topology:?}");
    }
}

/// A socket may be quiet for longer than a connection may be idle.
#[tokio::test]
async fn quiet_sockets_are_kept() {
    let limits = common::http::serve::Limits {
        head: Duration::from_millis(300),
        body: Some(Duration::from_millis(300)),
        ..Default::default()
    };
    for topology in BOTH {
        let world = World::new(topology).await;
        let mut stream = TcpStream::connect(world.listen_within(limits).await)
            .await
            .unwrap();
        stream.write_all(UPGRADE.as_bytes()).await.unwrap();
        read_until(&mut stream, b"\r\n\r\n").await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        stream.write_all(b"still here").await.unwrap();
        read_until(&mut stream, b"still here").await;
    }
}

/// They go on for a while, in which the service may say goodbye.
#[tokio::test]
async fn sockets_end_with_the_gateway() {
    let world = World::new(BOTH[1]).await;
    let mut stream = upgraded(&world).await;
    world.context.workers.stop_token().cancel();
    stream.write_all(b"goodbye").await.unwrap();
    read_until(&mut stream, b"goodbye").await;
    let ended = tokio::time::timeout(Duration::from_secs(15), stream.read(&mut [0])).await;
    assert!(matches!(ended, Ok(Ok(0) | Err(_))), "{ended:?}");
}

#[tokio::test]
async fn a_service_that_does_not_switch_is_heard() {
    for topology in BOTH {
        let world = World::new(topology).await;
        let address = world.listen().await;
        let elsewhere = UPGRADE
            .replace("/api/live/echo", "/api/live/x")
            .replace("keep-alive", "close");
        let answer = Answer::parse(&exchange(address, elsewhere.as_bytes()).await);
        assert_eq!(answer.status, 200, "{topology:?}");
        assert_eq!(answer.json()["headers"]["upgrade"], "websocket");
        // Another protocol is not passed on.
        let other = UPGRADE
            .replace("upgrade: websocket", "upgrade: h2c")
            .replace("keep-alive", "close");
        Answer::parse(&exchange(address, other.as_bytes()).await).problem(426, "bad_request");
        let nowhere = UPGRADE
            .replace("/api/live/echo", "/internal/echo")
            .replace("keep-alive", "close");
        Answer::parse(&exchange(address, nowhere.as_bytes()).await).problem(404, "route_not_found");
    }
}
