//! The public endpoints, one per file.

pub mod login;
pub mod me;
pub mod register;
