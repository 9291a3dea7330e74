//! Bodies: bounded on the way in, and flowing chunk by chunk both ways.

use std::time::Duration;

use axum::{
    body::{Body, Bytes},
    extract::Request,
    http::Method,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::world::{Answer, BOTH, World, read_until, request};

const LIMIT: usize = 128 * 1024;

#[tokio::test]
async fn the_limit_holds_for_declared_and_undeclared_lengths() {
    for topology in BOTH {
        let world = World::new(topology).await;
        for (size, fits) in [(LIMIT, true), (LIMIT + 1, false)] {
            let bytes = vec![b'x'; size];
            let post = || Request::builder().method(Method::POST).uri("/api/users/register");
            let declared = post()
                .header("content-length", size)
                .body(Body::from(bytes.clone()))
                .unwrap();
            let chunks: Vec<_> = bytes
                .chunks(1000)
                .map(|chunk| Ok::<_, std::io::Error>(Bytes::copy_from_slice(chunk)))
                .collect();
            let undeclared = post()
                .body(Body::from_stream(futures_util::stream::iter(chunks)))
                .unwrap();
            for request in [declared, undeclared] {
                let answer = world.send(request).await;
                if fits {
                    assert_eq!(answer.json()["bytes"], size, "{topology:?}");
                } else {
                    let problem = answer.problem(413, "body_too_large");
                    assert_eq!(problem["message"], "Error registering user.");
                }
            }
        }
    }
}

/// The answer comes before the upload is over, and the client still gets to read it: closing the socket on unread
/// bytes would reset the connection.
#[tokio::test]
async fn a_client_that_sends_too_much_gets_to_read_why() {
    for topology in BOTH {
        let world = World::new(topology).await;
        let address = world.listen().await;
        let body = vec![b'x'; 4 * 1024 * 1024];
        let declared = [
            format!(
                "POST /api/users/x HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n",
                body.len()
            )
            .into_bytes(),
            body.clone(),
        ]
        .concat();
        let chunked = [
            format!(
                "POST /api/users/x HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n",
                body.len()
            )
            .into_bytes(),
            body.clone(),
            b"\r\n0\r\n\r\n".to_vec(),
        ]
        .concat();
        for bytes in [&declared, &chunked] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            // Most clients do not look for an answer once they could not send.
            stream.write_all(bytes).await.unwrap();
            let mut raw = Vec::new();
            stream.read_to_end(&mut raw).await.unwrap();
            Answer::parse(&raw).problem(413, "body_too_large");
        }
        // Who asks first is told before sending anything.
        let asks =
            "POST /api/users/x HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 999999\r\n\r\n";
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(asks.as_bytes()).await.unwrap();
        assert!(
            read_until(&mut stream, b"\r\n")
                .await
                .starts_with(b"HTTP/1.1 413 ")
        );
    }
}

#[tokio::test]
async fn expect_is_answered_here() {
    for topology in BOTH {
        let world = World::new(topology).await;
        let mut stream = TcpStream::connect(world.listen().await).await.unwrap();
        let asks = "POST /api/users/x HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\nconnection: close\r\ncontent-length: 2\r\n\r\n";
        stream.write_all(asks.as_bytes()).await.unwrap();
        assert_eq!(
            read_until(&mut stream, b"\r\n\r\n").await,
            b"HTTP/1.1 100 Continue\r\n\r\n",
            "{topology:?}"
        );
        stream.write_all(b"hi").await.unwrap();
        let mut raw = Vec::new();
        stream.read_to_end(&mut raw).await.unwrap();
        assert_eq!(Answer::parse(&raw).json()["body"], "hi");
    }
}

/// The first chunk has reached the client while the service has not made the second.
#[tokio::test]
async fn answers_flow_chunk_by_chunk() {
    for topology in BOTH {
        let world = World::new(topology).await;
        let mut stream = TcpStream::connect(world.listen().await).await.unwrap();
        let raw = "GET /api/events/ticks HTTP/1.1\r\nhost: x\r\naccept-encoding: gzip\r\n\r\n";
        stream.write_all(raw.as_bytes()).await.unwrap();
        let first = String::from_utf8(read_until(&mut stream, b"data: 0\n\n").await).unwrap();
        assert!(
            first.contains("content-type: text/event-stream"),
            "{topology:?} {first}"
        );
        assert!(!first.contains("content-encoding"), "{first}");
        assert!(!first.contains("data: 1"), "{first}");
        read_until(&mut stream, b"data: 1\n\n").await;
    }
}

/// The service sees the first chunk while the client has not sent the second.
#[tokio::test]
async fn requests_flow_chunk_by_chunk() {
    for topology in BOTH {
        let (seen, mut sees) = tokio::sync::mpsc::unbounded_channel();
        let world = World::with(topology, &[], |_, _| {
            let seen = seen.clone();
            axum::Router::new().fallback(move |request: Request| {
                let seen = seen.clone();
                async move {
                    let mut body = request.into_body().into_data_stream();
                    while let Some(Ok(chunk)) = futures_util::StreamExt::next(&mut body).await {
                        seen.send(chunk).unwrap();
                    }
                }
            })
        })
        .await;
        let mut stream = TcpStream::connect(world.listen().await).await.unwrap();
        let head = "POST /api/users/x HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        for chunk in ["one", "two"] {
            stream
                .write_all(format!("3\r\n{chunk}\r\n").as_bytes())
                .await
                .unwrap();
            let came = tokio::time::timeout(Duration::from_secs(5), sees.recv()).await;
            assert_eq!(came.unwrap().unwrap(), chunk, "{topology:?}");
        }
        stream.write_all(b"0\r\n\r\n").await.unwrap();
        assert!(
            read_until(&mut stream, b"\r\n")
                .await
                .starts_with(b"HTTP/1.1 200 ")
        );
    }
}

/// A client that goes away in mid-upload is no reason to think ill of the service: three failures in a row would
/// take it out of the rotation.
#[tokio::test]
async fn broken_uploads_do_not_count_against_the_service() {
    for topology in BOTH {
        let world = World::new(topology).await;
        for _ in 0..6 {
            let chunks = [
                Ok(Bytes::from_static(b"half")),
                Err(std::io::Error::other("gone")),
            ];
            let body = Body::from_stream(futures_util::stream::iter(chunks));
            let request = Request::builder()
                .method(Method::POST)
                .uri("/api/users/x")
                .body(body)
                .unwrap();
            world.send(request).await.problem(400, "body_incomplete");
        }
        assert_eq!(world.get("/api/users/x").await.status, 200, "{topology:?}");
    }
}

#[tokio::test]
async fn a_body_nobody_reads_does_not_hold_the_answer() {
    for topology in BOTH {
        let world = World::new(topology).await;
        let address = world.listen().await;
        let raw = "POST /api/events/unread HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\nonly this";
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(raw.as_bytes()).await.unwrap();
        read_until(&mut stream, b"not needed").await;
    }
}

#[tokio::test]
async fn connections_are_kept_for_the_next_request() {
    for topology in BOTH {
        let world = World::new(topology).await;
        let mut stream = TcpStream::connect(world.listen().await).await.unwrap();
        for turn in 0..20 {
            let body = "x".repeat(turn);
            let raw =
                format!("POST /api/users/{turn} HTTP/1.1\r\nhost: x\r\ncontent-length: {turn}\r\n\r\n{body}");
            stream.write_all(raw.as_bytes()).await.unwrap();
            let answer = read_until(&mut stream, b"}").await;
            assert!(answer.starts_with(b"HTTP/1.1 200 "), "{topology:?}");
            read_until(&mut stream, format!("\"uri\":\"/api/users/{turn}\"}}").as_bytes()).await;
        }
    }
    let world = World::new(BOTH[0]).await;
    assert_eq!(
        world.send(request(Method::GET, "/api/users/x", &[])).await.status,
        200
    );
}
