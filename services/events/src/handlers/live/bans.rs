//! `POST, DELETE /api/live/events/{id}/bans/{user_id}`

use axum::{extract::State, http::StatusCode, response::Response};
use common::{
    clock::Timestamp,
    extract::{Caller, KeyedJson, PathIds},
    fields::{Fields, FromFields},
    idempotency::{Answer, Key, Keyed, Outcome},
    ids::{EventId, UserId},
    problem::ApiError,
    schemas::KeyParam,
};
use utoipa::ToSchema;

use super::{check_to_come, over_already, time};
use crate::{
    app::App,
    domain::standing::{Denied, Restriction, RestrictionKind},
    handlers::no_such_event,
    problems::{denied, post_problem},
    store::posts::Restrict,
    views::posts::BanView,
};

/// The request body.
#[derive(ToSchema)]
pub struct BanForm {
    /// `mute`: no writing; `ban`: no reading either.
    #[schema(value_type = String, pattern = "^(mute|ban)$", example = "mute")]
    kind: RestrictionKind,
    /// Until when; without it: until it is lifted.
    #[schema(value_type = Option<String>, format = DateTime, example = "2031-01-01T00:00:00Z")]
    until: Option<Timestamp>,
}

impl FromFields for BanForm {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let kind = fields.required("kind", |value| {
            RestrictionKind::named(&value.string()?).ok_or_else(|| "must be mute or ban".to_owned())
        });
        let until = fields.optional("until", time);
        Some(Self { kind: kind?, until })
    }
}

/// 404 for what is no id of a user.
fn no_such_user() -> ApiError {
    ApiError::not_found("user_not_found", "There is no such user.")
}

common::problems!(
    Problems:
    no_such_event(),
    no_such_user(),
    over_already(),
    denied(Denied::NotTheOrganizer),
    denied(Denied::NotAttending),
    denied(Denied::Banned),
    denied(Denied::OrganizerOnly),
);
common::problems!(
    LiftProblems:
    no_such_event(),
    denied(Denied::NotTheOrganizer),
    denied(Denied::NotAttending),
    denied(Denied::Banned),
    denied(Denied::OrganizerOnly),
);

/// Mute somebody beside your event, or ban them: they are sent from its channels within a second.
#[utoipa::path(
    post,
    path = "/api/live/events/{id}/bans/{user_id}",
    operation_id = "ban",
    tag = "live",
    request_body(content = BanForm, example = json!({"kind": "mute", "until": "2031-01-01T00:00:00Z"})),
    params(
        ("id" = String, Path, description = "The event's id", example = "019309a2-0000-7000-8000-000000000002"),
        ("user_id" = String, Path, description = "The user's id", example = "019309a2-0000-7000-8000-000000000006"),
        KeyParam,
    ),
    responses(
        (status = 200, description = "What they may not do", body = BanView),
        Problems,
    ),
    security(("bearer" = []))
)]
pub async fn ban(
    State(app): State<App>,
    caller: Caller,
    PathIds([event, user]): PathIds,
    KeyedJson { input, key }: KeyedJson<BanForm>,
) -> Result<Response, ApiError> {
    check_to_come(&app, input.until)?;
    let user = UserId::lenient(&user);
    if user.0.is_nil() {
        return Err(no_such_user());
    }
    let restriction = Restriction {
        kind: input.kind,
        until: input.until,
    };
    let restrict = Restrict {
        event: EventId::lenient(&event),
        organizer: caller.id,
        user,
        restriction: Some(restriction),
    };
    decide(&app, restrict, key).await
}

/// Let somebody write and read again.
#[utoipa::path(
    delete,
    path = "/api/live/events/{id}/bans/{user_id}",
    operation_id = "liftBan",
    tag = "live",
    params(
        ("id" = String, Path, description = "The event's id", example = "019309a2-0000-7000-8000-000000000002"),
        ("user_id" = String, Path, description = "The user's id", example = "019309a2-0000-7000-8000-000000000006"),
        KeyParam,
    ),
    responses(
        (status = 200, description = "What they may not do: nothing", body = BanView),
        LiftProblems,
    ),
    security(("bearer" = []))
)]
pub async fn lift_ban(
    State(app): State<App>,
    caller: Caller,
    PathIds([event, user]): PathIds,
    KeyedJson { input: (), key }: KeyedJson<()>,
) -> Result<Response, ApiError> {
    let restrict = Restrict {
        event: EventId::lenient(&event),
        organizer: caller.id,
        user: UserId::lenient(&user),
        restriction: None,
    };
    decide(&app, restrict, key).await
}

async fn decide(app: &App, restrict: Restrict, key: Option<Key>) -> Result<Response, ApiError> {
    let decided = app
        .store
        .restrict(restrict, app.clock.now(), Keyed { key, answer })
        .await;
    let decided = decided.map_err(post_problem)?;
    if let Outcome::Done(Restrict {
        event,
        organizer,
        user,
        restriction,
    }) = &decided
    {
        common::context::note_subject(*user);
        let kind = restriction.map_or("none", |restriction| restriction.kind.name());
        tracing::info!(event_id = %event, user_id = %organizer, about = %user, kind, "restriction set");
    }
    Ok(decided.respond(answer))
}

fn answer(decided: &Restrict) -> Answer {
    let view = BanView::new(decided.event, decided.user, decided.restriction.as_ref());
    Answer::json(StatusCode::OK, &view)
}
