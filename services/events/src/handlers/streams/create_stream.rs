//! `POST /api/organiser/events/{id}/streams`

use axum::{extract::State, http::StatusCode, response::Response};
use common::{
    clock::Timestamp,
    extract::{Caller, KeyedJson, PathId, insufficient_role, organizer_only},
    fields::{Fields, FromFields},
    idempotency::{Answer, Keyed, Outcome},
    ids::StreamId,
    problem::ApiError,
    schemas::KeyParam,
};
use utoipa::ToSchema;

use super::{
    KeyedStreamAnswer, answer, boolean, priority, refused, stream_problem, time, title, url, with_key,
};
use crate::{
    app::App,
    domain::{
        stream::{Kind, NewStream, Receiver, Stream, StreamRefusal, address},
        team::{Right, TeamRole},
    },
    handlers::{no_such_event, rights::event_for},
    streams::key_hash,
};

/// The request body.
#[derive(ToSchema)]
pub struct CreateStream {
    /// What it is called.
    #[schema(min_length = 1, max_length = 200, example = "Main stage")]
    title: String,
    /// Where its pictures come from: `ingest` (an encoder sends them here), `hls` (a playlist elsewhere), `embed` (YouTube or Vimeo) or
    /// `meeting` (a link).
    #[schema(value_type = Kind, example = "ingest")]
    kind: Kind,
    /// Where that is, for all but `ingest`: an https address; for `embed` one of YouTube or Vimeo.
    #[schema(value_type = Option<String>, format = "stream-url", example = json!(null))]
    url: Option<String>,
    /// When it is planned to begin, UTC. One of another kind than `ingest` is open from then on; null: at once.
    #[schema(value_type = Option<common::schemas::Time>, example = "2030-01-31T13:00:00Z")]
    starts_at: Option<Timestamp>,
    /// When it is planned to end, UTC. One of another kind than `ingest` is closed from then on.
    #[schema(value_type = Option<common::schemas::Time>, example = "2030-01-31T15:00:00Z")]
    ends_at: Option<Timestamp>,
    /// Of several live ones the one with the smallest is shown; 0 by default.
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 1000, example = 0)]
    priority: Option<u32>,
    /// Whether it can be watched again when it is over; true by default.
    #[schema(value_type = Option<bool>, example = true)]
    record: Option<bool>,
}

impl FromFields for CreateStream {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let title = fields.required("title", title);
        let kind = fields.required("kind", |value| {
            Kind::named(&value.string()?).ok_or_else(|| "must be ingest, hls, embed or meeting".to_owned())
        });
        let url = fields.optional("url", url);
        let starts_at = fields.optional("starts_at", time);
        let ends_at = fields.optional("ends_at", time);
        let priority = fields.optional("priority", priority);
        let record = fields.optional("record", boolean);
        Some(Self {
            title: title?,
            kind: kind?,
            url,
            starts_at,
            ends_at,
            priority,
            record,
        })
    }
}

common::problems!(
    Problems:
    organizer_only(),
    insufficient_role(TeamRole::Scanner),
    no_such_event(),
    refused(StreamRefusal::TooMany),
    refused(StreamRefusal::EventCancelled),
    refused(StreamRefusal::EndsBeforeStart),
);

/// Add a stream to one of your events. For `ingest` the answer has the key that the encoder shows; it is not shown again.
#[utoipa::path(
    post,
    path = "/api/organiser/events/{id}/streams",
    operation_id = "createStream",
    tag = "streams",
    request_body(content = CreateStream, example = json!({"title": "Main stage", "kind": "ingest"})),
    params(
        ("id" = String, Path, description = "The event's id", example = "019309a2-0000-7000-8000-000000000002"),
        KeyParam,
    ),
    responses(
        (status = 201, description = "The stream", body = KeyedStreamAnswer),
        Problems,
    ),
    security(("bearer" = []))
)]
pub async fn create_stream(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    KeyedJson { input, key }: KeyedJson<CreateStream>,
) -> Result<Response, ApiError> {
    let event = event_for(&app, &caller, &id, Right::Manage).await?;
    let url =
        address::read(input.kind, input.url.as_deref()).map_err(|why| ApiError::invalid_field("url", why))?;
    let stream = StreamId::new();
    let new = NewStream {
        id: stream,
        event: event.id,
        title: input.title,
        kind: input.kind,
        url,
        receiver: match input.kind {
            Kind::Ingest => app.streams.receiver(),
            Kind::Hls | Kind::Embed | Kind::Meeting => Receiver::Own,
        },
        starts_at: input.starts_at,
        ends_at: input.ends_at,
        priority: input.priority.unwrap_or(0),
        record: input.record.unwrap_or(true),
        key_hash: (input.kind == Kind::Ingest).then(|| key_hash(&app.streams.key(stream, 0))),
    };
    let keyed = Keyed { key, answer: created };
    let made = app
        .store
        .add_stream(new, event.organizer, app.clock.now(), keyed)
        .await;
    let made = made.map_err(stream_problem)?;
    if let Outcome::Done(stream) = &made {
        let kind = stream.kind.name();
        tracing::info!(stream_id = %stream.id, event_id = %stream.event, user_id = %caller.id, kind, "stream created");
    }
    Ok(with_key(&app, made, created))
}

fn created(stream: &Stream) -> Answer {
    answer("Stream created.", StatusCode::CREATED, stream)
}
