//! The table of routes.

use axum::{Router, routing::post};
use utoipa::{OpenApi, openapi::OpenApi as OpenApiDocument};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{app::App, dev, docs::Document, handlers, internal};

/// All routes, and the document that describes the public ones. `show_mailbox` adds the pages for development.
pub fn routes(app: App, show_mailbox: bool) -> (Router, OpenApiDocument) {
    let (public, document) = OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(handlers::my_notifications::my_notifications))
        .routes(routes!(handlers::mark_read::one))
        .routes(routes!(handlers::mark_read::all))
        .routes(routes!(
            handlers::preferences::preferences,
            handlers::preferences::set_preferences
        ))
        .routes(routes!(
            handlers::unsubscribe::ask,
            handlers::unsubscribe::unsubscribe
        ))
        .routes(routes!(handlers::templates::list))
        .routes(routes!(handlers::templates::preview))
        .routes(routes!(handlers::webhooks::twilio::twilio))
        .routes(routes!(handlers::webhooks::msg91::msg91))
        .routes(routes!(
            handlers::announcements::list,
            handlers::announcements::announce
        ))
        .routes(routes!(
            handlers::announcements::one,
            handlers::announcements::withdraw
        ))
        .routes(routes!(handlers::wordings::list))
        .routes(routes!(handlers::wordings::set, handlers::wordings::drop))
        .split_for_parts();
    let internal = Router::new()
        .route(common::outbox::PATH, post(internal::messages::messages))
        .route(runtime::export::PATH, post(internal::export::export));
    let mut router = public.merge(internal);
    if show_mailbox {
        router = router.merge(dev::routes());
    }
    (router.with_state(app), document)
}
