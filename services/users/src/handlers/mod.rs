//! The public endpoints, one per file.

pub mod change_password;
pub mod login;
pub mod logout;
pub mod me;
pub mod refresh;
pub mod register;
pub mod sessions;
pub mod totp;
pub mod update_me;
