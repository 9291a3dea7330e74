//! `GET /api/reg/get_registrevent` and `GET /api/reg/registrations/{id}`

use axum::{Json, extract::State, http::Uri, response::Response};
use common::{
    documented::NO_REGISTRATIONS,
    extract::{Caller, Params, PathId},
    http::{Page, page},
    ids::RegistrationId,
    problem::ApiError,
    schemas::{PageParams, choice},
};
use utoipa::{IntoParams, openapi::Object};

use super::cancel_problem;
use crate::{
    app::App,
    store::{CancelError, StatusFilter},
    views::RegistrationView,
};

/// The query parameters.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "the document's view of StatusFilter")]
pub struct StatusParam {
    /// Only registrations with this status, or `all`; by default the live ones: pending and confirmed.
    #[param(schema_with = status, required = false)]
    status: Option<String>,
}

fn status() -> Object {
    choice(&["pending_payment", "confirmed", "expired", "cancelled", "all"])
}

fn no_registrations() -> ApiError {
    ApiError::not_found("no_registrations", "You are not registered for any event.").message(NO_REGISTRATIONS)
}

common::problems!(ListProblems: no_registrations());
common::problems!(Problems: cancel_problem(CancelError::NoSuchRegistration));

/// List your registrations, newest first. Without `status`, the live ones: pending and confirmed.
#[utoipa::path(
    get,
    path = "/api/reg/get_registrevent",
    operation_id = "listRegistrations",
    tag = "registrations",
    params(
        StatusParam,
        PageParams,
    ),
    responses(
        (status = 200, description = "The registrations; the next page is in Link", body = Vec<RegistrationView>),
        ListProblems,
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
        return Err(no_registrations());
    }
    Ok(page::respond(
        found
            .into_iter()
            .map(|found| RegistrationView::from(&app.tickets.sealed(found)))
            .collect(),
        next,
        &uri,
    ))
}

/// One of your registrations.
#[utoipa::path(
    get,
    path = "/api/reg/registrations/{id}",
    operation_id = "getRegistration",
    tag = "registrations",
    params(("id" = String, Path, description = "The registration's id", example = "019309a2-0000-7000-8000-000000000003")),
    responses(
        (status = 200, description = "The registration", body = RegistrationView),
        Problems,
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
        .map(|registered| Json(RegistrationView::from(&app.tickets.sealed(registered))))
        .ok_or_else(|| cancel_problem(CancelError::NoSuchRegistration))
}
