//! `POST /api/organiser/events/{id}/check_in`, `DELETE .../check_ins/{ticket_id}`

use axum::{extract::State, http::StatusCode, response::Response};
use common::{
    context,
    extract::{Caller, KeyedJson, PathId, PathIds, organizer_only},
    fields::{Fields, FromFields},
    idempotency::{Answer, Keyed, Outcome},
    ids::{EventId, RegistrationId, TicketId, UserId, new_id},
    problem::ApiError,
    schemas::KeyParam,
    time::utc,
};
use serde::Serialize;
use tickets::keys::PREFIX;
use utoipa::ToSchema;

use super::desk_of;
use crate::{
    app::App,
    domain::{
        check_in::{Scan, Turned},
        registration::typed_code,
    },
    handlers::no_such_event,
    store::desk::{CheckInError, Scanned, TicketBy},
    views::TicketView,
};

/// The longest code: a signed one.
const MAX_CODE: usize = 1_000;
/// The longest name of a scan, and of a gate, in characters.
const MAX_NAME: usize = 100;

/// The request body.
#[derive(ToSchema)]
pub struct CheckIn {
    /// The ticket's code as typed, or what its QR code holds.
    #[schema(min_length = 1, max_length = 1000, example = "7KQ2-M4XD-0RZT-9HVB")]
    code: String,
    /// The scanner's name for this scan: sent again with it, the answer is the same. Without one each call is a scan of its own.
    #[schema(min_length = 1, max_length = 100, example = "gate-1:000042")]
    nonce: Option<String>,
    /// Which door.
    #[schema(min_length = 1, max_length = 100, example = "North")]
    gate: Option<String>,
}

impl FromFields for CheckIn {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let code = fields.required("code", |value| value.line(MAX_CODE));
        let nonce = fields.optional("nonce", |value| value.line(MAX_NAME));
        let gate = fields.optional("gate", |value| value.line(MAX_NAME));
        Some(Self {
            code: code?,
            nonce,
            gate,
        })
    }
}

/// Somebody was admitted.
#[derive(Serialize, ToSchema)]
pub struct CheckInAnswer {
    /// What happened.
    #[schema(example = "Admitted.")]
    message: &'static str,
    /// Always `admitted`.
    #[schema(example = "admitted")]
    result: &'static str,
    /// The holder's name; null: none is known.
    #[schema(required = true, example = "Asha Rao")]
    name: Option<String>,
    /// The ticket.
    ticket: Option<TicketView>,
    /// The registration.
    #[schema(value_type = String, format = Uuid, example = "019309a2-0000-7000-8000-000000000003")]
    registration_id: RegistrationId,
    /// The holder.
    #[schema(value_type = String, format = Uuid, example = "019309a2-0000-7000-8000-000000000001")]
    user_id: UserId,
    /// When, UTC.
    #[schema(format = DateTime, example = "2030-01-31T12:45:10.000Z")]
    checked_in_at: String,
    /// Through which door.
    #[schema(required = true, example = "North")]
    gate: Option<String>,
}

/// A check-in was undone.
#[derive(Serialize, ToSchema)]
pub struct UndoneAnswer {
    /// What happened.
    #[schema(example = "Check-in undone.")]
    message: &'static str,
    /// The ticket, which admits again.
    #[schema(value_type = String, format = Uuid, example = "019309a2-0000-7000-8000-000000000004")]
    ticket_id: Option<TicketId>,
}

common::problems!(
    Problems:
    organizer_only(),
    no_such_event(),
    check_in_problem(CheckInError::Turned(Turned::Invalid)),
    check_in_problem(CheckInError::Turned(Turned::WrongEvent)),
    check_in_problem(CheckInError::Turned(Turned::Cancelled)),
    check_in_problem(CheckInError::Turned(Turned::AlreadyIn { at: chrono::DateTime::UNIX_EPOCH, gate: None })),
);
common::problems!(UndoProblems: organizer_only(), no_such_event(), check_in_problem(CheckInError::NotCheckedIn));

/// The error response to a scan that admits nobody.
pub fn check_in_problem(error: CheckInError) -> ApiError {
    match error {
        CheckInError::Turned(Turned::Invalid) => ApiError::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "ticket_invalid",
            "No ticket has this code.",
        ),
        CheckInError::Turned(Turned::WrongEvent) => {
            ApiError::conflict("wrong_event", "This ticket is for another event.")
        }
        CheckInError::Turned(Turned::Cancelled) => {
            ApiError::conflict("ticket_cancelled", "This ticket was cancelled.")
        }
        CheckInError::Turned(Turned::AlreadyIn { at, gate }) => {
            ApiError::conflict("already_checked_in", "This ticket was used already.")
                .with("checked_in_at", utc(at))
                .with("gate", gate)
        }
        CheckInError::NotCheckedIn => ApiError::not_found(
            "check_in_not_found",
            "This ticket is not checked in at this event.",
        ),
        CheckInError::Store(error) => error.into(),
    }
}

/// Admit the holder of a ticket, once. Refusals say why by their `code`: `ticket_invalid`, `wrong_event`, `ticket_cancelled`,
/// `already_checked_in`.
#[utoipa::path(
    post,
    path = "/api/organiser/events/{id}/check_in",
    operation_id = "checkIn",
    tag = "desk",
    request_body(
        content = CheckIn,
        example = json!({"code": "7KQ2-M4XD-0RZT-9HVB", "nonce": "gate-1:000042", "gate": "North"})
    ),
    params(
        ("id" = String, Path, description = "The event's id", example = "019309a2-0000-7000-8000-000000000002"),
        KeyParam,
    ),
    responses(
        (status = 200, description = "Admitted", body = CheckInAnswer),
        Problems,
    ),
    security(("bearer" = []))
)]
pub async fn check_in(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    KeyedJson { input, key }: KeyedJson<CheckIn>,
) -> Result<Response, ApiError> {
    let event = desk_of(&app, &caller, &id).await?;
    let scan = Scan {
        event: event.id,
        nonce: input.nonce.unwrap_or_else(|| new_id().to_string()),
        gate: input.gate,
        by: caller.id,
        now: app.clock.now(),
    };
    let turned = |why: Turned| {
        tracing::info!(event_id = %event.id, user_id = %caller.id, gate = scan.gate, ?why, "ticket refused");
        check_in_problem(CheckInError::Turned(why))
    };
    let ticket = ticket_by(&app, event.id, &input.code).map_err(turned)?;
    let name = holder(&app, ticket.clone()).await?;
    let keyed = Keyed { key, answer };
    let outcome = match app.store.check_in(ticket, scan.clone(), name, keyed).await {
        Ok(outcome) => outcome,
        Err(CheckInError::Turned(why)) => return Err(turned(why)),
        Err(error) => return Err(check_in_problem(error)),
    };
    if let Outcome::Done(scanned) = &outcome {
        let registration = &scanned.registered.registration;
        context::note_subject(registration.id);
        tracing::info!(
            registration_id = %registration.id,
            event_id = %event.id,
            user_id = %caller.id,
            gate = scanned.check_in.gate,
            repeated = scanned.check_in.at != scan.now,
            "checked in"
        );
        app.live.desk_changed(event.id).await;
    }
    Ok(outcome.respond(answer))
}

/// The ticket that a code means, at the door of this event.
fn ticket_by(app: &App, event: EventId, code: &str) -> Result<TicketBy, Turned> {
    if !code.starts_with(PREFIX) {
        return typed_code(code).map(TicketBy::Code).ok_or(Turned::Invalid);
    }
    let signed = app.tickets.keys().read(code).map_err(|_| Turned::Invalid)?;
    match signed.event_id == event {
        true => Ok(TicketBy::Id(signed.ticket_id)),
        false => Err(Turned::WrongEvent),
    }
}

/// What to call the holder. A door does not close because names cannot be looked up.
async fn holder(app: &App, ticket: TicketBy) -> Result<Option<String>, ApiError> {
    let Some(registered) = app.store.ticketed(ticket, app.clock.now()).await? else {
        return Ok(None);
    };
    let user = registered.registration.user_id;
    Ok(app
        .known([user])
        .await
        .get(&user)
        .and_then(|card| card.name.clone()))
}

fn answer(scanned: &Scanned) -> Answer {
    let registered = &scanned.registered;
    let body = CheckInAnswer {
        message: "Admitted.",
        result: "admitted",
        name: scanned.name.clone(),
        ticket: registered.ticket.as_ref().map(TicketView::from),
        registration_id: registered.registration.id,
        user_id: registered.registration.user_id,
        checked_in_at: utc(scanned.check_in.at),
        gate: scanned.check_in.gate.clone(),
    };
    Answer::json(StatusCode::OK, &body)
}

/// Undo a check-in: the ticket admits again.
#[utoipa::path(
    delete,
    path = "/api/organiser/events/{id}/check_ins/{ticket_id}",
    operation_id = "undoCheckIn",
    tag = "desk",
    params(
        ("id" = String, Path, description = "The event's id", example = "019309a2-0000-7000-8000-000000000002"),
        ("ticket_id" = String, Path, description = "The ticket's id", example = "019309a2-0000-7000-8000-000000000004"),
        KeyParam,
    ),
    responses(
        (status = 200, description = "It is undone", body = UndoneAnswer),
        UndoProblems,
    ),
    security(("bearer" = []))
)]
pub async fn undo_check_in(
    State(app): State<App>,
    caller: Caller,
    PathIds([id, ticket]): PathIds,
    KeyedJson { input: (), key }: KeyedJson<()>,
) -> Result<Response, ApiError> {
    let event = desk_of(&app, &caller, &id).await?;
    let ticket = TicketId::lenient(&ticket);
    let keyed = Keyed { key, answer: undone };
    let outcome = app
        .store
        .undo_check_in(event.id, ticket, app.clock.now(), keyed)
        .await
        .map_err(check_in_problem)?;
    if let Outcome::Done(scanned) = &outcome {
        let registration_id = scanned.registered.registration.id;
        context::note_subject(registration_id);
        tracing::info!(%registration_id, event_id = %event.id, user_id = %caller.id, "check-in undone");
        app.live.desk_changed(event.id).await;
    }
    Ok(outcome.respond(undone))
}

fn undone(scanned: &Scanned) -> Answer {
    let ticket_id = scanned.registered.ticket.as_ref().map(|ticket| ticket.id);
    let body = UndoneAnswer {
        message: "Check-in undone.",
        ticket_id,
    };
    Answer::json(StatusCode::OK, &body)
}
