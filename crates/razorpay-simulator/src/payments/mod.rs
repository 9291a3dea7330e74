//! Payments: attempts to pay an order. [`crate::moves`] alone changes where a payment stands.

mod capture;
mod card;
mod create;
mod instrument;
mod methods;
mod otp;
mod read;
mod start;
mod update;
mod vpa;

pub(crate) use capture::capture;
pub(crate) use create::{create_json, create_upi, start_by_payer};
pub(crate) use methods::methods;
pub(crate) use otp::{otp_generate, otp_resend, otp_submit};
pub(crate) use read::{card_of, fetch, list};
pub(crate) use start::{Attempt, start};
pub(crate) use update::update;
pub(crate) use vpa::validate as validate_vpa;
