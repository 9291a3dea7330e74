//! `GET /api/live/events/{id}/streams`

use axum::{Json, extract::State};
use common::{
    extract::{Caller, PathId},
    ids::EventId,
    problem::ApiError,
};

use super::reader;
use crate::{
    app::App,
    domain::{standing::Denied, stream::Timetable},
    handlers::no_such_event,
    problems::denied,
    views::stream::{TimetableAnswer, TimetableView},
};

common::problems!(Problems: no_such_event(), denied(Denied::NotAttending), denied(Denied::Banned));

/// What is on at an event, and what comes next.
#[utoipa::path(
    get,
    path = "/api/live/events/{id}/streams",
    operation_id = "getTimetable",
    tag = "streams",
    params(
        ("id" = String, Path, description = "The event's id", example = "019309a2-0000-7000-8000-000000000002"),
    ),
    responses(
        (status = 200, description = "The timetable", body = TimetableAnswer),
        Problems,
    ),
    security(("bearer" = []))
)]
pub async fn timetable(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<Json<TimetableAnswer>, ApiError> {
    let event = EventId::lenient(&id);
    reader(&app, event, caller.id).await?;
    let streams = app.store.streams(event).await?;
    let found = app.store.event(event).await?;
    Ok(Json(TimetableAnswer {
        timetable: TimetableView::from(&Timetable::new(streams, app.clock.now())),
        join_url: found.and_then(|event| event.join_url),
    }))
}
