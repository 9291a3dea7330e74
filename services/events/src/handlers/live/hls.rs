//! `GET /api/live/hls/{stream_id}/{file}`

use axum::{
    body::Body,
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use common::{
    extract::{Params, PathIds},
    ids::StreamId,
    problem::ApiError,
};

use crate::{
    app::App,
    streams::{Playlist, Streams, access_ended, no_such_stream, not_playing, nothing_yet, segment_refused},
};

/// The media type of playlists (RFC 8216, 4).
const PLAYLIST: &str = "application/vnd.apple.mpegurl";
/// A segment never changes: whoever caches it keeps one copy for all, whatever its token.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

fn no_such_file() -> ApiError {
    ApiError::not_found("segment_not_found", "There is no such segment.")
}

common::problems!(
    Problems:
    no_such_stream(),
    nothing_yet(),
    no_such_file(),
    not_playing(),
    access_ended(),
    segment_refused(),
);

/// Playlists (`master.m3u8`, `live.m3u8`, `dvr.m3u8`, `replay.m3u8`, with the `s` of a playback's url) and segments (with the `e` and
/// `k` of their playlist), for players. A playback that may be watched no longer gets no playlist.
#[utoipa::path(
    get,
    path = "/api/live/hls/{stream_id}/{file}",
    operation_id = "getStreamFile",
    tag = "streams",
    params(
        ("stream_id" = String, Path, description = "The stream's id", example = "019309a2-0000-7000-8000-000000000031"),
        ("file" = String, Path, description = "A playlist or segment", example = "master.m3u8"),
        ("s" = Option<String>, Query, description = "For playlists: what the playback's url has", example = "AZMJog"),
        ("e" = Option<String>, Query, description = "For segments: until when their playlist's token is good", example = "1795698120"),
        ("k" = Option<String>, Query, description = "For segments: that token", example = "Zm9v"),
    ),
    responses(
        (status = 200, description = "The file", content_type = "application/vnd.apple.mpegurl", body = String),
        Problems,
    )
)]
pub async fn file(
    State(app): State<App>,
    PathIds([stream, file]): PathIds,
    mut params: Params,
) -> Result<Response, ApiError> {
    let stream = StreamId::lenient(&stream);
    let token = text(&mut params, "s");
    if file == "master.m3u8" {
        let text = app.streams.master(stream, &token).await?;
        return Ok(playlist(text.into(), 1));
    }
    if let Some(which) = Playlist::named(&file) {
        let text = app.streams.media(stream, which, &token).await?;
        return Ok(playlist(text.into(), Streams::playlist_kept(which)));
    }
    let end = text(&mut params, "e").parse().unwrap_or_default();
    let proof = text(&mut params, "k");
    let (media_type, bytes) = app.streams.segment(stream, &file, end, &proof).await?;
    Ok((
        [
            (header::CONTENT_TYPE, media_type),
            (header::CACHE_CONTROL, FOR_EVER),
        ],
        bytes,
    )
        .into_response())
}

fn text(params: &mut Params, name: &str) -> String {
    params.get(name, |text| Ok(text.to_owned())).unwrap_or_default()
}

fn playlist(body: Body, seconds: u32) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PLAYLIST));
    if let Ok(kept) = HeaderValue::try_from(format!("private, max-age={seconds}")) {
        headers.insert(header::CACHE_CONTROL, kept);
    }
    response
}
