//! Public calls.

pub mod my_notifications;
