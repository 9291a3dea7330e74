//! Payment links: an amount to be paid on a page, without a server of the merchant's.

mod create;
mod read;
mod update;

pub(crate) use create::create;
pub(crate) use read::{fetch, list};
pub(crate) use update::{cancel, notify_by, update};
