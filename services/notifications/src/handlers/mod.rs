//! Public calls.

pub mod announcements;
pub mod mark_read;
pub mod my_notifications;
pub mod preferences;
pub mod templates;
pub mod unsubscribe;
pub mod webhooks;
