//! Having calls of the API go wrong.

use std::time::Duration;

use axum::{Json, extract::State, http::StatusCode};
use serde_json::json;

use crate::{
    app::App,
    failure::Failure,
    faults::{Fault, FaultKind, Rule},
    http::{Answer, Body, Fields},
};

/// The longest wait that can be asked for.
const LONGEST_DELAY_MS: i64 = 10 * 60 * 1000;

/// `POST /sim/control/faults`
pub(super) async fn add(State(app): State<App>, Body(fields): Body) -> Answer {
    let rule = parse(&fields.with_numeric_text())?;
    app.faults.add(rule);
    Ok(Json(json!({ "faults": app.faults.view() })))
}

/// `DELETE /sim/control/faults`
pub(super) async fn clear(State(app): State<App>) -> Answer {
    app.faults.clear();
    Ok(Json(json!({ "faults": [] })))
}

fn parse(fields: &Fields) -> Result<Rule, Failure> {
    fields.only(&[
        "kind",
        "status",
        "description",
        "times",
        "method",
        "path",
        "delay_ms",
        "after_commit",
    ])?;
    let status = || match fields.integer("status")?.map(u16::try_from) {
        None => Ok(StatusCode::INTERNAL_SERVER_ERROR),
        Some(Ok(status @ 400..=599)) => StatusCode::from_u16(status).map_err(|_| Failure::internal()),
        Some(_) => Err(Failure::invalid(
            "status",
            "The status must be between 400 and 599.",
        )),
    };
    let kind = match fields.required_text("kind", 16)?.as_str() {
        "status" => FaultKind::Status {
            status: status()?,
            description: fields.text("description", 1000)?,
        },
        "html" => FaultKind::Html { status: status()? },
        "drop" => FaultKind::Drop,
        "delay" => FaultKind::Delay,
        _ => {
            return Err(Failure::invalid(
                "kind",
                "The kind must be status, html, drop or delay.",
            ));
        }
    };
    let works_first = matches!(kind, FaultKind::Drop | FaultKind::Delay);
    let delay = fields
        .integer("delay_ms")?
        .unwrap_or(0)
        .clamp(0, LONGEST_DELAY_MS)
        .unsigned_abs();
    let method = match fields.text("method", 16)? {
        Some(method) => Some(
            method
                .to_ascii_uppercase()
                .parse()
                .map_err(|_| Failure::invalid("method", "The method is invalid."))?,
        ),
        None => None,
    };
    Ok(Rule {
        method,
        path: fields.text("path", 255)?.unwrap_or_default(),
        times: fields.integer("times")?.unwrap_or(1).max(1),
        fault: Fault {
            before: !fields.flag("after_commit")?.unwrap_or(works_first),
            delay: Duration::from_millis(delay),
            kind,
        },
    })
}
