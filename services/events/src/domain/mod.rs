//! Events and registrations: their state and its rules. No axum, no driver, no clock.

pub mod capture;
pub mod change;
pub mod check_in;
pub mod counts;
pub mod ending;
pub mod event;
pub mod fact;
pub mod listing;
pub mod post;
pub mod publishing;
pub mod reaction;
pub mod registering;
pub mod registration;
#[cfg(test)]
pub mod samples;
pub mod search_terms;
pub mod standing;
pub mod stream;
pub mod team;
pub mod waitlist;
