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
    store::{Listed, Only},
    templates::Writer,
};

/// A message to the caller.
#[derive(Serialize, ToSchema)]
pub struct Notification {
    /// The message, as in its `Message-ID`.
    #[schema(format = Uuid, example = "019309a2-0000-7000-8000-000000000001")]
    message_id: String,
    /// `ticket` (which is the confirmation too; earlier releases sent a `registration_confirmed` before it),
    /// `reminder_24h` and the like, `event_updated`, `announcement`, `event_cancelled`, `registration_cancelled`, `hold_expired`,
    /// `waitlist_offer`, `payment_failed`, `payment_refunded`, `verify_email`, `email_changed`, `password_reset`, `password_changed` or `team_invitation`.
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
    /// When you marked it as read; null: not yet.
    #[schema(required = true, format = DateTime, example = json!(null))]
    read_at: Option<String>,
    /// The subject; null: a text message.
    #[schema(required = true, example = "Your ticket: Rust for organisers")]
    subject: Option<String>,
    /// What it says, without what is only for the eyes of who reads the mail: null where it brings a link or code for your account.
    #[schema(required = true, example = "Hello Ravi, ...")]
    text: Option<String>,
}

impl Notification {
    /// A message as its reader sees it.
    pub fn new(writer: &Writer, listed: &Listed) -> Self {
        let Listed { entry, message } = listed;
        // One that cannot be rendered is dead, or will be; the list shows it all the same.
        let plain = message.as_ref().and_then(|message| writer.plain(message).ok());
        let (subject, text) = plain.map_or((None, None), |(subject, text)| (subject, Some(text)));
        // A session that was stolen must not give what takes over the account.
        let is_secret = message
            .as_ref()
            .is_some_and(|message| message.details.token.is_some());
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
            read_at: entry.read_at.map(utc),
            subject,
            text: text.filter(|_| !is_secret),
        }
    }
}

/// List the messages written to you, newest first.
#[utoipa::path(
    get,
    path = "/api/notifications",
    operation_id = "listNotifications",
    tag = "notifications",
    params(
        PageParams,
        ("unread" = Option<bool>, Query, description = "`true`: only those that you have not marked as read", example = true),
    ),
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
    let unread = params.get("unread", |text| match text {
        "true" => Ok(Only::Unread),
        "false" => Ok(Only::All),
        _ => Err("must be true or false".to_owned()),
    });
    let only = unread.unwrap_or(Only::All);
    params.finish()?;
    let listed = app.parts.store.of_user(caller.id, only, page).await?;
    let (listed, next) = page.cut(listed, |entry| Cursor {
        key: entry.created_at.timestamp_millis(),
        id: entry.id.0,
    });
    Ok(page::respond(
        listed
            .iter()
            .map(|listed| Notification::new(&app.parts.writer, listed))
            .collect(),
        next,
        &uri,
    ))
}
