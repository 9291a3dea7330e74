//! `GET /api/payment/payments` and `GET /api/payment/payments/{id}`

use axum::{Json, extract::State, http::Uri, response::Response};
use common::{
    extract::{Caller, Params, PathId},
    http::{Page, page},
    ids::PaymentId,
    problem::{ApiError, Problem},
};

use crate::{app::App, views::PaymentView};

/// List your payments, newest first.
#[utoipa::path(
    get,
    path = "/api/payment/payments",
    tag = "payments",
    params(
        ("limit" = Option<u32>, Query, description = "1 to 100, default 50"),
        ("cursor" = Option<String>, Query, description = "From the Link header of the page before"),
    ),
    responses(
        (status = 200, description = "The payments; the next page is in Link", body = Vec<PaymentView>),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "No valid token"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "A parameter is wrong"),
    ),
    security(("bearer" = []))
)]
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    mut params: Params,
    uri: Uri,
) -> Result<Response, ApiError> {
    let page = Page::read(&mut params);
    params.finish()?;
    let (found, next) = app.store.statements(caller.id, page).await?;
    Ok(page::respond(
        found.iter().map(PaymentView::from).collect(),
        next,
        &uri,
    ))
}

/// One of your payments, with its failure or refund.
#[utoipa::path(
    get,
    path = "/api/payment/payments/{id}",
    tag = "payments",
    params(("id" = String, Path, description = "The payment's id")),
    responses(
        (status = 200, description = "The payment", body = PaymentView),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "No valid token"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such payment of yours"),
    ),
    security(("bearer" = []))
)]
pub async fn one(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<Json<PaymentView>, ApiError> {
    let found = app.store.statement(PaymentId::lenient(&id), caller.id).await?;
    found
        .map(|statement| Json(PaymentView::from(&statement)))
        .ok_or_else(|| ApiError::not_found("payment_not_found", "There is no such payment."))
}
