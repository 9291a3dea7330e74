//! `GET /api/payment/payments` and `GET /api/payment/payments/{id}`

use axum::{Json, extract::State, http::Uri, response::Response};
use common::{
    extract::{Caller, Params, PathId},
    http::{Page, page},
    ids::PaymentId,
    problem::ApiError,
    schemas::PageParams,
};

use crate::{
    app::App,
    problems::payment_not_found,
    views::{PaymentDetailView, PaymentView},
};

/// List your payments, newest first.
#[utoipa::path(
    get,
    path = "/api/payment/payments",
    operation_id = "listPayments",
    tag = "payments",
    params(PageParams),
    responses(
        (status = 200, description = "The payments; the next page is in Link", body = Vec<PaymentView>),
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

common::problems!(Problems: payment_not_found());

/// One of your payments, with all that is known of it: fee, means, refunds, and the way it has come.
#[utoipa::path(
    get,
    path = "/api/payment/payments/{id}",
    operation_id = "getPayment",
    tag = "payments",
    params(("id" = String, Path, description = "The payment's id", example = "019309a2-0000-7000-8000-000000000005")),
    responses(
        (status = 200, description = "The payment", body = PaymentDetailView),
        Problems,
    ),
    security(("bearer" = []))
)]
pub async fn one(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<Json<PaymentDetailView>, ApiError> {
    let id = PaymentId::lenient(&id);
    let found = app.store.statement(id, caller.id).await?;
    let statement = found.ok_or_else(payment_not_found)?;
    let entries = app.store.entries(id).await?;
    Ok(Json(PaymentDetailView::new(&statement, &entries)))
}
