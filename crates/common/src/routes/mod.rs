//! The registry of routes: which service answers each, who may call it with which method, and by which bounds requests for
//! it are let in and passed on.
//!
//! The gateway takes its routes from here. What is not listed falls to the service whose prefix it has, under the common
//! bounds, so that it is the service that says 404; what has no such prefix is not passed on at all. The services take
//! from here who may call what: what is not listed is refused ([`Policy::find`]).

mod table;

use std::{borrow::Cow, collections::HashMap, sync::LazyLock, time::Duration};

use axum::http::Method;

pub use self::table::{INTERNAL, MEDIAMTX, ROUTES};
use crate::{api_keys::Scope, services::Service};

/// A public route.
#[derive(PartialEq, Eq, Debug)]
pub struct Route {
    /// Segments; `{name}` is any one, `{*rest}` at the end any number, also none.
    pub path: &'static str,
    /// The service that answers.
    pub service: Service,
    /// Who may call it, by method.
    pub calls: &'static [Call],
    /// The largest request body, in bytes.
    pub max_body: usize,
    /// From the end of a request's head to the end of its body.
    pub body_time: Duration,
    /// How long the head of the answer may take. Longer than a handler's own bound (30 s), which gives the better answer.
    pub answer_time: Duration,
    /// What makes a request that changes something fit to be sent to another replica when the connection breaks.
    pub repeat: Repeat,
    /// Whether a WebSocket may be opened here.
    pub upgrade: bool,
    /// Whether an answer lasts as long as its client watches: such have processes of their own where `LIVE_URL` says so.
    pub long_lived: bool,
}

/// A method of a route, and who may call it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Call {
    /// In capitals. GET stands for HEAD too.
    pub method: &'static str,
    /// Who may call.
    pub audience: Audience,
    /// Whether it is about something that belongs to a user, which does not exist for any other one.
    pub of_owner: bool,
    /// With what scope an API key may call; `None`: no key may.
    pub scope: Option<Scope>,
    /// Whether it is a public list or page, of which one address may read so many a minute.
    pub browsed: bool,
    /// Whether it is written into the audit trail although it changes nothing by its method.
    pub audited: bool,
}

/// Who may call a route.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Audience {
    /// Anyone, signed in or not.
    Anyone,
    /// Any signed-in user.
    SignedIn,
    /// Organizers.
    Organizers,
    /// A provider, such as Razorpay, by its signature or a secret.
    Providers,
    /// People with a browser: a page, which the API's document leaves out.
    Browsers,
    /// Developers, outside of production.
    Developers,
    /// The other services, by their tokens.
    Services,
    /// A media server, by the secret in its address.
    MediaServer,
}

impl Audience {
    /// Whether a call needs the token of a user, or a key.
    pub fn needs_user(self) -> bool {
        matches!(self, Self::SignedIn | Self::Organizers)
    }
}

impl Call {
    const fn new(method: &'static str, audience: Audience) -> Self {
        Self {
            method,
            audience,
            of_owner: false,
            scope: None,
            browsed: false,
            audited: false,
        }
    }

    const fn browsed(mut self) -> Self {
        self.browsed = true;
        self
    }

    const fn audited(mut self) -> Self {
        self.audited = true;
        self
    }

    const fn of_owner(mut self) -> Self {
        self.of_owner = true;
        self
    }

    const fn with_key(mut self, scope: Scope) -> Self {
        self.scope = Some(scope);
        self
    }
}

/// What the registry says of a request that a service has an answer for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Policy {
    /// Who may call.
    Call(&'static Call),
    /// The route is listed, but not with this method.
    OtherMethods(&'static [Call]),
    /// It is not listed.
    None,
}

impl Policy {
    /// The policy of a route, as its service calls it, and a method.
    pub fn find(route: &str, method: &Method) -> Self {
        static CALLS: LazyLock<HashMap<&str, &'static [Call]>> = LazyLock::new(|| {
            let public = ROUTES.iter().map(|route| (route.path, route.calls));
            let internal = INTERNAL.iter().map(|path| (*path, table::OF_SERVICES));
            public
                .chain(internal)
                .chain([(MEDIAMTX, table::OF_MEDIAMTX)])
                .filter(|(_, calls)| !calls.is_empty())
                .collect()
        });
        let Some(calls) = CALLS.get(route) else {
            return Self::None;
        };
        let method = if method == Method::HEAD {
            "GET"
        } else {
            method.as_str()
        };
        match calls.iter().find(|call| call.method == method) {
            Some(call) => Self::Call(call),
            None => Self::OtherMethods(calls),
        }
    }
}

/// Whether a request that changes something may be sent twice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Repeat {
    /// Never: the route ignores the key.
    Never,
    /// With an `Idempotency-Key`, which makes the second answer the first one.
    Keyed,
}

/// The largest JSON body, in bytes.
pub const MAX_BODY: usize = 128 * 1024;
/// How long a body may take to arrive. The handler's own bound is a second less ([`crate::extract::BODY_DEADLINE`]) and
/// gives the better answer.
pub const BODY_TIME: Duration = Duration::from_secs(13);
/// How long the head of an answer may take.
pub const ANSWER_TIME: Duration = Duration::from_secs(35);

const fn route(path: &'static str, service: Service, calls: &'static [Call]) -> Route {
    Route {
        path,
        service,
        calls,
        max_body: MAX_BODY,
        body_time: BODY_TIME,
        answer_time: ANSWER_TIME,
        repeat: Repeat::Keyed,
        upgrade: false,
        long_lived: false,
    }
}

impl Route {
    const fn never_repeated(mut self) -> Self {
        self.repeat = Repeat::Never;
        self
    }

    const fn long_lived(mut self) -> Self {
        self.long_lived = true;
        self
    }

    const fn with_upgrade(mut self) -> Self {
        self.upgrade = true;
        self
    }
}

/// The route of a path. None for a path that could mean something else to another reader: dots to climb with, slashes in
/// disguise, empty segments.
pub fn find(path: &str) -> Option<&'static Route> {
    if is_tricky(path) {
        return None;
    }
    ROUTES.iter().find(|route| fits(route.path, path))
}

/// Below these the path itself gives access: a ticket's code, the token of a calendar.
const WITH_SECRETS: [&str; 2] = ["/api/reg/tickets/", "/api/reg/calendar/"];

/// The path as logs may show it.
pub fn without_secrets(path: &str) -> Cow<'_, str> {
    match WITH_SECRETS.iter().find(|start| path.starts_with(**start)) {
        Some(start) => Cow::Owned(format!("{start}{{file}}")),
        None => Cow::Borrowed(path),
    }
}

fn fits(pattern: &str, path: &str) -> bool {
    let mut segments = path.split('/');
    for part in pattern.split('/') {
        if part == "{*rest}" {
            return true;
        }
        match segments.next() {
            Some(segment) if part.starts_with('{') || part == segment => {}
            _ => return false,
        }
    }
    segments.next().is_none()
}

fn is_tricky(path: &str) -> bool {
    path.contains("//")
        || path.contains('\\')
        || path.split('/').any(|segment| matches!(segment, "." | ".."))
        || (path.contains('%') && is_disguised(path))
}

/// Dots, slashes and backslashes as `%2e`, `%2f`, `%5c`, and NUL.
fn is_disguised(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    ["%2e", "%2f", "%5c", "%00", "%25"]
        .iter()
        .any(|code| lower.contains(code))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Service::{Events, Notifications, Payments, Users};

    #[test]
    fn no_secret_of_a_path_is_shown() {
        for (path, shown) in [
            (
                "/api/reg/tickets/7KQ2-M4XD-0RZT-9HVB.pdf",
                "/api/reg/tickets/{file}",
            ),
            ("/api/reg/calendar/abc.ics", "/api/reg/calendar/{file}"),
            ("/api/reg/calendar", "/api/reg/calendar"),
            ("/api/events/x", "/api/events/x"),
        ] {
            assert_eq!(without_secrets(path), shown);
        }
    }

    #[test]
    fn paths_go_where_they_belong_and_tricks_nowhere() {
        for (path, service) in [
            ("/api/users/register", Some(Users)),
            ("/api/users", Some(Users)),
            ("/api/organiser/events", Some(Events)),
            ("/api/organiser/events/x", Some(Events)),
            ("/api/organiser/events/x/cancel", Some(Events)),
            ("/api/organiser/events/x/payments", Some(Payments)),
            ("/api/organiser/events/x/payments/y", Some(Events)),
            ("/api/organiser/events/payments", Some(Events)),
            ("/api/organiser/events//payments", None),
            ("/api/events", Some(Events)),
            ("/api/payment/payments/x", Some(Payments)),
            ("/dev/mailbox", Some(Notifications)),
            ("/dev/mailbox/x", Some(Notifications)),
            ("/dev/mailbox.json", Some(Notifications)),
            ("/api/usersx", None),
            ("/api", None),
            ("/", None),
            ("/internal/messages", None),
            (MEDIAMTX, None),
            ("/internal/media/mediamtx/x/auth", None),
            ("/api/users/../../internal/messages", None),
            ("/api/users/%2e%2e/internal", None),
            ("/api/users/..%2Finternal", None),
            ("/api/users//internal", None),
            ("/api/users/\\internal", None),
            ("/api/users/%252e%252e", None),
            ("//api/users", None),
            ("/metrics", None),
        ] {
            assert_eq!(find(path).map(|route| route.service), service, "{path}");
        }
    }

    #[test]
    fn every_route_can_be_reached() {
        for route in ROUTES {
            let path = route.path.replace("{*rest}", "x/y/z").replace("{id}", "x");
            let path = path.replace("{session_id}", "x").replace("{message_id}", "x");
            assert_eq!(find(&path), Some(route), "{path} is taken by one above it");
        }
    }

    #[test]
    fn a_route_has_a_policy_by_its_method() {
        let audience = |path, method: &Method| match Policy::find(path, method) {
            Policy::Call(call) => Some(call.audience),
            Policy::OtherMethods(_) | Policy::None => None,
        };
        let event = "/api/organiser/events/{id}";
        assert_eq!(audience(event, &Method::PATCH), Some(Audience::Organizers));
        assert_eq!(audience(event, &Method::DELETE), None);
        assert_eq!(audience("/api/events", &Method::HEAD), Some(Audience::Anyone));
        assert_eq!(audience("/api/events/{*rest}", &Method::GET), None);
        assert_eq!(audience(INTERNAL[0], &Method::POST), Some(Audience::Services));
        assert_eq!(audience(INTERNAL[0], &Method::GET), None);
    }

    #[test]
    fn who_may_use_a_key_may_call_with_a_token() {
        for call in ROUTES.iter().flat_map(|route| route.calls) {
            assert!(
                call.audience.needs_user() || (call.scope.is_none() && !call.of_owner),
                "{call:?}"
            );
        }
    }

    #[test]
    fn a_service_bounds_bodies_before_the_listener_does() {
        assert!(
            ROUTES
                .iter()
                .all(|route| route.body_time > crate::extract::BODY_DEADLINE)
        );
    }
}
