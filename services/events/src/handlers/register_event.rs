//! `POST /api/reg/register_event`

use axum::{extract::State, http::StatusCode, response::Response};
use common::{
    clock::from_millis,
    extract::{Caller, KeyedJson},
    fields::{Fields, FromFields, Value},
    idempotency::{Answer, Keyed},
    ids::{EventId, RegistrationId, UserId},
    money::Paise,
    problem::ApiError,
    schemas::KeyParam,
};
use utoipa::ToSchema;

use super::{no_such_event, register_problem};
use crate::{
    app::App,
    domain::registration::{self, Registration, Ticket},
    store::{Register, RegisterError, Registered},
    views::{RegistrationAnswer, RegistrationView},
};

/// The request body.
#[derive(ToSchema)]
pub struct RegisterEvent {
    /// The event's id.
    #[schema(value_type = String, example = "019309a2-0000-7000-8000-000000000002")]
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

/// The existing registration in the example of a 409 in the OpenAPI document.
pub fn example() -> Registration {
    let created_at = from_millis(1_795_353_246_000);
    Registration {
        id: RegistrationId::lenient("019309a2-0000-7000-8000-000000000003"),
        event_id: EventId::lenient("019309a2-0000-7000-8000-000000000002"),
        user_id: UserId::lenient("019309a2-0000-7000-8000-000000000006"),
        amount: Paise(50_000),
        state: registration::State::PendingPayment {
            hold_expires_at: created_at,
        },
        payment_id: None,
        paid: None,
        created_at,
    }
}

common::problems!(
    Problems:
    no_such_event(),
    register_problem(RegisterError::EventCancelled),
    register_problem(RegisterError::NotPublished),
    register_problem(RegisterError::NotOpen {
        opens_at: from_millis(1_795_353_246_000),
        wait: std::time::Duration::from_secs(3_600),
    }),
    register_problem(RegisterError::Closed),
    register_problem(RegisterError::Full),
    register_problem(RegisterError::Already(example())),
);

/// Register for an event. A free event confirms at once; a paid one holds a seat until `hold_expires_at`.
#[utoipa::path(
    post,
    path = "/api/reg/register_event",
    operation_id = "registerForEvent",
    tag = "registrations",
    request_body(content = RegisterEvent, example = json!({"event_id": "019309a2-0000-7000-8000-000000000002"})),
    params(KeyParam),
    responses(
        (status = 201, description = "The registration", body = RegistrationAnswer),
        Problems,
    ),
    security(("bearer" = []))
)]
pub async fn register_event(
    State(app): State<App>,
    caller: Caller,
    KeyedJson { input, key }: KeyedJson<RegisterEvent>,
) -> Result<Response, ApiError> {
    let mut command = command(&app, input.event_id, caller.id)?;
    command.ticket.qr = Some(app.tickets.signed(input.event_id, &command.ticket));
    let registered = app.store.register(command, Keyed { key, answer }).await;
    let registered = registered.map_err(register_problem)?;
    super::log_registration("registration made", &registered);
    Ok(registered.respond(answer))
}

/// The command to register a user now.
///
/// # Errors
/// When the system gives no random bytes for a ticket.
pub fn command(app: &App, event_id: EventId, user_id: UserId) -> Result<Register, ApiError> {
    let ticket = Ticket::issue().map_err(ApiError::internal)?;
    Ok(Register {
        id: RegistrationId::new(),
        event_id,
        user_id,
        ticket,
        now: app.clock.now(),
        hold: app.hold,
        request_id: common::context::request_id_text(),
    })
}

fn answer(registered: &Registered) -> Answer {
    let body = RegistrationAnswer {
        message: "User registered for the event successfully.",
        registration: RegistrationView::from(registered),
    };
    Answer::json(StatusCode::CREATED, &body)
}
