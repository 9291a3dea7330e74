//! What an organizer does with the streams of an event.

pub mod actions;
pub mod change_stream;
pub mod create_stream;
pub mod list_streams;

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use chrono_tz::Tz;
use common::{
    clock::Timestamp,
    extract::Caller,
    fields::{Parsed, Value},
    http::pipeline::private,
    idempotency::{Answer, Keyed, Outcome, REPLAYED, Refusal},
    ids::{StreamId, UserId},
    problem::ApiError,
    time::EventTime,
};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::{
    app::App,
    domain::{
        stream::{Change, Kind, Receiver, Stream, StreamRefusal},
        team::Right,
    },
    handlers::{no_such_event, rights::event_for},
    store::streams::{StreamError, Target},
    streams::no_such_stream,
    views::stream::OrganizerStreamView,
};

/// The longest title, in characters.
const MAX_TITLE: usize = 200;
/// The largest priority.
const MAX_PRIORITY: i64 = 1_000;
/// The longest address, in characters.
const MAX_URL: usize = 2_000;

/// Where an encoder sends.
#[derive(Serialize, ToSchema)]
pub struct IngestView {
    /// Below it come the stream key and the file's name, by HTTP PUT; null: not by that.
    #[schema(required = true, example = "http://localhost:3105/hls")]
    pub hls: Option<String>,
    /// By RTMP, as OBS does, with the stream key as the stream's name; null: it is off. At a media server it is the whole address, with
    /// the key.
    #[schema(required = true, example = "rtmp://localhost:1935/live")]
    pub rtmp: Option<String>,
    /// By SRT, with the key in it; only at a media server.
    #[schema(
        example = "srt://media.example.org:8890?streamid=publish:019309a2000070008000000000000031:key:sk_3q2-7wXQxB1nA0Zr5tYuIg"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub srt: Option<String>,
    /// By WebRTC (WHIP), with the stream key as the bearer token; only at a media server.
    #[schema(example = "https://media.example.org:8889/019309a2000070008000000000000031/whip")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub whip: Option<String>,
}

/// A stream that was made or changed. With a new key it has that, once.
#[derive(Serialize, ToSchema)]
pub struct StreamAnswer {
    /// What happened.
    #[schema(example = "Stream created.")]
    message: &'static str,
    /// The stream.
    #[serde(flatten)]
    stream: OrganizerStreamView,
}

/// A stream with a new key.
#[derive(Serialize, ToSchema)]
pub struct KeyedStreamAnswer {
    /// The stream.
    #[serde(flatten)]
    stream: StreamAnswer,
    /// For `ingest`: what the encoder shows. It is not shown again.
    #[schema(example = "sk_3q2-7wXQxB1nA0Zr5tYuIg")]
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_key: Option<String>,
    /// For `ingest`: where the encoder sends.
    #[serde(skip_serializing_if = "Option::is_none")]
    ingest: Option<IngestView>,
}

fn answer(message: &'static str, status: axum::http::StatusCode, stream: &Stream) -> Answer {
    let stream = OrganizerStreamView::from(stream);
    Answer::json(status, &StreamAnswer { message, stream })
}

/// Adds the key, which is stored nowhere, to an answer that is: to a repeated one too.
fn with_key(app: &App, outcome: Outcome<Stream>, answer: fn(&Stream) -> Answer) -> Response {
    let (answer, replayed) = match outcome {
        Outcome::Done(stream) => (answer(&stream), false),
        Outcome::Refused(Refusal::Replay(answer)) => (answer, true),
        Outcome::Refused(refusal) => return refusal.into_response(),
    };
    let Ok(mut body) = serde_json::from_slice::<serde_json::Value>(&answer.body) else {
        return ApiError::internal("a stored answer is no JSON").into_response();
    };
    if body["kind"] == Kind::Ingest.name() {
        let stream = StreamId::lenient(body["stream_id"].as_str().unwrap_or_default());
        let generation = body["key_generation"].as_u64().unwrap_or_default();
        let key = app
            .streams
            .key(stream, u32::try_from(generation).unwrap_or_default());
        body["ingest"] = json!(send_to(app, stream, &key, &body));
        body["stream_key"] = json!(key);
    }
    let status = axum::http::StatusCode::from_u16(answer.status).unwrap_or_default();
    let mut response = private((status, Json(body)).into_response());
    if replayed {
        response
            .headers_mut()
            .insert(REPLAYED, axum::http::HeaderValue::from_static("true"));
    }
    response
}

/// Where to send a stream that an answer shows.
fn send_to(app: &App, stream: StreamId, key: &str, shown: &serde_json::Value) -> IngestView {
    if shown["media_server"].is_null() {
        return IngestView {
            hls: Some(app.streams.hls_address().to_owned()),
            rtmp: app.streams.rtmp_address().map(str::to_owned),
            srt: None,
            whip: None,
        };
    }
    let there = app.streams.mediamtx().map(|one| one.send_to(stream, key));
    let (rtmp, srt, whip) = there.map_or((None, None, None), |there| {
        (Some(there.rtmp), Some(there.srt), Some(there.whip))
    });
    IngestView {
        hls: None,
        rtmp,
        srt,
        whip,
    }
}

/// Makes a change of a stream that a user may make; `what` is its name in the log.
async fn changed(
    app: &App,
    (target, user_id): (Target, UserId),
    change: Change,
    keyed: Keyed<Stream>,
    what: &'static str,
) -> Result<Outcome<Stream>, ApiError> {
    let (is_kick, cuts_off) = (matches!(change, Change::Kick), change.cuts_off());
    if matches!(change, Change::Kick | Change::Key { .. }) {
        know_publisher(app, target, is_kick).await?;
    }
    let changed = app
        .store
        .change_stream(target, change, app.clock.now(), keyed)
        .await
        .map_err(stream_problem)?;
    if let Outcome::Done(stream) = &changed {
        let (event_id, state) = (stream.event, stream.state.name());
        tracing::info!(stream_id = %stream.id, %event_id, %user_id, state, "{what}");
        app.streams.forget_playlists(stream.id).await;
        if cuts_off
            && stream.receiver == Receiver::MediaMtx
            && let Err(error) = app.streams.look_at_publisher(stream.id).await
        {
            // It is stored that its publisher is to go: whoever polls sees to it.
            tracing::warn!(stream_id = %stream.id, %event_id, %error, "an encoder is cut off later");
        }
    }
    Ok(changed)
}

/// Finds out who publishes at a media server, so that a change names who is to be cut off. For a kick that is all there is to it; a
/// key dies also while the server is away.
async fn know_publisher(app: &App, target: Target, is_kick: bool) -> Result<(), ApiError> {
    let stream = app.store.stream(target.stream).await?;
    let stream = stream.filter(|one| one.event == target.event && one.receiver == Receiver::MediaMtx);
    let Some(stream) = stream else {
        return Ok(());
    };
    match app.streams.look_at_publisher(stream.id).await {
        Err(error) if is_kick => Err(error.into()),
        _ => Ok(()),
    }
}

/// The stream that a caller may change.
async fn target(app: &App, [event, stream]: [String; 2], caller: &Caller) -> Result<Target, ApiError> {
    let event = event_for(app, caller, &event, Right::Manage).await?;
    Ok(Target {
        event: event.id,
        organizer: event.organizer,
        stream: StreamId::lenient(&stream),
    })
}

/// The error response to a refused change of a stream.
pub fn stream_problem(error: StreamError) -> ApiError {
    match error {
        StreamError::NoSuchEvent => no_such_event(),
        StreamError::Refused(why) => refused(why),
        StreamError::Store(error) => error.into(),
    }
}

fn refused(why: StreamRefusal) -> ApiError {
    match why {
        StreamRefusal::NoSuchStream => no_such_stream(),
        StreamRefusal::TooMany => ApiError::conflict(
            "too_many_streams",
            "An event has fifty streams at most. Delete one first.",
        ),
        StreamRefusal::NotIngest => ApiError::conflict(
            "not_ingest",
            "Only a stream of the kind ingest has a key and an encoder.",
        ),
        StreamRefusal::HasNoUrl => {
            ApiError::conflict("has_no_url", "A stream of the kind ingest has no url.")
        }
        StreamRefusal::EndsBeforeStart => {
            ApiError::conflict("ends_before_start", "A stream must end after it begins.")
        }
        StreamRefusal::KeyChanged => ApiError::conflict(
            "key_changed",
            "The key was changed by another request meanwhile. Please try again.",
        ),
        StreamRefusal::EventCancelled => ApiError::conflict(
            "event_cancelled",
            "This event was cancelled and cannot be changed.",
        ),
    }
}

/// A point in time, as a field.
fn time(value: Value<'_>) -> Parsed<Timestamp> {
    let at = EventTime::parse(&value.string()?, Tz::UTC).map_err(str::to_owned)?;
    Ok(at.at)
}

fn title(value: Value<'_>) -> Parsed<String> {
    value.line(MAX_TITLE)
}

fn priority(value: Value<'_>) -> Parsed<u32> {
    let priority = value.integer(0, MAX_PRIORITY)?;
    Ok(u32::try_from(priority).unwrap_or_default())
}

fn boolean(value: Value<'_>) -> Parsed<bool> {
    value.object().map_err(|_| "must be true or false".to_owned())
}

fn url(value: Value<'_>) -> Parsed<String> {
    value.line(MAX_URL)
}
