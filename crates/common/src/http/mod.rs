//! HTTP as every part speaks it: the pipeline of a service, the listener, the client between services, and lists in
//! pages.

pub mod client;
pub mod document;
pub mod page;
pub mod pipeline;
mod quota;
pub mod serve;
mod socket;

pub use client::{CallError, InternalClient, Upstream};
pub use page::{Cursor, Page};
pub use pipeline::Pipeline;

use axum::{Json, Router, routing::get};
use utoipa::openapi::OpenApi;

/// `/openapi.json`: the document of one service's public calls. The gateway merges them.
pub fn document(document: OpenApi) -> Router {
    let document = std::sync::Arc::new(document::finish(&document));
    Router::new().route(
        "/openapi.json",
        get(move || async move { Json(document.as_ref().clone()) }),
    )
}
