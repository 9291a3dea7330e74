//! `GET /api/organiser/events`

use axum::{
    body::Body,
    extract::State,
    http::{HeaderValue, Uri, header},
    response::Response,
};
use bytes::Bytes;
use common::{
    documented::NO_EVENTS,
    extract::{Organizer, Params, organizer_only},
    http::{Page, page},
    problem::ApiError,
    schemas::PageParams,
};

use crate::{app::App, store::EventPage, views::EventView};

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
        (status = 200, description = "The events; the next page is in Link", body = Vec<EventView>),
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
    let found = app.store.organizer_events(caller.id, page).await?;
    if found.events.is_empty() && page.is_first() {
        return Err(no_events());
    }
    let mut response = Response::new(Body::from(rendered(&found)));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(link) = found.next.and_then(|next| page::link(next, &uri)) {
        response.headers_mut().insert(header::LINK, link);
    }
    Ok(response)
}

/// The page as JSON, made once and kept with it: this list is what organizers' dashboards ask for all the time.
fn rendered(page: &EventPage) -> Bytes {
    let render = || {
        let events: Vec<EventView> = page.events.iter().map(EventView::from).collect();
        // Structs of strings and numbers, written to memory: this cannot fail.
        serde_json::to_vec(&events).unwrap_or_default().into()
    };
    page.rendered.get_or_init(render).clone()
}
