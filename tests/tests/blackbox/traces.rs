//! Traces, as a collector gets them over OTLP.

use std::sync::Arc;

use axum::{Router, body::Bytes, routing::post};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, KeyValue, any_value::Value as Any},
    trace::v1::Span,
};
use parking_lot::Mutex;
use prost::Message;
use reqwest::Method;
use serde_json::json;
use tests::{Options, PATIENCE, System, Topology, eventually, ports::free_port};

/// Receives what is exported.
struct Collector {
    url: String,
    /// Each with the name of the program that it is from.
    spans: Arc<Mutex<Vec<(String, Span)>>>,
}

impl Collector {
    async fn start() -> Self {
        let spans: Arc<Mutex<Vec<(String, Span)>>> = Arc::default();
        let kept = spans.clone();
        let receive = move |body: Bytes| async move {
            let export = ExportTraceServiceRequest::decode(body).unwrap();
            for group in export.resource_spans {
                let program = text(&group.resource.unwrap().attributes, "service.name");
                let found = group.scope_spans.into_iter().flat_map(|scope| scope.spans);
                kept.lock().extend(found.map(|span| (program.clone(), span)));
            }
        };
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().route("/v1/traces", post(receive));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, spans }
    }

    /// The span of that name in that trace, from that program.
    async fn span(&self, trace: &str, program: &str, name: &str) -> Span {
        let found = || {
            let spans = self.spans.lock();
            let mut spans = spans.iter();
            spans
                .find(|(from, span)| from == program && span.name == name && hex(&span.trace_id) == trace)
                .map(|(_, span)| span.clone())
        };
        eventually(&format!("{program} exports {name}"), PATIENCE, async || found()).await
    }
}

fn text(attributes: &[KeyValue], key: &str) -> String {
    let found = attributes.iter().find(|attribute| attribute.key == key);
    match found.and_then(|attribute| attribute.value.clone()) {
        Some(AnyValue {
            value: Some(Any::StringValue(text)),
        }) => text,
        Some(AnyValue {
            value: Some(Any::IntValue(number)),
        }) => number.to_string(),
        _ => String::new(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_is_one_trace_through_five_processes() {
    const PATH: &str = "/api/payment/process_payment";
    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const CALLER: &str = "00f067aa0ba902b7";
    let collector = Collector::start().await;
    let options = Options::default()
        .with("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url)
        .with("LOG_FORMAT", "json");
    let system = System::start(Topology::Five, options).await;
    let organizer = system.person("organizer").await;
    let person = system.person("user").await;
    let event = organizer.create_event(json!(10), json!(500)).await;
    person.register(&event).await.expect(201);
    let trace = format!("00-{TRACE}-{CALLER}-01");
    let payment = Some(person.payment(&event, json!(500)));
    let paid = person
        .send(Method::POST, PATH, payment, &[("traceparent", &trace)])
        .await
        .unwrap();
    paid.expect(200);

    let call = format!("POST {PATH}");
    let gateway = collector.span(TRACE, "gateway", &call).await;
    assert_eq!(hex(&gateway.parent_span_id), CALLER);
    assert_eq!(text(&gateway.attributes, "http.response.status_code"), "200");
    let payments = collector.span(TRACE, "payments", &call).await;
    assert_eq!(payments.parent_span_id, gateway.span_id);
    assert_eq!(text(&payments.attributes, "user.id"), person.id);
    assert!(
        payments
            .events
            .iter()
            .any(|event| event.name == "payment captured"),
        "{:?}",
        payments.events
    );
    let claim = collector
        .span(TRACE, "events", "POST /internal/registrations/claim")
        .await;
    assert_eq!(claim.parent_span_id, payments.span_id);
    // What came of it, in the same trace, linked to the delivery that it came by.
    for (program, kind) in [
        ("events", "payment.captured"),
        ("notifications", "registration.confirmed"),
    ] {
        let consumed = collector.span(TRACE, program, &format!("consume {kind}")).await;
        assert_eq!(consumed.links.len(), 1, "{consumed:?}");
        let linked = || {
            let spans = collector.spans.lock();
            let delivery = spans
                .iter()
                .find(|(_, span)| span.span_id == consumed.links[0].span_id);
            delivery.map(|(from, span)| (from.clone(), span.name.clone()))
        };
        let (from, name) = eventually("the delivery is exported", PATIENCE, async || linked()).await;
        assert!(
            from == program && name.starts_with("POST /internal/"),
            "{from} {name}"
        );
    }

    // Who begins no trace knows it by the request's id.
    let answer = system.anyone().get("/api/events").await;
    let id = answer.headers["x-request-id"].to_str().unwrap();
    let first = collector.span(id, "gateway", "GET /api/events").await;
    assert_eq!(hex(&first.parent_span_id), "");
    let failed = system.anyone().get("/api/users/me").await;
    let id = failed.headers["x-request-id"].to_str().unwrap();
    let refused = collector.span(id, "users", "GET /api/users/me").await;
    assert_eq!(text(&refused.attributes, "http.response.status_code"), "401");

    // The log is what it is without a collector.
    let log = system.log();
    let line = log
        .lines()
        .find(|line| line.contains("payment captured"))
        .unwrap();
    assert!(line.contains(&format!("\"request_id\":\"{TRACE}\"")), "{line}");
    assert!(!log.contains("otel."), "{log}");
}

/// A collector that is away costs nothing but its traces.
#[tokio::test(flavor = "multi_thread")]
async fn without_its_collector_the_system_works_and_stops() {
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let options = Options::default().with("OTEL_EXPORTER_OTLP_ENDPOINT", nobody);
    let mut system = System::start(Topology::One, options).await;
    let organizer = system.person("organizer").await;
    organizer.create_event(json!(10), json!(0)).await;
    let ended = system.terminate();
    assert!(ended.iter().all(std::process::ExitStatus::success), "{ended:?}");
}
