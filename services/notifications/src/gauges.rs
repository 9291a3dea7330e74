//! Figures for Prometheus.

use std::sync::Arc;

use async_trait::async_trait;
use common::metrics::{Gauge, Histogram};

use crate::app::Parts;

/// How messages and reminders stand.
pub struct Queues(pub Arc<Parts>);

#[async_trait]
impl Gauge for Queues {
    async fn read(&self) -> Vec<(&'static str, &'static str, f64)> {
        let Ok(stats) = self.0.store.stats(self.0.clock.now()).await else {
            return Vec::new();
        };
        vec![
            (
                "messages_queued",
                "Messages waiting or being sent.",
                stats.queued as f64,
            ),
            (
                "messages_failed",
                "Messages refused for good by a provider, or reported as not delivered.",
                stats.failed as f64,
            ),
            ("messages_dead", "Messages given up.", stats.dead as f64),
            (
                "messages_overdue_seconds",
                "How long the most overdue message has been waiting for its turn.",
                stats.overdue_millis as f64 / 1000.0,
            ),
            (
                "reminders_pending",
                "Reminders to come.",
                stats.reminders_pending as f64,
            ),
        ]
    }

    fn histograms(&self) -> Vec<(&'static str, &'static str, &Histogram)> {
        vec![(
            "message_lag_seconds",
            "From the moment a message is stored to its first try.",
            &self.0.lag,
        )]
    }
}
