//! Tickets as people carry them: a signed code that a scanner checks without asking anybody, the QR code that holds it, and
//! a page to print.

mod fonts;
pub mod keys;
mod layout;
mod page;
pub mod qr;

pub use self::{
    fonts::Fonts,
    keys::{InvalidTicket, SignedTicket, TicketKeys},
    page::{PageError, Printed, Tongue, pdf},
};
