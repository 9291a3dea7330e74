//! Who gets gzip, and for what.

use axum::http::Method;

use crate::world::{BOTH, World, request};

#[tokio::test]
async fn long_json_is_compressed_for_those_who_take_it() {
    for topology in BOTH {
        let world = World::new(topology).await;
        let plain = world.get("/api/events/long").await;
        assert_eq!(plain.header("content-encoding"), "");
        assert_eq!(plain.header("vary"), "origin, accept-encoding");
        for (accepted, compressed) in [
            ("gzip", true),
            ("br, gzip;q=0.5", true),
            ("*", true),
            ("identity;q=0, gzip", true),
            ("identity;q=0, gzip;q=0.12345", true),
            ("br", false),
            ("gzip;q=0", false),
            ("identity", false),
            // Nothing we have is acceptable. Saying so with a 406 after the work is done would help nobody.
            ("identity;q=0", false),
            ("*;q=0", false),
        ] {
            let answer = world
                .send(request(
                    Method::GET,
                    "/api/events/long",
                    &[("accept-encoding", accepted)],
                ))
                .await;
            assert_eq!(answer.status, 200, "{accepted}");
            assert_eq!(
                answer.header("content-encoding") == "gzip",
                compressed,
                "{topology:?} {accepted}"
            );
            assert_eq!(answer.header("vary"), "origin, accept-encoding");
            if compressed {
                assert_eq!(answer.body[..2], [0x1f, 0x8b]);
                assert!(answer.body.len() < plain.body.len() / 4);
            } else {
                assert_eq!(answer.body, plain.body);
            }
        }
    }
}

#[tokio::test]
async fn what_gains_nothing_is_left_alone() {
    for topology in BOTH {
        let world = World::new(topology).await;
        for path in [
            "/api/users/x",
            "/api/events/unknown",
            "/docs/favicon-32x32.png",
            "/nowhere",
        ] {
            let answer = world
                .send(request(Method::GET, path, &[("accept-encoding", "gzip")]))
                .await;
            assert_eq!(answer.header("content-encoding"), "", "{path}");
        }
        let head = world
            .send(request(
                Method::HEAD,
                "/api/events/long",
                &[("accept-encoding", "gzip")],
            ))
            .await;
        assert_eq!(head.header("content-encoding"), "");
    }
}

#[tokio::test]
async fn problems_keep_their_shape() {
    let world = World::new(BOTH[0]).await;
    for path in ["/nowhere", "/api/events/panic", "/api/events/status/502"] {
        let answer = world
            .send(request(Method::GET, path, &[("accept-encoding", "gzip")]))
            .await;
        answer.problem(answer.status, answer.json()["code"].as_str().unwrap());
    }
}
