//! The endpoints for other services.

pub mod ended_sessions;
pub mod lookup;
