//! Calls that only other services may make.

pub mod messages;
