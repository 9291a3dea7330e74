//! `DELETE /api/reg/registrations/{id}`

use axum::{extract::State, http::StatusCode, response::Response};
use common::{
    extract::{Caller, PathId, Unsafe},
    idempotency::{Answer, Keyed},
    ids::RegistrationId,
    problem::{ApiError, Problem},
};

use super::cancel_problem;
use crate::{
    app::App,
    store::Registered,
    views::{RegistrationAnswer, RegistrationView},
};

/// Cancel a registration of yours before the event starts. Its seat is free at once; what was paid goes back.
#[utoipa::path(
    delete,
    path = "/api/reg/registrations/{id}",
    tag = "registrations",
    params(
        ("id" = String, Path, description = "The registration's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes it safe to send the request again"),
    ),
    responses(
        (status = 200, description = "The registration", body = RegistrationAnswer),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "No valid token"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such registration of yours"),
        (status = 409, body = Problem, content_type = "application/problem+json",
            description = "`registration_ended` or `event_started`"),
    ),
    security(("bearer" = []))
)]
pub async fn cancel_registration(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    Unsafe { input: (), key }: Unsafe<()>,
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
