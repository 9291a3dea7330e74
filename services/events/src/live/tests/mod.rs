//! The live room over real sockets, in one process: each test has a room of its own, with times as short as it needs.

mod clients;
mod limits;
mod recovery;
mod signing_in;
mod streams;
mod talking;
