//! The registry of public routes: which service answers each, and by which bounds requests for it are let in and passed on.
//!
//! The gateway takes everything from here. What is not listed falls to the service whose prefix it has, under the common
//! bounds, so that it is the service that says 404; what has no such prefix is not passed on at all.

use std::time::Duration;

use crate::services::Service;

/// A public route.
#[derive(PartialEq, Eq, Debug)]
pub struct Route {
    /// Segments; `{name}` is any one, `{*rest}` at the end any number, also none.
    pub path: &'static str,
    /// The service that answers.
    pub service: Service,
    /// Who may call.
    pub audience: Audience,
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
}

/// Who may call a route. The services decide; a test compares.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Audience {
    /// Anyone, signed in or not.
    Anyone,
    /// Any signed-in user.
    SignedIn,
    /// Organizers.
    Organizers,
    /// Razorpay, by its signature.
    Razorpay,
    /// People with a browser: a page, which the API's document leaves out.
    Browsers,
    /// Developers, outside of production.
    Developers,
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

const fn route(path: &'static str, service: Service, audience: Audience) -> Route {
    Route {
        path,
        service,
        audience,
        max_body: MAX_BODY,
        body_time: BODY_TIME,
        answer_time: ANSWER_TIME,
        repeat: Repeat::Keyed,
        upgrade: false,
    }
}

impl Route {
    const fn never_repeated(mut self) -> Self {
        self.repeat = Repeat::Never;
        self
    }

    const fn with_upgrade(mut self) -> Self {
        self.upgrade = true;
        self
    }
}

use Audience::{Anyone, Browsers, Developers, Organizers, Razorpay, SignedIn};
use Service::{Events, Notifications, Payments, Users};

/// All of them; the first that fits counts.
pub const ROUTES: &[Route] = &[
    route("/api/users/register", Users, Anyone).never_repeated(),
    route("/api/users/login", Users, Anyone).never_repeated(),
    route("/api/users/refresh", Users, Anyone).never_repeated(),
    route("/api/users/logout", Users, SignedIn).never_repeated(),
    route("/api/users/logout_all", Users, SignedIn).never_repeated(),
    route("/api/users/sessions", Users, SignedIn).never_repeated(),
    route("/api/users/sessions/{session_id}", Users, SignedIn).never_repeated(),
    route("/api/users/password/change", Users, SignedIn).never_repeated(),
    route("/api/users/password/forgot", Users, Anyone).never_repeated(),
    route("/api/users/password/reset", Users, Anyone).never_repeated(),
    route("/api/users/email/change", Users, SignedIn).never_repeated(),
    route("/api/users/email/verify", Users, Anyone).never_repeated(),
    route("/api/users/email/verify/send", Users, SignedIn).never_repeated(),
    route("/api/users/totp", Users, SignedIn).never_repeated(),
    route("/api/users/totp/confirm", Users, SignedIn).never_repeated(),
    route("/api/users/me", Users, SignedIn).never_repeated(),
    route("/api/users/oauth/google", Users, Anyone).never_repeated(),
    route("/api/users/oauth/google/callback", Users, Anyone).never_repeated(),
    route("/api/users/oauth/exchange", Users, Anyone).never_repeated(),
    route("/api/users/oauth/link", Users, Anyone).never_repeated(),
    route("/api/users/{*rest}", Users, Anyone).never_repeated(),
    route("/verify-email", Users, Browsers),
    route("/reset-password", Users, Browsers),
    route("/api/organiser/create_event", Events, Organizers),
    route("/api/organiser/events", Events, Organizers),
    route("/api/organiser/events/{id}", Events, Organizers),
    route("/api/organiser/events/{id}/cancel", Events, Organizers),
    route("/api/organiser/events/{id}/payments", Payments, Organizers),
    route("/api/organiser/{*rest}", Events, Anyone),
    route("/api/reg/register_event", Events, SignedIn),
    route("/api/reg/get_registrevent", Events, SignedIn),
    route("/api/reg/registrations/{id}", Events, SignedIn),
    route("/api/reg/{*rest}", Events, Anyone),
    route("/api/events", Events, Anyone),
    route("/api/events/{id}", Events, Anyone),
    route("/api/events/{*rest}", Events, Anyone),
    route("/api/live/{*rest}", Events, Anyone).with_upgrade(),
    route("/api/notifications", Notifications, SignedIn),
    route("/api/notifications/{*rest}", Notifications, Anyone),
    route("/dev/mailbox.json", Notifications, Developers),
    route("/dev/mailbox/{*rest}", Notifications, Developers),
    route("/api/payment/payments", Payments, SignedIn),
    route("/api/payment/payments/{id}", Payments, SignedIn),
    route("/api/payment/process_payment", Payments, SignedIn),
    route("/api/payment/verify", Payments, SignedIn),
    route("/api/payment/webhook", Payments, Razorpay),
    route("/api/payment/{*rest}", Payments, Anyone),
];

/// The route of a path. None for a path that could mean something else to another reader: dots to climb with, slashes in
/// disguise, empty segments.
pub fn find(path: &str) -> Option<&'static Route> {
    if is_tricky(path) {
        return None;
    }
    ROUTES.iter().find(|route| fits(route.path, path))
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
            let path = path.replace("{session_id}", "x");
            assert_eq!(find(&path), Some(route), "{path} is taken by one above it");
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
