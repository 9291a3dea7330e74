//! `GET /api/reg/get_registrevent` and `GET /api/reg/registrations/{id}`

use axum::{Json, extract::State, http::Uri, response::Response};
use common::{
    documented::NO_REGISTRATIONS,
    extract::{Caller, Params, PathId},
    http::{Page, page},
    ids::RegistrationId,
    problem::{ApiError, Problem},
};

use super::cancel_problem;
use crate::{
    app::App,
    store::{CancelError, StatusFilter},
    views::RegistrationView,
};

/// List your registrations, newest first. Without `status`, those that count: pending and confirmed.
#[utoipa::path(
    get,
    path = "/api/reg/get_registrevent",
    tag = "registrations",
    params(
        ("status" = Option<String>, Query, description = "`pending_payment`, `confirmed`, `expired`, `cancelled` or `all`"),
        ("limit" = Option<u32>, Query, description = "1 to 100, default 50"),
        ("cursor" = Option<String>, Query, description = "From the Link header of the page before"),
    ),
    responses(
        (status = 200, description = "The registrations; the next page is in Link", body = Vec<RegistrationView>),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "No valid token"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No registrations"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "A parameter is wrong"),
    ),
    security(("bearer" = []))
)]
pub async fn my_registrations(
    State(app): State<App>,
    caller: Caller,
    mut params: Params,
    uri: Uri,
) -> Result<Response, ApiError> {
    let page = Page::read(&mut params);
    let filter = params.get("status", |text| match text {
        "pending_payment" => Ok(StatusFilter::Only("pending_payment")),
        "confirmed" => Ok(StatusFilter::Only("confirmed")),
        "expired" => Ok(StatusFilter::Only("expired")),
        "cancelled" => Ok(StatusFilter::Only("cancelled")),
        "all" => Ok(StatusFilter::All),
        _ => Err("must be pending_payment, confirmed, expired, cancelled or all".to_owned()),
    });
    params.finish()?;
    let live = filter.unwrap_or(StatusFilter::Live);
    let (found, next) = app
        .store
        .registrations(caller.id, live, page, app.clock.now())
        .await?;
    if found.is_empty() && page.is_first() && filter.is_none() {
        let problem = ApiError::not_found("no_registrations", "You are not registered for any event.");
        return Err(problem.message(NO_REGISTRATIONS));
    }
    Ok(page::respond(
        found.iter().map(RegistrationView::from).collect(),
        next,
        &uri,
    ))
}

/// One of your registrations.
#[utoipa::path(
    get,
    path = "/api/reg/registrations/{id}",
    tag = "registrations",
    params(("id" = String, Path, description = "The registration's id")),
    responses(
        (status = 200, description = "The registration", body = RegistrationView),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "No valid token"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such registration of yours"),
    ),
    security(("bearer" = []))
)]
pub async fn my_registration(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<Json<RegistrationView>, ApiError> {
    let found = app
        .store
        .registration(RegistrationId::lenient(&id), caller.id, app.clock.now())
        .await?;
    found
        .map(|registered| Json(RegistrationView::from(&registered)))
        .ok_or_else(|| cancel_problem(CancelError::NoSuchRegistration))
}
