//! Traces for an OpenTelemetry collector, when `OTEL_EXPORTER_OTLP_ENDPOINT` names one.
//!
//! A request has a span in every service it passes, and a message one where it is consumed. Log lines from `info` up
//! are in them as events. A trace's id is the request id where that can be one.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use opentelemetry::{
    Context, KeyValue, SpanId, TraceFlags, TraceId,
    trace::{SpanContext, TraceContextExt, TraceState, TracerProvider},
};
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{IdGenerator, RandomIdGenerator, SdkTracer, SdkTracerProvider},
};
use tracing::{Level, Metadata, Span, field::Empty};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::{
    context::{self, TRACEPARENT},
    ids::UserId,
};

/// The target of what is exported as a span. The log does not show them: its lines have the request id.
pub const TARGET: &str = "otel";
/// Spares every request the search for spans when none are exported.
static ON: AtomicBool = AtomicBool::new(false);
/// How long one export may take; also what is waited for at the end.
const PATIENCE: Duration = Duration::from_secs(5);

/// Sends spans away, in the background; what cannot be sent is dropped. Sends the rest when dropped.
pub struct Export(SdkTracerProvider);

impl Export {
    /// To the collector at `endpoint` (OTLP over HTTP), as `program` unless `OTEL_SERVICE_NAME` says otherwise.
    ///
    /// # Errors
    /// One sentence for the person who started the program.
    pub fn to(endpoint: &str, program: &str) -> Result<Self, String> {
        let wrong = |error: &dyn std::fmt::Display| format!("OTEL_EXPORTER_OTLP_ENDPOINT: {error}.");
        let _ = rustls::crypto::ring::default_provider().install_default();
        let exporter = SpanExporter::builder()
            .with_http()
            .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
            .with_timeout(PATIENCE)
            .build()
            .map_err(|error| wrong(&error))?;
        let mut resource = Resource::builder();
        if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
            resource = resource.with_service_name(program.to_owned());
        }
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_id_generator(Ids)
            .with_resource(resource.with_attribute(version).build())
            .build();
        ON.store(true, Ordering::Relaxed);
        Ok(Self(provider))
    }

    /// What makes its spans.
    pub fn tracer(&self) -> SdkTracer {
        self.0.tracer("organise-event")
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        if let Err(error) = self.0.shutdown_with_timeout(PATIENCE) {
            tracing::warn!(%error, "the last traces could not be exported");
        }
    }
}

/// What is exported: our spans, and lines of the log in them.
pub fn is_exported(metadata: &Metadata<'_>) -> bool {
    if metadata.is_span() {
        metadata.target() == TARGET
    } else {
        *metadata.level() <= Level::INFO
    }
}

/// Begins a trace with the id of the request that the task works for.
#[derive(Debug)]
struct Ids;

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> TraceId {
        let own = context::trace_id_text().and_then(|text| TraceId::from_hex(&text).ok());
        own.unwrap_or_else(|| RandomIdGenerator::default().new_trace_id())
    }

    fn new_span_id(&self) -> SpanId {
        RandomIdGenerator::default().new_span_id()
    }
}

/// The span of a request to `service`: in the log's span of it, and below the caller's, when the headers name that.
pub fn served(service: &'static str, headers: &HeaderMap, in_log: &Span) -> Span {
    if !ON.load(Ordering::Relaxed) {
        return Span::none();
    }
    let span = tracing::info_span!(
        target: TARGET,
        parent: in_log,
        "request",
        otel.kind = "server",
        otel.status_code = Empty,
        organise_event.service = service,
        http.request.method = Empty,
        http.route = Empty,
        http.response.status_code = Empty,
        user.id = Empty,
    );
    if !span.is_disabled()
        && let Some(caller) = headers.get(TRACEPARENT).and_then(remote)
    {
        // Refused only by a span that has begun.
        let _ = span.set_parent(Context::new().with_remote_span_context(caller));
    }
    span
}

/// Notes in a request's span what came of it.
pub fn answered(span: &Span, method: &Method, route: Option<&str>, status: StatusCode, user: Option<UserId>) {
    if span.is_disabled() {
        return;
    }
    let route = route.unwrap_or("none");
    span.context().span().update_name(format!("{method} {route}"));
    span.record("http.request.method", method.as_str());
    span.record("http.route", route);
    span.record("http.response.status_code", status.as_u16());
    if let Some(user) = user {
        span.record("user.id", tracing::field::display(user));
    }
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
}

/// The span of a message that is consumed, in the trace of the request that caused it and linked to the delivery.
pub fn consumed(kind: &str, message_id: uuid::Uuid, log: impl FnOnce()) {
    if !ON.load(Ordering::Relaxed) {
        return log();
    }
    let delivery = Span::current().context().span().span_context().clone();
    let span = tracing::info_span!(
        target: TARGET,
        parent: None,
        "message",
        otel.kind = "consumer",
        otel.name = format!("consume {kind}"),
        messaging.message.id = %message_id,
    );
    if delivery.is_valid() {
        span.add_link(delivery);
    }
    span.in_scope(log);
}

/// What calls made in the current span send as `traceparent`; `None` when nothing is exported.
pub fn traceparent() -> Option<HeaderValue> {
    if !ON.load(Ordering::Relaxed) {
        return None;
    }
    let context = Span::current().context();
    let span = context.span();
    let own = span.span_context();
    let text = || {
        let (trace, id, flags) = (own.trace_id(), own.span_id(), own.trace_flags());
        HeaderValue::try_from(format!("00-{trace}-{id}-{flags:02x}")).ok()
    };
    own.is_valid().then(text)?
}

fn remote(traceparent: &HeaderValue) -> Option<SpanContext> {
    context::trace_id(traceparent)?;
    let mut parts = traceparent.to_str().ok()?.split('-').skip(1);
    let trace = TraceId::from_hex(parts.next()?).ok()?;
    let span = SpanId::from_hex(parts.next()?).ok()?;
    let flags = TraceFlags::new(u8::from_str_radix(parts.next()?, 16).ok()?);
    Some(SpanContext::new(trace, span, flags, true, TraceState::default()))
}
