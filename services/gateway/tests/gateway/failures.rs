//! The one error shape, whoever fails: the gateway, axum, tower-http, a service, or a service that is not there.
//! (What hyper answers by itself is in `malformed`.)

use axum::{
    body::Body,
    extract::Request,
    http::{Method, header},
};
use common::http::Upstream;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::world::{BOTH, NO_PATIENCE, World, nobody, request};

#[tokio::test]
async fn every_failure_has_the_one_shape() {
    let long = format!("/api/users/{}", "x".repeat(9000));
    // Method, path, headers, body; status and code.
    type Case<'a> = (Method, &'a str, &'a [(&'a str, &'a str)], &'a str, u16, &'a str);
    let json = &[("content-type", "application/json")][..];
    let cases: &[Case<'_>] = &[
        // The gateway.
        (Method::GET, "/nowhere", &[], "", 404, "route_not_found"),
        (Method::GET, "/internal/tell", &[], "", 404, "route_not_found"),
        (Method::GET, "/metrics", &[], "", 404, "route_not_found"),
        (
            Method::GET,
            "/api/users/%2e%2e/x",
            &[],
            "",
            404,
            "route_not_found",
        ),
        (Method::GET, &long, &[], "", 414, "uri_too_long"),
        (Method::TRACE, "/api/users/x", &[], "", 405, "method_not_allowed"),
        (
            Method::POST,
            "/api/users/x",
            &[("content-length", "131073")],
            "",
            413,
            "body_too_large",
        ),
        (Method::PUT, "/health", &[], "", 405, "method_not_allowed"),
        (Method::POST, "/docs/", &[], "", 405, "method_not_allowed"),
        (Method::GET, "/docs/nothing", &[], "", 404, "route_not_found"),
        // axum in a service: its router, its extractors, and a handler that panics.
        (
            Method::DELETE,
            "/api/events/json",
            &[],
            "",
            405,
            "method_not_allowed",
        ),
        (
            Method::POST,
            "/api/events/json",
            &[],
            "{}",
            415,
            "unsupported_media_type",
        ),
        (Method::POST, "/api/events/json", json, "{", 400, "bad_request"),
        (Method::GET, "/api/events/x/number", &[], "", 400, "bad_request"),
        (Method::GET, "/api/events/%ff/number", &[], "", 400, "bad_request"),
        (Method::GET, "/api/events/panic", &[], "", 500, "internal_error"),
        // Somebody's page with more in it than anybody should know.
        (
            Method::GET,
            "/api/events/status/404",
            &[],
            "",
            404,
            "route_not_found",
        ),
        (
            Method::GET,
            "/api/events/status/408",
            &[],
            "",
            408,
            "request_timeout",
        ),
        (Method::GET, "/api/events/status/418", &[], "", 418, "bad_request"),
        (
            Method::GET,
            "/api/events/status/500",
            &[],
            "",
            500,
            "internal_error",
        ),
        (
            Method::GET,
            "/api/events/status/502",
            &[],
            "",
            502,
            "upstream_failed",
        ),
        (Method::GET, "/api/events/status/503", &[], "", 503, "unavailable"),
    ];
    for topology in BOTH {
        let world = World::new(topology).await;
        for (method, path, headers, body, status, code) in cases {
            for encoding in ["", "gzip"] {
                let mut request = request(method.clone(), path, headers);
                request
                    .headers_mut()
                    .insert(header::ACCEPT_ENCODING, encoding.parse().unwrap());
                *request.body_mut() = Body::from((*body).to_owned());
                world.send(request).await.problem(*status, code);
            }
        }
    }
}

/// Services that are not ours, without a pipeline: the gateway's own has to do.
#[tokio::test]
async fn pages_of_strangers_are_replaced() {
    let raw = "HTTP/1.1 500 Oh\r\ncontent-type: text/html\r\ncontent-length: 21\r\nx-kept: 1\r\n\r\nSQL: secret in src/.rs";
    let (upstream, _) = server(raw).await;
    let answer = World::before(&upstream).get("/api/users/x").await;
    answer.problem(500, "internal_error");
    assert_eq!(answer.header("x-kept"), "1");
}

#[tokio::test]
async fn documented_calls_fail_with_their_documented_text() {
    let world = World::before(&nobody().await);
    for (path, message) in [
        ("/api/users/register", "Error registering user."),
        ("/api/organiser/create_event", "Error creating event."),
        ("/api/reg/register_event", "Error registering for event."),
        ("/api/payment/process_payment", "Error processing payment."),
        ("/api/payment/process_payment/", "Error processing payment."),
    ] {
        let problem = world
            .send(request(Method::POST, path, &[]))
            .await
            .problem(503, "unavailable");
        assert_eq!(problem["message"], message);
    }
    let problem = world
        .send(request(Method::POST, "/api/users/login", &[]))
        .await
        .problem(503, "unavailable");
    assert_ne!(
        problem["message"], "Invalid credentials.",
        "that is about wrong ones only"
    );
}

#[tokio::test]
async fn a_service_that_is_away_is_503() {
    let world = World::before(&nobody().await);
    // More often than it takes for the circuit breaker to stop trying.
    for _ in 0..6 {
        world.get("/api/users/x").await.problem(503, "unavailable");
        world
            .send(request(Method::POST, "/api/users/x", &[]))
            .await
            .problem(503, "unavailable");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_502() {
    for raw in ["", "HTTP/1.1 200 OK\r\ncontent-le", "what is this\r\n\r\n"] {
        let (upstream, _) = server(raw).await;
        let world = World::before(&upstream);
        world
            .send(request(Method::POST, "/api/users/x", &[]))
            .await
            .problem(502, "upstream_failed");
    }
}

#[tokio::test]
async fn a_service_that_does_not_answer_is_504() {
    for topology in BOTH {
        let world = World::without_patience(topology).await;
        let asked = std::time::Instant::now();
        let answer = world
            .send(request(
                Method::GET,
                "/api/events/never",
                &[("origin", "http://localhost")],
            ))
            .await;
        answer.problem(504, "timeout");
        assert_eq!(answer.header("access-control-allow-origin"), "http://localhost");
        assert_eq!(asked.elapsed().as_secs(), NO_PATIENCE.as_secs());
    }
}

/// A service that says the same to everyone and hangs up.
async fn server(raw: &'static str) -> (Upstream, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = Upstream::remote(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let task = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(raw.as_bytes()).await;
        }
    });
    (upstream, task)
}

#[tokio::test]
async fn requests_without_effect_are_tried_again() {
    // The first connection breaks, the second holds: a deploy, as a client behind the gateway sees it.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = Upstream::remote(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    tokio::spawn(async move {
        for raw in ["", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"] {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(raw.as_bytes()).await;
        }
    });
    let world = World::before(&upstream);
    let answer = world
        .send(Request::get("/api/users/x").body(Body::empty()).unwrap())
        .await;
    assert_eq!((answer.status, &answer.body[..]), (200, &b"hi"[..]));
}
