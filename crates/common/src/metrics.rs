//! Figures for Prometheus (text format 0.0.4) at `/metrics`.

use std::{
    fmt::Write,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use axum::{
    http::header,
    response::{IntoResponse, Response},
};

use crate::unreadable;

/// Upper bounds of latency histograms, in microseconds.
const BUCKETS: [u64; 11] = [
    250, 1_000, 2_000, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 5_000_000,
];

/// Something that knows a figure when asked, such as the length of a queue.
#[async_trait]
pub trait Gauge: Send + Sync {
    /// Name, help text and value of each figure; none when they cannot be had right now. A figure that only grows has
    /// a name that ends in `_total`.
    async fn read(&self) -> Vec<(&'static str, &'static str, f64)>;

    /// Name and help text of each histogram.
    fn histograms(&self) -> Vec<(&'static str, &'static str, &Histogram)> {
        Vec::new()
    }
}

/// How long something takes.
#[derive(Default)]
pub struct Histogram {
    buckets: [AtomicU64; BUCKETS.len() + 1],
    micros: AtomicU64,
}

impl Histogram {
    /// Counts one.
    pub fn observe(&self, took: Duration) {
        let micros = took.as_micros() as u64;
        let bucket = BUCKETS.iter().position(|bound| micros <= *bound);
        self.buckets[bucket.unwrap_or(BUCKETS.len())].fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    fn write(&self, text: &mut String, service: &str, name: &str, help: &str) {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} histogram");
        let mut total = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            total += count.load(Ordering::Relaxed);
            let bound = BUCKETS
                .get(index)
                .map_or("+Inf".to_owned(), |micros| (*micros as f64 / 1e6).to_string());
            let _ = writeln!(
                text,
                "{name}_bucket{{service=\"{service}\",le=\"{bound}\"}} {total}"
            );
        }
        let seconds = self.micros.load(Ordering::Relaxed) as f64 / 1e6;
        let _ = writeln!(text, "{name}_sum{{service=\"{service}\"}} {seconds}");
        let _ = writeln!(text, "{name}_count{{service=\"{service}\"}} {total}");
    }
}

/// One service's figures. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    service: &'static str,
    /// By the first digit of the status.
    requests: [AtomicU64; 6],
    took: Histogram,
    gauges: Vec<Box<dyn Gauge>>,
}

impl Metrics {
    /// Figures of `service`, with gauges that are read when somebody asks.
    pub fn new(service: &'static str, gauges: Vec<Box<dyn Gauge>>) -> Self {
        Self(Arc::new(Inner {
            service,
            requests: Default::default(),
            took: Histogram::default(),
            gauges,
        }))
    }

    /// Counts a request.
    pub fn request(&self, status: u16, took: Duration) {
        let inner = &self.0;
        inner.requests[usize::from(status / 100).min(5)].fetch_add(1, Ordering::Relaxed);
        inner.took.observe(took);
    }

    /// All figures.
    pub async fn render(&self) -> Response {
        let mut text = String::new();
        let service = self.0.service;
        text.push_str("# HELP http_requests_total Requests answered, by class of status.\n# TYPE http_requests_total counter\n");
        for (class, count) in self.0.requests.iter().enumerate().skip(1) {
            let count = count.load(Ordering::Relaxed);
            let _ = writeln!(
                text,
                "http_requests_total{{service=\"{service}\",status=\"{class}xx\"}} {count}"
            );
        }
        let help = "Time until the head of the answer.";
        self.0
            .took
            .write(&mut text, service, "http_request_seconds", help);
        for gauge in &self.0.gauges {
            for (name, help, value) in gauge.read().await {
                let kind = if name.ends_with("_total") {
                    "counter"
                } else {
                    "gauge"
                };
                let _ = writeln!(
                    text,
                    "# HELP {name} {help}\n# TYPE {name} {kind}\n{name}{{service=\"{service}\"}} {value}"
                );
            }
            for (name, help, histogram) in gauge.histograms() {
                histogram.write(&mut text, service, name, help);
            }
        }
        for (index, (table, count)) in unreadable::counts(service).into_iter().enumerate() {
            if index == 0 {
                text.push_str("# HELP unreadable_rows_total Times that a row could not be read, by table.\n# TYPE unreadable_rows_total counter\n");
            }
            let _ = writeln!(
                text,
                "unreadable_rows_total{{service=\"{service}\",table=\"{table}\"}} {count}"
            );
        }
        (
            [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
            text,
        )
            .into_response()
    }
}

/// How a service's outbox stands.
pub struct OutboxGauge {
    /// The outbox.
    pub store: Arc<dyn crate::outbox::OutboxStore>,
    /// The time.
    pub clock: crate::clock::Clock,
}

#[async_trait]
impl Gauge for OutboxGauge {
    async fn read(&self) -> Vec<(&'static str, &'static str, f64)> {
        let Ok(stats) = self.store.stats(self.clock.now()).await else {
            return Vec::new();
        };
        vec![
            (
                "outbox_pending",
                "Messages not yet delivered.",
                stats.pending as f64,
            ),
            ("outbox_dead", "Messages that were given up.", stats.dead as f64),
            (
                "outbox_oldest_seconds",
                "Age of the oldest undelivered message.",
                stats.oldest_millis as f64 / 1000.0,
            ),
        ]
    }
}
