//! Public calls.

pub mod announcements;
pub mod mark_read;
pub mod my_notifications;
mod own_event;
pub mod preferences;
pub mod templates;
pub mod unsubscribe;
pub mod webhooks;
pub mod wordings;
