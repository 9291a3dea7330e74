//! The live room of an events service, for the tests.

use std::sync::Arc;

use axum::{Json, Router, extract::State, routing::post};
use common::{
    http::{Pipeline, Upstream},
    metrics::Metrics,
    outbox::Receipt,
    wire::{OwnPublication, service},
};
use parking_lot::Mutex;

/// What was published.
#[derive(Clone, Default)]
pub struct LiveRoom(Arc<Mutex<Vec<OwnPublication>>>);

impl LiveRoom {
    /// All of it so far.
    pub fn published(&self) -> Vec<OwnPublication> {
        self.0.lock().drain(..).collect()
    }

    pub fn upstream(&self) -> Upstream {
        let (upstream, slot) = Upstream::local();
        let take = async |State(room): State<Self>, Json(publications): Json<Vec<OwnPublication>>| {
            let receipts: Vec<_> = publications.iter().map(|one| Receipt::accepted(one.id)).collect();
            room.0.lock().extend(publications);
            Json(receipts)
        };
        let router = Router::new()
            .route(runtime::live::PATH, post(take))
            .with_state(self.clone());
        let pipeline = Pipeline::new(service::EVENTS, router, Metrics::new(service::EVENTS, Vec::new()));
        assert!(slot.set(pipeline).is_ok());
        upstream
    }
}
