//! Refunds: money that goes back. `moves` alone changes where a refund stands.

mod create;
mod moves;
mod read;
mod record;
mod update;

pub(crate) use create::{create, create_of_payment};
pub(crate) use moves::{expire, fail, process, send_back};
pub(crate) use read::{fetch, fetch_of_payment, list, list_of_payment};
pub(crate) use record::{Refund, RefundStatus};
pub(crate) use update::update;
