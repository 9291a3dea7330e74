//! `GET /api/notifications`

use axum::{extract::State, http::Uri, response::Response};
use common::{
    extract::{Caller, Params},
    http::{Cursor, Page, page},
    problem::{ApiError, Problem},
    time::utc,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{app::App, store::Entry};

/// A message to the caller.
#[derive(Serialize, ToSchema)]
pub struct Notification {
    /// The message, as in its `Message-ID`.
    #[schema(example = "019309a2-0000-7000-8000-000000000001")]
    message_id: String,
    /// `ticket` (which is the confirmation too; earlier releases sent a `registration_confirmed` before it),
    /// `reminder_24h`, `reminder_3h`, `event_updated`, `event_cancelled`, `registration_cancelled`, `hold_expired`,
    /// `payment_failed` or `payment_refunded`.
    #[schema(example = "ticket")]
    kind: &'static str,
    /// `email` or `sms`.
    #[schema(example = "email")]
    channel: &'static str,
    /// The event it is about.
    #[schema(example = "019309a2-0000-7000-8000-000000000002")]
    event_id: String,
    /// `queued`, `sending`, `sent`, `failed`, or `dropped` when it was not needed any more.
    #[schema(example = "sent")]
    status: &'static str,
    /// When it was written.
    #[schema(example = "2024-11-22T13:14:06.000Z")]
    created_at: String,
    /// When it went out.
    #[schema(example = "2024-11-22T13:14:07.000Z")]
    sent_at: Option<String>,
}

impl From<&Entry> for Notification {
    fn from(entry: &Entry) -> Self {
        Self {
            message_id: entry.id.to_string(),
            kind: entry.kind.name(),
            channel: entry.channel.name(),
            event_id: entry.event_id.to_string(),
            status: entry.status.name(),
            created_at: utc(entry.created_at),
            sent_at: entry.sent_at.map(utc),
        }
    }
}

/// List the messages written to you, newest first.
#[utoipa::path(
    get,
    path = "/api/notifications",
    tag = "notifications",
    params(
        ("limit" = Option<u32>, Query, description = "1 to 100, default 50"),
        ("cursor" = Option<String>, Query, description = "From the Link header of the page before"),
    ),
    responses(
        (status = 200, description = "The messages; the next page is in Link", body = Vec<Notification>),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "No valid token"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "A parameter is not valid"),
    ),
    security(("bearer" = []))
)]
pub async fn my_notifications(
    State(app): State<App>,
    caller: Caller,
    mut params: Params,
    uri: Uri,
) -> Result<Response, ApiError> {
    let page = Page::read(&mut params);
    params.finish()?;
    let entries = app.parts.store.of_user(caller.id, page).await?;
    let (entries, next) = page.cut(entries, |entry| Cursor {
        key: entry.created_at.timestamp_millis(),
        id: entry.id.0,
    });
    Ok(page::respond(
        entries.iter().map(Notification::from).collect(),
        next,
        &uri,
    ))
}
