//! `POST /api/live/streams/{stream_id}/playback`, `POST /api/live/playback/{playback_id}/heartbeat`

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use common::{
    extract::{Caller, PathId},
    http::pipeline::private,
    ids::{PlaybackId, StreamId},
    problem::ApiError,
    time::utc,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::App,
    domain::stream::{HEARTBEAT, Kind, Stream},
    streams::{Begun, access_ended, closed, no_such_stream, not_confirmed, not_open_yet, too_many_devices},
};

/// What to play.
#[derive(Serialize, ToSchema)]
pub struct PlaybackView {
    /// The playback.
    #[schema(value_type = String, format = Uuid, example = "019309a2-0000-7000-8000-000000000033")]
    playback_id: PlaybackId,
    /// How to play it: `ingest` and `hls` are HLS playlists (what a media server recorded is an MP4 file), `embed` goes into a frame,
    /// `meeting` is a link to follow.
    #[schema(value_type = Kind, example = "ingest")]
    kind: &'static str,
    /// Where it is. It is personal: who has it watches in your place.
    #[schema(
        example = "http://localhost:3003/api/live/hls/019309a2-0000-7000-8000-000000000031/master.m3u8?s=AZMJog"
    )]
    url: String,
    /// Without a heartbeat it ends then, UTC.
    #[schema(format = DateTime, example = "2026-11-22T13:19:06.000Z")]
    expires_at: String,
    /// Seconds between two heartbeats.
    #[schema(example = 20)]
    heartbeat_seconds: u64,
}

fn view(begun: Begun, stream: &Stream) -> PlaybackView {
    PlaybackView {
        playback_id: begun.id,
        kind: stream.kind.name(),
        url: begun.url,
        expires_at: utc(begun.expires_at),
        heartbeat_seconds: HEARTBEAT.as_secs(),
    }
}

fn no_such_playback() -> ApiError {
    ApiError::not_found("playback_not_found", "There is no such playback.")
}

common::problems!(
    BeginProblems:
    no_such_stream(),
    access_ended(),
    not_confirmed(),
    not_open_yet(),
    closed(),
    too_many_devices(),
);
common::problems!(HeartbeatProblems: no_such_playback(), no_such_stream(), access_ended(), closed());

/// Begin to watch a stream of an event that you attend. At most on three devices at a time.
#[utoipa::path(
    post,
    path = "/api/live/streams/{stream_id}/playback",
    operation_id = "beginPlayback",
    tag = "streams",
    params(
        ("stream_id" = String, Path, description = "The stream's id", example = "019309a2-0000-7000-8000-000000000031"),
    ),
    responses(
        (status = 201, description = "What to play", body = PlaybackView),
        BeginProblems,
    ),
    security(("bearer" = []))
)]
pub async fn begin_playback(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<Response, ApiError> {
    let stream = app
        .store
        .stream(StreamId::lenient(&id))
        .await?
        .ok_or_else(no_such_stream)?;
    let begun = app.streams.begin(&stream, caller.id).await?;
    tracing::info!(playback_id = %begun.id, stream_id = %stream.id, event_id = %stream.event, user_id = %caller.id, "playback begun");
    Ok(private(
        (StatusCode::CREATED, Json(view(begun, &stream))).into_response(),
    ))
}

/// Say that you are still watching: every `heartbeat_seconds`, or you are counted as gone, and in the end have to begin again.
#[utoipa::path(
    post,
    path = "/api/live/playback/{playback_id}/heartbeat",
    operation_id = "playbackHeartbeat",
    tag = "streams",
    params(
        ("playback_id" = String, Path, description = "The playback's id", example = "019309a2-0000-7000-8000-000000000033"),
    ),
    responses(
        (status = 200, description = "What to play from here on", body = PlaybackView),
        HeartbeatProblems,
    ),
    security(("bearer" = []))
)]
pub async fn heartbeat(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<Response, ApiError> {
    let (begun, stream) = app.streams.heartbeat(PlaybackId::lenient(&id), caller.id).await?;
    Ok(private(Json(view(begun, &stream)).into_response()))
}
