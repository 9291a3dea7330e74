//! The gateway as its clients meet it, in front of services in the same process and of services behind a socket.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

mod bodies;
mod compression;
mod cors;
mod failures;
mod forwarding;
mod malformed;
mod overhead;
mod own_pages;
mod paths;
mod slow_clients;
mod websocket;
mod world;
