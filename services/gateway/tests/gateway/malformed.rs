//! Requests that hyper refuses by itself, before any service of ours runs: the shape is the same.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::world::{Answer, BOTH, Topology, World, exchange, read_until};

#[tokio::test]
async fn requests_that_are_not_http_get_the_one_shape() {
    let many = (0..200).map(|n| format!("x-{n}: 1\r\n")).collect::<String>();
    let large = "x".repeat(70_000);
    let line = "POST /api/users/x HTTP/1.1\r\nhost: x\r\n";
    let cases = [
        ("nonsense\r\n\r\n".to_owned(), 400, "malformed_request"),
        ("GET  /  HTTP/1.1\r\n\r\n".to_owned(), 400, "malformed_request"),
        ("GET / HTTP/9.9\r\n\r\n".to_owned(), 400, "malformed_request"),
        ("GET /\u{1} HTTP/1.1\r\n\r\n".to_owned(), 400, "malformed_request"),
        (format!("{line}no colon\r\n\r\n"), 400, "malformed_request"),
        (format!("{line}a b: c\r\n\r\n"), 400, "malformed_request"),
        (format!("{line}a: b\r\n c\r\n\r\n"), 400, "malformed_request"),
        (
            format!("{line}content-length: 1\r\ncontent-length: 2\r\n\r\nxx"),
            400,
            "malformed_request",
        ),
        (
            format!("{line}content-length: -1\r\n\r\n"),
            400,
            "malformed_request",
        ),
        (
            format!("{line}content-length: 1, 2\r\n\r\nxx"),
            400,
            "malformed_request",
        ),
        (
            format!("{line}content-length: 99999999999999999999999\r\n\r\n"),
            400,
            "malformed_request",
        ),
        (
            format!("{line}transfer-encoding: gzip\r\n\r\n"),
            400,
            "malformed_request",
        ),
        (
            format!("{line}transfer-encoding: chunked, gzip\r\n\r\n"),
            400,
            "malformed_request",
        ),
        (
            "POST /api/users/x HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
            400,
            "malformed_request",
        ),
        (format!("{line}{many}\r\n"), 431, "headers_too_large"),
        (
            format!("{line}x-large: {large}\r\n\r\n"),
            431,
            "headers_too_large",
        ),
        (
            format!("GET /api/users/{large} HTTP/1.1\r\n\r\n"),
            431,
            "headers_too_large",
        ),
    ];
    for topology in BOTH {
        let world = World::new(topology).await;
        let address = world.listen().await;
        for (raw, status, code) in &cases {
            let answer = Answer::parse(&exchange(address, raw.as_bytes()).await);
            answer.problem(*status, code);
            assert_eq!(answer.header("content-length"), answer.body.len().to_string());
            assert!(!answer.header("date").is_empty());
        }
    }
}

#[tokio::test]
async fn a_request_names_its_host_once() {
    for topology in BOTH {
        let world = World::new(topology).await;
        let address = world.listen().await;
        let get = |version: &str, hosts: &str| {
            format!("GET /api/events/long HTTP/{version}\r\n{hosts}connection: close\r\n\r\n")
        };
        for (version, hosts) in [
            ("1.1", "host: x\r\n"),
            ("1.1", "Host: [::1]:3003\r\n"),
            ("1.0", ""),
            ("1.0", "host: x\r\n"),
        ] {
            let answer = Answer::parse(&exchange(address, get(version, hosts).as_bytes()).await);
            assert_eq!(answer.status, 200, "{version} {hosts}");
        }
        for (version, hosts) in [
            ("1.1", ""),
            ("1.1", "host:\r\nx: y\r\nhost: x\r\n"),
            ("1.1", "host: a\r\nhost: b\r\n"),
            ("1.1", "host: a\r\nhost: a\r\n"),
            ("1.0", "host: a\r\nhost: b\r\n"),
            ("1.1", "host: a, b\r\n"),
            ("1.1", "host: a b\r\n"),
            ("1.1", "host: me@a\r\n"),
            ("1.1", "host: a/b\r\n"),
        ] {
            let answer = Answer::parse(&exchange(address, get(version, hosts).as_bytes()).await);
            answer.problem(400, "malformed_request");
        }
    }
}

#[tokio::test]
async fn http_2_is_refused_with_a_line() {
    let world = World::new(Topology::OneProcess).await;
    let address = world.listen().await;
    let settings = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let answer = exchange(address, settings).await;
    assert!(answer.starts_with(b"HTTP/1.1 505 HTTP Version Not Supported\r\n"));
    Answer::parse(&answer).problem(505, "http_version_not_supported");
    // What only begins like it is what it is.
    let answer = exchange(
        address,
        b"PRINT /api HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    )
    .await;
    Answer::parse(&answer).problem(404, "route_not_found");
}

/// A body that does not hold together is found out by whoever reads it.
#[tokio::test]
async fn bodies_that_do_not_hold_together_get_the_one_shape() {
    let line = "POST /api/users/x HTTP/1.1\r\nhost: x\r\n";
    for topology in BOTH {
        let world = World::new(topology).await;
        let address = world.listen().await;
        for body in [
            "zz\r\nxx\r\n",
            "1\r\nxx\r\n0\r\n\r\n",
            "fffffffffffffffff\r\n",
            "-1\r\n",
            "2;a=\u{0}\n\nxx",
        ] {
            let raw = format!("{line}transfer-encoding: chunked\r\n\r\n{body}");
            Answer::parse(&exchange(address, raw.as_bytes()).await).problem(400, "body_incomplete");
        }
        // The client hangs up half way; nobody hears the answer, and nobody is harmed.
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream
            .write_all(format!("{line}content-length: 100\r\n\r\nhalf").as_bytes())
            .await
            .unwrap();
        stream.shutdown().await.unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        assert_eq!(world.get("/api/users/x").await.status, 200);
    }
}

/// Two lengths are how requests are smuggled past a front. Here the body is chunked, for us and for the service, and
/// the other length is gone.
#[tokio::test]
async fn of_two_lengths_one_counts_everywhere() {
    for topology in BOTH {
        let world = World::new(topology).await;
        let address = world.listen().await;
        for order in [
            "content-length: 4\r\ntransfer-encoding: chunked\r\n",
            "transfer-encoding: chunked\r\ncontent-length: 4\r\n",
        ] {
            let smuggled = "GET /api/users/smuggled HTTP/1.1\r\nhost: x\r\n\r\n";
            let raw = format!(
                "POST /api/users/x HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{order}\r\n\
                 {:x}\r\n{smuggled}\r\n0\r\n\r\n",
                smuggled.len()
            );
            let raw = exchange(address, raw.as_bytes()).await;
            let told = Answer::parse(&raw).json();
            assert_eq!(told["body"], smuggled, "{topology:?}");
            assert!(told["headers"]["content-length"].is_null(), "{topology:?} {told}");
            assert_eq!(String::from_utf8_lossy(&raw).matches("HTTP/1.1 200").count(), 1);
        }
    }
}

/// hyper's own answer is told from a service's by whose turn it is, not by how it looks.
#[tokio::test]
async fn later_on_a_connection_it_is_the_same() {
    for topology in BOTH {
        let world = World::new(topology).await;
        let address = world.listen().await;
        let get = "GET /api/events/long HTTP/1.1\r\nhost: x\r\n\r\n";
        // After an answer has been read.
        let mut stream = TcpStream::connect(address).await.unwrap();
        for _ in 0..3 {
            stream.write_all(get.as_bytes()).await.unwrap();
            read_until(&mut stream, b"\"]").await;
        }
        stream.write_all(b"nonsense\r\n\r\n").await.unwrap();
        let mut raw = Vec::new();
        stream.read_to_end(&mut raw).await.unwrap();
        Answer::parse(&raw).problem(400, "malformed_request");
        // Right behind a good request, before its answer.
        let raw = exchange(address, format!("{get}nonsense\r\n\r\n").as_bytes()).await;
        let text = String::from_utf8(raw).unwrap();
        let second = text.rfind("HTTP/1.1 400").unwrap();
        assert!(text.starts_with("HTTP/1.1 200"));
        Answer::parse(&text.as_bytes()[second..]).problem(400, "malformed_request");
    }
}

/// What a service says may look like hyper's own answer, and stays as it is.
#[tokio::test]
async fn bodies_that_look_like_an_answer_are_left_alone() {
    const LOOKS: &str = "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
    let world = World::with(Topology::OneProcess, &[], |_, _| {
        axum::Router::new().fallback(|| async {
            let chunks = futures_util::stream::unfold(0, |n| async move {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                (n < 5).then(|| (Ok::<_, std::io::Error>(LOOKS), n + 1))
            });
            axum::http::Response::builder()
                .header("content-length", LOOKS.len() * 5)
                .body(axum::body::Body::from_stream(chunks))
                .unwrap()
        })
    })
    .await;
    let mut stream = TcpStream::connect(world.listen().await).await.unwrap();
    stream
        .write_all(b"GET /api/users/x HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    read_until(&mut stream, b"\r\n\r\n").await;
    let mut body = vec![0; LOOKS.len() * 5];
    stream.read_exact(&mut body).await.unwrap();
    assert_eq!(String::from_utf8(body).unwrap(), LOOKS.repeat(5));
    // And the connection is still of use.
    stream
        .write_all(b"GET /nowhere HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let head = read_until(&mut stream, b"\r\n").await;
    assert!(head.starts_with(b"HTTP/1.1 404 "));
}
