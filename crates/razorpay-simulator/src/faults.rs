//! Calls of the API that are to go wrong: the controls ask for it, and the pipeline brings it about.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use parking_lot::Mutex;
use serde_json::{Value, json};

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

/// Which calls go wrong, and how.
#[derive(Debug)]
pub(crate) struct Rule {
    /// Any, if none is named.
    pub(crate) method: Option<Method>,
    /// What their paths start with.
    pub(crate) path: String,
    /// How many of them.
    pub(crate) times: i64,
    pub(crate) fault: Fault,
}

/// The faults that wait for calls.
#[derive(Default)]
pub(crate) struct Faults(Mutex<Vec<Rule>>);

impl Faults {
    /// Has calls go wrong, when the rules before this one are used up.
    pub(crate) fn add(&self, rule: Rule) {
        self.0.lock().push(rule);
    }

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

    /// Forgets them all.
    pub(crate) fn clear(&self) {
        self.0.lock().clear();
    }

    /// As the controls show them.
    pub(crate) fn view(&self) -> Value {
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
