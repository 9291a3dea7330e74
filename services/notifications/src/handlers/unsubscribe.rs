//! `GET` and `POST /api/notifications/unsubscribe`: the link in e-mails, for people and, by RFC 8058, for mail programs.

use axum::{extract::State, http::Uri, response::Response};
use common::{ids::UserId, problem::ApiError};
use minijinja::context;
use url::form_urlencoded;

use crate::{app::App, store::PreferencesChange};

fn no_such_link() -> ApiError {
    ApiError::not_found(
        "unsubscribe_link_invalid",
        "This link is not whole. Please copy all of it, or sign in and choose there.",
    )
}

common::problems!(Problems: no_such_link());

/// The page that a link in an e-mail leads to. Opening it changes nothing: mail programs open links by themselves.
#[utoipa::path(
    get,
    path = "/api/notifications/unsubscribe",
    operation_id = "askUnsubscribe",
    tag = "notifications",
    params(("t" = String, Query, description = "The token in the link", example = "AZMJogAAcACAAAAAAAAAAQ")),
    responses(
        (status = 200, description = "A page with one button", content_type = "text/html", body = String),
        Problems,
    )
)]
pub async fn ask(State(app): State<App>, uri: Uri) -> Result<Response, ApiError> {
    let (_, kind) = link(&app, &uri)?;
    page(&app, kind, false)
}

/// End a kind of e-mail, without signing in.
#[utoipa::path(
    post,
    path = "/api/notifications/unsubscribe",
    operation_id = "unsubscribe",
    tag = "notifications",
    params(("t" = String, Query, description = "The token in the link", example = "AZMJogAAcACAAAAAAAAAAQ")),
    responses(
        (status = 200, description = "A page that says so", content_type = "text/html", body = String),
        Problems,
    )
)]
pub async fn unsubscribe(State(app): State<App>, uri: Uri) -> Result<Response, ApiError> {
    let (user, kind) = link(&app, &uri)?;
    let now = app.parts.clock.now();
    let change = PreferencesChange::Unsubscribe(kind);
    app.parts.store.set_preferences(user, change, now).await?;
    tracing::info!(user_id = %user, kind, "unsubscribed by the link in an e-mail");
    page(&app, kind, true)
}

/// Whose link it is. What mail programs add to it does no harm.
fn link(app: &App, uri: &Uri) -> Result<(UserId, &'static str), ApiError> {
    let query = uri.query().unwrap_or_default();
    let token = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "t");
    token
        .and_then(|(_, token)| app.unsubscribing.read(&token))
        .ok_or_else(no_such_link)
}

fn page(app: &App, kind: &str, done: bool) -> Result<Response, ApiError> {
    let what = match kind {
        "announcement" => "announcements of organizers",
        "event_updated" => "news of changed events",
        "hold_expired" => "news of expired holds",
        "waitlist_offer" => "offers to people on waitlists",
        "payment_failed" => "news of failed payments",
        _ => "reminders",
    };
    app.pages.show("unsubscribe.html", context! {what, done})
}
