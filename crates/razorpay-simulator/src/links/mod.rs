//! Payment links: an amount to be paid on a page, without a server of the merchant's.

mod create;
mod moves;
mod read;
mod record;
mod update;

pub(crate) use create::create;
pub(crate) use moves::{expire, open_order, paid};
pub(crate) use read::{fetch, list};
pub(crate) use record::{Link, LinkStatus};
pub(crate) use update::{cancel, notify_by, update};
