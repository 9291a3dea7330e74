//! The other services, as an account's end and export ask them.

use std::sync::atomic::{AtomicUsize, Ordering};

use axum::{Json, Router, extract::State, routing::post};
use common::metrics::Metrics;
use runtime::peers::Peers;

use super::*;

/// What they answer.
#[derive(Clone, Default)]
pub struct Others {
    /// Events of anybody that people can still come to.
    pub open: Arc<AtomicUsize>,
    /// Whether they are away.
    pub away: Arc<std::sync::atomic::AtomicBool>,
}

impl Others {
    /// A way to each.
    pub fn peers(&self) -> Peers {
        let router = Router::new()
            .route("/internal/events/open", post(open))
            .route("/internal/export", post(export))
            .with_state(self.clone());
        let pipeline = Pipeline::new("others", router, Metrics::new("others", Vec::new()));
        Peers::new([(); 4].map(|()| {
            let (upstream, slot) = Upstream::local();
            let _ = slot.set(pipeline.clone());
            upstream
        }))
    }

    fn answer(&self, answer: Value) -> Result<Json<Value>, StatusCode> {
        if self.away.load(Ordering::Relaxed) {
            return Err(StatusCode::SERVICE_UNAVAILABLE);
        }
        Ok(Json(answer))
    }
}

async fn open(State(others): State<Others>) -> Result<Json<Value>, StatusCode> {
    others.answer(json!({"open": others.open.load(Ordering::Relaxed)}))
}

/// Each section has two pages of one item.
async fn export(
    State(others): State<Others>,
    Json(question): Json<Value>,
) -> Result<Json<Value>, StatusCode> {
    let is_first = question["after"].is_null();
    let item = json!({"of": question["section"], "first": is_first, "at": "2026-11-22T00:00:00Z"});
    others.answer(json!({"items": [item], "next": is_first.then_some("more")}))
}
