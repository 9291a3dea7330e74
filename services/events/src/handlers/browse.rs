//! `GET /api/events` and `GET /api/events/{id}`: what anybody may see.

use axum::{Json, extract::State, http::Uri, response::Response};
use common::{
    extract::{Params, PathId},
    http::{Page, page},
    ids::EventId,
    problem::{ApiError, Problem},
    time::{Day, EventTime},
};

use super::no_such_event;
use crate::{app::App, domain::words, store::Search, views::EventView};

/// Browse and search events. No login.
#[utoipa::path(
    get,
    path = "/api/events",
    tag = "events",
    params(
        ("q" = Option<String>, Query, description = "Words, in any case and with or without accents; each must begin a word of the name, address or details. At most 32"),
        ("from" = Option<String>, Query, description = "Starting at this time or later; a date is its first instant in the default zone"),
        ("to" = Option<String>, Query, description = "Starting before this time; a date is the whole day, so it is included"),
        ("when" = Option<String>, Query, description = "`upcoming` (soonest first), `past`, or `all` (latest first). Default: `all` with `q`, `from` or `to`, else `upcoming`"),
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
    let time = |text: &str, day| Ok(EventTime::parse_query(text, app.default_timezone, day)?.at);
    let words = params.get("q", words::searched);
    let mut search = Search {
        words: words.clone().unwrap_or_default(),
        from: params.get("from", |text| time(text, Day::Begins)),
        to: params.get("to", |text| time(text, Day::Ends)),
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
    if words.is_some_and(|words| words.is_empty()) {
        // Something was searched for that no event can have.
        return Ok(page::respond::<EventView>(Vec::new(), None, &uri));
    }
    let narrowed = !search.words.is_empty() || search.from.is_some() || search.to.is_some();
    match when
        .as_deref()
        .unwrap_or(if narrowed { "all" } else { "upcoming" })
    {
        "upcoming" => {
            search.from = Some(search.from.map_or(now, |from| from.max(now)));
            search.soonest_first = true;
        }
        "past" => search.to = Some(search.to.map_or(now, |to| to.min(now))),
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
