//! `POST /api/live/events/{id}/questions/{question_id}/vote` and `/polls/{poll_id}/vote`

use axum::{extract::State, response::Response};
use common::{
    extract::{Caller, KeyedJson, PathIds},
    fields::{Fields, FromFields, Value},
    idempotency::{Answer, Key, Keyed, Outcome},
    ids::UserId,
    problem::ApiError,
    schemas::KeyParam,
};
use shared_state::ratelimit::too_many;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Done, message, target};
use crate::{
    app::App,
    domain::{
        post::{Kind, Post, PostRefusal},
        standing::Denied,
    },
    handlers::no_such_event,
    live::say::Rate,
    problems::{denied, post_problem, post_refused},
    store::posts::{PostError, Target},
};

/// The request body.
#[derive(ToSchema)]
pub struct Choice {
    /// The option's `option_id`.
    #[schema(value_type = String, example = "019309a2-0000-7000-8000-000000000024")]
    pub option: Uuid,
}

impl FromFields for Choice {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let option = fields.required("option", Value::string);
        // Text that is no id is an option that no poll has.
        let option = Uuid::try_parse(&option?).unwrap_or_default();
        Some(Self { option })
    }
}

common::problems!(
    QuestionProblems:
    no_such_event(),
    post_refused(PostRefusal::NoSuchPost),
    post_refused(PostRefusal::Closed),
    post_problem(PostError::AlreadyVoted),
    denied(Denied::NotAttending),
    denied(Denied::Banned),
    too_many(std::time::Duration::from_secs(1), "Please do this more slowly."),
);
common::problems!(
    PollProblems:
    no_such_event(),
    post_refused(PostRefusal::NoSuchPost),
    post_refused(PostRefusal::NoSuchOption),
    post_refused(PostRefusal::NotOpen),
    post_refused(PostRefusal::Closed),
    post_problem(PostError::AlreadyVoted),
    denied(Denied::NotAttending),
    denied(Denied::Banned),
    too_many(std::time::Duration::from_secs(1), "Please do this more slowly."),
);

/// Vote for a question, once.
#[utoipa::path(
    post,
    path = "/api/live/events/{id}/questions/{question_id}/vote",
    operation_id = "voteForQuestion",
    tag = "live",
    params(
        ("id" = String, Path, description = "The event's id", example = "019309a2-0000-7000-8000-000000000002"),
        ("question_id" = String, Path, description = "The question's id", example = "019309a2-0000-7000-8000-000000000022"),
        KeyParam,
    ),
    responses(
        (status = 200, description = "The vote counts", body = Done),
        QuestionProblems,
    ),
    security(("bearer" = []))
)]
pub async fn vote_for_question(
    State(app): State<App>,
    caller: Caller,
    PathIds([event, post]): PathIds,
    KeyedJson { input: (), key }: KeyedJson<()>,
) -> Result<Response, ApiError> {
    let target = target(&event, &post, Kind::Question);
    vote(&app, target, caller.id, None, key).await
}

/// Vote for an option of a poll, once.
#[utoipa::path(
    post,
    path = "/api/live/events/{id}/polls/{poll_id}/vote",
    operation_id = "voteInPoll",
    tag = "live",
    request_body(content = Choice, example = json!({"option": "019309a2-0000-7000-8000-000000000024"})),
    params(
        ("id" = String, Path, description = "The event's id", example = "019309a2-0000-7000-8000-000000000002"),
        ("poll_id" = String, Path, description = "The poll's id", example = "019309a2-0000-7000-8000-000000000023"),
        KeyParam,
    ),
    responses(
        (status = 200, description = "The vote counts", body = Done),
        PollProblems,
    ),
    security(("bearer" = []))
)]
pub async fn vote_in_poll(
    State(app): State<App>,
    caller: Caller,
    PathIds([event, post]): PathIds,
    KeyedJson { input, key }: KeyedJson<Choice>,
) -> Result<Response, ApiError> {
    let target = target(&event, &post, Kind::Poll);
    vote(&app, target, caller.id, Some(input.option), key).await
}

async fn vote(
    app: &App,
    target: Target,
    user: UserId,
    option: Option<Uuid>,
    key: Option<Key>,
) -> Result<Response, ApiError> {
    app.live.rates().take(Rate::Votes, user).await?;
    let keyed = Keyed { key, answer };
    let voted = app.store.vote(target, user, option, app.clock.now(), keyed).await;
    let voted = voted.map_err(post_problem)?;
    if let Outcome::Done(post) = &voted {
        common::context::note_subject(post.id);
        tracing::info!(post_id = %post.id, event_id = %post.event, user_id = %user, "voted");
    }
    Ok(voted.respond(answer))
}

fn answer(_: &Post) -> Answer {
    message("Vote counted.")
}
