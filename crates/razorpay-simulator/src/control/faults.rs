//! Calls of the API that are to go wrong.

use std::time::Duration;

use axum::{
    Json,
    extract::State,
    http::{Method, StatusCode},
};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::{
    app::App,
    failure::Failure,
    http::{Answer, Body, Fields},
};

/// The longest wait that can be asked for.
const LONGEST_DELAY_MS: i64 = 10 * 60 * 1000;

/// How a call goes wrong.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    /// Before the call's work is done, which then is not.
    pub(crate) before: bool,
    /// What the caller waits first.
    pub(crate) delay: Duration,
    pub(crate) kind: FaultKind,
}

/// What the caller gets.
#[derive(Clone, Debug)]
pub(crate) enum FaultKind {
    /// The envelope that goes with a status, perhaps with another text.
    Status {
        status: StatusCode,
        description: Option<String>,
    },
    /// An error page, as proxies in front of an API send them.
    Html { status: StatusCode },
    /// A closed connection.
    Drop,
    /// What it asked for, late.
    Delay,
}

#[derive(Debug)]
struct Rule {
    method: Option<Method>,
    path: String,
    times: i64,
    fault: Fault,
}

/// The faults that wait for calls.
#[derive(Default)]
pub(crate) struct Faults(Mutex<Vec<Rule>>);

impl Faults {
    /// The fault for a call, used up by it.
    pub(crate) fn take(&self, method: &Method, path: &str) -> Option<Fault> {
        let mut rules = self.0.lock();
        let place = rules.iter().position(|rule| {
            rule.method.as_ref().is_none_or(|wanted| wanted == method) && path.starts_with(&rule.path)
        })?;
        let rule = &mut rules[place];
        rule.times -= 1;
        let fault = rule.fault.clone();
        if rule.times <= 0 {
            rules.remove(place);
        }
        Some(fault)
    }

    pub(super) fn clear(&self) {
        self.0.lock().clear();
    }

    pub(super) fn view(&self) -> Value {
        let rules = self.0.lock();
        rules
            .iter()
            .map(|rule| {
                json!({
                    "method": rule.method.as_ref().map(Method::as_str), "path": rule.path, "times": rule.times,
                    "fault": format!("{:?}", rule.fault),
                })
            })
            .collect()
    }
}

/// `POST /sim/control/faults`
pub(super) async fn add(State(app): State<App>, Body(fields): Body) -> Answer {
    let rule = parse(&fields.with_numeric_text())?;
    app.faults.0.lock().push(rule);
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
