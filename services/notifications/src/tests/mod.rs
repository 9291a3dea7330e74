//! The service from outside, over its pipeline, and its workers one round at a time.

mod attachments;
mod broadcasts;
mod hosts;
mod http;
mod intake;
mod kit;
mod languages;
mod live_room;
mod mailbox;
mod parsers;
mod previews;
mod recorder;
mod reminders;
mod sender;
mod sink;
mod sms;
mod smtp;
mod templates;
mod users;
mod wordings;
