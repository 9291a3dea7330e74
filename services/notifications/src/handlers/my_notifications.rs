//! `GET /api/notifications`

use axum::{extract::State, http::Uri, response::Response};
use common::{
    extract::{Caller, Params},
    http::{Cursor, Page, page},
    problem::ApiError,
    schemas::PageParams,
    time::utc,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::App,
    domain::message::{Channel, Kind, Status},
    store::Entry,
};

/// A message to the caller.
#[derive(Serialize, ToSchema)]
pub struct Notification {
    /// The message, as in its `Message-ID`.
    #[schema(format = Uuid, example = "019309a2-0000-7000-8000-000000000001")]
    message_id: String,
    /// `ticket` (which is the confirmation too; earlier releases sent a `registration_confirmed` before it),
    /// `reminder_24h`, `reminder_3h`, `event_updated`, `event_cancelled`, `registration_cancelled`, `hold_expired`,
    /// `payment_failed`, `payment_refunded`, `verify_email`, `email_changed`, `password_reset` or `password_changed`.
    #[schema(value_type = Kind, example = "ticket")]
    kind: &'static str,
    /// Which way it goes.
    #[schema(value_type = Channel, example = "email")]
    channel: &'static str,
    /// The event it is about; null: it is about your account.
    #[schema(required = true, format = Uuid, example = "019309a2-0000-7000-8000-000000000002")]
    event_id: Option<String>,
    /// `queued`, `sending`, `sent`; `delivered` or `failed`, where the provider reports it or refuses it for good; `dead` after
    /// all tries; or `skipped` when it was not needed any more.
    #[schema(value_type = Status, example = "sent")]
    status: &'static str,
    /// When it was written.
    #[schema(format = DateTime, example = "2024-11-22T13:14:06.000Z")]
    created_at: String,
    /// When it went out.
    #[schema(required = true, format = DateTime, example = "2024-11-22T13:14:07.000Z")]
    sent_at: Option<String>,
    /// When the provider reported that it has arrived; text messages only.
    #[schema(required = true, format = DateTime, example = json!(null))]
    delivered_at: Option<String>,
    /// What went wrong last; null: nothing, or it was overcome.
    #[schema(required = true, example = json!(null))]
    error: Option<String>,
}

impl From<&Entry> for Notification {
    fn from(entry: &Entry) -> Self {
        Self {
            message_id: entry.id.to_string(),
            kind: entry.kind.name(),
            channel: entry.channel.name(),
            event_id: entry.event_id.map(|id| id.to_string()),
            status: entry.status.name(),
            created_at: utc(entry.created_at),
            sent_at: entry.sent_at.map(utc),
            delivered_at: entry.delivered_at.map(utc),
            error: entry.error.clone(),
        }
    }
}

/// List the messages written to you, newest first.
#[utoipa::path(
    get,
    path = "/api/notifications",
    operation_id = "listNotifications",
    tag = "notifications",
    params(PageParams),
    responses(
        (status = 200, description = "The messages; the next page is in Link", body = Vec<Notification>),
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
