//! `GET, POST /api/live/events/{id}/questions`

use axum::{
    extract::State,
    http::{StatusCode, Uri},
    response::Response,
};
use common::{
    extract::{Caller, KeyedJson, Params, PathId},
    http::page,
    idempotency::{Answer, Keyed},
    ids::EventId,
    problem::ApiError,
    schemas::{KeyParam, PageParams},
};
use serde::Serialize;
use shared_state::ratelimit::too_many;
use utoipa::ToSchema;

use super::{chat::Message, listed};
use crate::{
    app::App,
    domain::{
        post::{Kind, Post, Tally},
        standing::Denied,
    },
    handlers::no_such_event,
    live::say::Saying,
    problems::denied,
    views::posts::QuestionView,
};

/// The question was asked.
#[derive(Serialize, ToSchema)]
pub struct QuestionAnswer {
    /// What happened.
    #[schema(example = "Question asked.")]
    message: &'static str,
    /// The question.
    #[serde(flatten)]
    question: QuestionView,
}

common::problems!(ListProblems: no_such_event(), denied(Denied::NotAttending), denied(Denied::Banned));
common::problems!(
    Problems:
    no_such_event(),
    denied(Denied::NotAttending),
    denied(Denied::Banned),
    denied(Denied::Muted),
    too_many(std::time::Duration::from_secs(10), "Please do this more slowly."),
);

/// The questions to the organizer, newest first; hidden ones for the organizer only.
#[utoipa::path(
    get,
    path = "/api/live/events/{id}/questions",
    operation_id = "listQuestions",
    tag = "live",
    params(
        ("id" = String, Path, description = "The event's id", example = "019309a2-0000-7000-8000-000000000002"),
        PageParams,
    ),
    responses(
        (status = 200, description = "The questions; the next page is in Link", body = Vec<QuestionView>),
        ListProblems,
    ),
    security(("bearer" = []))
)]
pub async fn list_questions(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    params: Params,
    uri: Uri,
) -> Result<Response, ApiError> {
    let listed = listed(&app, EventId::lenient(&id), caller.id, Kind::Question, params).await?;
    let ids: Vec<_> = listed.posts.iter().map(|post| post.id).collect();
    let tallies = app.store.tallies(ids.clone()).await?;
    let voted = app.store.votes_of(caller.id, ids).await?;
    let view = |post: &Post| {
        let votes = tallies.get(&post.id).map_or(0, Tally::total);
        QuestionView::new(post, votes, Some(voted.contains_key(&post.id)))
    };
    Ok(page::respond(
        listed.posts.iter().map(view).collect(),
        listed.next,
        &uri,
    ))
}

/// Ask the organizer a question.
#[utoipa::path(
    post,
    path = "/api/live/events/{id}/questions",
    operation_id = "askQuestion",
    tag = "live",
    request_body(content = Message, example = json!({"text": "Will the talks be recorded?"})),
    params(
        ("id" = String, Path, description = "The event's id", example = "019309a2-0000-7000-8000-000000000002"),
        KeyParam,
    ),
    responses(
        (status = 201, description = "The question", body = QuestionAnswer),
        Problems,
    ),
    security(("bearer" = []))
)]
pub async fn ask_question(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    KeyedJson { input, key }: KeyedJson<Message>,
) -> Result<Response, ApiError> {
    let saying = Saying {
        event: EventId::lenient(&id),
        kind: Kind::Question,
        user: caller.id,
        text: input.text,
    };
    let asked = app.live.say(saying, Keyed { key, answer }).await?;
    app.live.publish_soon(&asked).await;
    Ok(asked.respond(answer))
}

fn answer(post: &Post) -> Answer {
    let body = QuestionAnswer {
        message: "Question asked.",
        question: QuestionView::new(post, 0, Some(false)),
    };
    Answer::json(StatusCode::CREATED, &body)
}
