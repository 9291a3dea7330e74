//! Which messages go to whom, when, and how often they are retried. No storage, no network, no clock.

pub mod address;
pub mod attaching;
pub mod broadcast;
pub mod change;
pub mod delivery;
pub mod host;
pub mod kind;
pub mod language;
pub mod letters;
pub mod message;
pub mod name;
pub mod preferences;
pub mod reminder;
pub mod sms;
pub mod unsubscribe;
pub mod wording;
