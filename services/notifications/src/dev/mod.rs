//! The mailbox in a browser, for development only: these pages show all users' mail without authentication. They
//! exist only outside production and on a loopback address; elsewhere they are not routed at all.
//!
//! They have one script, which keeps the list fresh and the frame of a message as tall as the message.

mod list;
mod message;
mod mime;

use axum::{Router, routing::get};
use common::settings::Settings;

use crate::app::App;

/// Whether the pages may be shown.
pub fn allowed(settings: &Settings) -> bool {
    !settings.is_production() && settings.bind_addr.is_loopback()
}

/// The pages.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/dev/mailbox", get(list::list))
        .route("/dev/mailbox.json", get(list::list_json))
        .route("/dev/mailbox/{message_id}", get(message::message))
}
