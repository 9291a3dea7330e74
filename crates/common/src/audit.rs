//! The audit trail: who did what to which, from where, when, and with what outcome. Entries are only added, and dropped when they
//! are old.
//!
//! Each service writes down the calls to it that change something or were refused, and those with an API key.

use std::{net::IpAddr, time::Duration};

use async_trait::async_trait;
use axum::http::{Method, StatusCode};
use chrono::TimeDelta;
use serde::Serialize;
use uuid::Uuid;

use crate::{
    clock::Timestamp,
    ids::UserId,
    routes::{Audience, Call},
    store::StoreError,
};

/// How long entries are kept.
pub const KEPT_FOR: TimeDelta = TimeDelta::days(400);
/// Entries in one listing.
pub const AT_ONCE: usize = 1000;
/// Refusals, and reads by an API key, that repeat within this time are one entry: who knocks at every door should not fill the
/// disk.
pub const KNOCKING: Duration = Duration::from_secs(10);

/// One entry.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Entry {
    /// Its id.
    #[serde(skip)]
    pub id: Uuid,
    /// When, UTC.
    pub at: Timestamp,
    /// Who, or whose account somebody tried to sign in to; `None`: not known.
    pub user: Option<UserId>,
    /// By which session.
    pub session: Option<Uuid>,
    /// Or by which API key.
    pub api_key: Option<Uuid>,
    /// What: method and route, such as `POST /api/users/login`.
    pub action: String,
    /// To which, such as the event's id.
    pub subject: Option<String>,
    /// From which network.
    pub network: String,
    /// The answer's status.
    pub status: u16,
    /// The problem's code, when it was one.
    pub code: Option<String>,
    /// The request, as in the log.
    pub request_id: String,
    /// How often within [`KNOCKING`].
    pub times: u32,
}

impl Entry {
    /// By what it is one entry with others: refusals, and reads; `None`: it stands alone.
    pub fn knock(&self) -> Option<Knock> {
        let is_knock =
            self.status >= 400 || self.action.starts_with("GET ") || self.action.starts_with("HEAD ");
        is_knock.then(|| Knock {
            by: (self.user, self.session, self.api_key),
            action: self.action.clone(),
            subject: self.subject.clone(),
            network: self.network.clone(),
            status: self.status,
            code: self.code.clone(),
        })
    }
}

/// By what entries are one.
#[derive(PartialEq, Eq, Hash, Debug)]
pub struct Knock {
    by: (Option<UserId>, Option<Uuid>, Option<Uuid>),
    action: String,
    subject: Option<String>,
    network: String,
    status: u16,
    code: Option<String>,
}

/// Which entries are wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Wanted {
    /// Of this user.
    pub user: Option<UserId>,
    /// From then on.
    pub since: Option<Timestamp>,
    /// Beyond the one of this time and id.
    pub after: Option<(Timestamp, Uuid)>,
    /// The newest first, instead of the oldest.
    pub newest_first: bool,
}

/// Where a service keeps its entries.
#[async_trait]
pub trait AuditStore: Send + Sync {
    /// Adds entries.
    async fn append(&self, entries: Vec<Entry>) -> Result<(), StoreError>;

    /// The entries that are wanted, in their order: up to [`AT_ONCE`].
    async fn entries(&self, wanted: Wanted) -> Result<Vec<Entry>, StoreError>;

    /// Drops up to `limit` entries from before then; gives how many.
    async fn drop_before(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError>;
}

/// Whether a call is written down, with this answer. Not what was merely wrong in form, nor what services ask each other.
pub fn is_audited(
    call: &Call,
    method: &Method,
    by_key: bool,
    status: StatusCode,
    code: Option<&str>,
) -> bool {
    if matches!(
        call.audience,
        Audience::Services | Audience::MediaServer | Audience::Browsers | Audience::Developers
    ) {
        return false;
    }
    let changes = !method.is_safe() || call.audited;
    match status.as_u16() {
        // Webhooks that were taken in have a table of their own.
        ..400 => by_key || (changes && call.audience != Audience::Providers),
        // Anybody's client comes without a token, or with an old one, and then signs in.
        401 => by_key || !matches!(code, Some("missing_token" | "token_expired")),
        400 => call.audience == Audience::Providers,
        403 | 409 | 429 => true,
        404 => call.of_owner && code != Some("route_not_found"),
        402 | 499.. => changes || by_key,
        _ => false,
    }
}

/// The status of a call that nobody waited for, as proxies write it.
pub fn cut_off() -> StatusCode {
    StatusCode::from_u16(499).unwrap_or(StatusCode::REQUEST_TIMEOUT)
}

/// The network of an address: enough to tell places apart, and less than an address.
pub fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        IpAddr::V6(v6) => {
            let [a, b, c, ..] = v6.segments();
            format!("{a:x}:{b:x}:{c:x}::/48")
        }
    }
}

/// The id in a path, where its route has one.
pub fn subject(route: &str, path: &str) -> Option<String> {
    let mut segments = route.split('/').zip(path.split('/'));
    let id = segments.find(|(part, _)| part.starts_with('{'))?.1;
    // Somebody else's text may be there: an id has at most this many characters, and these.
    let is_id = (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    is_id.then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::Policy;

    #[test]
    fn changes_refusals_and_uses_of_keys_are_written_down() {
        let (get, post, patch) = (Method::GET, Method::POST, Method::PATCH);
        let own = "/api/organiser/events/{id}";
        for (method, route, by_key, status, code, written) in [
            (&post, "/api/users/login", false, 200, None, true),
            (
                &post,
                "/api/users/login",
                false,
                401,
                Some("invalid_credentials"),
                true,
            ),
            (
                &post,
                "/api/users/login",
                false,
                422,
                Some("validation_failed"),
                false,
            ),
            (&post, "/api/users/login", false, 429, Some("rate_limited"), true),
            (&get, "/api/users/oauth/google/callback", false, 302, None, true),
            (&get, "/api/users/me", false, 200, None, false),
            (&get, "/api/users/me", false, 401, Some("missing_token"), false),
            (&get, "/api/users/me", false, 401, Some("invalid_token"), true),
            (&get, "/api/users/me", true, 403, Some("scope_missing"), true),
            (&get, "/api/organiser/events", true, 200, None, true),
            (&get, "/api/events", false, 200, None, false),
            (&patch, own, false, 404, Some("event_not_found"), true),
            (&patch, own, false, 503, None, true),
            (&post, "/api/payment/webhook", false, 200, None, false),
            (
                &post,
                "/api/payment/webhook",
                false,
                400,
                Some("signature_invalid"),
                true,
            ),
            (&post, "/internal/messages", false, 200, None, false),
            (&get, "/verify-email", false, 200, None, false),
        ] {
            let Policy::Call(call) = Policy::find(route, method) else {
                panic!("{method} {route}")
            };
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(
                is_audited(call, method, by_key, status, code),
                written,
                "{method} {route} {status} {code:?}"
            );
        }
    }

    #[test]
    fn the_subject_is_the_id_in_the_path() {
        let route = "/api/organiser/events/{id}/cancel";
        for (path, id) in [
            (
                "/api/organiser/events/0190b0e6-0000-7000-8000-000000000000/cancel",
                Some("0190b0e6-0000-7000-8000-000000000000"),
            ),
            ("/api/organiser/events/%0a/cancel", None),
            ("/api/organiser/events//cancel", None),
        ] {
            assert_eq!(subject(route, path).as_deref(), id, "{path}");
        }
        assert_eq!(subject("/api/users/login", "/api/users/login"), None);
    }
}
