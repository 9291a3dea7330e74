//! Orders, payments and refunds: what they are and what may become of them. No axum, no driver, no clock.

pub mod detail;
pub mod fact;
pub mod ledger;
pub mod method;
pub mod order;
pub mod payment;
pub mod refund;
