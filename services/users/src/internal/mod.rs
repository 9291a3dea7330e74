//! What other services may ask.

pub mod lookup;
