//! Payments: attempts to pay an order. `moves` alone changes where a payment stands.

mod capture;
mod card;
mod create;
mod decline;
mod instrument;
mod methods;
mod moves;
mod otp;
mod read;
mod record;
mod start;
mod update;
mod vpa;

pub(crate) use capture::capture;
pub(crate) use card::Card;
pub(crate) use create::{create_json, create_upi, start_by_payer};
pub(crate) use decline::Decline;
pub(crate) use instrument::Instrument;
pub(crate) use methods::methods;
pub(crate) use moves::{authorize, complete, expire, fail};
pub(crate) use otp::{otp_generate, otp_resend, otp_submit};
pub(crate) use read::{card_of, fetch, list};
pub(crate) use record::{Payment, PaymentStatus};
pub(crate) use start::{Attempt, start};
pub(crate) use update::update;
pub(crate) use vpa::validate as validate_vpa;
