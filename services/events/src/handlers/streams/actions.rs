//! `POST /api/organiser/events/{id}/streams/{stream_id}/key`, `/end` and `/kick`

use axum::{extract::State, http::StatusCode, response::Response};
use common::{
    extract::{Caller, KeyedJson, PathIds, insufficient_role, organizer_only},
    idempotency::{Answer, Keyed},
    problem::ApiError,
    schemas::KeyParam,
};

use super::{KeyedStreamAnswer, StreamAnswer, answer, changed, refused, target, with_key};
use crate::{
    app::App,
    domain::{
        stream::{Change, Stream, StreamRefusal},
        team::TeamRole,
    },
    handlers::no_such_event,
    streams::{key_hash, no_such_stream},
};

common::problems!(
    KeyProblems:
    organizer_only(),
    insufficient_role(TeamRole::Scanner),
    no_such_event(),
    no_such_stream(),
    refused(StreamRefusal::NotIngest),
    refused(StreamRefusal::KeyChanged),
);
common::problems!(EndProblems: organizer_only(), insufficient_role(TeamRole::Scanner), no_such_event(), no_such_stream());
common::problems!(
    KickProblems:
    organizer_only(),
    insufficient_role(TeamRole::Scanner),
    no_such_event(),
    no_such_stream(),
    refused(StreamRefusal::NotIngest),
);

/// Make a new key: the old one dies at once, and who publishes with it is cut off. It opens a stream again that was over.
#[utoipa::path(
    post,
    path = "/api/organiser/events/{id}/streams/{stream_id}/key",
    operation_id = "newStreamKey",
    tag = "streams",
    params(
        ("id" = String, Path, description = "The event's id", example = "019309a2-0000-7000-8000-000000000002"),
        ("stream_id" = String, Path, description = "The stream's id", example = "019309a2-0000-7000-8000-000000000031"),
        KeyParam,
    ),
    responses(
        (status = 200, description = "The stream with its new key", body = KeyedStreamAnswer),
        KeyProblems,
    ),
    security(("bearer" = []))
)]
pub async fn new_key(
    State(app): State<App>,
    caller: Caller,
    PathIds(ids): PathIds,
    KeyedJson { input: (), key }: KeyedJson<()>,
) -> Result<Response, ApiError> {
    let target = target(&app, ids, &caller).await?;
    let stream = app.store.stream(target.stream).await?;
    let generation = stream.map_or(0, |stream| stream.feed.key_generation) + 1;
    let change = Change::Key {
        hash: key_hash(&app.streams.key(target.stream, generation)),
        generation,
    };
    let keyed = Keyed { key, answer: renewed };
    let changed = changed(&app, (target, caller.id), change, keyed, "stream key replaced").await?;
    Ok(with_key(&app, changed, renewed))
}

fn renewed(stream: &Stream) -> Answer {
    answer("New stream key. The old one is dead.", StatusCode::OK, stream)
}

/// End a stream: its encoder is cut off and its key dies. What was recorded can be watched from here on.
#[utoipa::path(
    post,
    path = "/api/organiser/events/{id}/streams/{stream_id}/end",
    operation_id = "endStream",
    tag = "streams",
    params(
        ("id" = String, Path, description = "The event's id", example = "019309a2-0000-7000-8000-000000000002"),
        ("stream_id" = String, Path, description = "The stream's id", example = "019309a2-0000-7000-8000-000000000031"),
        KeyParam,
    ),
    responses(
        (status = 200, description = "The stream", body = StreamAnswer),
        EndProblems,
    ),
    security(("bearer" = []))
)]
pub async fn end(
    State(app): State<App>,
    caller: Caller,
    PathIds(ids): PathIds,
    KeyedJson { input: (), key }: KeyedJson<()>,
) -> Result<Response, ApiError> {
    let target = target(&app, ids, &caller).await?;
    let keyed = Keyed { key, answer: ended };
    let changed = changed(&app, (target, caller.id), Change::End, keyed, "stream ended").await?;
    Ok(changed.respond(ended))
}

fn ended(stream: &Stream) -> Answer {
    answer("Stream ended.", StatusCode::OK, stream)
}

/// Cut off who publishes a stream. They may come back with the same key.
#[utoipa::path(
    post,
    path = "/api/organiser/events/{id}/streams/{stream_id}/kick",
    operation_id = "kickPublisher",
    tag = "streams",
    params(
        ("id" = String, Path, description = "The event's id", example = "019309a2-0000-7000-8000-000000000002"),
        ("stream_id" = String, Path, description = "The stream's id", example = "019309a2-0000-7000-8000-000000000031"),
        KeyParam,
    ),
    responses(
        (status = 200, description = "The stream", body = StreamAnswer),
        KickProblems,
    ),
    security(("bearer" = []))
)]
pub async fn kick(
    State(app): State<App>,
    caller: Caller,
    PathIds(ids): PathIds,
    KeyedJson { input: (), key }: KeyedJson<()>,
) -> Result<Response, ApiError> {
    let target = target(&app, ids, &caller).await?;
    let keyed = Keyed { key, answer: kicked };
    let changed = changed(
        &app,
        (target, caller.id),
        Change::Kick,
        keyed,
        "publisher cut off",
    )
    .await?;
    Ok(changed.respond(kicked))
}

fn kicked(stream: &Stream) -> Answer {
    answer("Publisher cut off.", StatusCode::OK, stream)
}
