//! The public calls, one file each.

pub mod payments;
pub mod process_payment;
pub mod verify;
pub mod webhook;
