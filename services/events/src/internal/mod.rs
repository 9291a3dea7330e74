//! What other services may ask and tell.

pub mod claim_seat;
pub mod messages;
pub mod organizer;
pub mod secure_seat;
