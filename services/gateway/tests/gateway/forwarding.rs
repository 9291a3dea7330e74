//! Headers on their way through, and whose address a service sees.

use std::net::SocketAddr;

use axum::{extract::ConnectInfo, http::Method};

use crate::world::{BOTH, World, exchange, fake, request};

const SPOOFED: [(&str, &str); 9] = [
    ("forwarded", "for=6.6.6.6"),
    ("x-forwarded-for", "6.6.6.6"),
    ("x-forwarded-host", "evil.example"),
    ("x-forwarded-proto", "https"),
    ("x-real-ip", "6.6.6.6"),
    ("x-client-ip", "6.6.6.6"),
    ("x-gateway-token", "forged"),
    ("x-user-id", "1"),
    ("x-internal-call", "1"),
];

#[tokio::test]
async fn spoofed_headers_are_dropped_and_true_ones_set() {
    for topology in BOTH {
        let world = World::new(topology).await;
        let mut headers = SPOOFED.to_vec();
        headers.extend([
            ("host", "events.example"),
            ("authorization", "Bearer x"),
            ("cookie", "a=b"),
            ("x-mine", "1"),
        ]);
        let mut request = request(Method::GET, "/api/users/x", &headers);
        request
            .extensions_mut()
            .insert(ConnectInfo(SocketAddr::from(([192, 0, 2, 7], 4711))));
        let told = world.send(request).await.json();
        assert_eq!(
            told["client"], "192.0.2.7",
            "the service believes the gateway: {topology:?}"
        );
        let headers = &told["headers"];
        assert_eq!(headers["x-forwarded-for"], "192.0.2.7");
        assert_eq!(headers["x-forwarded-host"], "events.example");
        assert_eq!(headers["x-forwarded-proto"], "http");
        assert_eq!(headers["x-client-ip"], "192.0.2.7");
        assert!(
            headers["x-gateway-token"].as_str().unwrap().len() > 100,
            "a service token"
        );
        for name in ["forwarded", "x-real-ip", "x-user-id", "x-internal-call"] {
            assert!(headers[name].is_null(), "{name}");
        }
        for (name, value) in [
            ("authorization", "Bearer x"),
            ("cookie", "a=b"),
            ("x-mine", "1"),
            ("host", "events.example"),
        ] {
            assert_eq!(headers[name], value, "{topology:?}");
        }
    }
}

#[tokio::test]
async fn a_trusted_proxy_tells_of_its_client() {
    for topology in BOTH {
        let settings = [
            ("TRUSTED_PROXIES", "192.0.2.7,192.0.2.8"),
            ("PUBLIC_URL", "https://events.example"),
        ];
        let world = World::with(topology, &settings, fake).await;
        for (peer, forwarded, client) in [
            ([192, 0, 2, 7], "6.6.6.6, 203.0.113.9, 192.0.2.8", "203.0.113.9"),
            ([192, 0, 2, 7], "203.0.113.9", "203.0.113.9"),
            ([203, 0, 113, 1], "6.6.6.6", "203.0.113.1"),
        ] {
            let mut request = request(Method::GET, "/api/users/x", &[("x-forwarded-for", forwarded)]);
            request
                .extensions_mut()
                .insert(ConnectInfo(SocketAddr::from((peer, 4711))));
            let told = world.send(request).await.json();
            assert_eq!(told["client"], client);
            assert_eq!(told["headers"]["x-forwarded-for"], client);
            assert_eq!(told["headers"]["x-forwarded-proto"], "https");
        }
    }
}

#[tokio::test]
async fn a_gateway_token_is_good_for_one_service() {
    for topology in BOTH {
        let world = World::new(topology).await;
        let mut tokens = Vec::new();
        for path in [
            "/api/users/x",
            "/api/events/x",
            "/api/notifications/x",
            "/api/payment/x",
        ] {
            let mut request = request(Method::GET, path, &[]);
            request
                .extensions_mut()
                .insert(ConnectInfo(SocketAddr::from(([192, 0, 2, 7], 4711))));
            let told = world.send(request).await.json();
            assert_eq!(told["client"], "192.0.2.7", "{path}");
            tokens.push(told["headers"]["x-gateway-token"].as_str().unwrap().to_owned());
        }
        tokens.dedup();
        assert_eq!(tokens.len(), 4);
    }
}

#[tokio::test]
async fn headers_of_one_hop_stay_on_it() {
    for topology in BOTH {
        let world = World::new(topology).await;
        let address = world.listen().await;
        let raw = "GET /api/users/x HTTP/1.1\r\nhost: x\r\nconnection: close, X-Mine, X-Request-Id\r\nx-mine: 1\r\n\
                   x-request-id: kept\r\nkeep-alive: 5\r\nte: trailers\r\nupgrade: h2c\r\nhttp2-settings: x\r\n\
                   proxy-authorization: Basic x\r\nproxy-connection: close\r\n\r\n";
        let answer = crate::world::Answer::parse(&exchange(address, raw.as_bytes()).await);
        let told = answer.json();
        let names = told["headers"]
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect::<Vec<_>>();
        for name in [
            "connection",
            "x-mine",
            "keep-alive",
            "te",
            "upgrade",
            "http2-settings",
            "proxy-authorization",
        ] {
            assert!(!names.contains(&name), "{topology:?} {name}");
        }
        assert_eq!(told["headers"]["x-request-id"], "kept");
        assert_eq!(answer.header("x-request-id"), "kept");

        let answer = world.get("/api/events/hop").await;
        assert_eq!(answer.header("x-kept"), "1");
        for name in ["connection", "x-of-hop", "keep-alive", "proxy-authenticate"] {
            assert_eq!(answer.header(name), "", "{topology:?} {name}");
        }
    }
}

#[tokio::test]
async fn a_request_has_one_id_everywhere() {
    for topology in BOTH {
        let world = World::new(topology).await;
        let given = world
            .send(request(Method::GET, "/api/users/x", &[("x-request-id", "abc-1")]))
            .await;
        assert_eq!(given.header("x-request-id"), "abc-1");
        assert_eq!(given.json()["headers"]["x-request-id"], "abc-1");
        for bad in ["", "a b", "<script>", &"x".repeat(200)] {
            let made = world
                .send(request(Method::GET, "/api/users/x", &[("x-request-id", bad)]))
                .await;
            assert_eq!(made.header("x-request-id").len(), 32, "{bad}");
            assert_eq!(
                made.json()["headers"]["x-request-id"],
                made.header("x-request-id"),
                "{topology:?}"
            );
        }
    }
}

#[tokio::test]
async fn clients_of_http_1_0_are_served() {
    for topology in BOTH {
        let world = World::new(topology).await;
        let address = world.listen().await;
        let raw = "POST /api/users/x HTTP/1.0\r\ncontent-length: 2\r\n\r\nhi";
        let answer = crate::world::Answer::parse(&exchange(address, raw.as_bytes()).await);
        assert_eq!(answer.status, 200, "{topology:?}");
        assert_eq!(answer.json()["body"], "hi");
        assert_eq!(answer.header("transfer-encoding"), "");
    }
}

#[tokio::test]
async fn security_headers_are_on_every_answer() {
    let https = World::with(BOTH[0], &[("PUBLIC_URL", "https://events.example")], fake).await;
    let http = World::new(BOTH[0]).await;
    for path in [
        "/",
        "/health",
        "/api/users/x",
        "/api/events/panic",
        "/nowhere",
        "/docs/",
    ] {
        let answer = https.get(path).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(
            answer.header("strict-transport-security"),
            "max-age=31536000",
            "{path}"
        );
        assert_eq!(
            http.get(path).await.header("strict-transport-security"),
            "",
            "{path}"
        );
    }
}
