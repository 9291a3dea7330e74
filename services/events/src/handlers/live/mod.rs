//! What people do beside an event, over REST: the same rules as over a socket.

pub mod announcements;
pub mod bans;
pub mod chat;
pub mod chat_message;
pub mod chat_mode;
pub mod hls;
pub mod playback;
pub mod polls;
pub mod presence;
pub mod question;
pub mod questions;
pub mod reactions;
pub mod timetable;
pub mod voting;

use chrono_tz::Tz;
use common::{
    clock::Timestamp,
    extract::Params,
    fields::{Parsed, Value},
    http::{Cursor, Page},
    idempotency::{Answer, Keyed, Outcome},
    ids::{EventId, PostId, UserId},
    problem::ApiError,
    time::EventTime,
};

use crate::{
    app::App,
    domain::{
        post::{Change, Kind, Post, Stage},
        standing::Standing,
    },
    live::say::{Rate, log_post},
    problems::{denied, post_problem},
    store::posts::Target,
};

/// What somebody is beside an event that they may read.
async fn reader(app: &App, event: EventId, user: UserId) -> Result<Standing, ApiError> {
    let standing = app.live.standing(event, user).await.map_err(post_problem)?;
    standing.may_read(app.clock.now()).map_err(denied)?;
    Ok(standing)
}

/// A page of what somebody sees of a kind of post.
struct Listed {
    standing: Standing,
    posts: Vec<Post>,
    next: Option<Cursor>,
}

async fn listed(
    app: &App,
    event: EventId,
    user: UserId,
    kind: Kind,
    mut params: Params,
) -> Result<Listed, ApiError> {
    let page = Page::read(&mut params);
    params.finish()?;
    let standing = reader(app, event, user).await?;
    let stages = Stage::seen_by(standing.part);
    let (posts, next) = app.store.posts(event, kind, stages, page).await?;
    Ok(Listed {
        standing,
        posts,
        next,
    })
}

/// A change of a post.
struct Changing {
    event: String,
    post: String,
    kind: Kind,
    user: UserId,
    change: Change,
    keyed: Keyed<Post>,
}

async fn changed(app: &App, changing: Changing) -> Result<Outcome<Post>, ApiError> {
    let Changing {
        event,
        post,
        kind,
        user,
        change,
        keyed,
    } = changing;
    let target = target(&event, &post, kind);
    if let Change::Edit(_) = change {
        app.live.rates().take(Rate::Chat, user).await?;
    }
    let changed = app
        .store
        .change_post(target, user, change, app.clock.now(), keyed)
        .await;
    let changed = changed.map_err(post_problem)?;
    log_post("post changed", user, &changed);
    app.live.publish_soon(&changed).await;
    Ok(changed)
}

fn target(event: &str, post: &str, kind: Kind) -> Target {
    Target {
        event: EventId::lenient(event),
        kind,
        post: PostId::lenient(post),
    }
}

/// A point in time to come, as a field.
fn time(value: Value<'_>) -> Parsed<Timestamp> {
    let at = EventTime::parse(&value.string()?, Tz::UTC).map_err(str::to_owned)?;
    Ok(at.at)
}

/// 409 for a time that is over.
fn over_already() -> ApiError {
    ApiError::conflict("over_already", "This time lies in the past.")
}

fn check_to_come(app: &App, at: Option<Timestamp>) -> Result<(), ApiError> {
    match at {
        Some(at) if at <= app.clock.now() => Err(over_already()),
        _ => Ok(()),
    }
}

/// What was done.
#[derive(serde::Serialize, utoipa::ToSchema)]
pub struct Done {
    /// What happened.
    #[schema(example = "Done.")]
    message: &'static str,
}

/// The answer that says so.
pub fn message(message: &'static str) -> Answer {
    Answer::json(axum::http::StatusCode::OK, &Done { message })
}
