//! Query strings. Unknown keys are ignored: the SDKs send `expand` in several garbled forms, and bare keys.

use std::convert::Infallible;

use axum::{extract::FromRequestParts, http::request::Parts};

use super::form;
use crate::failure::Failure;

/// Seconds that `from` and `to` may name: 2000 to 2120.
const TIMES: std::ops::RangeInclusive<i64> = 946_684_800..=4_765_046_400;

/// The decoded pairs of a query string.
pub(crate) struct Query(Vec<(String, String)>);

/// Which part of a list is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Page {
    /// Entities to give.
    pub(crate) count: i64,
    /// Newer ones to leave out.
    pub(crate) skip: i64,
    /// Unix seconds.
    pub(crate) from: i64,
    /// Unix seconds, inclusive.
    pub(crate) to: i64,
}

impl Query {
    /// The last value of a key; empty is none.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .rev()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
            .filter(|v| !v.is_empty())
    }

    /// Whether `what` is to be expanded: `expand[]=what`, `expand[0]=what`, `expand[expand]=what` and so on.
    pub(crate) fn expands(&self, what: &str) -> bool {
        self.0
            .iter()
            .any(|(key, value)| key.starts_with("expand") && value == what)
    }

    /// `count` (default 10), `skip`, `from` and `to`.
    pub(crate) fn page(&self) -> Result<Page, Failure> {
        let count = self.number("count")?.unwrap_or(10);
        if count > 100 {
            return Err(Failure::invalid(
                "count",
                "The count may not be greater than 100.",
            ));
        }
        if count < 1 {
            return Err(Failure::invalid("count", "The count must be at least 1."));
        }
        let skip = self.number("skip")?.unwrap_or(0);
        if skip < 0 {
            return Err(Failure::invalid("skip", "The skip must be at least 0."));
        }
        let (from, to) = (
            self.time("from")?.unwrap_or(0),
            self.time("to")?.unwrap_or(i64::MAX),
        );
        Ok(Page {
            count,
            skip,
            from,
            to,
        })
    }

    fn time(&self, name: &str) -> Result<Option<i64>, Failure> {
        match self.number(name)? {
            Some(time) if !TIMES.contains(&time) => Err(Failure::invalid(
                name,
                format!("{name} must be between {} and {}", TIMES.start(), TIMES.end()),
            )),
            time => Ok(time),
        }
    }

    fn number(&self, name: &str) -> Result<Option<i64>, Failure> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        // Node's dates become seconds with a fraction.
        let whole = text.split_once('.').map_or(text, |(whole, _)| whole);
        match whole.parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(Failure::invalid(name, format!("The {name} must be an integer."))),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self(form::pairs(
            parts.uri.query().unwrap_or_default().as_bytes(),
        )))
    }
}
