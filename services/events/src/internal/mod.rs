//! The endpoints for other services.

pub mod accounts;
pub mod announce;
pub mod attendees;
pub mod claim_seat;
pub mod mediamtx;
pub mod messages;
pub mod organizer;
pub mod publish;
pub mod secure_seat;
pub mod ticket;
