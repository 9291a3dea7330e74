//! `GET /api/events` and `GET /api/events/{id}`: public, without login.

use axum::{
    Json,
    extract::{FromRequestParts, State},
    http::{Uri, request::Parts},
    response::Response,
};
use common::{
    extract::{Caller, Params, PathId},
    http::{Page, page},
    ids::EventId,
    problem::ApiError,
    schemas::{PageParams, TimeOrDay, choice},
    time::{Day, EventTime},
};
use utoipa::{IntoParams, openapi::Object};

use super::{listing::one_of, no_such_event, rights::rank_of};
use crate::{
    app::App,
    domain::{
        listing::{Category, Tag},
        search_terms,
        team::Rank,
    },
    store::Search,
    views::EventView,
};

/// The query parameters.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "the document's view of Search")]
pub struct BrowseParams {
    /// Words, in any case and with or without accents; each must be a prefix of a word of the name, address, details,
    /// category or tags. At most 32.
    #[param(example = "rust")]
    q: Option<String>,
    /// Starting at this time or later; a date is its first instant in the default zone.
    #[param(value_type = Option<TimeOrDay>, inline, example = "2030-01-01")]
    from: Option<String>,
    /// Starting before this time; a date is the whole day, so it is included.
    #[param(value_type = Option<TimeOrDay>, inline, example = "2030-12-31")]
    to: Option<String>,
    /// `upcoming` (soonest first), `past`, or `all` (latest first). Default: `all` with `q`, `from` or `to`, otherwise
    /// `upcoming`.
    #[param(schema_with = when, required = false)]
    when: Option<String>,
    /// `free` or `paid`.
    #[param(schema_with = price, required = false)]
    price: Option<String>,
    /// Events of this category.
    #[param(schema_with = category, required = false)]
    category: Option<String>,
    /// Events with this tag, in any case and with or without accents.
    #[param(example = "rust", max_length = 30, format = "tag")]
    tag: Option<String>,
}

fn when() -> Object {
    choice(&["upcoming", "past", "all"])
}

fn category() -> Object {
    choice(&Category::ALL.map(Category::name))
}

fn price() -> Object {
    choice(&["free", "paid"])
}

common::problems!(BrowseProblems: ApiError::invalid_field("from", "must be a time or a date"));

/// Browse and search events. No login.
#[utoipa::path(
    get,
    path = "/api/events",
    operation_id = "listEvents",
    tag = "events",
    params(BrowseParams, PageParams),
    responses(
        (status = 200, description = "The events; the next page is in Link", body = Vec<EventView>),
        BrowseProblems,
    )
)]
pub async fn browse(State(app): State<App>, mut params: Params, uri: Uri) -> Result<Response, ApiError> {
    let page = Page::read(&mut params);
    let now = app.clock.now();
    let time = |text: &str, day| Ok(EventTime::parse_query(text, app.default_timezone, day)?.at);
    let words = params.get("q", search_terms::searched);
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
        category: params.get("category", |name| {
            Category::parse(name).ok_or_else(|| one_of(&Category::ALL.map(Category::name)))
        }),
        tag: params.get("tag", |text| Ok(Tag::new(text)?)),
    };
    let when = params.get("when", |text| match text {
        "upcoming" | "past" | "all" => Ok(text.to_owned()),
        _ => Err("must be upcoming, past or all".to_owned()),
    });
    params.finish()?;
    if words.is_some_and(|words| words.is_empty()) {
        // The search has text but no words, so no event can match.
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

common::problems!(EventProblems: no_such_event());

/// One event, also when cancelled or unlisted. No login; a draft only with the token of its organizer, or of somebody on its team.
#[utoipa::path(
    get,
    path = "/api/events/{id}",
    operation_id = "getEvent",
    tag = "events",
    params(("id" = String, Path, description = "The event's id", example = "019309a2-0000-7000-8000-000000000002")),
    responses(
        (status = 200, description = "The event", body = EventView),
        EventProblems,
    )
)]
pub async fn event(
    State(app): State<App>,
    PathId(id): PathId,
    mut parts: Parts,
) -> Result<Json<EventView>, ApiError> {
    let event = app
        .store
        .event(EventId::lenient(&id))
        .await?
        .ok_or_else(no_such_event)?;
    // Who asks matters for a draft only. Of that nobody else hears, so what is wrong with a token is not said either.
    if event.draft {
        let rank = match Caller::from_request_parts(&mut parts, &app).await {
            Ok(caller) => rank_of(&app, &event, caller.id).await?,
            Err(_) => Rank::Stranger,
        };
        if !event.is_seen_by(rank) {
            return Err(no_such_event());
        }
    }
    Ok(Json(EventView::from(&event)))
}
