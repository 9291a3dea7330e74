//! The endpoints for other services.

pub mod api_keys;
pub mod ended_sessions;
pub mod lookup;
