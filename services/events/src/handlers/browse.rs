//! `GET /api/events` and `GET /api/events/{id}`: what anybody may see.

use axum::{Json, extract::State, http::Uri, response::Response};
use common::{
    extract::{Params, PathId},
    http::{Page, page},
    ids::EventId,
    problem::{ApiError, Problem},
    time::EventTime,
};

use super::no_such_event;
use crate::{app::App, domain::words, store::Search, views::EventView};

/// Browse and search events. No login.
#[utoipa::path(
    get,
    path = "/api/events",
    tag = "events",
    params(
        ("q" = Option<String>, Query, description = "Words; each must begin a word of the name, address or details"),
        ("from" = Option<String>, Query, description = "Starting at this time or later"),
        ("to" = Option<String>, Query, description = "Starting before this time"),
        ("when" = Option<String>, Query, description = "`upcoming` (soonest first), `past`, or `all` (default; latest first)"),
        ("price" = Option<String>, Query, description = "`free` or `paid`"),
        ("limit" = Option<u32>, Query, description = "1 to 100, default 50"),
        ("cursor" = Option<String>, Query, description = "From the Link header of the page before"),
    ),
    responses(
        (status = 200, description = "The events; the next page is in Link", body = Vec<EventView>),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "A parameter is wrong"),
    )
)]
pub async fn browse(State(app): State<App>, mut params: Params, uri: Uri) -> Result<Response, ApiError> {
    let page = Page::read(&mut params);
    let now = app.clock.now();
    let time = |text: &str| Ok(EventTime::parse(text, app.default_timezone)?.at);
    let mut search = Search {
        words: params
            .get("q", |text| Ok(words::searched(text)))
            .unwrap_or_default(),
        from: params.get("from", time),
        to: params.get("to", time),
        soonest_first: false,
        free: params.get("price", |text| match text {
            "free" => Ok(true),
            "paid" => Ok(false),
            _ => Err("must be free or paid".to_owned()),
        }),
    };
    let when = params.get("when", |text| match text {
        "upcoming" | "past" | "all" => Ok(text.to_owned()),
        _ => Err("must be upcoming, past or all".to_owned()),
    });
    params.finish()?;
    match when.as_deref() {
        Some("upcoming") => {
            search.from = Some(search.from.map_or(now, |from| from.max(now)));
            search.soonest_first = true;
        }
        Some("past") => search.to = Some(search.to.map_or(now, |to| to.min(now))),
        _ => {}
    }
    let found = app.store.search_events(search, page).await?;
    Ok(page::respond(
        found.events.iter().map(EventView::from).collect(),
        found.next,
        &uri,
    ))
}

/// One event, cancelled ones included. No login.
#[utoipa::path(
    get,
    path = "/api/events/{id}",
    tag = "events",
    params(("id" = String, Path, description = "The event's id")),
    responses(
        (status = 200, description = "The event", body = EventView),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such event"),
    )
)]
pub async fn event(State(app): State<App>, PathId(id): PathId) -> Result<Json<EventView>, ApiError> {
    let event = app
        .store
        .event(EventId::lenient(&id))
        .await?
        .ok_or_else(no_such_event)?;
    Ok(Json(EventView::from(&event)))
}
