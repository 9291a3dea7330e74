//! `POST /api/organiser/events/{id}/registrations/{registration_id}/cancel`

use axum::{extract::State, http::StatusCode, response::Response};
use common::{
    extract::{Caller, KeyedJson, PathIds, insufficient_role, organizer_only},
    fields::{Fields, FromFields, Parsed, Value},
    idempotency::{Answer, Keyed},
    ids::RegistrationId,
    money::Paise,
    problem::ApiError,
    schemas::{Amount, KeyParam},
};
use serde_json::json;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Type,
        schema::{AnyOfBuilder, Object, Schema},
    },
};

use crate::{
    app::App,
    domain::{
        ending::Refund,
        registration::State as Registration,
        team::{Right, TeamRole},
    },
    handlers::{cancel_problem, log_registration, no_such_event, rights::event_for},
    store::{CancelError, Registered, desk::Cancel},
    views::{RegistrationAnswer, RegistrationView},
};

/// The longest reason, in characters.
const MAX_REASON: usize = 500;

/// The request body.
#[derive(ToSchema)]
pub struct CancelFor {
    /// How much of what was paid goes back: `full`, `none`, or an amount in rupees. By default all.
    #[schema(schema_with = refund_schema, required = false)]
    refund: Refund,
    /// What the attendee is told.
    #[schema(
        min_length = 1,
        max_length = 500,
        example = "The workshop needs a laptop, and you asked for another date."
    )]
    reason: Option<String>,
}

impl FromFields for CancelFor {
    const EMPTY_BODY_ALLOWED: bool = true;

    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let refund = fields.optional("refund", refund);
        let reason = fields.optional("reason", |value| value.text(MAX_REASON));
        Some(Self {
            refund: refund.unwrap_or(Refund::Full),
            reason,
        })
    }
}

fn refund(value: Value<'_>) -> Parsed<Refund> {
    let named = value.string().unwrap_or_default();
    match named.trim().to_lowercase().as_str() {
        "full" => Ok(Refund::Full),
        "none" => Ok(Refund::None),
        _ => match value.rupees() {
            Ok(Paise::ZERO) => Ok(Refund::None),
            Ok(part) => Ok(Refund::Part(part)),
            Err(_) => Err("must be full, none, or an amount in rupees".to_owned()),
        },
    }
}

fn refund_schema() -> Schema {
    let named = Object::builder()
        .schema_type(Type::String)
        .pattern(Some("^(full|none)$"));
    AnyOfBuilder::new()
        .description(Some(
            "How much of what was paid goes back: `full`, `none`, or an amount in rupees. By default all.",
        ))
        .examples([json!("full")])
        .item(named)
        .item(Amount::schema())
        .into()
}

common::problems!(
    Problems:
    organizer_only(),
    insufficient_role(TeamRole::Scanner),
    no_such_event(),
    cancel_problem(CancelError::NoSuchRegistration),
    cancel_problem(CancelError::Ended(Registration::Cancelled)),
    cancel_problem(CancelError::RefundExceedsPayment(Paise(50_000))),
);

/// Cancel a registration for its attendee, at any time, with all, a part or none of the money going back. They get a letter.
#[utoipa::path(
    post,
    path = "/api/organiser/events/{id}/registrations/{registration_id}/cancel",
    operation_id = "cancelForAttendee",
    tag = "desk",
    request_body(
        content = CancelFor,
        example = json!({"refund": "full", "reason": "You asked for another date."})
    ),
    params(
        ("id" = String, Path, description = "The event's id", example = "019309a2-0000-7000-8000-000000000002"),
        (
            "registration_id" = String,
            Path,
            description = "The registration's id",
            example = "019309a2-0000-7000-8000-000000000003"
        ),
        KeyParam,
    ),
    responses(
        (status = 200, description = "The registration", body = RegistrationAnswer),
        Problems,
    ),
    security(("bearer" = []))
)]
pub async fn cancel_for(
    State(app): State<App>,
    caller: Caller,
    PathIds([id, registration]): PathIds,
    KeyedJson { input, key }: KeyedJson<CancelFor>,
) -> Result<Response, ApiError> {
    let event = event_for(&app, &caller, &id, Right::Manage).await?;
    let cancel = Cancel {
        event: event.id,
        registration: RegistrationId::lenient(&registration),
        refund: input.refund,
        words: input.reason,
        now: app.clock.now(),
    };
    tracing::debug!(event_id = %event.id, by = %caller.id, refund = ?cancel.refund, "cancelling for an attendee");
    let cancelled = app.store.cancel_for(cancel, Keyed { key, answer }).await;
    let cancelled = cancelled.map_err(cancel_problem)?;
    log_registration("registration cancelled by the organizer", &cancelled);
    Ok(cancelled.respond(answer))
}

fn answer(registered: &Registered) -> Answer {
    let body = RegistrationAnswer {
        message: "Registration cancelled.",
        registration: RegistrationView::from(registered),
    };
    Answer::json(StatusCode::OK, &body)
}
