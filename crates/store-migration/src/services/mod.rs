//! What each service keeps, and what becomes of it in MongoDB. A test of each finds what is forgotten.

mod events;
mod notifications;
mod payments;
mod users;

use crate::table::Service;

/// All of them.
pub const SERVICES: &[&Service] = &[
    &users::SERVICE,
    &events::SERVICE,
    &notifications::SERVICE,
    &payments::SERVICE,
];
