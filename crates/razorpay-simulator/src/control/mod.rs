//! The controls: what a test needs and no API offers. Open only with
//! [`Settings::controls`](crate::Settings::controls), and then to everyone who reaches the address: keep it on
//! loopback. They take JSON or form fields, need no credentials, and answer the envelope when something is wrong.
//!
//! | call | fields | what happens |
//! |---|---|---|
//! | `GET /sim/control` | | what is set, and how many webhooks wait |
//! | `POST /sim/control/payments/:id/authorize` | | the bank authorizes a created or failed payment (late authorisation) |
//! | `POST /sim/control/payments/:id/adjust` | `amount`, `settles` | an offer or a convenience fee changes the amount of a payment not authorized yet; it settles its order all the same, or that much of it |
//! | `POST /sim/control/payments/:id/fail` | `reason` | a created payment fails |
//! | `POST /sim/control/payments/:id/expire` | | the capture window of an authorized payment ends: it is refunded |
//! | `POST /sim/control/refunds/:id/process` | | a pending refund is processed |
//! | `POST /sim/control/refunds/:id/fail` | | a pending or processed refund fails and frees its amount |
//! | `POST /sim/control/refunds` | `hold` | new refunds stay pending, or no longer do |
//! | `POST /sim/control/faults` | `kind` and more, below | the next calls are disturbed |
//! | `DELETE /sim/control/faults` | | no more |
//! | `POST /sim/control/webhooks` | below | deliveries are disturbed |
//! | `GET /sim/control/events` | `?count=&skip=` | events, newest first, and what became of their deliveries |
//! | `POST /sim/control/events/:id/redeliver` | | an event is sent again: same id, same bytes |
//! | `POST /sim/control/clock` | `advance_seconds` | time moves on, and what becomes due happens |
//! | `POST /sim/control/reset` | | everything is forgotten, but for the account id and the configured receiver |
//!
//! **Faults** hit calls of the API, not these. `kind` is `status` (with `status`: 400 to 599, and `description`),
//! `html` (with `status`, an HTML body), `drop` (the connection is closed without an answer) or `delay`. `times` says
//! how many calls (default 1), `method` and `path` (a prefix, such as `/v1/orders`) which ones, `delay_ms` how long
//! each waits first. `after_commit: true` has the call do its work before it is disturbed; that is the default of
//! `drop` and `delay`. Faults are tried in the order in which they were made, and forgotten at a restart.
//!
//! **Webhooks**: `twice` and `wrong_signature` (the number of deliveries to send twice, or with a false signature),
//! `late_ms` with `late_times` and `late_event` (that many next events, of that name if given, wait so long), `hold`
//! (nothing is sent until it is false again), `reverse` (what waits for one subject goes out newest first),
//! `first_retry_ms` and `give_up_ms` (the schedule of redeliveries, compressed). Forgotten at a restart too.

mod actions;
mod events;
mod faults;
mod guard;
mod mischief;
mod state;

use axum::{
    Router,
    middleware::from_fn,
    routing::{get, post},
};

use crate::app::App;

/// The routes below `/sim/control`.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/sim/control", get(state::show))
        .route("/sim/control/payments/{id}/authorize", post(actions::authorize))
        .route("/sim/control/payments/{id}/adjust", post(actions::adjust))
        .route("/sim/control/payments/{id}/fail", post(actions::fail))
        .route("/sim/control/payments/{id}/expire", post(actions::expire))
        .route("/sim/control/refunds", post(actions::hold_refunds))
        .route("/sim/control/refunds/{id}/process", post(actions::process_refund))
        .route("/sim/control/refunds/{id}/fail", post(actions::fail_refund))
        .route("/sim/control/faults", post(faults::add).delete(faults::clear))
        .route("/sim/control/webhooks", post(mischief::set))
        .route("/sim/control/events", get(events::list))
        .route("/sim/control/events/{id}/redeliver", post(events::redeliver))
        .route("/sim/control/clock", post(state::advance_clock))
        .route("/sim/control/reset", post(state::reset))
        .layer(from_fn(guard::same_origin))
}
