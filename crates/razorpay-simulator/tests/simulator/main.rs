//! The simulator as its clients meet it: the real server, over HTTP.
#![expect(
    clippy::unwrap_used,
    reason = "in a test, what cannot be is a failure of the test"
)]

mod captures;
mod controls;
mod errors;
mod instruments;
mod kit;
mod links;
mod orders;
mod refunds;
mod restarts;
mod webhooks;
mod wire;
