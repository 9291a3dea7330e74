//! Webhooks: who wants to hear of events, what they are told, and telling it until they have heard.

mod deliver;
mod emit;
mod receivers;

use std::time::Duration;

pub(crate) use deliver::run as deliver;
pub(crate) use emit::emit;
pub(crate) use receivers::{CONFIGURED, configure, create, fetch, list, remove, update};

/// A receiver that has not answered after this has not heard.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
/// Events are kept for this long, to be sent again on request.
const KEPT: Duration = Duration::from_secs(15 * 24 * 60 * 60);

/// Whether events can be posted to an address.
pub(crate) fn deliverable(url: &str) -> bool {
    reqwest::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}
