//! Health: is the process alive, and can it do its work?

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use axum::{
    Json, Router,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::{metrics::Metrics, problem::ApiError};

/// How long a dependency may take to answer before it counts as down.
const PATIENCE: Duration = Duration::from_secs(2);

/// How one part is doing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    /// Works.
    Up,
    /// Works, with less than it should have.
    Degraded,
    /// Does not work.
    Down,
}

/// Something a service cannot do without.
#[async_trait]
pub trait Check: Send + Sync {
    /// Its name in the report.
    fn name(&self) -> &'static str;
    /// Tests it for real.
    async fn check(&self) -> HealthStatus;
}

/// The report of `/health/ready`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HealthReport {
    /// The worst of the parts.
    pub status: HealthStatus,
    /// The reporting service.
    pub service: String,
    /// Each dependency.
    pub checks: BTreeMap<String, HealthStatus>,
}

/// What the health routes need.
#[derive(Clone)]
pub struct Health {
    service: &'static str,
    checks: Arc<Vec<Box<dyn Check>>>,
    stop: CancellationToken,
}

impl Health {
    /// Readiness of `service`: all checks pass and it is not stopping.
    pub fn new(service: &'static str, checks: Vec<Box<dyn Check>>, stop: CancellationToken) -> Self {
        Self {
            service,
            checks: Arc::new(checks),
            stop,
        }
    }

    /// Runs every check.
    pub async fn report(&self) -> HealthReport {
        let run = self.checks.iter().map(|check| async move {
            let status = tokio::time::timeout(PATIENCE, check.check())
                .await
                .unwrap_or(HealthStatus::Down);
            (check.name().to_owned(), status)
        });
        let checks: BTreeMap<String, HealthStatus> =
            futures_util::future::join_all(run).await.into_iter().collect();
        let mut status = checks.values().copied().max().unwrap_or(HealthStatus::Up);
        if self.stop.is_cancelled() {
            status = HealthStatus::Down;
        }
        HealthReport {
            status,
            service: self.service.to_owned(),
            checks,
        }
    }
}

/// `/health/live`, `/health/ready`, and `/metrics`.
pub fn routes(health: Health, metrics: Metrics) -> Router {
    Router::new()
        // Alive means that requests are answered. A dependency that is away is no reason to be restarted.
        .route(
            "/health/live",
            get(|| async { Json(serde_json::json!({"status": "up"})) }),
        )
        .route("/health/ready", get(move || ready(health)))
        .route("/metrics", get(move || async move { metrics.render().await }))
}

async fn ready(health: Health) -> Response {
    answer(health.report().await)
}

/// A report as an answer: 200 while requests can be served, else 503 in the one error shape with the checks beside.
pub fn answer(report: HealthReport) -> Response {
    if report.status != HealthStatus::Down {
        return Json(report).into_response();
    }
    ApiError::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "not_ready",
        "Not ready to serve requests.",
    )
    .with("service", report.service)
    .with("checks", report.checks)
    .retry_after(1)
    .into_response()
}
