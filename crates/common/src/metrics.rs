//! Figures for Prometheus (text format 0.0.4) at `/metrics`.
//!
//! Each service has a recorder of its own, because several may run in one process; nothing is recorded globally.

use std::{
    collections::HashMap,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use axum::{
    http::{Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use parking_lot::RwLock;

use crate::unreadable;

/// Upper bounds of histograms, in seconds.
const BUCKETS: [f64; 13] = [
    0.000_25, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0, 300.0,
];
/// The recorder keeps every measured time until it is asked to fold them into their buckets: so often, in requests.
const FOLD: u64 = 8192;

/// A source of figures that are read on demand, such as the length of a queue.
#[async_trait]
pub trait Gauge: Send + Sync {
    /// Name, help text and value of each figure; none when they cannot be had right now. A figure that only grows has
    /// a name that ends in `_total`.
    async fn read(&self) -> Vec<(&'static str, &'static str, f64)>;

    /// Name, help text and place of each histogram.
    fn histograms(&self) -> Vec<(&'static str, &'static str, &Histogram)> {
        Vec::new()
    }
}

/// How long something takes. Counts once it belongs to a service's figures.
#[derive(Default)]
pub struct Histogram(OnceLock<metrics::Histogram>);

impl Histogram {
    /// Counts one.
    pub fn observe(&self, took: Duration) {
        if let Some(histogram) = self.0.get() {
            histogram.record(took);
        }
    }
}

/// One service's figures. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    service: &'static str,
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    requests: AtomicU64,
    /// What [`Metrics::request`] counts with, by route: finding it here takes a fraction of what the recorder takes.
    counted: RwLock<HashMap<String, Vec<Counted>>>,
    gauges: Vec<Box<dyn Gauge>>,
}

/// The requests of one route that are alike.
struct Counted {
    method: &'static str,
    status: StatusCode,
    total: metrics::Counter,
    took: metrics::Histogram,
}

impl Metrics {
    /// Figures of `service`, with gauges that are read on each scrape.
    pub fn new(service: &'static str, gauges: Vec<Box<dyn Gauge>>) -> Self {
        // Only an empty list of buckets is refused.
        let builder = PrometheusBuilder::new()
            .set_buckets(&BUCKETS)
            .unwrap_or_else(|_| PrometheusBuilder::new());
        let recorder = builder.add_global_label("service", service).build_recorder();
        metrics::with_local_recorder(&recorder, || {
            describe_counter!("http_requests_total", "Requests answered.");
            describe_histogram!("http_request_seconds", "Time until the head of the answer.");
            describe_counter!(
                "unreadable_rows_total",
                "Times that a row could not be read, by table."
            );
            for (name, help, histogram) in gauges.iter().flat_map(|gauge| gauge.histograms()) {
                describe_histogram!(name, help);
                histogram.0.get_or_init(|| histogram!(name));
            }
        });
        Self(Arc::new(Inner {
            service,
            handle: recorder.handle(),
            recorder,
            requests: AtomicU64::new(0),
            counted: RwLock::default(),
            gauges,
        }))
    }

    /// Counts a request. `route` is the template of the path that answered, of which there are few; none when no route
    /// did.
    pub fn request(&self, method: &Method, route: Option<&str>, status: StatusCode, took: Duration) {
        let inner = &self.0;
        let (method, route) = (known(method), route.unwrap_or("none"));
        let is_same = |alike: &Counted| alike.method == method && alike.status == status;
        let count = |alike: &Counted| {
            alike.total.increment(1);
            alike.took.record(took);
        };
        let counted = inner.counted.read();
        match counted
            .get(route)
            .and_then(|alike| alike.iter().find(|alike| is_same(alike)))
        {
            Some(alike) => count(alike),
            None => {
                drop(counted);
                let new = inner.register(method, route, status);
                count(&new);
                inner
                    .counted
                    .write()
                    .entry(route.to_owned())
                    .or_default()
                    .push(new);
            }
        }
        if inner.requests.fetch_add(1, Ordering::Relaxed) % FOLD == FOLD - 1 {
            inner.handle.run_upkeep();
        }
    }

    /// All figures.
    pub async fn render(&self) -> Response {
        let inner = &self.0;
        let mut figures = Vec::new();
        for gauge in &inner.gauges {
            figures.extend(gauge.read().await);
        }
        metrics::with_local_recorder(&inner.recorder, || {
            for (name, help, value) in figures {
                if name.ends_with("_total") {
                    describe_counter!(name, help);
                    counter!(name).absolute(value as u64);
                } else {
                    describe_gauge!(name, help);
                    gauge!(name).set(value);
                }
            }
            for (table, count) in unreadable::counts(inner.service) {
                counter!("unreadable_rows_total", "table" => table).absolute(count);
            }
        });
        (
            [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
            inner.handle.render(),
        )
            .into_response()
    }
}

impl Inner {
    fn register(&self, method: &'static str, route: &str, status: StatusCode) -> Counted {
        let route = route.to_owned();
        metrics::with_local_recorder(&self.recorder, || Counted {
            method,
            status,
            total: counter!(
                "http_requests_total",
                "method" => method, "route" => route.clone(), "status" => status.as_str().to_owned()
            ),
            took: histogram!("http_request_seconds", "method" => method, "route" => route),
        })
    }
}

/// The method, of which a client may invent any.
fn known(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn text(metrics: &Metrics) -> String {
        let response = metrics.render().await;
        let bytes = axum::body::to_bytes(response.into_body(), usize::MAX)
            .await
            .unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn requests_by_method_route_and_status() {
        let (mine, other) = (
            Metrics::new("mine", Vec::new()),
            Metrics::new("other", Vec::new()),
        );
        let took = Duration::from_micros(900);
        for _ in 0..=FOLD {
            mine.request(&Method::GET, Some("/api/events/{id}"), StatusCode::OK, took);
        }
        let invented = Method::from_bytes(b"BREW\"").unwrap_or(Method::TRACE);
        mine.request(&invented, None, StatusCode::NOT_FOUND, took);
        let text_of_mine = text(&mine).await;
        for line in [
            "http_requests_total{service=\"mine\",method=\"GET\",route=\"/api/events/{id}\",status=\"200\"} 8193",
            "http_requests_total{service=\"mine\",method=\"other\",route=\"none\",status=\"404\"} 1",
            "http_request_seconds_bucket{service=\"mine\",method=\"GET\",route=\"/api/events/{id}\",le=\"0.00025\"} 0",
            "http_request_seconds_bucket{service=\"mine\",method=\"GET\",route=\"/api/events/{id}\",le=\"0.001\"} 8193",
            "http_request_seconds_count{service=\"mine\",method=\"GET\",route=\"/api/events/{id}\"} 8193",
            "# TYPE http_requests_total counter",
        ] {
            assert!(
                text_of_mine.lines().any(|found| found == line),
                "{line}\n{text_of_mine}"
            );
        }
        assert!(
            !text(&other).await.contains("http_requests_total{"),
            "what is counted is counted once"
        );
    }
}
