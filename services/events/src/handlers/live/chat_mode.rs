//! `GET, PUT /api/live/events/{id}/chat/mode`

use axum::{Json, extract::State, http::StatusCode, response::Response};
use common::{
    extract::{Caller, KeyedJson, PathId},
    fields::{Fields, FromFields},
    idempotency::{Answer, Keyed, Outcome},
    ids::EventId,
    problem::ApiError,
    schemas::KeyParam,
};
use utoipa::ToSchema;

use super::reader;
use crate::{
    app::App,
    domain::standing::{ChatMode, Denied},
    handlers::no_such_event,
    problems::{denied, post_problem},
    views::posts::ChatModeView,
};

/// Seconds between two messages where nothing else is said.
const SLOW_SECONDS: u32 = 10;
/// The longest pause: an hour.
const SLOWEST: i64 = 3_600;

/// The request body.
#[derive(ToSchema)]
pub struct SetMode {
    /// `open`: those who read it write; `slow`: each only once in so many seconds; `closed`: the organizer writes.
    #[schema(value_type = String, pattern = "^(open|slow|closed)$", example = "slow")]
    pub mode: ChatMode,
    /// Seconds between two messages of one attendee, while it is slow.
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 3600, example = 30)]
    pub slow_seconds: Option<u32>,
}

impl FromFields for SetMode {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let slow_seconds = fields.optional("slow_seconds", |value| {
            let seconds = value.integer(1, SLOWEST)?;
            u32::try_from(seconds).map_err(|error| error.to_string())
        });
        let mode = fields.required("mode", |value| {
            ChatMode::named(&value.string()?, slow_seconds.unwrap_or(SLOW_SECONDS))
                .ok_or_else(|| "must be open, slow or closed".to_owned())
        });
        Some(Self {
            mode: mode?,
            slow_seconds,
        })
    }
}

common::problems!(ReadProblems: no_such_event(), denied(Denied::NotAttending), denied(Denied::Banned));
common::problems!(
    Problems:
    no_such_event(),
    denied(Denied::NotAttending),
    denied(Denied::Banned),
    denied(Denied::OrganizerOnly),
);

/// Who may write in the chat beside an event.
#[utoipa::path(
    get,
    path = "/api/live/events/{id}/chat/mode",
    operation_id = "getChatMode",
    tag = "live",
    params(
        ("id" = String, Path, description = "The event's id", example = "019309a2-0000-7000-8000-000000000002"),
    ),
    responses(
        (status = 200, description = "The mode", body = ChatModeView),
        ReadProblems,
    ),
    security(("bearer" = []))
)]
pub async fn get_chat_mode(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<Json<ChatModeView>, ApiError> {
    let event = EventId::lenient(&id);
    reader(&app, event, caller.id).await?;
    Ok(Json(ChatModeView::from(app.store.chat_mode(event).await?)))
}

/// Open the chat beside your event, slow it down, or close it.
#[utoipa::path(
    put,
    path = "/api/live/events/{id}/chat/mode",
    operation_id = "setChatMode",
    tag = "live",
    request_body(content = SetMode, example = json!({"mode": "slow", "slow_seconds": 30})),
    params(
        ("id" = String, Path, description = "The event's id", example = "019309a2-0000-7000-8000-000000000002"),
        KeyParam,
    ),
    responses(
        (status = 200, description = "The mode", body = ChatModeView),
        Problems,
    ),
    security(("bearer" = []))
)]
pub async fn set_chat_mode(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    KeyedJson { input, key }: KeyedJson<SetMode>,
) -> Result<Response, ApiError> {
    let event = EventId::lenient(&id);
    let keyed = Keyed { key, answer };
    let set = app
        .store
        .set_chat_mode(event, caller.id, input.mode, app.clock.now(), keyed)
        .await;
    let set = set.map_err(post_problem)?;
    if let Outcome::Done(mode) = &set {
        common::context::note_subject(event);
        let seconds = mode.slow_seconds();
        tracing::info!(event_id = %event, user_id = %caller.id, mode = mode.name(), seconds, "chat mode set");
    }
    Ok(set.respond(answer))
}

fn answer(mode: &ChatMode) -> Answer {
    Answer::json(StatusCode::OK, &ChatModeView::from(*mode))
}
