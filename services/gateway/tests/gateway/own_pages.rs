//! What the gateway answers itself: a welcome, health and the API documents.

use std::{
    collections::BTreeMap,
    sync::Arc,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

use axum::{
    Json, Router,
    http::{Method, StatusCode},
    response::IntoResponse,
    routing::get,
};
use common::health::{HealthReport, HealthStatus, answer};
use serde_json::json;

use crate::world::{BOTH, Topology, World, fake, nobody, request};

#[tokio::test]
async fn the_welcome_shows_the_way() {
    let world = World::new(Topology::OneProcess).await;
    let welcome = world.get("/").await.json();
    for name in ["documentation", "openapi", "health"] {
        let path = welcome[name].as_str().unwrap();
        assert!(matches!(world.get(path).await.status, 200 | 303), "{path}");
    }
}

#[tokio::test]
async fn other_methods_are_told_what_is_allowed() {
    let world = World::new(Topology::OneProcess).await;
    for path in [
        "/",
        "/health",
        "/health/",
        "/health/live",
        "/health/ready",
        "/openapi.json",
        "/docs",
        "/docs/",
    ] {
        let answer = world.send(request(Method::DELETE, path, &[])).await;
        answer.problem(405, "method_not_allowed");
        assert_eq!(answer.header("allow"), "GET, HEAD, OPTIONS", "{path}");
        let answer = world.send(request(Method::OPTIONS, path, &[])).await;
        assert_eq!(
            (answer.status, answer.header("allow")),
            (204, "GET, HEAD, OPTIONS"),
            "{path}"
        );
        let answer = world.send(request(Method::TRACE, path, &[])).await;
        answer.problem(405, "method_not_allowed");
        assert_eq!(answer.header("allow"), "GET, HEAD, OPTIONS", "{path}");
    }
}

/// A service in a state of one's choice.
fn in_state(status: HealthStatus) -> impl Fn(&'static str) -> Router {
    move |name| {
        let report = HealthReport {
            status,
            service: name.to_owned(),
            checks: BTreeMap::from([("store".to_owned(), status)]),
        };
        Router::new().route("/health/ready", get(move || async move { answer(report) }))
    }
}

#[tokio::test]
async fn health_is_that_of_the_parts() {
    use HealthStatus::{Degraded, Down, Up};
    for topology in BOTH {
        for (payments, others, ready, health, status) in [
            (Up, Up, 200, 200, json!("up")),
            (Degraded, Up, 200, 200, json!("degraded")),
            (Down, Up, 503, 200, json!("degraded")),
            (Down, Down, 503, 503, json!(503)),
        ] {
            let make = |name, _| in_state(if name == "payments" { payments } else { others })(name);
            let world = World::with(topology, &[], make).await;
            assert_eq!(world.get("/health/live").await.status, 200);
            let overview = world.get("/health").await;
            assert_eq!(overview.status, health, "{topology:?} {payments:?}");
            let overview = overview.json();
            assert_eq!(overview["status"], status);
            assert_eq!(overview["checks"]["payments"], json!(payments));
            assert_eq!(overview["checks"]["users"], json!(others));
            assert_eq!(overview["checks"].as_object().unwrap().len(), 4);
            let answer = world.get("/health/ready").await;
            assert_eq!(answer.status, ready);
            if ready == 503 {
                let problem = answer.problem(503, "not_ready");
                assert_eq!(problem["checks"]["payments"], "down");
            }
        }
    }
}

#[tokio::test]
async fn a_gateway_that_stops_is_not_ready() {
    let world = World::new(Topology::OneProcess).await;
    assert_eq!(world.get("/health/ready").await.status, 200);
    world.context.workers.stop_token().cancel();
    world.get("/health/ready").await.problem(503, "not_ready");
    assert_eq!(world.get("/health/live").await.status, 200);
}

#[tokio::test]
async fn a_service_that_does_not_say_how_it_is_is_down() {
    let make = |name, auth| match name {
        "users" => Router::new().route("/health/ready", get(std::future::pending::<()>)),
        name => fake(name, auth),
    };
    let world = World::with(Topology::OneProcess, &[], make).await;
    let asked = std::time::Instant::now();
    assert_eq!(
        world.get("/health").await.json()["checks"],
        json!({
            "users": "down", "events": "up", "notifications": "up", "payments": "up",
        })
    );
    assert_eq!(asked.elapsed().as_secs(), 2, "one that is slow is not waited for");
}

#[tokio::test]
async fn the_document_holds_every_services_calls() {
    for topology in BOTH {
        let world = World::with(topology, &[("PUBLIC_URL", "https://events.example")], fake).await;
        let answer = world.get("/openapi.json").await;
        assert_eq!(answer.header("content-type"), "application/json");
        let document = answer.json();
        assert_eq!(document["openapi"], "3.1.0");
        assert_eq!(document["servers"], json!([{"url": "https://events.example"}]));
        for service in ["users", "events", "notifications", "payments"] {
            assert!(
                document["paths"][format!("/api/{service}/tell")]["get"].is_object(),
                "{service}"
            );
        }
        assert!(document.get("x-missing").is_none());
    }
    let world = World::with(Topology::OneProcess, &[("GATEWAY_PORT", "0")], fake).await;
    assert_eq!(
        world.get("/openapi.json").await.json()["servers"],
        json!([{"url": "/"}])
    );
}

#[tokio::test]
async fn the_document_is_kept_for_a_minute_once_it_is_whole() {
    let (asked, away) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(true)));
    let make = |name: &'static str, _| {
        let (asked, away) = (asked.clone(), away.clone());
        Router::new().route(
            "/openapi.json",
            get(move || async move {
                asked.fetch_add(1, Ordering::Relaxed);
                if name == "users" && away.load(Ordering::Relaxed) {
                    return StatusCode::SERVICE_UNAVAILABLE.into_response();
                }
                Json(json!({"paths": {format!("/api/{name}"): {}}})).into_response()
            }),
        )
    };
    let world = World::with(Topology::OneProcess, &[], make).await;
    let partial = world.get("/openapi.json").await.json();
    assert_eq!(partial["x-missing"], json!(["users"]));
    assert!(partial["paths"]["/api/events"].is_object());
    away.store(false, Ordering::Relaxed);
    for (seconds, rounds) in [(0, 2), (59, 2), (2, 3)] {
        let clock = &world.context.clock;
        clock.set(clock.now() + chrono::TimeDelta::seconds(seconds));
        assert!(world.get("/openapi.json").await.json()["paths"]["/api/users"].is_object());
        assert_eq!(asked.load(Ordering::Relaxed), rounds * 4);
    }
}

#[tokio::test]
async fn without_any_service_there_is_no_document() {
    World::before(&nobody().await)
        .get("/openapi.json")
        .await
        .problem(503, "unavailable");
}

#[tokio::test]
async fn the_document_can_be_browsed_without_a_network() {
    let world = World::new(Topology::OneProcess).await;
    let redirect = world.get("/docs").await;
    assert_eq!((redirect.status, redirect.header("location")), (303, "/docs/"));
    let page = world.get("/docs/").await;
    assert_eq!((page.status, page.header("content-type")), (200, "text/html"));
    let page = String::from_utf8(page.body.to_vec()).unwrap();
    let mut files = 0;
    for attribute in ["src=\"", "href=\""] {
        for link in page
            .split(attribute)
            .skip(1)
            .map(|rest| rest.split('"').next().unwrap())
        {
            assert!(!link.contains("//"), "{link}");
            assert_eq!(
                world
                    .get(&format!("/docs/{}", link.trim_start_matches("./")))
                    .await
                    .status,
                200,
                "{link}"
            );
            files += 1;
        }
    }
    assert!(files >= 5, "{page}");
    let start = world.get("/docs/swagger-initializer.js").await;
    let start = String::from_utf8(start.body.to_vec()).unwrap();
    assert!(start.contains("\"url\": \"/openapi.json\""), "{start}");
    assert!(start.contains("\"validatorUrl\": \"none\""), "{start}");
    assert!(
        !start.contains("http://") && !start.contains("https://"),
        "{start}"
    );
    world
        .get("/docs/nothing.js")
        .await
        .problem(404, "route_not_found");
}
