//! `POST, DELETE /api/reg/calendar` and `GET /api/reg/calendar/{token}.ics`

use axum::{
    Json,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use calendar::{Entry, Method};
use common::{
    clock::Timestamp,
    extract::{Caller, PathId},
    http::{Page, pipeline::private},
    ids::UserId,
    problem::ApiError,
};
use rand::{TryRng, rngs::SysRng};
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::{
    app::App,
    domain::registration::State as Registration,
    store::{Own, StatusFilter, calendars::TokenHash},
};

/// Entries of each kind: registrations, and events of one's own. The newest ones, in a life of events.
const MOST: usize = 1_000;
/// Rows that are read at once.
const AT_ONCE: usize = 100;

/// A calendar to subscribe to.
#[derive(Serialize, ToSchema)]
pub struct CalendarAnswer {
    /// What happened.
    #[schema(example = "Calendar created.")]
    message: &'static str,
    /// Where programs read it. Whoever has the address sees the calendar: it is shown once, and a new one ends it.
    #[schema(example = "https://events.example.org/api/reg/calendar/7Qp0mX3vB1nA0Zr5tYuIgLk2sD4fG6hJ.ics")]
    url: String,
}

/// A calendar that is gone.
#[derive(Serialize, ToSchema)]
pub struct CalendarGone {
    /// What happened.
    #[schema(example = "Calendar removed.")]
    message: &'static str,
}

common::problems!(Problems: no_calendar());

/// 404 for a calendar that there is not, or no more.
pub fn no_calendar() -> ApiError {
    ApiError::not_found("calendar_not_found", "There is no such calendar.")
}

fn hash(token: &str) -> TokenHash {
    Sha256::digest(token.as_bytes()).into()
}

/// Make a calendar to subscribe to, of your registrations and your own events. Its address is secret; an earlier one ends.
#[utoipa::path(
    post,
    path = "/api/reg/calendar",
    operation_id = "createCalendar",
    tag = "registrations",
    responses((status = 201, description = "Where it is", body = CalendarAnswer)),
    security(("bearer" = []))
)]
pub async fn create_calendar(State(app): State<App>, caller: Caller) -> Result<Response, ApiError> {
    let mut secret = [0_u8; 24];
    SysRng.try_fill_bytes(&mut secret).map_err(ApiError::internal)?;
    let token = BASE64_URL_SAFE_NO_PAD.encode(secret);
    app.store
        .set_calendar(caller.id, hash(&token), app.clock.now())
        .await?;
    tracing::info!(user_id = %caller.id, "calendar created");
    let body = CalendarAnswer {
        message: "Calendar created.",
        url: format!("{}/api/reg/calendar/{token}.ics", app.public_url),
    };
    Ok(private((StatusCode::CREATED, Json(body)).into_response()))
}

/// Remove your calendar: its address is worth nothing any more.
#[utoipa::path(
    delete,
    path = "/api/reg/calendar",
    operation_id = "removeCalendar",
    tag = "registrations",
    responses(
        (status = 200, description = "It is gone", body = CalendarGone),
        Problems,
    ),
    security(("bearer" = []))
)]
pub async fn remove_calendar(State(app): State<App>, caller: Caller) -> Result<Json<CalendarGone>, ApiError> {
    if !app.store.drop_calendar(caller.id).await? {
        return Err(no_calendar());
    }
    tracing::info!(user_id = %caller.id, "calendar removed");
    Ok(Json(CalendarGone {
        message: "Calendar removed.",
    }))
}

/// A calendar, as programs read it: what its owner is registered for, and their own events.
#[utoipa::path(
    get,
    path = "/api/reg/calendar/{file}",
    operation_id = "readCalendar",
    tag = "registrations",
    params((
        "file" = String,
        Path,
        description = "The calendar's token and `.ics`",
        example = "7Qp0mX3vB1nA0Zr5tYuIgLk2sD4fG6hJ.ics"
    )),
    responses(
        (status = 200, description = "An iCalendar file", body = String, content_type = "text/calendar"),
        Problems,
    )
)]
pub async fn read_calendar(State(app): State<App>, PathId(file): PathId) -> Result<Response, ApiError> {
    let token = file.strip_suffix(".ics").ok_or_else(no_calendar)?;
    let user = app.store.calendar(hash(token)).await?.ok_or_else(no_calendar)?;
    let now = app.clock.now();
    let mut entries = registrations(&app, user, now).await?;
    entries.extend(own_events(&app, user, now).await?);
    let body = calendar::write(Method::Publish, Some("Organise Event"), &entries);
    let mut response = private(body.into_response());
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(calendar::CONTENT_TYPE),
    );
    Ok(response)
}

/// What the user is in for.
async fn registrations(app: &App, user: UserId, now: Timestamp) -> Result<Vec<Entry>, ApiError> {
    let (mut entries, mut page) = (Vec::new(), first());
    while entries.len() < MOST {
        let confirmed = StatusFilter::Only(Registration::Confirmed.name());
        let (found, next) = app.store.registrations(user, confirmed, page, now).await?;
        entries.extend(found.iter().map(|found| {
            let facts = found.event.facts();
            let code = found.ticket.as_ref().map(|ticket| ticket.code.as_str());
            Entry::of(&facts, found.registration.id, code, app.tickets.join(&facts), now)
        }));
        match next {
            None => break,
            next => page.after = next,
        }
    }
    Ok(entries)
}

/// The user's own events, drafts left out.
async fn own_events(app: &App, user: UserId, now: Timestamp) -> Result<Vec<Entry>, ApiError> {
    let (mut entries, mut page) = (Vec::new(), first());
    while entries.len() < MOST {
        let found = app.store.organizer_events(user, Own::Kept, page).await?;
        entries.extend(found.events.iter().filter(|event| !event.draft).map(|event| {
            let facts = event.facts();
            Entry {
                url: app.tickets.join(&facts),
                ..Entry::of_event(&facts, now)
            }
        }));
        match found.next {
            None => break,
            next => page.after = next,
        }
    }
    Ok(entries)
}

fn first() -> Page {
    Page {
        limit: AT_ONCE,
        after: None,
    }
}
