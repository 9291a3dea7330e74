//! From settings to a running service. Every program's `main` is [`process::run`]; what it builds its service from is
//! [`process::Context`]. Above the messages of [`common::outbox`] stands the [`relay`] that delivers them.

pub mod api_keys;
pub mod audit;
pub mod audit_command;
pub mod by_ids;
pub mod deliveries;
pub mod export;
pub mod guard;
pub mod health;
pub mod live;
pub mod peers;
pub mod process;
pub mod relay;
pub mod service;
pub mod sessions;
pub mod user_directory;
pub mod verified_email;
