//! Public calls.

pub mod my_notifications;
pub mod webhooks;
