//! The service over its pipeline: requests in, answers out.

mod accounts;
mod batches;
mod calendars;
mod desk;
mod drafts;
mod failing_store;
mod holds;
mod internals;
mod keys;
mod kit;
mod mediamtx;
mod mediamtx_fake;
mod others;
mod registering;
mod store_away;
mod talking;
mod tickets;
mod undone;
mod waitlist;
