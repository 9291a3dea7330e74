//! `GET, POST /api/live/events/{id}/chat`

use axum::{
    extract::State,
    http::{StatusCode, Uri},
    response::Response,
};
use common::{
    extract::{Caller, KeyedJson, Params, PathId},
    fields::{Fields, FromFields},
    http::page,
    idempotency::{Answer, Keyed},
    ids::EventId,
    problem::ApiError,
    schemas::{KeyParam, PageParams},
};
use serde::Serialize;
use shared_state::ratelimit::too_many;
use utoipa::ToSchema;

use super::listed;
use crate::{
    app::App,
    domain::{
        post::{Kind, Post},
        standing::Denied,
    },
    handlers::no_such_event,
    live::say::{MAX_TEXT, Saying},
    problems::denied,
    views::posts::ChatView,
};

/// The request body.
#[derive(ToSchema)]
pub struct Message {
    /// Text, not HTML.
    #[schema(min_length = 1, max_length = 2000, example = "Hello from Pune 👋")]
    pub text: String,
}

impl FromFields for Message {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let text = fields.required("text", |value| value.text(MAX_TEXT));
        Some(Self { text: text? })
    }
}

/// The message was sent.
#[derive(Serialize, ToSchema)]
pub struct ChatAnswer {
    /// What happened.
    #[schema(example = "Message sent.")]
    message: &'static str,
    /// The message.
    #[serde(flatten)]
    sent: ChatView,
}

common::problems!(ListProblems: no_such_event(), denied(Denied::NotAttending), denied(Denied::Banned));
common::problems!(
    Problems:
    no_such_event(),
    denied(Denied::NotAttending),
    denied(Denied::Banned),
    denied(Denied::Muted),
    denied(Denied::ChatClosed),
    too_many(std::time::Duration::from_secs(1), "Please do this more slowly."),
);

/// The chat beside an event, newest first. For its organizer and those whose registration is confirmed.
#[utoipa::path(
    get,
    path = "/api/live/events/{id}/chat",
    operation_id = "listChat",
    tag = "live",
    params(
        ("id" = String, Path, description = "The event's id", example = "019309a2-0000-7000-8000-000000000002"),
        PageParams,
    ),
    responses(
        (status = 200, description = "The messages; the next page is in Link", body = Vec<ChatView>),
        ListProblems,
    ),
    security(("bearer" = []))
)]
pub async fn list_chat(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    params: Params,
    uri: Uri,
) -> Result<Response, ApiError> {
    let listed = listed(&app, EventId::lenient(&id), caller.id, Kind::Chat, params).await?;
    let views = listed.posts.iter().map(ChatView::from).collect();
    Ok(page::respond(views, listed.next, &uri))
}

/// Send a message to the chat.
#[utoipa::path(
    post,
    path = "/api/live/events/{id}/chat",
    operation_id = "sendChat",
    tag = "live",
    request_body(content = Message, example = json!({"text": "Hello from Pune 👋"})),
    params(
        ("id" = String, Path, description = "The event's id", example = "019309a2-0000-7000-8000-000000000002"),
        KeyParam,
    ),
    responses(
        (status = 201, description = "The message", body = ChatAnswer),
        Problems,
    ),
    security(("bearer" = []))
)]
pub async fn send_chat(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    KeyedJson { input, key }: KeyedJson<Message>,
) -> Result<Response, ApiError> {
    let saying = Saying {
        event: EventId::lenient(&id),
        kind: Kind::Chat,
        user: caller.id,
        text: input.text,
    };
    let said = app.live.say(saying, Keyed { key, answer }).await?;
    app.live.publish_soon(&said).await;
    Ok(said.respond(answer))
}

fn answer(post: &Post) -> Answer {
    let body = ChatAnswer {
        message: "Message sent.",
        sent: ChatView::from(post),
    };
    Answer::json(StatusCode::CREATED, &body)
}
