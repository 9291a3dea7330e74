//! `GET, POST /api/live/events/{id}/announcements`, `DELETE .../announcements/{announcement_id}`

use axum::{
    extract::State,
    http::{StatusCode, Uri},
    response::Response,
};
use common::{
    clock::Timestamp,
    extract::{Caller, KeyedJson, Params, PathId, PathIds},
    fields::{Fields, FromFields},
    http::page,
    idempotency::{Answer, Keyed},
    ids::{EventId, PostId},
    problem::ApiError,
    schemas::{KeyParam, PageParams},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Changing, Done, changed, check_to_come, listed, message, over_already, time};
use crate::{
    app::App,
    domain::{
        post::{Change, Kind, NewPost, Post, PostRefusal, Results},
        standing::Denied,
    },
    handlers::no_such_event,
    live::say::{MAX_TEXT, log_post},
    problems::{denied, post_problem, post_refused},
    views::posts::AnnouncementView,
};

/// The request body.
#[derive(ToSchema)]
pub struct Announce {
    /// Text, not HTML.
    #[schema(min_length = 1, max_length = 2000, example = "We begin in five minutes.")]
    text: String,
    /// From then on it is not shown any more.
    #[schema(value_type = Option<String>, format = DateTime, example = "2031-01-01T00:00:00Z")]
    expires_at: Option<Timestamp>,
}

impl FromFields for Announce {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let text = fields.required("text", |value| value.text(MAX_TEXT));
        let expires_at = fields.optional("expires_at", time);
        Some(Self {
            text: text?,
            expires_at,
        })
    }
}

/// The announcement was made.
#[derive(Serialize, ToSchema)]
pub struct AnnouncementAnswer {
    /// What happened.
    #[schema(example = "Announced.")]
    message: &'static str,
    /// The announcement.
    #[serde(flatten)]
    announcement: AnnouncementView,
}

common::problems!(ListProblems: no_such_event(), denied(Denied::NotAttending), denied(Denied::Banned));
common::problems!(
    Problems:
    no_such_event(),
    over_already(),
    denied(Denied::NotAttending),
    denied(Denied::Banned),
    denied(Denied::OrganizerOnly),
);
common::problems!(
    DeleteProblems:
    no_such_event(),
    post_refused(PostRefusal::NoSuchPost),
    denied(Denied::NotAttending),
    denied(Denied::Banned),
    denied(Denied::OrganizerOnly),
);

/// The announcements beside an event, newest first, those that are over too.
#[utoipa::path(
    get,
    path = "/api/live/events/{id}/announcements",
    operation_id = "listAnnouncements",
    tag = "live",
    params(
        ("id" = String, Path, description = "The event's id", example = "019309a2-0000-7000-8000-000000000002"),
        PageParams,
    ),
    responses(
        (status = 200, description = "The announcements; the next page is in Link", body = Vec<AnnouncementView>),
        ListProblems,
    ),
    security(("bearer" = []))
)]
pub async fn list_announcements(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    params: Params,
    uri: Uri,
) -> Result<Response, ApiError> {
    let event = EventId::lenient(&id);
    let listed = listed(&app, event, caller.id, Kind::Announcement, params).await?;
    let views = listed.posts.iter().map(AnnouncementView::from).collect();
    Ok(page::respond(views, listed.next, &uri))
}

/// Announce something to all who follow your event live.
#[utoipa::path(
    post,
    path = "/api/live/events/{id}/announcements",
    operation_id = "announce",
    tag = "live",
    request_body(content = Announce, example = json!({"text": "We begin in five minutes."})),
    params(
        ("id" = String, Path, description = "The event's id", example = "019309a2-0000-7000-8000-000000000002"),
        KeyParam,
    ),
    responses(
        (status = 201, description = "The announcement", body = AnnouncementAnswer),
        Problems,
    ),
    security(("bearer" = []))
)]
pub async fn announce(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    KeyedJson { input, key }: KeyedJson<Announce>,
) -> Result<Response, ApiError> {
    check_to_come(&app, input.expires_at)?;
    let new = NewPost {
        id: PostId::new(),
        event: EventId::lenient(&id),
        kind: Kind::Announcement,
        user: caller.id,
        name: None,
        text: input.text,
        options: Vec::new(),
        results: Results::default(),
        expires_at: input.expires_at,
    };
    let keyed = Keyed {
        key,
        answer: announced,
    };
    let made = app.store.add_post(new, app.clock.now(), keyed).await;
    let made = made.map_err(post_problem)?;
    log_post("announced", caller.id, &made);
    app.live.publish_soon(&made).await;
    Ok(made.respond(announced))
}

fn announced(post: &Post) -> Answer {
    let body = AnnouncementAnswer {
        message: "Announced.",
        announcement: AnnouncementView::from(post),
    };
    Answer::json(StatusCode::CREATED, &body)
}

/// Withdraw one of your announcements.
#[utoipa::path(
    delete,
    path = "/api/live/events/{id}/announcements/{announcement_id}",
    operation_id = "withdrawAnnouncement",
    tag = "live",
    params(
        ("id" = String, Path, description = "The event's id", example = "019309a2-0000-7000-8000-000000000002"),
        ("announcement_id" = String, Path, description = "The announcement's id", example = "019309a2-0000-7000-8000-000000000025"),
        KeyParam,
    ),
    responses(
        (status = 200, description = "It is gone", body = Done),
        DeleteProblems,
    ),
    security(("bearer" = []))
)]
pub async fn withdraw_announcement(
    State(app): State<App>,
    caller: Caller,
    PathIds([event, post]): PathIds,
    KeyedJson { input: (), key }: KeyedJson<()>,
) -> Result<Response, ApiError> {
    let changing = Changing {
        event,
        post,
        kind: Kind::Announcement,
        user: caller.id,
        change: Change::Delete,
        keyed: Keyed {
            key,
            answer: withdrawn,
        },
    };
    Ok(changed(&app, changing).await?.respond(withdrawn))
}

fn withdrawn(_: &Post) -> Answer {
    message("Announcement withdrawn.")
}
