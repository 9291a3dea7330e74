//! `GET /api/live/sse`

use axum::{extract::State, http::request::Parts, response::Response};
use common::{
    extract::{missing_token, scope_missing},
    problem::ApiError,
};

use crate::{
    app::App,
    live::{
        sse::{self, crowded, unknown_channel},
        who::{origin_refused, ticket_refused},
    },
};

common::problems!(
    Problems:
    ApiError::invalid_field("ch", "is required: the channels to read"),
    unknown_channel(),
    missing_token(),
    ticket_refused(),
    scope_missing(),
    origin_refused(),
    crowded(),
);

/// Streams what channels publish, as server-sent events: `event` is the type, `data` the push, and `id` where the reader is.
/// Browsers that reconnect send that as `Last-Event-ID`, and get what they missed, or `event: reset` when that is not to be had any
/// more. docs/live.md has the rest.
#[utoipa::path(
    get,
    path = "/api/live/sse",
    operation_id = "liveEvents",
    tag = "live",
    params(
        ("ch" = Vec<String>, Query, min_items = 1, max_items = 128, description = "The channels: `event:{id}`, `me`.", example = json!(["event:019309a2-0000-7000-8000-000000000002"])),
        ("ticket" = Option<String>, Query, description = "A ticket of `POST /api/live/ticket`."),
        ("last_event_id" = Option<String>, Query, description = "As the header `Last-Event-ID`, for clients that reconnect with a new ticket."),
    ),
    responses(
        (status = 200, description = "The events", body = String, content_type = "text/event-stream"),
        Problems,
    ),
)]
pub async fn live_events(State(app): State<App>, parts: Parts) -> Result<Response, ApiError> {
    sse::open(app.live, parts).await
}
