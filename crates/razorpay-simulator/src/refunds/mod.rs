//! Refunds: money that goes back. [`crate::moves`] alone changes where a refund stands.

mod create;
mod read;
mod update;

pub(crate) use create::{create, create_of_payment};
pub(crate) use read::{fetch, fetch_of_payment, list, list_of_payment};
pub(crate) use update::update;
