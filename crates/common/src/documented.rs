//! The failure texts that the documented API fixes, by route.

use axum::http::Method;

/// Documented POST routes, each with the `message` of every failure, wherever it arises: in the service, an extractor,
/// the gateway, or the gateway in place of a service that is down.
const FAILURES: [(&str, &str); 4] = [
    ("/api/users/register", "Error registering user."),
    ("/api/organiser/create_event", "Error creating event."),
    ("/api/reg/register_event", "Error registering for event."),
    ("/api/payment/process_payment", "Error processing payment."),
];

/// `message` of a login with a wrong e-mail or password, and of no other failure.
pub const INVALID_CREDENTIALS: &str = "Invalid credentials.";
/// `message` of the 404 that an organiser without events gets.
pub const NO_EVENTS: &str = "No events found.";
/// `message` of the 404 that a user without live registrations gets.
pub const NO_REGISTRATIONS: &str = "No events found for this user.";

/// The text that every failure of this request carries, when the API documents one.
pub fn failure_message(method: &Method, path: &str) -> Option<&'static str> {
    if method != Method::POST {
        return None;
    }
    let path = path.strip_suffix('/').unwrap_or(path);
    FAILURES
        .iter()
        .find(|(route, _)| *route == path)
        .map(|(_, message)| *message)
}
