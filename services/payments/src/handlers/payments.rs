//! `GET /api/payment/payments`, `GET /api/payment/payments/{id}` and `GET /api/organiser/events/{id}/payments`

use axum::{
    Json,
    extract::State,
    http::{StatusCode, Uri},
    response::Response,
};
use common::{
    extract::{Caller, Params, PathId, insufficient_role, organizer_only, require_manager},
    http::{CallError, Page, page},
    ids::{EventId, PaymentId},
    problem::ApiError,
    schemas::{PageParams, TimeOrDay, choice},
    time::{Day, EventTime},
    wire::{AskOrganizer, EventOrganizer, TeamRole},
};
use utoipa::{IntoParams, openapi::Object};

use crate::{
    app::App,
    domain::payment::Status,
    problems::{event_not_found, payment_not_found, seat_problem},
    store::{PaymentFilter, PaymentsOf},
    views::{OrganizerPaymentView, PaymentDetailView, PaymentView},
};

/// The query parameters.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "the document's view of PaymentFilter")]
pub struct FilterParams {
    /// Only payments with this status.
    #[param(schema_with = status, required = false)]
    status: Option<String>,
    /// Created at this time or later; a date is its first instant in the default zone.
    #[param(value_type = Option<TimeOrDay>, inline, example = "2030-01-01")]
    from: Option<String>,
    /// Created before this time; a date is the whole day, so it is included.
    #[param(value_type = Option<TimeOrDay>, inline, example = "2030-12-31")]
    to: Option<String>,
}

/// A query parameter.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "the document's view of PaymentFilter")]
pub struct EventParam {
    /// Only payments for this event.
    #[param(example = "019309a2-0000-7000-8000-000000000002")]
    event: Option<String>,
}

fn status() -> Object {
    choice(&Status::ALL.map(Status::name))
}

fn filter(app: &App, params: &mut Params) -> PaymentFilter {
    let time = |text: &str, day| Ok(EventTime::parse_query(text, app.default_timezone, day)?.at);
    PaymentFilter {
        status: params.get("status", |text| {
            Status::parse(text)
                .ok_or_else(|| format!("must be one of {}", Status::ALL.map(Status::name).join(", ")))
        }),
        event: None,
        from: params.get("from", |text| time(text, Day::Begins)),
        to: params.get("to", |text| time(text, Day::Ends)),
    }
}

common::problems!(ListProblems: ApiError::invalid_field("from", "must be a time or a date"));

/// List your payments, newest first.
#[utoipa::path(
    get,
    path = "/api/payment/payments",
    operation_id = "listPayments",
    tag = "payments",
    params(FilterParams, EventParam, PageParams),
    responses(
        (status = 200, description = "The payments; the next page is in Link", body = Vec<PaymentView>),
        ListProblems,
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
    let filter = PaymentFilter {
        event: params.get("event", |text| Ok(EventId::lenient(text))),
        ..filter(&app, &mut params)
    };
    params.finish()?;
    let (found, next) = app
        .store
        .statements(PaymentsOf::Payer(caller.id), filter, page)
        .await?;
    Ok(page::respond(
        found.iter().map(PaymentView::from).collect(),
        next,
        &uri,
    ))
}

common::problems!(
    OfEventProblems: organizer_only(), insufficient_role(TeamRole::Scanner), event_not_found(),
    ApiError::invalid_field("from", "must be a time or a date"),
);

/// List the payments for one of your events, newest first: amounts, Razorpay's fees and refunds.
#[utoipa::path(
    get,
    path = "/api/organiser/events/{id}/payments",
    operation_id = "listEventPayments",
    tag = "organiser",
    params(
        ("id" = String, Path, description = "The event's id", example = "019309a2-0000-7000-8000-000000000002"),
        FilterParams,
        PageParams,
    ),
    responses(
        (status = 200, description = "The payments; the next page is in Link", body = Vec<OrganizerPaymentView>),
        OfEventProblems,
    ),
    security(("bearer" = []))
)]
pub async fn of_event(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    mut params: Params,
    uri: Uri,
) -> Result<Response, ApiError> {
    let page = Page::read(&mut params);
    let filter = filter(&app, &mut params);
    params.finish()?;
    let event_id = EventId::lenient(&id);
    let question = AskOrganizer { event_id };
    let answer: Result<EventOrganizer, CallError> =
        app.events.post("/internal/events/organizer", &question).await;
    let event = match answer.map_err(seat_problem) {
        Ok(event) => Some(event),
        Err(problem) if problem.status() == StatusCode::NOT_FOUND => None,
        Err(problem) => return Err(problem),
    };
    require_manager(&caller, event.as_ref())?;
    let (found, next) = app
        .store
        .statements(PaymentsOf::Event(event_id), filter, page)
        .await?;
    Ok(page::respond(
        found.iter().map(OrganizerPaymentView::from).collect(),
        next,
        &uri,
    ))
}

common::problems!(Problems: payment_not_found());

/// One of your payments in detail: fee, means of payment, refunds and timeline.
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
