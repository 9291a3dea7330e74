//! The public endpoints, one per file.

pub mod api_keys;
pub mod change_email;
pub mod change_password;
pub mod confirm_totp;
pub mod create_api_key;
pub mod delete_me;
pub mod exchange_code;
pub mod export_me;
pub mod forgot_password;
pub mod google_callback;
pub mod google_sign_in;
pub mod link_google;
pub mod login;
pub mod logout;
pub mod me;
pub mod propose_totp;
pub mod refresh;
pub mod register;
pub mod remove_totp;
pub mod reset_password;
pub mod send_verification;
pub mod sessions;
pub mod update_me;
pub mod verify_email;
