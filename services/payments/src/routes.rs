//! The table of routes.

use axum::{Router, routing::post};
use utoipa::{OpenApi, openapi::OpenApi as Document};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{app::App, handlers, internal};

#[derive(OpenApi)]
#[openapi(tags((name = "payments", description = "Paying for registrations")))]
struct Docs;

/// All routes, and the document that describes the public ones.
pub fn routes(app: App) -> (Router, Document) {
    let (public, document) = OpenApiRouter::with_openapi(Docs::openapi())
        .routes(routes!(handlers::process_payment::process_payment))
        .routes(routes!(handlers::verify::verify))
        .routes(routes!(handlers::webhook::webhook))
        .routes(routes!(handlers::payments::list))
        .routes(routes!(handlers::payments::one))
        .routes(routes!(handlers::payments::of_event))
        .split_for_parts();
    let internal = Router::new()
        .route(common::outbox::PATH, post(internal::messages))
        .route(runtime::export::PATH, post(internal::export));
    (public.merge(internal).with_state(app), document)
}
