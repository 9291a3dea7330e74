//! `GET, POST /api/live/events/{id}/polls`, `POST .../polls/{poll_id}/open` and `/close`

use std::collections::HashSet;

use axum::{
    extract::State,
    http::{StatusCode, Uri},
    response::Response,
};
use common::{
    extract::{Caller, KeyedJson, Params, PathId, PathIds},
    fields::{Fields, FromFields, Parsed, Value},
    http::page,
    idempotency::{Answer, Key, Keyed},
    ids::{EventId, PostId, UserId, new_id},
    problem::ApiError,
    schemas::{KeyParam, PageParams},
};
use serde::Serialize;
use serde_json::{json, value::RawValue};
use utoipa::{
    ToSchema,
    openapi::{Array, Object, Type},
};

use super::{Changing, Done, changed, listed, message};
use crate::{
    app::App,
    domain::{
        post::{Change, Kind, NewPost, PollOption, Post, PostRefusal, Results, Stage},
        standing::{Denied, Part},
    },
    handlers::no_such_event,
    live::say::log_post,
    problems::{denied, post_problem, post_refused},
    views::posts::PollView,
};

/// Options of a poll.
const OPTIONS: std::ops::RangeInclusive<usize> = 2..=20;
/// The longest text of an option, in characters.
const MAX_OPTION: usize = 200;
/// The longest question.
const MAX_QUESTION: usize = 500;

/// The request body.
#[derive(ToSchema)]
pub struct CreatePoll {
    /// What is asked.
    #[schema(min_length = 1, max_length = 500, example = "Where shall we meet next?")]
    question: String,
    /// 2 to 20 different answers.
    #[schema(schema_with = options_schema)]
    options: Vec<String>,
    /// When the votes can be seen by all: `live`, the default, or `at_close`.
    #[schema(value_type = Option<String>, pattern = "^(live|at_close)$", example = "live")]
    results: Option<Results>,
}

impl FromFields for CreatePoll {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let question = fields.required("question", |value| value.text(MAX_QUESTION));
        let options = fields.required("options", options);
        let results = fields.optional("results", |value| match value.string()?.as_str() {
            "live" => Ok(Results::Live),
            "at_close" => Ok(Results::AtClose),
            _ => Err("must be live or at_close".to_owned()),
        });
        Some(Self {
            question: question?,
            options: options?,
            results,
        })
    }
}

fn options_schema() -> Array {
    let text = Object::builder()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(Some(MAX_OPTION));
    Array::builder()
        .items(text)
        .min_items(Some(*OPTIONS.start()))
        .max_items(Some(*OPTIONS.end()))
        .unique_items(true)
        .examples([json!(["In Pune", "Online"])])
        .build()
}

fn options(value: Value<'_>) -> Parsed<Vec<String>> {
    let wrong = || "must be a list of 2 to 20 different texts".to_owned();
    let texts: Vec<Box<RawValue>> = value.object().map_err(|_| wrong())?;
    if !OPTIONS.contains(&texts.len()) {
        return Err(wrong());
    }
    let texts = texts.iter().map(|text| Value::of(text).line(MAX_OPTION));
    let texts: Vec<String> = texts
        .collect::<Result<_, _>>()
        .map_err(|why| format!("has an option that {why}"))?;
    match texts.iter().collect::<HashSet<_>>().len() == texts.len() {
        true => Ok(texts),
        false => Err(wrong()),
    }
}

/// The poll was made.
#[derive(Serialize, ToSchema)]
pub struct PollAnswer {
    /// What happened.
    #[schema(example = "Poll made.")]
    message: &'static str,
    /// The poll.
    #[serde(flatten)]
    poll: PollView,
}

common::problems!(ListProblems: no_such_event(), denied(Denied::NotAttending), denied(Denied::Banned));
common::problems!(
    CreateProblems:
    no_such_event(),
    denied(Denied::NotAttending),
    denied(Denied::Banned),
    denied(Denied::OrganizerOnly),
);
common::problems!(
    OpenProblems:
    no_such_event(),
    post_refused(PostRefusal::NoSuchPost),
    post_refused(PostRefusal::Closed),
    denied(Denied::NotAttending),
    denied(Denied::Banned),
    denied(Denied::OrganizerOnly),
);
common::problems!(
    CloseProblems:
    no_such_event(),
    post_refused(PostRefusal::NoSuchPost),
    post_refused(PostRefusal::NotOpen),
    denied(Denied::NotAttending),
    denied(Denied::Banned),
    denied(Denied::OrganizerOnly),
);

/// The polls beside an event, newest first; drafts for the organizer only.
#[utoipa::path(
    get,
    path = "/api/live/events/{id}/polls",
    operation_id = "listPolls",
    tag = "live",
    params(
        ("id" = String, Path, description = "The event's id", example = "019309a2-0000-7000-8000-000000000002"),
        PageParams,
    ),
    responses(
        (status = 200, description = "The polls; the next page is in Link", body = Vec<PollView>),
        ListProblems,
    ),
    security(("bearer" = []))
)]
pub async fn list_polls(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    params: Params,
    uri: Uri,
) -> Result<Response, ApiError> {
    let listed = listed(&app, EventId::lenient(&id), caller.id, Kind::Poll, params).await?;
    let ids: Vec<_> = listed.posts.iter().map(|post| post.id).collect();
    let tallies = app.store.tallies(ids.clone()).await?;
    let voted = app.store.votes_of(caller.id, ids).await?;
    let sees_all = listed.standing.part == Part::Organizer;
    let view = |post: &Post| {
        let tally = tallies.get(&post.id).cloned().unwrap_or_default();
        let shown = Some(&tally).filter(|_| sees_all || post.shows_votes());
        let option = voted.get(&post.id).copied().flatten();
        PollView::new(post, shown, Some(option))
    };
    Ok(page::respond(
        listed.posts.iter().map(view).collect(),
        listed.next,
        &uri,
    ))
}

/// Make a poll beside your event. It is a draft until you open it.
#[utoipa::path(
    post,
    path = "/api/live/events/{id}/polls",
    operation_id = "createPoll",
    tag = "live",
    request_body(content = CreatePoll, example = json!({"question": "Where shall we meet next?", "options": ["In Pune", "Online"]})),
    params(
        ("id" = String, Path, description = "The event's id", example = "019309a2-0000-7000-8000-000000000002"),
        KeyParam,
    ),
    responses(
        (status = 201, description = "The poll", body = PollAnswer),
        CreateProblems,
    ),
    security(("bearer" = []))
)]
pub async fn create_poll(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    KeyedJson { input, key }: KeyedJson<CreatePoll>,
) -> Result<Response, ApiError> {
    let option = |text| PollOption {
        option_id: new_id(),
        text,
    };
    let new = NewPost {
        id: PostId::new(),
        event: EventId::lenient(&id),
        kind: Kind::Poll,
        user: caller.id,
        name: None,
        text: input.question,
        options: input.options.into_iter().map(option).collect(),
        results: input.results.unwrap_or_default(),
        expires_at: None,
    };
    let keyed = Keyed { key, answer: created };
    let made = app.store.add_post(new, app.clock.now(), keyed).await;
    let made = made.map_err(post_problem)?;
    log_post("poll made", caller.id, &made);
    Ok(made.respond(created))
}

fn created(post: &Post) -> Answer {
    let body = PollAnswer {
        message: "Poll made.",
        poll: PollView::new(post, Some(&Default::default()), Some(None)),
    };
    Answer::json(StatusCode::CREATED, &body)
}

/// Open one of your polls: all can vote.
#[utoipa::path(
    post,
    path = "/api/live/events/{id}/polls/{poll_id}/open",
    operation_id = "openPoll",
    tag = "live",
    params(
        ("id" = String, Path, description = "The event's id", example = "019309a2-0000-7000-8000-000000000002"),
        ("poll_id" = String, Path, description = "The poll's id", example = "019309a2-0000-7000-8000-000000000023"),
        KeyParam,
    ),
    responses(
        (status = 200, description = "It is open", body = Done),
        OpenProblems,
    ),
    security(("bearer" = []))
)]
pub async fn open_poll(
    State(app): State<App>,
    caller: Caller,
    PathIds(ids): PathIds,
    KeyedJson { input: (), key }: KeyedJson<()>,
) -> Result<Response, ApiError> {
    move_on(&app, ids, caller.id, Change::Open, key).await
}

/// Close one of your polls: the votes are final, and all see them.
#[utoipa::path(
    post,
    path = "/api/live/events/{id}/polls/{poll_id}/close",
    operation_id = "closePoll",
    tag = "live",
    params(
        ("id" = String, Path, description = "The event's id", example = "019309a2-0000-7000-8000-000000000002"),
        ("poll_id" = String, Path, description = "The poll's id", example = "019309a2-0000-7000-8000-000000000023"),
        KeyParam,
    ),
    responses(
        (status = 200, description = "It is closed", body = Done),
        CloseProblems,
    ),
    security(("bearer" = []))
)]
pub async fn close_poll(
    State(app): State<App>,
    caller: Caller,
    PathIds(ids): PathIds,
    KeyedJson { input: (), key }: KeyedJson<()>,
) -> Result<Response, ApiError> {
    move_on(&app, ids, caller.id, Change::Close, key).await
}

async fn move_on(
    app: &App,
    [event, post]: [String; 2],
    user: UserId,
    change: Change,
    key: Option<Key>,
) -> Result<Response, ApiError> {
    let changing = Changing {
        event,
        post,
        kind: Kind::Poll,
        user,
        change,
        keyed: Keyed { key, answer },
    };
    Ok(changed(app, changing).await?.respond(answer))
}

fn answer(post: &Post) -> Answer {
    match post.stage {
        Stage::Closed => message("Poll closed."),
        _ => message("Poll opened."),
    }
}
