//! What the four services and the gateway share: identity, errors, settings, money, time, HTTP, and the messages between
//! services. It knows of no database and of no Redis: their crates know of it.
//!
//! A thing belongs here when two services use it. Domain types stay in their service; only types that cross a
//! service boundary live in [`wire`].

pub mod address;
pub mod api_keys;
pub mod audit;
pub mod auth;
pub mod clock;
pub mod context;
pub mod documented;
pub mod extract;
pub mod fields;
pub mod health;
pub mod http;
pub mod idempotency;
pub mod ids;
pub mod jwt_crypto;
pub mod leads;
pub mod mailed_tokens;
pub mod metrics;
pub mod money;
pub mod origin;
pub mod outbox;
pub mod problem;
pub mod routes;
pub mod schemas;
pub mod secrets;
pub mod services;
pub mod sessions;
pub mod settings;
pub mod store;
pub mod subscriber;
pub mod telemetry;
pub mod text;
pub mod time;
pub mod unreadable;
pub mod wire;
pub mod workers;
