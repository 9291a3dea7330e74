//! `GET /api/organiser/events`

use axum::{
    body::Body,
    extract::State,
    http::{HeaderValue, Uri, header},
    response::Response,
};
use common::{
    auth::Role,
    documented::NO_EVENTS,
    extract::{Caller, Params, organizer_only},
    http::{Page, page},
    problem::ApiError,
    schemas::{PageParams, choice},
    wire::TeamRole,
};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema, openapi::Object};

use crate::{
    app::App,
    page_cache::Rendered,
    store::{EventPage, Own},
    views::OwnEventView,
};

/// The query parameters.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "the document's view of the parameter")]
pub struct TeamParam {
    /// `true`: not your own events, but those on whose team you are, whoever you are.
    #[param(schema_with = yes_or_no, required = false)]
    team: Option<String>,
}

fn yes_or_no() -> Object {
    choice(&["true", "false"])
}

/// An event as those see it who run it.
#[derive(Serialize, ToSchema)]
pub struct ListedEventView {
    /// The event.
    #[serde(flatten)]
    event: OwnEventView,
    /// What you are on its team; left out: it is your own.
    #[schema(example = "manager")]
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<TeamRole>,
}

fn no_events() -> ApiError {
    ApiError::not_found("no_events", "You have not created any events yet.").message(NO_EVENTS)
}

common::problems!(Problems: organizer_only(), no_events());

/// List your own events, newest first; with `team=true` those of others on whose team you are.
#[utoipa::path(
    get,
    path = "/api/organiser/events",
    operation_id = "listOwnEvents",
    tag = "organiser",
    params(TeamParam, PageParams),
    responses(
        (status = 200, description = "The events; the next page is in Link", body = Vec<ListedEventView>),
        Problems,
    ),
    security(("bearer" = []))
)]
pub async fn organiser_events(
    State(app): State<App>,
    caller: Caller,
    mut params: Params,
    uri: Uri,
) -> Result<Response, ApiError> {
    let page = Page::read(&mut params);
    let team = params.get("team", |text| match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("must be true or false".to_owned()),
    });
    params.finish()?;
    if team == Some(true) {
        return of_teams(&app, &caller, page, &uri).await;
    }
    if caller.role != Role::Organizer {
        return Err(organizer_only());
    }
    let changes = app.store.changes();
    let known = changes.and_then(|changes| app.pages.get(caller.id, page, changes));
    let Rendered { body, next } = match known {
        Some(known) => known,
        None => {
            let found = app.store.organizer_events(caller.id, Own::Kept, page).await?;
            if found.events.is_empty() && page.is_first() {
                return Err(no_events());
            }
            let rendered = render(&found);
            if let Some(changes) = changes {
                app.pages.put(caller.id, page, changes, rendered.clone());
            }
            rendered
        }
    };
    let mut response = Response::new(Body::from(body));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(link) = next.and_then(|next| page::link(next, &uri)) {
        response.headers_mut().insert(header::LINK, link);
    }
    Ok(response)
}

/// The events on whose team somebody is; there may be none.
async fn of_teams(app: &App, caller: &Caller, page: Page, uri: &Uri) -> Result<Response, ApiError> {
    let (found, next) = app.store.teams_of(caller.id, page).await?;
    let found = found.iter().map(|(event, member)| ListedEventView {
        event: OwnEventView::from(event),
        role: Some(member.role),
    });
    Ok(page::respond(found.collect(), next, uri))
}

fn render(page: &EventPage) -> Rendered {
    let events: Vec<OwnEventView> = page.events.iter().map(OwnEventView::from).collect();
    Rendered {
        // Structs of strings and numbers, serialized to memory: this cannot fail.
        body: serde_json::to_vec(&events).unwrap_or_default().into(),
        next: page.next,
    }
}
