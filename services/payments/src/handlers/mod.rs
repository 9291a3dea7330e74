//! The public endpoints, one per file.

pub mod payments;
pub mod process_payment;
pub mod verify;
pub mod webhook;
