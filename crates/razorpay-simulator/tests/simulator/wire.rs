//! What the official SDKs, and worse clients, put on the wire.

use axum::http::Request;
use razorpay_simulator::Simulator;
use reqwest::Method;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::kit::{KEY_ID, KEY_SECRET, Sim, answer, ok, settings, text};

#[tokio::test]
async fn credentials_are_checked_everywhere() {
    let sim = Sim::start().await;
    for path in [
        "/v1/orders",
        "/v1/nowhere",
        "/methods",
        "/v1/payments/pay_AAAAAAAAAAAAAA",
        "/v2/accounts",
    ] {
        let url = format!("{}{path}", sim.base);
        let get = || sim.client.get(&url);
        for request in [
            get(),
            get().basic_auth(KEY_ID, Some("wrong")),
            get().basic_auth("wrong", Some(KEY_SECRET)),
            get().bearer_auth(KEY_SECRET),
            get().header("authorization", "basic cnpwOng="),
            get().header("authorization", "Basic not base64"),
            get().query_like("key_id=wrong"),
        ] {
            let (status, body) = answer(request).await;
            assert_eq!(status, 401, "{path}");
            assert_eq!(body["error"]["code"], "BAD_REQUEST_ERROR");
        }
    }
    let (_, body) = answer(
        sim.client
            .get(format!("{}/v1/orders", sim.base))
            .basic_auth(KEY_ID, Some("no")),
    )
    .await;
    assert_eq!(body["error"]["description"], "Authentication failed");
    // The public calls take the key id alone, and the others do not.
    let public = |path: &str| {
        sim.client
            .get(format!("{}{path}", sim.base))
            .basic_auth(KEY_ID, Some(""))
    };
    assert_eq!(ok(public("/v1/methods")).await["entity"], "methods");
    assert_eq!(ok(public("/methods/")).await["netbanking"]["HDFC"], "HDFC Bank");
    assert_eq!(answer(public("/v1/orders")).await.0, 401);
    let by_query = sim.client.get(format!("{}/v1/methods?key_id={KEY_ID}", sim.base));
    assert_eq!(ok(by_query).await["upi"], true);
}

trait QueryLike {
    fn query_like(self, query: &str) -> Self;
}

impl QueryLike for reqwest::RequestBuilder {
    /// reqwest's own needs a feature that nothing else here does.
    fn query_like(self, query: &str) -> Self {
        let (client, request) = self.build_split();
        let mut request = request.unwrap();
        request.url_mut().set_query(Some(query));
        Self::from_parts(client, request)
    }
}

#[tokio::test]
async fn every_answer_is_the_envelope() {
    let sim = Sim::start().await;
    for (method, path) in [
        (Method::GET, "/"),
        (Method::GET, "/v1"),
        (Method::GET, "/v1/subscriptions"),
        (Method::DELETE, "/v1/orders"),
        (Method::PUT, "/v1/payments/pay_AAAAAAAAAAAAAA/capture"),
        (Method::POST, "/v1/methods"),
        (Method::GET, "//"),
    ] {
        let (status, error) = sim.refused(method, path, json!({})).await;
        assert_eq!(status, 400, "{path}");
        assert_eq!(
            error["description"], "The requested URL was not found on the server.",
            "{path}"
        );
    }
    let post = || {
        sim.request(Method::POST, "/v1/orders")
            .header("content-type", "application/json")
    };
    for body in ["{", "[1]", "\"text\"", "12", "\u{fffd}"] {
        let (status, answer) = answer(post().body(body)).await;
        assert_eq!(
            (status, &answer["error"]["code"]),
            (400, &json!("BAD_REQUEST_ERROR")),
            "{body}"
        );
    }
    let (status, body) = answer(post().body(vec![b' '; 1024 * 1024])).await;
    assert_eq!((status, body["error"]["code"].is_string()), (413, true));
}

#[tokio::test]
async fn bodies_and_paths_are_read_leniently() {
    let sim = Sim::start().await;
    let form = sim
        .request(Method::POST, "/v1/orders/")
        .header("content-type", "application/x-www-form-urlencoded")
        .body("amount=50000&currency=INR&receipt=r+1&notes[seat%20no]=A1&payment[capture]=manual");
    let order = ok(form).await;
    assert_eq!(
        (&order["receipt"], &order["notes"]["seat no"]),
        (&json!("r 1"), &json!("A1"))
    );
    // JSON without a content type.
    let bare = sim
        .request(Method::POST, "/v1/orders")
        .body(r#"{"amount":100,"currency":"INR"}"#);
    assert_eq!(ok(bare).await["amount"], 100);
    // The Node SDK's fetchTransferOrder.
    let id = text(&order["id"]);
    let fetched = sim
        .get(&format!("/v1/orders/{id}/?expand[]=transfers&status"))
        .await;
    assert_eq!(fetched["id"], order["id"]);
    let vpa = sim
        .post("/v1/payments/validate/vpa", json!({ "vpa": "success@razorpay" }))
        .await;
    assert_eq!(vpa["success"], true);
}

#[tokio::test]
async fn the_router_can_be_called_without_a_socket() {
    let simulator = Simulator::open(settings()).unwrap();
    let router = simulator.router();
    let call = async |request: Request<axum::body::Body>| {
        let response = router.clone().oneshot(request).await.unwrap();
        let bytes = axum::body::to_bytes(response.into_body(), usize::MAX)
            .await
            .unwrap();
        serde_json::from_slice::<Value>(&bytes).unwrap()
    };
    use base64::{Engine, engine::general_purpose::STANDARD};
    let credentials = format!("Basic {}", STANDARD.encode(format!("{KEY_ID}:{KEY_SECRET}")));
    let request = |path: &str, body: Value| {
        let request = Request::post(path).header("authorization", &credentials);
        request.body(axum::body::Body::from(body.to_string())).unwrap()
    };
    let order = call(request("/v1/orders", json!({ "amount": 100, "currency": "INR" }))).await;
    let body = crate::kit::payment(&order, json!({ "method": "netbanking", "bank": "HDFC" }));
    let started = call(request("/v1/payments/create/json", body)).await;
    assert!(text(&started["next"][0]["url"]).starts_with("http://127.0.0.1:3199/sim/bank/pay_"));
}
