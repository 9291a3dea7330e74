//! `PATCH, DELETE /api/organiser/events/{id}/streams/{stream_id}`

use axum::{extract::State, http::StatusCode, response::Response};
use common::{
    clock::Timestamp,
    extract::{Caller, KeyedJson, PathIds, insufficient_role, organizer_only},
    fields::{Fields, FromFields},
    idempotency::{Answer, Keyed},
    problem::ApiError,
    schemas::KeyParam,
};
use utoipa::ToSchema;

use super::{StreamAnswer, answer, boolean, changed, priority, refused, target, time, title, url};
use crate::{
    app::App,
    domain::{
        stream::{Change, Edit, Kind, Stream, StreamRefusal, address},
        team::TeamRole,
    },
    handlers::no_such_event,
    streams::no_such_stream,
};

/// The request body; what is left out stays as it is.
#[derive(ToSchema)]
#[schema(min_properties = 1)]
pub struct UpdateStream {
    /// New title.
    #[schema(value_type = String, required = false, min_length = 1, max_length = 200, example = "Main stage, afternoon")]
    title: Option<String>,
    /// New address, for all but `ingest`.
    #[schema(value_type = String, required = false, format = "stream-url", example = "https://youtu.be/dQw4w9WgXcQ")]
    url: Option<String>,
    /// New planned beginning, UTC; null: none.
    #[schema(value_type = Option<common::schemas::Time>, example = "2030-01-31T13:30:00Z")]
    starts_at: Option<Option<Timestamp>>,
    /// New planned end, UTC; null: none.
    #[schema(value_type = Option<common::schemas::Time>, example = "2030-01-31T15:30:00Z")]
    ends_at: Option<Option<Timestamp>>,
    /// New priority.
    #[schema(value_type = i64, required = false, minimum = 0, maximum = 1000, example = 1)]
    priority: Option<u32>,
    /// Whether it can be watched again when it is over.
    #[schema(value_type = bool, required = false, example = true)]
    record: Option<bool>,
}

impl FromFields for UpdateStream {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        const ALL: [&str; 6] = ["title", "url", "starts_at", "ends_at", "priority", "record"];
        if !ALL.iter().any(|name| fields.has(name)) {
            fields.error("body", format!("must change at least one of {}", ALL.join(", ")));
        }
        Some(Self {
            title: fields.changed("title", title),
            url: fields.changed("url", url),
            starts_at: fields.nullable("starts_at", time),
            ends_at: fields.nullable("ends_at", time),
            priority: fields.changed("priority", priority),
            record: fields.changed("record", boolean),
        })
    }
}

common::problems!(
    UpdateProblems:
    organizer_only(),
    insufficient_role(TeamRole::Scanner),
    no_such_event(),
    no_such_stream(),
    refused(StreamRefusal::HasNoUrl),
    refused(StreamRefusal::EndsBeforeStart),
);
common::problems!(DeleteProblems: organizer_only(), insufficient_role(TeamRole::Scanner), no_such_event(), no_such_stream());

/// Change one of your streams.
#[utoipa::path(
    patch,
    path = "/api/organiser/events/{id}/streams/{stream_id}",
    operation_id = "updateStream",
    tag = "streams",
    request_body(content = UpdateStream, example = json!({"title": "Main stage, afternoon"})),
    params(
        ("id" = String, Path, description = "The event's id", example = "019309a2-0000-7000-8000-000000000002"),
        ("stream_id" = String, Path, description = "The stream's id", example = "019309a2-0000-7000-8000-000000000031"),
        KeyParam,
    ),
    responses(
        (status = 200, description = "The stream", body = StreamAnswer),
        UpdateProblems,
    ),
    security(("bearer" = []))
)]
pub async fn update_stream(
    State(app): State<App>,
    caller: Caller,
    PathIds(ids): PathIds,
    KeyedJson { input, key }: KeyedJson<UpdateStream>,
) -> Result<Response, ApiError> {
    let target = target(&app, ids, &caller).await?;
    let mut edit = Edit {
        title: input.title,
        url: None,
        starts_at: input.starts_at,
        ends_at: input.ends_at,
        priority: input.priority,
        record: input.record,
    };
    if let Some(url) = input.url {
        let stream = app.store.stream(target.stream).await?;
        let stream = stream.filter(|stream| stream.event == target.event);
        let kind = stream.ok_or_else(no_such_stream)?.kind;
        let read = match kind {
            Kind::Ingest => return Err(refused(StreamRefusal::HasNoUrl)),
            kind => address::read(kind, Some(&url)),
        };
        edit.url = read.map_err(|why| ApiError::invalid_field("url", why))?;
    }
    let keyed = Keyed { key, answer: updated };
    let changed = changed(
        &app,
        (target, caller.id),
        Change::Edit(edit),
        keyed,
        "stream changed",
    )
    .await?;
    Ok(changed.respond(updated))
}

fn updated(stream: &Stream) -> Answer {
    answer("Stream changed.", StatusCode::OK, stream)
}

/// Delete one of your streams with its recording. Its encoder is cut off.
#[utoipa::path(
    delete,
    path = "/api/organiser/events/{id}/streams/{stream_id}",
    operation_id = "deleteStream",
    tag = "streams",
    params(
        ("id" = String, Path, description = "The event's id", example = "019309a2-0000-7000-8000-000000000002"),
        ("stream_id" = String, Path, description = "The stream's id", example = "019309a2-0000-7000-8000-000000000031"),
        KeyParam,
    ),
    responses(
        (status = 200, description = "It is gone", body = crate::handlers::live::Done),
        DeleteProblems,
    ),
    security(("bearer" = []))
)]
pub async fn delete_stream(
    State(app): State<App>,
    caller: Caller,
    PathIds(ids): PathIds,
    KeyedJson { input: (), key }: KeyedJson<()>,
) -> Result<Response, ApiError> {
    let target = target(&app, ids, &caller).await?;
    let keyed = Keyed { key, answer: deleted };
    let changed = changed(&app, (target, caller.id), Change::Delete, keyed, "stream deleted").await?;
    Ok(changed.respond(deleted))
}

fn deleted(_: &Stream) -> Answer {
    crate::handlers::live::message("Stream deleted.")
}
