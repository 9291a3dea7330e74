//! Calls that only other services may make.

pub mod export;
pub mod messages;
