//! For the contract suites of both stores: damage to rows behind a store's back, and the proof that no query reads a whole
//! collection.

#![doc(hidden)]

pub mod mongo;
pub mod sqlite;
