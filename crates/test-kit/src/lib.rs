//! For tests: real servers of their own, and what damage may be done to a store. Links no database.

#![doc(hidden)]

pub mod damage;
pub mod mongo;
pub mod redis;
pub mod requests;
