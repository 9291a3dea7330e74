//! What other services may ask.

pub mod ended_sessions;
pub mod lookup;
