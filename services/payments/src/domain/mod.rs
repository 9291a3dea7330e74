//! Orders, payments and refunds: their state and its rules. No axum, no driver, no clock.

pub mod detail;
pub mod fact;
pub mod ledger;
pub mod method;
pub mod order;
pub mod payment;
pub mod refund;
