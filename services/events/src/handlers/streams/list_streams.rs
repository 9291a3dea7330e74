//! `GET /api/organiser/events/{id}/streams`

use axum::{Json, extract::State};
use chrono::TimeDelta;
use common::{
    extract::{Caller, PathId, insufficient_role, organizer_only},
    problem::ApiError,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::App,
    domain::{
        stream::{SEEN_FOR, Timetable},
        team::{Right, TeamRole},
    },
    handlers::{no_such_event, rights::event_for},
    views::stream::OrganizerStreamView,
};

/// A stream, and who watches.
#[derive(Serialize, ToSchema)]
pub struct ListedStream {
    /// The stream.
    #[serde(flatten)]
    stream: OrganizerStreamView,
    /// People who are watching the event's streams now.
    #[schema(example = 42)]
    viewers: u64,
}

common::problems!(Problems: organizer_only(), insufficient_role(TeamRole::Scanner), no_such_event());

/// The streams of one of your events, in the order of their times.
#[utoipa::path(
    get,
    path = "/api/organiser/events/{id}/streams",
    operation_id = "listStreams",
    tag = "streams",
    params(
        ("id" = String, Path, description = "The event's id", example = "019309a2-0000-7000-8000-000000000002"),
    ),
    responses(
        (status = 200, description = "The streams", body = Vec<ListedStream>),
        Problems,
    ),
    security(("bearer" = []))
)]
pub async fn list_streams(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<Json<Vec<ListedStream>>, ApiError> {
    let event = event_for(&app, &caller, &id, Right::Manage).await?.id;
    let now = app.clock.now();
    let since: TimeDelta = SEEN_FOR;
    let viewers = app.store.viewers(event, now - since).await?;
    let timetable = Timetable::new(app.store.streams(event).await?, now);
    let listed = timetable.streams.iter().map(|stream| ListedStream {
        stream: OrganizerStreamView::from(stream),
        viewers,
    });
    Ok(Json(listed.collect()))
}
