//! `POST /api/reg/register_event`

use axum::{extract::State, http::StatusCode, response::Response};
use common::{
    extract::{Caller, Unsafe},
    fields::{Fields, FromFields, Value},
    idempotency::{Answer, Keyed},
    ids::{EventId, RegistrationId},
    problem::{ApiError, Problem},
};
use utoipa::ToSchema;

use super::register_problem;
use crate::{
    app::App,
    domain::registration::Ticket,
    store::{Register, Registered},
    views::{RegistrationAnswer, RegistrationView},
};

/// Which event.
#[derive(ToSchema)]
pub struct RegisterEvent {
    /// The event's id.
    #[schema(value_type = String, format = Uuid)]
    pub event_id: EventId,
}

impl FromFields for RegisterEvent {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let event_id = fields.required("event_id", Value::string);
        Some(Self {
            event_id: EventId::lenient(&event_id?),
        })
    }
}

/// Register for an event. A free one confirms at once; a paid one holds a seat until `hold_expires_at`.
#[utoipa::path(
    post,
    path = "/api/reg/register_event",
    tag = "registrations",
    request_body = RegisterEvent,
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes it safe to send the request again")),
    responses(
        (status = 201, description = "The registration", body = RegistrationAnswer),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "No valid token"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such event"),
        (status = 409, body = Problem, content_type = "application/problem+json",
            description = "`already_registered` (with registration_id, registration_status, amount_due), `event_full`, \
                           `registration_closed`, `event_cancelled`"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "Missing or wrong fields"),
    ),
    security(("bearer" = []))
)]
pub async fn register_event(
    State(app): State<App>,
    caller: Caller,
    Unsafe { input, key }: Unsafe<RegisterEvent>,
) -> Result<Response, ApiError> {
    let command = command(&app, input.event_id, caller.id)?;
    let registered = app.store.register(command, Keyed { key, answer }).await;
    let registered = registered.map_err(register_problem)?;
    super::log_registration("registration made", &registered);
    Ok(registered.respond(answer))
}

/// A registration to be made now.
///
/// # Errors
/// When the system has no randomness for a ticket.
pub fn command(app: &App, event_id: EventId, user_id: common::ids::UserId) -> Result<Register, ApiError> {
    Ok(Register {
        id: RegistrationId::new(),
        event_id,
        user_id,
        ticket: Ticket::issue().map_err(ApiError::internal)?,
        now: app.clock.now(),
        hold: app.hold,
        request_id: common::http::context::request_id_text(),
    })
}

fn answer(registered: &Registered) -> Answer {
    let body = RegistrationAnswer {
        message: "User registered for the event successfully.",
        registration: RegistrationView::from(registered),
    };
    Answer::json(StatusCode::CREATED, &body)
}
