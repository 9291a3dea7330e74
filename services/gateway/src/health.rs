//! How the system is: the gateway's own readiness is that of the services behind it.

use std::{collections::BTreeMap, time::Duration};

use axum::{body::Body, extract::Request, response::Response};
use common::{
    health::{HealthReport, HealthStatus, answer},
    http::Upstream,
    services::Service,
    wire::service,
};
use futures_util::future::join_all;
use runtime::peers::Peers;
use tokio_util::sync::CancellationToken;

/// How long a service may take to report its health.
const PATIENCE: Duration = Duration::from_secs(2);

/// The services behind the gateway. Cheap to clone.
#[derive(Clone)]
pub struct Services {
    peers: Peers,
    stop: CancellationToken,
}

impl Services {
    pub fn new(peers: Peers, stop: CancellationToken) -> Self {
        Self { peers, stop }
    }

    /// 200 when all can be used, else 503.
    pub async fn ready(&self) -> Response {
        answer(self.report().await)
    }

    /// Each part, for people and dashboards: 200 while any of them can be used, because then the gateway is of use.
    pub async fn overview(&self) -> Response {
        let mut report = self.report().await;
        let of_use = report.checks.values().any(|status| *status != HealthStatus::Down);
        if report.status == HealthStatus::Down && of_use && !self.stop.is_cancelled() {
            report.status = HealthStatus::Degraded;
        }
        answer(report)
    }

    async fn report(&self) -> HealthReport {
        let services = Service::ALL.map(|service| (service.name(), self.peers.of(service)));
        let pool = self.peers.live_pool().map(|pool| ("live", pool));
        let asked = services
            .into_iter()
            .chain(pool)
            .map(|(name, upstream)| async move {
                let status = tokio::time::timeout(PATIENCE, ask(upstream))
                    .await
                    .unwrap_or(HealthStatus::Down);
                (name.to_owned(), status)
            });
        let checks: BTreeMap<String, HealthStatus> = join_all(asked).await.into_iter().collect();
        let worst = checks.values().copied().max().unwrap_or(HealthStatus::Up);
        let status = if self.stop.is_cancelled() {
            HealthStatus::Down
        } else {
            worst
        };
        HealthReport {
            status,
            service: service::GATEWAY.to_owned(),
            checks,
        }
    }
}

async fn ask(upstream: &Upstream) -> HealthStatus {
    let Ok(request) = Request::builder().uri("/health/ready").body(Body::empty()) else {
        return HealthStatus::Down;
    };
    match upstream.call(request).await {
        Ok(response) if response.status().is_success() => {
            let body = axum::body::to_bytes(response.into_body(), 64 * 1024)
                .await
                .unwrap_or_default();
            serde_json::from_slice::<HealthReport>(&body).map_or(HealthStatus::Down, |report| report.status)
        }
        _ => HealthStatus::Down,
    }
}
