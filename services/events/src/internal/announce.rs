//! `POST /internal/events/announce`: an announcement that goes out by letter is published live too.

use axum::{Json, body::Body, extract::State};
use common::{
    extract::{CallingService, asked},
    idempotency::Outcome,
    ids::PostId,
    problem::ApiError,
    wire::{Announce, Announced, LIVE_TEXT},
};

use crate::{
    app::App,
    domain::post::{Kind, NewPost, Results},
    live::say::log_post,
    problems::post_problem,
};

/// Handles the call.
///
/// # Errors
/// 404 when there is no such event, 403 when who made it may not announce there.
pub async fn announce(
    _: CallingService,
    State(app): State<App>,
    body: Body,
) -> Result<Json<Announced>, ApiError> {
    let asked: Announce = asked(body).await?;
    let new = NewPost {
        id: PostId(asked.announcement_id.0),
        event: asked.event_id,
        kind: Kind::Announcement,
        user: asked.user_id,
        name: None,
        text: asked.text.chars().take(LIVE_TEXT).collect(),
        options: Vec::new(),
        results: Results::default(),
        expires_at: None,
    };
    let made = app.store.add_post_once(new, app.clock.now()).await;
    let made = made.map_err(post_problem)?;
    let is_new = made.is_some();
    if let Some(post) = made {
        let made = Outcome::Done(post);
        log_post("announced", asked.user_id, &made);
        app.live.publish_soon(&made).await;
    }
    Ok(Json(Announced { is_new }))
}
