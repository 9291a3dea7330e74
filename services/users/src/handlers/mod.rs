//! The public endpoints, one per file.

pub mod login;
pub mod logout;
pub mod me;
pub mod register;
pub mod update_me;
