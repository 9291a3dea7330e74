//! `GET /api/organiser/events`

use axum::{
    body::Body,
    extract::State,
    http::{HeaderValue, Uri, header},
    response::Response,
};
use common::{
    documented::NO_EVENTS,
    extract::{Organizer, Params, organizer_only},
    http::{Page, page},
    problem::ApiError,
    schemas::PageParams,
};

use crate::{
    app::App,
    page_cache::Rendered,
    store::{EventPage, Own},
    views::OwnEventView,
};

fn no_events() -> ApiError {
    ApiError::not_found("no_events", "You have not created any events yet.").message(NO_EVENTS)
}

common::problems!(Problems: organizer_only(), no_events());

/// List your own events, newest first.
#[utoipa::path(
    get,
    path = "/api/organiser/events",
    operation_id = "listOwnEvents",
    tag = "organiser",
    params(PageParams),
    responses(
        (status = 200, description = "The events; the next page is in Link", body = Vec<OwnEventView>),
        Problems,
    ),
    security(("bearer" = []))
)]
pub async fn organiser_events(
    State(app): State<App>,
    Organizer(caller): Organizer,
    mut params: Params,
    uri: Uri,
) -> Result<Response, ApiError> {
    let page = Page::read(&mut params);
    params.finish()?;
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

fn render(page: &EventPage) -> Rendered {
    let events: Vec<OwnEventView> = page.events.iter().map(OwnEventView::from).collect();
    Rendered {
        // Structs of strings and numbers, serialized to memory: this cannot fail.
        body: serde_json::to_vec(&events).unwrap_or_default().into(),
        next: page.next,
    }
}
