//! `PATCH, DELETE /api/live/events/{id}/chat/{message_id}`

use axum::{extract::State, http::StatusCode, response::Response};
use common::{
    extract::{Caller, KeyedJson, PathIds},
    idempotency::{Answer, Keyed},
    problem::ApiError,
    schemas::KeyParam,
};
use serde::Serialize;
use shared_state::ratelimit::too_many;
use utoipa::ToSchema;

use super::{Changing, Done, changed, chat::Message, message};
use crate::{
    app::App,
    domain::{
        post::{Change, Kind, Post, PostRefusal},
        standing::Denied,
    },
    handlers::no_such_event,
    problems::{denied, post_refused},
    views::posts::ChatView,
};

/// The message was changed.
#[derive(Serialize, ToSchema)]
pub struct EditedAnswer {
    /// What happened.
    #[schema(example = "Message changed.")]
    message: &'static str,
    /// The message.
    #[serde(flatten)]
    edited: ChatView,
}

common::problems!(
    Problems:
    no_such_event(),
    post_refused(PostRefusal::NoSuchPost),
    post_refused(PostRefusal::NotYours),
    denied(Denied::NotAttending),
    denied(Denied::Banned),
    denied(Denied::Muted),
    denied(Denied::ChatClosed),
    too_many(std::time::Duration::from_secs(1), "Please do this more slowly."),
);
common::problems!(
    DeleteProblems:
    no_such_event(),
    post_refused(PostRefusal::NoSuchPost),
    post_refused(PostRefusal::NotYours),
    denied(Denied::NotAttending),
    denied(Denied::Banned),
);

/// Change one of your messages.
#[utoipa::path(
    patch,
    path = "/api/live/events/{id}/chat/{message_id}",
    operation_id = "editChat",
    tag = "live",
    request_body(content = Message, example = json!({"text": "Hello from Mumbai 👋"})),
    params(
        ("id" = String, Path, description = "The event's id", example = "019309a2-0000-7000-8000-000000000002"),
        ("message_id" = String, Path, description = "The message's id", example = "019309a2-0000-7000-8000-000000000021"),
        KeyParam,
    ),
    responses(
        (status = 200, description = "The message", body = EditedAnswer),
        Problems,
    ),
    security(("bearer" = []))
)]
pub async fn edit_chat(
    State(app): State<App>,
    caller: Caller,
    PathIds([event, post]): PathIds,
    KeyedJson { input, key }: KeyedJson<Message>,
) -> Result<Response, ApiError> {
    let changing = Changing {
        event,
        post,
        kind: Kind::Chat,
        user: caller.id,
        change: Change::Edit(input.text),
        keyed: Keyed { key, answer: edited },
    };
    Ok(changed(&app, changing).await?.respond(edited))
}

fn edited(post: &Post) -> Answer {
    let body = EditedAnswer {
        message: "Message changed.",
        edited: ChatView::from(post),
    };
    Answer::json(StatusCode::OK, &body)
}

/// Delete one of your messages, or, as the organizer, anybody's. Its text goes, also from what the channel tells who comes back.
#[utoipa::path(
    delete,
    path = "/api/live/events/{id}/chat/{message_id}",
    operation_id = "deleteChat",
    tag = "live",
    params(
        ("id" = String, Path, description = "The event's id", example = "019309a2-0000-7000-8000-000000000002"),
        ("message_id" = String, Path, description = "The message's id", example = "019309a2-0000-7000-8000-000000000021"),
        KeyParam,
    ),
    responses(
        (status = 200, description = "It is gone", body = Done),
        DeleteProblems,
    ),
    security(("bearer" = []))
)]
pub async fn delete_chat(
    State(app): State<App>,
    caller: Caller,
    PathIds([event, post]): PathIds,
    KeyedJson { input: (), key }: KeyedJson<()>,
) -> Result<Response, ApiError> {
    let changing = Changing {
        event,
        post,
        kind: Kind::Chat,
        user: caller.id,
        change: Change::Delete,
        keyed: Keyed { key, answer: deleted },
    };
    Ok(changed(&app, changing).await?.respond(deleted))
}

fn deleted(_: &Post) -> Answer {
    message("Message deleted.")
}
