//! `GET /api/organiser/events/{id}/registrations.csv`

use std::sync::Arc;

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use common::{
    extract::{Caller, Params, PathId, insufficient_role, organizer_only},
    http::pipeline::private,
    ids::RegistrationId,
    problem::ApiError,
    schemas::choice,
};
use futures_util::{StreamExt, stream};
use utoipa::{IntoParams, openapi::Object};

use super::attendees::{AT_ONCE, AttendeeView, FilterParams, Wanted, shown_in_passing};
use crate::{
    app::App,
    domain::{
        event::Event,
        team::{Right, TeamRole},
    },
    handlers::{no_such_event, rights::event_for},
    store::desk::AttendeeFilter,
};

/// What the columns are called.
const HEADINGS: &str = "registration_id,user_id,name,email,phone,status,amount_paid,payment_id,registered_at,ticket_id,checked_in_at,gate,entered_at,last_seen_at,watched_seconds\r\n";
/// What tells spreadsheets that the file is UTF-8.
const BOM: &str = "\u{feff}";

/// The query parameters.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "the document's view of the mark")]
pub struct BomParam {
    /// `true`: the file begins with a byte order mark, without which Excel takes it for another encoding.
    #[param(schema_with = yes_or_no, required = false)]
    bom: Option<String>,
}

fn yes_or_no() -> Object {
    choice(&["true", "false"])
}

common::problems!(
    Problems:
    organizer_only(),
    insufficient_role(TeamRole::Scanner),
    no_such_event(),
    ApiError::invalid_field("checked_in", "must be true or false"),
);

/// All registrations of one of your events as CSV (RFC 4180), the newest first. Cells that a spreadsheet would take for a formula begin with an
/// apostrophe.
#[utoipa::path(
    get,
    path = "/api/organiser/events/{id}/registrations.csv",
    operation_id = "exportAttendees",
    tag = "desk",
    params(
        ("id" = String, Path, description = "The event's id", example = "019309a2-0000-7000-8000-000000000002"),
        FilterParams,
        BomParam,
    ),
    responses(
        (status = 200, description = "The registrations", body = String, content_type = "text/csv"),
        Problems,
    ),
    security(("bearer" = []))
)]
pub async fn attendees_csv(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    mut params: Params,
) -> Result<Response, ApiError> {
    let wanted = Wanted::read(&mut params);
    let bom = params.get("bom", |text| match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("must be true or false".to_owned()),
    });
    params.finish()?;
    let event = event_for(&app, &caller, &id, Right::Manage).await?;
    tracing::info!(event_id = %event.id, user_id = %caller.id, "attendees exported");
    let mut head = String::new();
    if bom == Some(true) {
        head.push_str(BOM);
    }
    head.push_str(HEADINGS);
    // The first page is read before the answer begins, so that what is wrong is said with a status.
    let first = page(&app, &event, &wanted, None).await?;
    let name = format!("attachment; filename=\"registrations-{}.csv\"", event.id);
    let rest = stream::try_unfold(
        (app, event, wanted, first.1),
        |(app, event, wanted, after)| async move {
            let Some(after) = after else { return Ok(None) };
            let (lines, next) = page(&app, &event, &wanted, Some(after)).await?;
            Ok::<_, ApiError>(Some((lines, (app, event, wanted, next))))
        },
    );
    let lines = stream::iter([Ok(Bytes::from(head)), Ok(first.0)]).chain(rest);
    let lines = lines.map(|lines| {
        // The connection is cut off, and the client sees that there is no end.
        lines.map_err(|error| std::io::Error::other(format!("{error:?}")))
    });
    let mut response = private(Body::from_stream(lines).into_response());
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/csv; charset=utf-8"),
    );
    if let Ok(name) = HeaderValue::from_str(&name) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

/// The lines of a page, and where to go on.
async fn page(
    app: &App,
    event: &Arc<Event>,
    wanted: &Wanted,
    after: Option<RegistrationId>,
) -> Result<(Bytes, Option<RegistrationId>), ApiError> {
    let filter: AttendeeFilter = wanted.filter;
    let found = app
        .store
        .desk_attendees(event.clone(), filter, after, AT_ONCE, AT_ONCE, app.clock.now())
        .await?;
    let last = found.found.last().map(|last| last.registration.id);
    let next = match found.found.len() {
        AT_ONCE => last,
        _ => found.rest,
    };
    let mut lines = String::new();
    for view in shown_in_passing(app, &found.found).await? {
        if wanted.finds(&view) {
            line(&mut lines, &view);
        }
    }
    Ok((Bytes::from(lines), next))
}

fn line(lines: &mut String, view: &AttendeeView) {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let id = |value: Option<String>| value.unwrap_or_default();
    let attendance = view.attendance.as_ref();
    let cells = [
        view.registration_id.to_string(),
        view.user_id.to_string(),
        text(&view.name),
        text(&view.email),
        text(&view.phone),
        view.status.name().to_owned(),
        view.amount_paid.0.rupees(),
        id(view.payment_id.map(|id| id.to_string())),
        view.registered_at.clone(),
        id(view.ticket_id.map(|id| id.to_string())),
        text(&view.checked_in_at),
        text(&view.gate),
        attendance.map(|seen| seen.entered_at.clone()).unwrap_or_default(),
        attendance
            .map(|seen| seen.last_seen_at.clone())
            .unwrap_or_default(),
        attendance
            .map(|seen| seen.watched_seconds.to_string())
            .unwrap_or_default(),
    ];
    for (index, cell) in cells.iter().enumerate() {
        if index > 0 {
            lines.push(',');
        }
        lines.push_str(&quoted(cell));
    }
    lines.push_str("\r\n");
}

/// A cell (RFC 4180). What a spreadsheet would calculate gets an apostrophe, which shows that it is text (OWASP, CSV injection).
fn quoted(cell: &str) -> String {
    let is_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠']);
    let cell = if is_formula {
        format!("'{cell}")
    } else {
        cell.to_owned()
    };
    if cell.contains([',', '"', '\r', '\n', ';', '\t']) || cell.starts_with(' ') {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn no_cell_is_a_formula_or_more_than_one() {
        for (cell, written) in [
            ("Asha Rao", "Asha Rao"),
            ("", ""),
            ("Rao, Asha \"A\"", "\"Rao, Asha \"\"A\"\"\""),
            (
                "=HYPERLINK(\"http://x\",\"y\")",
                "\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\"",
            ),
            ("+919876543210", "'+919876543210"),
            ("-1", "'-1"),
            ("@x", "'@x"),
            ("\t=1", "\"'\t=1\""),
            ("＝1", "'＝1"),
            ("a\r\nb", "\"a\r\nb\""),
            ("आशा", "आशा"),
        ] {
            assert_eq!(quoted(cell), written);
        }
    }
}
