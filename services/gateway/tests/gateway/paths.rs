//! What reaches which service, and what reaches none.

use axum::http::Method;

use crate::world::{BOTH, World, exchange, request};

#[tokio::test]
async fn each_path_has_its_service() {
    for topology in BOTH {
        let world = World::new(topology).await;
        for (path, service, uri) in [
            ("/api/users/x", "users", "/api/users/x"),
            ("/api/users", "users", "/api/users"),
            ("/api/organiser/x/y", "events", "/api/organiser/x/y"),
            ("/api/reg/x", "events", "/api/reg/x"),
            ("/api/events", "events", "/api/events"),
            ("/api/live/x", "events", "/api/live/x"),
            ("/api/notifications/x", "notifications", "/api/notifications/x"),
            ("/dev/mailbox", "notifications", "/dev/mailbox"),
            ("/dev/mailbox/1.eml", "notifications", "/dev/mailbox/1.eml"),
            ("/api/payment/x", "payments", "/api/payment/x"),
            // One trailing slash is dropped; the query stays as it is.
            ("/api/users/", "users", "/api/users"),
            (
                "/api/users/x/?a=%2F..%2F&b=/",
                "users",
                "/api/users/x?a=%2F..%2F&b=/",
            ),
            ("/api/events/caf%C3%A9", "events", "/api/events/caf%C3%A9"),
        ] {
            let told = world.get(path).await.json();
            assert_eq!(
                (told["service"].as_str(), told["uri"].as_str()),
                (Some(service), Some(uri)),
                "{topology:?} {path}"
            );
        }
    }
}

#[tokio::test]
async fn what_is_internal_cannot_be_reached() {
    for topology in BOTH {
        let world = World::new(topology).await;
        let address = world.listen().await;
        for path in [
            "/internal/tell",
            "/metrics",
            "/api/internal/tell",
            "//internal/tell",
            "/./internal/tell",
            "/api/users/../../internal/tell",
            "/api/users/../internal/tell",
            "/api/users/./tell",
            "/api/users/..",
            "/api/users/%2e%2e/internal/tell",
            "/api/users/.%2E/internal/tell",
            "/api/users/..%2finternal/tell",
            "/api/users/%2Finternal/tell",
            "/api/users%2f..%2finternal/tell",
            "/api/users/%5c..%5cinternal/tell",
            "/api/users/\\..\\internal\\tell",
            "/api/users/%252e%252e/internal/tell",
            "/api/users/%00",
            "/api/users//internal/tell",
            "/api/users///",
            "/api/userspace",
            "/dev/mailboxes",
            "/docs/../internal/tell",
            "/docs/%2e%2e/internal/tell",
            "/users/health/ready",
        ] {
            // Over a socket, so that nothing on our side of the test tidies the path up.
            let raw = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
            let answer = crate::world::Answer::parse(&exchange(address, raw.as_bytes()).await);
            answer.problem(404, "route_not_found");
        }
        let raw = "GET http://other.example/internal/tell HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        crate::world::Answer::parse(&exchange(address, raw.as_bytes()).await).problem(404, "route_not_found");
    }
}

#[tokio::test]
async fn methods_pass_but_for_those_that_are_never_taken() {
    for topology in BOTH {
        let world = World::new(topology).await;
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let told = world
                .send(request(method.clone(), "/api/users/x", &[]))
                .await
                .json();
            assert_eq!(told["method"], method.as_str(), "{topology:?}");
        }
        world
            .send(request(Method::TRACE, "/api/users/x", &[]))
            .await
            .problem(405, "method_not_allowed");
        let address = world.listen().await;
        for connect in ["CONNECT internal:80", "CONNECT /api/users", "TRACE /"] {
            let raw = format!("{connect} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
            let answer = crate::world::Answer::parse(&exchange(address, raw.as_bytes()).await);
            assert!(matches!(answer.status, 400 | 405), "{connect}: {answer:?}");
            answer.problem(
                answer.status,
                if answer.status == 405 {
                    "method_not_allowed"
                } else {
                    "malformed_request"
                },
            );
        }
        let raw = "OPTIONS * HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        crate::world::Answer::parse(&exchange(address, raw.as_bytes()).await).problem(404, "route_not_found");
    }
}

#[tokio::test]
async fn head_is_get_without_a_body() {
    for topology in BOTH {
        let world = World::new(topology).await;
        let address = world.listen().await;
        let full = world.get("/api/events/long").await;
        for head in [
            "HEAD /api/events/long",
            "HEAD /health",
            "HEAD /",
            "HEAD /openapi.json",
        ] {
            let raw = format!("{head} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
            let answer = crate::world::Answer::parse(&exchange(address, raw.as_bytes()).await);
            assert_eq!((answer.status, answer.body.len()), (200, 0), "{head}");
            if head.ends_with("long") {
                assert_eq!(
                    answer.header("content-length"),
                    full.body.len().to_string(),
                    "{topology:?}"
                );
            }
        }
    }
}
