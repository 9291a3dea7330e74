//! The public endpoints, one per file.

pub mod change_password;
pub mod confirm_totp;
pub mod login;
pub mod logout;
pub mod me;
pub mod propose_totp;
pub mod refresh;
pub mod register;
pub mod remove_totp;
pub mod sessions;
pub mod update_me;
