//! Which browsers' pages may call.

use axum::http::Method;

use crate::world::{BOTH, Topology, World, fake, request};

const ALLOW: &str = "access-control-allow-origin";

async fn production() -> World {
    let settings = [
        ("APP_ENV", "production"),
        ("PUBLIC_URL", "https://events.example"),
        (
            "CORS_ORIGINS",
            "https://App.Example:443/, https://admin.example:8443, https://*.previews.example, capacitor://localhost",
        ),
        ("JWT_SECRET", "0123456789abcdef0123456789abcdef"),
        ("TICKET_KEY", "0123456789abcdef0123456789abcdef"),
        ("RAZORPAY_KEY_ID", "rzp_live_x"),
        ("RAZORPAY_KEY_SECRET", "x"),
        ("RAZORPAY_WEBHOOK_SECRET", "x"),
        ("SMTP_URL", "smtp://localhost:25"),
    ];
    World::with(Topology::OneProcess, &settings, fake).await
}

#[tokio::test]
async fn only_listed_origins_are_let_in() {
    let (production, development) = (production().await, World::new(Topology::OneProcess).await);
    for (origin, in_production, in_development) in [
        ("https://app.example", true, false),
        ("https://admin.example:8443", true, false),
        ("https://pr-7.previews.example", true, false),
        ("https://a.b.previews.example", false, false),
        ("https://previews.example", false, false),
        ("capacitor://localhost", true, false),
        ("ionic://localhost", false, false),
        ("http://localhost:5173", false, true),
        ("https://localhost", false, true),
        ("http://127.0.0.1:8080", false, true),
        ("http://[::1]:3000", false, true),
        ("http://app.example", false, false),
        ("https://app.example.evil.example", false, false),
        ("https://admin.example", false, false),
        ("http://localhost.evil.example", false, false),
        ("http://localhost:80@evil.example", false, false),
        ("null", false, false),
        ("*", false, false),
    ] {
        for (world, allowed) in [(&production, in_production), (&development, in_development)] {
            let expected = if allowed { origin } else { "" };
            // An answer, a failure of a service, one of the gateway, and one of its own pages.
            for path in ["/api/users/x", "/api/events/panic", "/nowhere", "/health"] {
                let answer = world
                    .send(request(Method::GET, path, &[("origin", origin)]))
                    .await;
                assert_eq!(answer.header(ALLOW), expected, "{path} for {origin}");
                let exposed = answer.header("access-control-expose-headers").to_owned();
                assert_eq!(exposed.is_empty(), !allowed);
                for name in [
                    "link",
                    "retry-after",
                    "x-request-id",
                    "idempotency-replayed",
                    "location",
                ] {
                    assert_eq!(exposed.contains(name), allowed, "{name}");
                }
                assert!(answer.header("vary").contains("origin"));
                assert_eq!(answer.header("access-control-allow-credentials"), "");
            }
            let asks = [("origin", origin), ("access-control-request-method", "POST")];
            let answer = world
                .send(request(Method::OPTIONS, "/api/users/register", &asks))
                .await;
            assert_eq!(answer.status, 204);
            assert_eq!(answer.header(ALLOW), expected);
            let headers = answer.header("access-control-allow-headers");
            for name in [
                "authorization",
                "content-type",
                "idempotency-key",
                "last-event-id",
                "x-request-id",
            ] {
                assert_eq!(headers.contains(name), allowed, "{name}");
            }
            assert_eq!(
                answer.header("access-control-allow-methods").contains("PATCH"),
                allowed
            );
        }
    }
}

#[tokio::test]
async fn other_options_are_the_services_matter() {
    for topology in BOTH {
        let world = World::new(topology).await;
        for headers in [
            vec![],
            vec![("origin", "http://localhost")],
            vec![("access-control-request-method", "POST")],
        ] {
            let told = world
                .send(request(Method::OPTIONS, "/api/users/x", &headers))
                .await
                .json();
            assert_eq!(told["method"], "OPTIONS", "{headers:?}");
        }
    }
}

#[tokio::test]
async fn answers_without_an_origin_still_say_that_it_matters() {
    let world = World::new(Topology::OneProcess).await;
    let answer = world.get("/api/users/x").await;
    assert!(answer.header("vary").contains("origin"));
    assert_eq!(answer.header(ALLOW), "");
}
