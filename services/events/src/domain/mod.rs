//! Events and registrations: what they are and what may become of them. No axum, no driver, no clock.

pub mod event;
pub mod fact;
pub mod registration;
pub mod search_terms;
