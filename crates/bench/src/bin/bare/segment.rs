//! What axum does by itself with a file in memory: sends what was put there.

use std::sync::Arc;

use axum::{Router, body::Bytes, extract::State, http::StatusCode, routing::get};
use parking_lot::RwLock;

type Segment = Arc<RwLock<Bytes>>;

pub fn routes() -> Router {
    Router::new()
        .route("/segment", get(give).post(put))
        .with_state(Segment::default())
}

async fn give(State(segment): State<Segment>) -> Bytes {
    segment.read().clone()
}

async fn put(State(segment): State<Segment>, bytes: Bytes) -> StatusCode {
    *segment.write() = bytes;
    StatusCode::CREATED
}
