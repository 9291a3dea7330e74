//! `PATCH /api/live/events/{id}/questions/{question_id}`

use axum::{extract::State, response::Response};
use common::{
    extract::{Caller, KeyedJson, PathIds},
    fields::{Fields, FromFields},
    idempotency::{Answer, Keyed},
    problem::ApiError,
    schemas::KeyParam,
};
use utoipa::ToSchema;

use super::{Changing, Done, changed, message};
use crate::{
    app::App,
    domain::{
        post::{Change, Kind, Post, PostRefusal, Stage},
        standing::Denied,
    },
    handlers::no_such_event,
    problems::{denied, post_refused},
};

/// The request body.
#[derive(ToSchema)]
pub struct SetQuestion {
    /// `answered`, or `hidden`: then only the organizer sees it.
    #[schema(value_type = String, pattern = "^(answered|hidden)$", example = "answered")]
    pub state: Change,
}

impl FromFields for SetQuestion {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let state = fields.required("state", |value| match value.string()?.as_str() {
            "answered" => Ok(Change::Answer),
            "hidden" => Ok(Change::Hide),
            _ => Err("must be answered or hidden".to_owned()),
        });
        Some(Self { state: state? })
    }
}

common::problems!(
    Problems:
    no_such_event(),
    post_refused(PostRefusal::NoSuchPost),
    denied(Denied::NotAttending),
    denied(Denied::Banned),
    denied(Denied::OrganizerOnly),
);

/// As the organizer, note that a question was answered, or hide it from the others.
#[utoipa::path(
    patch,
    path = "/api/live/events/{id}/questions/{question_id}",
    operation_id = "setQuestion",
    tag = "live",
    request_body(content = SetQuestion, example = json!({"state": "answered"})),
    params(
        ("id" = String, Path, description = "The event's id", example = "019309a2-0000-7000-8000-000000000002"),
        ("question_id" = String, Path, description = "The question's id", example = "019309a2-0000-7000-8000-000000000022"),
        KeyParam,
    ),
    responses(
        (status = 200, description = "It is noted", body = Done),
        Problems,
    ),
    security(("bearer" = []))
)]
pub async fn set_question(
    State(app): State<App>,
    caller: Caller,
    PathIds([event, post]): PathIds,
    KeyedJson { input, key }: KeyedJson<SetQuestion>,
) -> Result<Response, ApiError> {
    let changing = Changing {
        event,
        post,
        kind: Kind::Question,
        user: caller.id,
        change: input.state,
        keyed: Keyed { key, answer },
    };
    Ok(changed(&app, changing).await?.respond(answer))
}

fn answer(post: &Post) -> Answer {
    match post.stage {
        Stage::Hidden => message("Question hidden."),
        _ => message("Question answered."),
    }
}
