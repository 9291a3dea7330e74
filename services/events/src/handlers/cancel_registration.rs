//! `DELETE /api/reg/registrations/{id}`

use axum::{extract::State, http::StatusCode, response::Response};
use common::{
    extract::{Caller, KeyedJson, PathId},
    idempotency::{Answer, Keyed},
    ids::RegistrationId,
    problem::ApiError,
    schemas::KeyParam,
};

use super::cancel_problem;
use crate::{
    app::App,
    domain::registration,
    store::{CancelError, Registered},
    views::{RegistrationAnswer, RegistrationView},
};

common::problems!(
    Problems:
    cancel_problem(CancelError::NoSuchRegistration),
    cancel_problem(CancelError::Ended(registration::State::Cancelled)),
    cancel_problem(CancelError::EventStarted),
);

/// Cancel one of your registrations before the event starts. The seat is free at once; a payment is refunded.
#[utoipa::path(
    delete,
    path = "/api/reg/registrations/{id}",
    operation_id = "cancelRegistration",
    tag = "registrations",
    params(
        ("id" = String, Path, description = "The registration's id", example = "019309a2-0000-7000-8000-000000000003"),
        KeyParam,
    ),
    responses(
        (status = 200, description = "The registration", body = RegistrationAnswer),
        Problems,
    ),
    security(("bearer" = []))
)]
pub async fn cancel_registration(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    KeyedJson { input: (), key }: KeyedJson<()>,
) -> Result<Response, ApiError> {
    let keyed = Keyed { key, answer };
    let id = RegistrationId::lenient(&id);
    let cancelled = app
        .store
        .cancel_registration(id, caller.id, app.clock.now(), keyed)
        .await;
    let cancelled = cancelled.map_err(cancel_problem)?;
    super::log_registration("registration cancelled", &cancelled);
    Ok(cancelled.respond(answer))
}

fn answer(registered: &Registered) -> Answer {
    let body = RegistrationAnswer {
        message: "Registration cancelled successfully.",
        registration: RegistrationView::from(registered),
    };
    Answer::json(StatusCode::OK, &body)
}
