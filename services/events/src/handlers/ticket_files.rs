//! `GET /api/reg/registrations/{id}/ticket.pdf`, `.svg`, `.png`, `.ics` and `GET /api/reg/tickets/{code}.pdf`

use axum::{
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use common::{
    extract::{Caller, PathId},
    http::pipeline::private,
    ids::RegistrationId,
    problem::ApiError,
};

use super::no_such_registration;
use crate::{
    app::App,
    domain::registration,
    store::{Registered, desk::TicketBy},
    ticketing::{Admission, no_ticket, too_many_renderings},
};

common::problems!(
    Problems:
    no_such_registration(),
    no_ticket(registration::State::Cancelled),
    too_many_renderings(),
);
common::problems!(
    CodeProblems:
    no_such_ticket(),
    too_many_renderings(),
);

/// 404 for a code that admits nobody.
pub fn no_such_ticket() -> ApiError {
    ApiError::not_found("ticket_not_found", "There is no valid ticket with this code.")
}

async fn own(app: &App, caller: &Caller, id: &str) -> Result<Registered, ApiError> {
    let now = app.clock.now();
    let found = app
        .store
        .registration(RegistrationId::lenient(id), caller.id, now)
        .await?;
    found.ok_or_else(no_such_registration)
}

async fn printed(app: &App, registered: &Registered) -> Result<Response, ApiError> {
    let admission = Admission::of(registered)?;
    let holder = app
        .known([registered.registration.user_id])
        .await
        .into_values()
        .next();
    let (name, locale) = holder.map_or((None, None), |card| (card.name.clone(), card.locale.clone()));
    let pdf = app.tickets.pdf(admission, name, locale.as_deref()).await?;
    Ok(file(pdf, "application/pdf", admission, "pdf", "attachment"))
}

/// A file with a name to keep it under.
fn file(
    body: impl IntoResponse,
    kind: &'static str,
    admission: Admission<'_>,
    extension: &str,
    shown: &str,
) -> Response {
    let mut response = private(body.into_response());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    let named = format!(
        "{shown}; filename=\"ticket-{}.{extension}\"",
        admission.ticket.code
    );
    if let Ok(named) = HeaderValue::from_str(&named) {
        headers.insert(header::CONTENT_DISPOSITION, named);
    }
    response
}

/// Your ticket as a page to print.
#[utoipa::path(
    get,
    path = "/api/reg/registrations/{id}/ticket.pdf",
    operation_id = "getTicketPdf",
    tag = "registrations",
    params(("id" = String, Path, description = "The registration's id", example = "019309a2-0000-7000-8000-000000000003")),
    responses(
        (status = 200, description = "One page, A4", body = Vec<u8>, content_type = "application/pdf"),
        Problems,
    ),
    security(("bearer" = []))
)]
pub async fn ticket_pdf(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<Response, ApiError> {
    printed(&app, &own(&app, &caller, &id).await?).await
}

/// The QR code of your ticket, as SVG.
#[utoipa::path(
    get,
    path = "/api/reg/registrations/{id}/ticket.svg",
    operation_id = "getTicketSvg",
    tag = "registrations",
    params(("id" = String, Path, description = "The registration's id", example = "019309a2-0000-7000-8000-000000000003")),
    responses(
        (status = 200, description = "The QR code", body = String, content_type = "image/svg+xml"),
        Problems,
    ),
    security(("bearer" = []))
)]
pub async fn ticket_svg(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<Response, ApiError> {
    let registered = own(&app, &caller, &id).await?;
    let admission = Admission::of(&registered)?;
    let svg = app.tickets.svg(admission).await?;
    Ok(file(svg, "image/svg+xml", admission, "svg", "inline"))
}

/// The QR code of your ticket, as PNG.
#[utoipa::path(
    get,
    path = "/api/reg/registrations/{id}/ticket.png",
    operation_id = "getTicketPng",
    tag = "registrations",
    params(("id" = String, Path, description = "The registration's id", example = "019309a2-0000-7000-8000-000000000003")),
    responses(
        (status = 200, description = "The QR code", body = Vec<u8>, content_type = "image/png"),
        Problems,
    ),
    security(("bearer" = []))
)]
pub async fn ticket_png(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<Response, ApiError> {
    let registered = own(&app, &caller, &id).await?;
    let admission = Admission::of(&registered)?;
    let png = app.tickets.png(admission).await?;
    Ok(file(png, "image/png", admission, "png", "inline"))
}

/// The event as an entry for your calendar.
#[utoipa::path(
    get,
    path = "/api/reg/registrations/{id}/ticket.ics",
    operation_id = "getTicketIcs",
    tag = "registrations",
    params(("id" = String, Path, description = "The registration's id", example = "019309a2-0000-7000-8000-000000000003")),
    responses(
        (status = 200, description = "An iCalendar file", body = String, content_type = "text/calendar"),
        Problems,
    ),
    security(("bearer" = []))
)]
pub async fn ticket_ics(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<Response, ApiError> {
    let registered = own(&app, &caller, &id).await?;
    let admission = Admission::of(&registered)?;
    let ics = app.tickets.ics(admission, app.clock.now());
    Ok(file(ics, calendar::CONTENT_TYPE, admission, "ics", "attachment"))
}

/// The page to print of a ticket, by its code alone.
#[utoipa::path(
    get,
    path = "/api/reg/tickets/{file}",
    operation_id = "getTicketByCode",
    tag = "registrations",
    params(("file" = String, Path, description = "The ticket's code and `.pdf`", example = "7KQ2-M4XD-0RZT-9HVB.pdf")),
    responses(
        (status = 200, description = "One page, A4", body = Vec<u8>, content_type = "application/pdf"),
        CodeProblems,
    )
)]
pub async fn ticket_by_code(State(app): State<App>, PathId(name): PathId) -> Result<Response, ApiError> {
    let code = name.strip_suffix(".pdf").and_then(registration::typed_code);
    let code = code.ok_or_else(no_such_ticket)?;
    let found = app.store.ticketed(TicketBy::Code(code), app.clock.now()).await?;
    let registered = found.ok_or_else(no_such_ticket)?;
    // Whoever has the code alone is not told what became of the registration.
    if Admission::of(&registered).is_err() {
        return Err(no_such_ticket());
    }
    printed(&app, &registered).await
}
